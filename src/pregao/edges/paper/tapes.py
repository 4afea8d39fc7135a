"""Reads a recorded tape from a gzip or plain CSV file."""

import gzip
from pathlib import Path

from pregao.simulation.instruments import LISTINGS
from pregao.simulation.market import Tick, read_tape


def load_tape(tape: str | Path) -> list[Tick]:
    """
    Read a tape whose file name says its symbol, or ``SYMBOL=path``.

    :raises ValueError: when no listed symbol can be found in the name.
    """
    symbol, parted, path_text = str(tape).partition("=")
    path = Path(path_text) if parted else Path(tape)
    if not parted:
        symbol = next((name for name in LISTINGS if name in path.name.upper()), "")
    if symbol not in LISTINGS:
        raise ValueError(f"TAPE_SYMBOL_UNKNOWN: tape={path.name}. Name it SYMBOL=path with a listed symbol.")
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(read_tape(text.splitlines(), symbol=symbol))

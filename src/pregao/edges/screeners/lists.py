"""Lists of one's own: written into the strategy, or in a file of the desk's folder for screeners."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from pregao.domain.screener import Strategy
from pregao.edges.screeners.export import TICKER_HEADS, read_export
from pregao.market.ports import ScreenError

FILE_BYTES_MAX = 1_000_000
_WORDS = re.compile(r"[\s,;]+")


class StaticList:
    """The tickers of the strategy itself; the port `market.ports.Screen`."""

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        return strategy.tickers


class ListFile:
    """
    A file with tickers, the best first: one or several in a line, or a CSV with a column Ticker or Symbol.

    It is read anew when it has changed. The port `market.ports.Screen`.
    """

    def __init__(self, folder: Path) -> None:
        """Read from ``folder``, and from nowhere else."""
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int, int], list[str]]] = {}

    async def tickers(self, strategy: Strategy) -> Sequence[str]:
        return await asyncio.to_thread(self._tickers, strategy.address)

    def _tickers(self, name: str) -> list[str]:
        path = self._folder / name
        if path.parent != self._folder or name in (".", ".."):
            raise ScreenError("SCREENER_ADDRESS_UNUSABLE", f"file={name}. Name a file of {self._folder}.")
        try:
            told = path.stat()
            seen = (told.st_mtime_ns, told.st_size, told.st_ino)
            if name in self._read and self._read[name][0] == seen:
                return self._read[name][1]
            if told.st_size > FILE_BYTES_MAX:
                raise ScreenError(
                    "SCREENER_FILE_UNREADABLE",
                    f"file={name} bytes={told.st_size} maximum={FILE_BYTES_MAX}. It is no list of tickers.",
                )
            tickers = read_list(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as missing:
            raise ScreenError(
                "SCREENER_FILE_MISSING",
                f"file={name} folder={self._folder}. Put the list there.",
                is_temporary=True,
            ) from missing
        except (OSError, UnicodeDecodeError) as trouble:
            raise ScreenError(
                "SCREENER_FILE_UNREADABLE", f"file={name} reason={type(trouble).__name__}."
            ) from trouble
        self._read[name] = (seen, tickers)
        return tickers


def read_list(text: str) -> list[str]:
    """Give the tickers of a list; what follows # on a line is a note."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    kept = [line for line in lines if line]
    head = [cell.strip(' "').lower() for cell in kept[0].split(",")] if kept else []
    if any(name in head for name in TICKER_HEADS):
        return read_export("\n".join(kept))
    return [word for line in kept for word in _WORDS.split(line) if word]

"""
Candles as the analyzer saw them, one small file a series: what a strategy traded on, for whoever compares it later.

A line is appended with every candle, and the file is a CSV that `pregao backtest run --data` reads.
"""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from pregao.research.ticks import Candle

HEADER = "opened_at_ms,open,high,low,close,volume\n"
ROWS_MAX = 100_000  # then the older half is left out


class SeenCandles:
    """A folder of such files."""

    def __init__(self, folder: Path) -> None:
        """Keep them in ``folder``, which is made with the first."""
        self._folder = folder
        self._rows: dict[str, int] = {}

    def path_of(self, name: str) -> Path:
        """Give where a series is kept."""
        return self._folder / f"{name}.csv"

    def keep(self, name: str, candle: Candle) -> None:
        """Append a candle; one that is not later than the last is left out by whoever reads."""
        rows = self._rows.get(name)
        if rows is None:
            rows = self._prepared(self.path_of(name))
        if rows >= ROWS_MAX:
            rows = _halved(self.path_of(name))
        # At every candle's end strategies wait for it: the system's own calls take a fifth of a file object's time.
        descriptor = os.open(f"{self._folder}/{name}.csv", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, _line(candle).encode("ascii"))
        finally:
            os.close(descriptor)
        self._rows[name] = rows + 1

    def read(self, name: str, *, since_ms: int | None, limit: int) -> Sequence[Candle]:
        """Give the latest ``limit`` candles that opened since then, oldest first."""
        found: deque[Candle] = deque(maxlen=limit)
        try:
            lines = self.path_of(name).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return ()
        last_ms = -1
        for line in lines[1:]:
            candle = _read(line)
            if candle is not None and candle.opened_at_ms > last_ms:
                last_ms = candle.opened_at_ms
                if since_ms is None or last_ms >= since_ms:
                    found.append(candle)
        return tuple(found)

    def _prepared(self, path: Path) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(HEADER, encoding="ascii")
            return 0
        text = path.read_text(encoding="ascii")
        if not text.endswith("\n"):  # whoever wrote it was killed within a line
            path.write_text(text[: text.rfind("\n") + 1], encoding="ascii")
        return text.count("\n")


def _halved(path: Path) -> int:
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)[1:]
    kept = lines[len(lines) // 2 :]
    beside = path.with_suffix(".part")
    beside.write_text(HEADER + "".join(kept), encoding="ascii")
    beside.replace(path)
    return len(kept)


def _line(candle: Candle) -> str:
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return f"{candle.opened_at_ms},{','.join(repr(value) for value in prices)}\n"


def _read(line: str) -> Candle | None:
    try:
        opened, *prices = line.split(",")
        open_, high, low, close, volume = map(float, prices)
        return Candle(opened_at_ms=int(opened), open=open_, high=high, low=low, close=close, volume=volume)
    except ValueError:
        return None

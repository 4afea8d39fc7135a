"""What the readers of `benchmarks.feed` are told, and the stops they watch: the same for each, from a seed."""

import json
import random
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from benchmarks.stops import PLACES, TICK, open_books, recorded, simulated, some_stops

END = "ENDUSDT"  # the last quote's symbol


@dataclass(frozen=True)
class Case:
    """Quotes of a number of symbols, one tick wide, and stops around where they begin."""

    ticks: int
    stops: int
    symbols: int
    tapes: str
    seed: int

    @property
    def tick(self) -> Decimal:
        return TICK

    @cached_property
    def _made(self):
        chance = random.Random(self.seed)
        size = {"symbols": self.symbols, "count": self.ticks}
        starts, ticks = (
            recorded(Path(self.tapes), chance, **size) if self.tapes else simulated(chance, **size)
        )
        reach = PLACES["tape" if self.tapes else "market"]
        return ticks, some_stops(chance, starts, count=self.stops, reach=reach)

    def quotes(self):
        """Give each quote as the venue words it, and a last one of another symbol."""
        ticks, _ = self._made
        for number, (symbol, price) in enumerate([*ticks, (END, 1)], start=400_900_217):
            yield json.dumps(
                {
                    "e": "bookTicker", "u": number, "s": symbol,
                    "b": f"{price * TICK:.2f}", "B": "31.210", "a": f"{(price + 1) * TICK:.2f}", "A": "40.660",
                    "T": 1_568_014_460_891, "E": 1_568_014_460_893,
                },
                separators=(",", ":"),
            ).encode()  # fmt: skip

    def books(self):
        """Give the books, with all stops watched."""
        return open_books(self._made[1], trails=False)

"""A journal in a list, that keeps the rules of the real one."""

from collections.abc import Sequence
from datetime import timedelta

from pregao.domain.facts import Fact, ScreenerPaused
from pregao.edges.http.live.feed import Look
from pregao.views.live import About, Figures, Place, Told
from pregao.views.screener import ScreenerLine
from tests.builders import NOON

FIGURES = Figures(
    metrics={"signals_received": 8, "signals_approved": 6, "signals_forwarded_success": 3, "signals_forwarded_error": 1},
    signals_waiting=0, orders_waiting=0, orders_unresolved=0, positions_pending=0, positions_open=1, positions_closing=0,
    workers={"trader": 1, "monitor": 1},
)  # fmt: skip
SCREENER = ScreenerLine(
    is_paused=False, is_running=True, strategy_id=None, strategy="", list_of="", size=0, entered=0, gone=0,
    listed_at=None, good_at=None, failed_at=None, failures=0, code="", reason="", next_look_at=None,
)  # fmt: skip
LOOK = Look(figures=FIGURES, screener=SCREENER, sellable=("BTCUSDT",))


def fact(name: str) -> ScreenerPaused:
    return ScreenerPaused(happened_at=NOON, is_paused=True, set_by=name)


def told(fact: Fact, *, number: int = 1, **about) -> Told:
    return Told(Place(1, 100 + number, number), fact, About(**about))


class ListedHappenings:
    """Facts are read in the order of their transactions, below the oldest that still runs."""

    def __init__(self) -> None:
        self.facts: list[Told] = []
        self.epoch = 1
        self.xid = 100
        self.reads = 0
        self.forgotten = 0

    def commit(self, *names: str) -> None:
        """Commit a fact for each name, in one transaction."""
        for number, name in enumerate(names, start=len(self.facts) + 1):
            self.facts.append(Told(Place(self.epoch, self.xid, number), fact(name)))
        self.xid += 1

    async def present(self) -> Place:
        return Place(self.epoch, self.xid, 0)

    async def read(self, after: Place, *, limit: int) -> tuple[Sequence[Told], Place]:
        self.reads += 1
        found = [one for one in self.facts if one.place > after][:limit]
        return found, found[-1].place if found else after

    async def forget(self) -> None:
        self.forgotten += 1

    async def figures(self) -> Figures:
        return FIGURES

    async def sellable(self) -> Sequence[str]:
        return ["BTCUSDT"]


async def look() -> Look:
    return LOOK


LATER = NOON + timedelta(seconds=5)

"""What the lab was asked, how far it is, and what came of it; and questions that are answered at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from pregao.domain.lab import LabRun, Topic
from pregao.views.sorting import NEWEST_FIRST, Shape

FIGURE = re.compile(r"-?[0-9]{1,30}([.][0-9]{1,30})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLine:
    """A run, how far it is, and its figures once it is over."""

    run: LabRun
    figures: Mapping[str, str]
    done: int = 0
    total: int = 0  # 0: not begun
    starts: int = 0  # 2 and more: the lab ended over it and began anew
    seconds: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether the lab has begun with it."""
        return self.run.ended_at is None and self.starts > 0

    @property
    def symbol(self) -> str:
        """Give what it was tried on."""
        return self.run.symbol

    @property
    def status(self) -> str:
        """Give whether it is over."""
        return self.run.status

    @property
    def sharpe(self) -> Decimal | None:
        """Give the best one's Sharpe ratio, where it has one."""
        return figure_of(self.figures, "sharpe")

    @property
    def return_pct(self) -> Decimal | None:
        """Give what the best one brought, where that is known."""
        return figure_of(self.figures, "return_pct")


def figure_of(figures: Mapping[str, str], name: str) -> Decimal | None:
    """Give one figure; None where it is none, or no number."""
    told = figures.get(name, "")
    return Decimal(told) if FIGURE.fullmatch(told) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabAnswer:
    """What the lab said; ``code`` where it could not."""

    answer: Mapping[str, Any]
    code: str | None
    reason: str | None


class LabRuns(Protocol):
    """Where they are fetched, and the lab is asked."""

    async def runs(
        self, *, owner: UUID | None, after: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> Sequence[LabLine]:
        """Give the newest runs unless the shape says otherwise; ``after`` is the last of the page before."""
        ...

    async def find_run(self, run_id: UUID, *, owner: UUID | None) -> LabLine | None:
        """Give one; None when there is none, or it is not the owner's (None: anybody's)."""
        ...

    async def result(self, run_id: UUID) -> Mapping[str, Any] | None:
        """Give all that came of a run that is done."""
        ...

    async def answer(self, topic: Topic, question: Mapping[str, Any], *, seconds: float) -> LabAnswer | None:
        """Ask, and wait so long; None when nobody answered."""
        ...

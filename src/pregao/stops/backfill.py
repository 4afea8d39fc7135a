"""
Give a stop to what was opened with a percentage and never got a price (spec D2.5, F083).

Pure: rows in, outcomes out. A dry run is the same without writing them; a second run finds nothing to do.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pregao.domain.level import Level, Method, StopUnusableError
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, arm
from pregao.domain.stop_rule import StopRule, TargetRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """A position, or an operation of the source's, as far as its stop needs it. Percentages of the entry price."""

    position_id: int
    direction: Direction
    entry_price: Decimal | None  # None: nothing has filled
    price_tick: Decimal
    stop_percent: Decimal | None
    target_percent: Decimal | None = None
    stop_price: Decimal | None = None  # there already


class Outcome(StrEnum):
    """What became of one row."""

    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """One row's outcome: its stop, or why it has none."""

    position_id: int
    outcome: Outcome
    stop: Stop | None = None
    code: str = ""
    reason: str = ""


def backfill(rows: Iterable[Unpriced]) -> Iterator[Backfilled]:
    """Give each row's outcome, one by one: what cannot be stopped is skipped, with the reason, and stops no other."""
    for row in rows:
        if row.stop_price is not None:
            yield _skipped(row, "STOP_THERE_ALREADY", "It has a stop price.")
        elif row.stop_percent is None:
            yield _skipped(row, "STOP_NOT_ASKED_FOR", "It has neither a stop price nor a percentage.")
        elif row.entry_price is None:
            yield _skipped(row, "ENTRY_PRICE_MISSING", "Nothing of it has filled.")
        else:
            try:
                yield Backfilled(position_id=row.position_id, outcome=Outcome.UPDATED, stop=_stop_of(row))
            except StopUnusableError as problem:
                yield _skipped(row, problem.code, problem.message)


def totals(outcomes: Iterable[Backfilled]) -> dict[str, int]:
    """Give how many were processed, updated and skipped, as the source prints it."""
    counted = Counter(one.outcome for one in outcomes)
    return {"processed": counted.total(), **{outcome.value: counted[outcome] for outcome in Outcome}}


def _stop_of(row: Unpriced) -> Stop:
    assert row.entry_price is not None
    assert row.stop_percent is not None
    targets = (
        ()
        if row.target_percent is None
        else (TargetRule(level=Level(method=Method.PERCENT, value=row.target_percent)),)
    )
    return arm(
        StopRule(stop=Level(method=Method.PERCENT, value=row.stop_percent), targets=targets),
        position_id=row.position_id,
        direction=row.direction,
        entry_price=row.entry_price,
        price_tick=row.price_tick,
    )


def _skipped(row: Unpriced, code: str, reason: str) -> Backfilled:
    return Backfilled(position_id=row.position_id, outcome=Outcome.SKIPPED, code=code, reason=reason)

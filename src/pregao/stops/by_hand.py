"""
Move a stop by hand, or give one to what was opened before one was asked for.

Each command gives the facts that follow; the caller appends them in the transaction that has locked the position.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.facts import Fact, StopChanged
from pregao.domain.level import StopUnusableError, check_market_side
from pregao.domain.stop import StopChange, moved
from pregao.stops.backfill import Backfilled, Outcome, Unpriced, backfill
from pregao.stops.ports import ArmedStop


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSides:
    """What a symbol may be sold and bought at, as a monitor has told it lately."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWithout:
    """A position that is held without a stop price: what its settings ask for now, and its stop as it stands."""

    row: Unpriced
    armed: ArmedStop


class HandBook(Protocol):
    """The stops in one transaction, under the locks of their positions."""

    async def find_armed(self, position_id: int) -> ArmedStop | None:
        """Lock the position and give its stop; None where it has none, or is not whose who asks."""
        ...

    async def sides_of(self, armed: ArmedStop, *, now: datetime) -> MarketSides | None:
        """Give the prices of its symbol; None where no monitor has told any of late."""
        ...

    async def held_without(self, *, after: int, limit: int) -> Sequence[HeldWithout]:
        """Lock and give positions without a stop price whose settings ask for one, by id, from the next one on."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class HandBooks(Protocol):
    """Where such a book is opened."""

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[HandBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens everybody's.
        """
        ...


def move_stop(
    armed: ArmedStop,
    *,
    stop_price: Decimal,
    sides: MarketSides | None,
    is_forced: bool,
    changed_by: str,
    reason: str,
    now: datetime,
) -> list[Fact]:
    """
    Move a stop where a person wants it, also away from the price; where it stands already, nothing follows.

    :raises StopUnusableError: where it is off the tick, was triggered, would trigger at once, or nobody knows that.
    """
    if stop_price == armed.stop.stop_price:
        return []
    if not is_forced:
        _check_sides(armed, stop_price=stop_price, sides=sides)
    stop = moved(armed.stop, stop_price=stop_price)
    if stop.initial_stop is None:
        stop = replace(stop, initial_stop=stop_price)
    return [
        StopChanged(
            happened_at=now,
            stop=stop,
            account_id=armed.account_id,
            signal_id=armed.signal_id,
            code=StopChange.BY_HAND,
            changed_by=changed_by,
            reason=reason,
        )
    ]


def backfill_stops(
    held: Sequence[HeldWithout],
    *,
    sides: Mapping[int, MarketSides | None],
    is_forced: bool,
    changed_by: str,
    now: datetime,
) -> tuple[list[Backfilled], list[StopChanged]]:
    """Give each position's outcome, and the facts that give those their stops that can have one; F083."""
    outcomes: list[Backfilled] = []
    facts: list[StopChanged] = []
    known = {one.row.position_id: one.armed for one in held}
    for outcome in backfill(one.row for one in held):
        if outcome.stop is None or outcome.stop.stop_price is None:
            outcomes.append(outcome)
            continue
        armed = known[outcome.position_id]
        try:
            if not is_forced:
                _check_sides(armed, stop_price=outcome.stop.stop_price, sides=sides[outcome.position_id])
        except StopUnusableError as problem:
            outcomes.append(
                Backfilled(
                    position_id=outcome.position_id,
                    outcome=Outcome.SKIPPED,
                    code=problem.code,
                    reason=problem.message,
                )
            )
            continue
        before = armed.stop
        stop = replace(
            before,
            stop_price=outcome.stop.stop_price,
            initial_stop=outcome.stop.initial_stop,
            version=before.version + 1,
        )
        outcomes.append(replace(outcome, stop=stop))
        facts.append(
            StopChanged(
                happened_at=now,
                stop=stop,
                account_id=armed.account_id,
                signal_id=armed.signal_id,
                code=StopChange.BACKFILL,
                changed_by=changed_by,
                reason="It was opened before a stop was asked for.",
            )
        )
    return outcomes, facts


def _check_sides(armed: ArmedStop, *, stop_price: Decimal, sides: MarketSides | None) -> None:
    if sides is None:
        raise StopUnusableError(
            "PRICE_UNKNOWN",
            f"symbol={armed.symbol} venue={armed.venue}. No monitor has told a price of late, so nobody knows whether it "
            "would trigger at once; ask again, or force it.",
        )
    check_market_side(direction=armed.stop.direction, bid=sides.bid, ask=sides.ask, stop_price=stop_price)

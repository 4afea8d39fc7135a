"""One position from its first fill on: its fills, what guards it, and how that came; stops and claimed exits as lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts import (
    ExecutionMoved,
    Fact,
    GuardrailBlocked,
    PositionGuarded,
    PositionLeft,
    PositionUnguarded,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionPlanned,
    ProtectionRejected,
    ProtectionUnresolved,
    StopArmed,
    StopChanged,
    StopDisarmed,
    StopRaised,
    StopTriggered,
    StopUnusable,
)
from pregao.domain.money import to_text
from pregao.domain.stop import Target
from pregao.domain.stop_rule import StopRule
from pregao.views.activity import PositionLine
from pregao.views.guarded import GuardedLine
from pregao.views.trips import FillLine


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardEvent:
    """
    One thing that happened to what guards a position. Prices are in the quote asset.

    ``stop_price`` is where the stop stands from then on, None where this did not move it; ``price`` is what was seen, or
    filled. ``by`` is who saw, claimed or changed it.
    """

    seq: int
    happened_at: datetime
    kind: str  # of the fact
    what: str  # in a word: armed, raised, triggered ...
    stop_price: Decimal | None = None
    price: Decimal | None = None
    version: int | None = None
    by: str | None = None
    code: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionStory:
    """A position with all that is known of it; the oldest fill and event come first."""

    position: PositionLine
    account_name: str
    venue: Venue
    guard: GuardedLine | None  # None: nothing was ever filled
    rule: StopRule | None
    targets: tuple[Target, ...]
    fills: Sequence[FillLine]
    events: Sequence[GuardEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLine:
    """What guards a position that is not over. ``price`` is what it would exit at now, None without a fresh one."""

    position_id: int
    account_id: int
    account_name: str
    venue: Venue
    symbol: str
    direction: str
    status: str  # armed, triggered, disarmed
    version: int
    is_required: bool
    entry_price: Decimal
    initial_stop: Decimal | None
    stop_price: Decimal | None
    atr: Decimal | None
    rule: StopRule
    targets: tuple[Target, ...]
    line_status: str | None
    line_price: Decimal | None
    price: Decimal | None
    armed_at: datetime
    updated_at: datetime

    @property
    def distance(self) -> Decimal | None:
        """Give how far the price may still go before the stop; below 0 it is past it."""
        if self.price is None or self.stop_price is None:
            return None
        away = self.price - self.stop_price
        return away if self.direction == "long" else -away

    @property
    def distance_pct(self) -> Decimal | None:
        """Give that in percent of the price, two decimals."""
        if self.distance is None or not self.price:
            return None
        return round(self.distance / self.price * 100, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionLine:
    """A claimed exit: what fired it, and what came of it."""

    token: str
    kind: str  # stop, target
    number: int  # of the target; 0 for the stop
    position_id: int
    account_id: int
    account_name: str
    symbol: str
    level: Decimal
    price: Decimal  # that was seen
    price_at: datetime | None
    source: str
    claimed_by: str
    seen_at: datetime
    is_from_memory: bool
    status: str
    attempts: int
    again_at: datetime | None
    code: str | None
    reason: str | None
    exit_price: Decimal | None
    slippage_percent: Decimal | None  # of the level; positive is worse
    executed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFilter:
    """Which are meant; what is None is not chosen by, and ``owner`` None is everybody."""

    owner: UUID | None = None
    account_id: int | None = None
    symbol: str | None = None  # contained in it, in capitals or not
    status: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionPlace:
    """Where a page of claimed exits ended."""

    seen_at: datetime
    token: str
    kind: str
    number: int


class GuardStories(Protocol):
    """Where they are fetched."""

    async def find_story(self, position_id: int, *, owner: UUID | None) -> PositionStory | None:
        """Give one position; None when there is none, or it is not the owner's."""
        ...

    async def stops(self, asked: StopFilter, *, before: int | None, limit: int) -> Sequence[StopLine]:
        """Give what guards positions that are not over, the latest position first."""
        ...

    async def executions(
        self, asked: StopFilter, *, before: ExecutionPlace | None, limit: int
    ) -> Sequence[ExecutionLine]:
        """Give claimed exits, the latest first."""
        ...


def told_by(fact: Fact, *, seq: int) -> GuardEvent | None:
    """Say in one line what a fact tells of a position's guard; None where it tells nothing of it."""
    told = _told(fact)
    return (
        None
        if told is None
        else GuardEvent(seq=seq, happened_at=fact.happened_at, kind=type(fact).__name__, **told)
    )


def _told(fact: Fact) -> dict[str, Any] | None:
    match fact:
        case StopArmed():
            return {"what": "armed", "stop_price": fact.stop.stop_price, "version": fact.stop.version}
        case StopRaised():
            return {
                "what": "raised", "stop_price": fact.stop.stop_price, "version": fact.stop.version,
                "price": fact.adjustment.current_price, "by": fact.source.value, "code": fact.adjustment.reason,
            }  # fmt: skip
        case StopChanged():
            return {
                "what": "changed", "stop_price": fact.stop.stop_price, "version": fact.stop.version,
                "by": fact.changed_by, "code": fact.code, "details": fact.reason,
            }  # fmt: skip
        case StopTriggered():
            level = fact.trigger.kind.value + (f" {fact.trigger.number}" if fact.trigger.number else "")
            return {
                "what": "triggered", "price": fact.trigger.price, "version": fact.trigger.version,
                "by": fact.source.value, "details": f"{level} {to_text(fact.trigger.level)}",
            }  # fmt: skip
        case ExecutionMoved():
            return {
                "what": fact.status.value, "price": fact.price, "code": fact.code, "details": fact.reason,
            }  # fmt: skip
        case GuardrailBlocked():
            return {"what": "blocked", "code": fact.guardrail, "details": fact.instead}
        case StopUnusable():
            return {"what": "unusable", "code": fact.code, "details": fact.reason}
        case StopDisarmed():
            return {"what": "disarmed"}
        case PositionLeft():
            return {"what": "nothing left at the venue"}
        case PositionUnguarded():
            return {"what": "unguarded", "details": f"{to_text(fact.seconds)} s"}
        case PositionGuarded():
            return {"what": "guarded again", "details": f"{to_text(fact.seconds)} s"}
        case _:
            return _told_of_line(fact)


def _told_of_line(fact: Fact) -> dict[str, Any] | None:
    match fact:
        case ProtectionPlanned():
            return {
                "what": "sent to the venue", "price": fact.trigger_price, "version": fact.version,
                "details": fact.kind.value,
            }  # fmt: skip
        case ProtectionAccepted():
            return {"what": "stands at the venue", "by": "venue"}
        case ProtectionRejected():
            return {"what": "rejected", "by": "venue", "code": fact.code, "details": fact.reason}
        case ProtectionUnresolved():
            return {"what": "unresolved", "code": fact.code, "details": fact.reason}
        case ProtectionMoved():
            return {"what": fact.status.value, "by": "venue", "details": fact.reason}
        case _:
            return None

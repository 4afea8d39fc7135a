"""What this room needs from outside: a venue's prices as they come, and the guards under the transaction's locks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.execution import ExecutionStatus
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionSide
from pregao.domain.position import Position
from pregao.domain.protection import LineStatus
from pregao.domain.stop import Source, Stop
from pregao.domain.stop_rule import StopRule
from pregao.domain.trading_state import TradingStates
from pregao.stops.limits import TenantLimits

TakePrice: TypeAlias = Callable[[int, int], None]
"""Takes a bid and an ask, in whole ticks, in the order they came; called in the event loop, it must not wait."""


class Prices(Protocol):
    """One venue's prices of the symbols that are followed; what is no price is left out, what is unlikely is told."""

    def follow(self, symbol: str, *, price_tick: Decimal, take: TakePrice) -> None:
        """
        Tell a symbol's prices from now on, counted in its tick; in place of what was told of it before.

        A quote is told as it is; a trade outside the last quote widens it to itself, and is both bid and ask where no
        quote is known. It may be called before and while ``run`` runs.
        """
        ...

    def unfollow(self, symbol: str) -> None:
        """Tell a symbol's prices no more; one that is not followed may be unfollowed too."""
        ...

    def renew(self, symbol: str) -> None:
        """Listen anew to a symbol whose price has moved without a word: what carries it may be dead, though it answers."""
        ...

    async def run(self) -> None:
        """Keep listening until canceled; what is lost on the way is not told later, and not asked for."""
        ...

    async def ask(self, symbols: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """
        Ask for the best bid and ask of followed symbols, in ticks; a symbol without a usable price is left out.

        One question serves many symbols where that costs less. It may be called whether ``run`` runs or not.

        :raises VenueError: when the venue gives no usable answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedStop:
    """A stop as the books hold it, and whom it guards."""

    stop: Stop
    account_id: int
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    venue: Venue
    symbol: str
    position_side: PositionSide
    held_since: datetime
    is_anchor_final: bool
    is_required: bool
    left_at: datetime | None = None  # nothing of its position may trade any more
    refusals: int = 0  # of the venue's line, in a row
    line_at: datetime | None = None  # the venue's line is not tried again before


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A protective order of ours at the venue, or on its way there."""

    protection_id: str
    position_id: int
    account_id: int
    signal_id: UUID
    venue: Venue
    symbol: str
    kind: TriggerKind
    number: int
    version: int
    stop_version: int
    trigger_price: Decimal
    quantity: Decimal | None
    status: LineStatus
    signed_at_ms: int
    recv_window_ms: int
    checks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOpen:
    """A position that must be guarded, and is not."""

    position_id: int
    account_id: int
    signal_id: UUID
    since: datetime  # its first fill, or when the last that guarded it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claimed exit that is not over, with what is known of its order."""

    token: str
    kind: TriggerKind
    number: int
    position_id: int
    account_id: int
    signal_id: UUID
    version: int  # of the stop it was claimed on
    level: Decimal
    source: Source
    seen_at: datetime
    status: ExecutionStatus
    attempts: int = 0
    questions: int = 0  # for a price, after a stale one
    again_at: datetime | None = None
    order_id: str | None = None
    is_bounded: bool = False  # its last order takes no price worse than a bound
    code: str | None = None  # of what kept it here, or ended its last order
    order_status: OrderStatus | None = None
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the settings ask for a position's guard."""

    rule: StopRule
    is_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """All that guards one position."""

    armed: ArmedStop | None
    asked: Asked  # of what is armed: what it was armed by
    venue: Venue
    lines: Sequence[Line] = ()  # that may still trade
    lines_made: int = 0  # ever, for this position: the next one's version is one more
    claims: Sequence[Claimed] = ()
    is_entering: bool = False  # an entry may still fill


class Guards(Protocol):
    """The guards of positions whose rows the transaction has locked."""

    async def guards(self, positions: Sequence[Position]) -> Mapping[int, Guard]:
        """Give what guards each of the positions, by id."""
        ...

    async def lines(self, protection_ids: Sequence[str]) -> Mapping[str, tuple[Line, ArmedStop]]:
        """Give our protective orders of these ids, ended ones too, each with its stop; others are left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueExit:
    """A claimed exit that is to be looked at again, and where it trades."""

    position_id: int
    venue: Venue
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitScene:
    """All that is looked at before exits of some positions leave."""

    guards: Mapping[int, Guard]  # by position; what was never armed is left out
    accounts: Mapping[int, Account]  # by id
    states: TradingStates
    executions: Mapping[int, Sequence[datetime]]
    """By account: when exits of claims were planned for its tenant (its user's accounts, or itself), oldest first."""
    limits: Mapping[UUID, TenantLimits]  # by user


class Exits(Guards, Protocol):
    """What is looked at before a claimed exit leaves, under the transaction's locks."""

    async def lock_positions(self, position_ids: Sequence[int]) -> Mapping[int, Position]:
        """Lock and give positions by id, in the order of their ids."""
        ...

    async def exit_scene(self, positions: Sequence[Position], *, since: datetime) -> ExitScene:
        """
        Give what exits of these locked positions are judged by, with the executions since an instant.

        Nobody changes a trading state until the transaction ends.
        """
        ...

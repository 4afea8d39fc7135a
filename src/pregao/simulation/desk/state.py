"""
What the facts add up to: rows by their key, under the names of PostgreSQL's tables and columns.

Rows are never changed, only replaced: a copy of the tables is a snapshot.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.execution import Execution
from pregao.domain.facts import Fact, FillBooked, StopRaised, TickersListed, TradingStateSet, Verdict
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.domain.position import LIVE_STATUSES, Position
from pregao.domain.protection import LineStatus
from pregao.domain.signal import Action
from pregao.domain.user import User
from pregao.domain.venue import MarginMode
from pregao.fills.ports import FillKey
from pregao.stops.ports import ArmedStop, Claimed, Line

Place = tuple[int, str, PositionSide]
"""Account, symbol, position side: at most one position lives there."""

ON_ITS_WAY = frozenset(
    {OrderStatus.PLANNED, OrderStatus.UNRESOLVED, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}
)
"""States in which an order has an attempt that may still trade."""

WITHOUT_ANSWER = (OrderStatus.PLANNED, OrderStatus.UNRESOLVED)
"""States in which the venue has not said yet whether it has the order."""

NOT_SENT_FOR_GOOD = (OrderStatus.DEFERRED, *WITHOUT_ANSWER)
"""States in which an order may get another attempt."""


class BrokenRuleError(ValueError):
    """A row that may not be there twice, as the database says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    """A signal and what became of it."""

    signal_id: UUID
    bot_id: UUID
    received_at: datetime
    body: bytes
    content_type: str
    source: str
    source_address: str
    status: str = "received"
    deliveries: int = 1
    action: Action | None = None
    symbol: str | None = None
    side: Side | None = None
    price: Decimal | None = None
    not_used: tuple[str, ...] = ()
    stop_percent: Decimal | None = None
    target_percent: Decimal | None = None
    again_of: UUID | None = None
    code: str | None = None
    reason: str | None = None
    verdicts: tuple[Verdict, ...] | None = None
    read_at: datetime | None = None
    approval_asked_at: datetime | None = None
    approval_venue: Venue | None = None
    approval_price: Decimal | None = None
    approval_expires_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    is_approved: bool | None = None
    answer_reason: str | None = None
    decided_at: datetime | None = None
    planned_at: datetime | None = None
    accounts: int | None = None
    orders: int | None = None
    orders_live: int | None = None
    parts: int = 0
    first_account_id: int | None = None
    last_account_id: int | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order with the attempt that counts."""

    order_id: str
    attempt: int
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    leg: Leg
    position_id: int | None
    symbol: str
    side: Side | None
    status: OrderStatus
    planned_at: datetime
    updated_at: datetime
    client_order_id: str | None = None
    venue: Venue | None = None
    position_side: PositionSide | None = None
    quantity: Decimal | None = None
    reduce_only: bool | None = None
    leverage: int | None = None
    margin_mode: MarginMode | None = None
    margin_usd: Decimal | None = None
    decision_price: Decimal | None = None
    send_before: datetime | None = None
    share: Decimal | None = None
    code: str | None = None
    reason: str | None = None
    is_dead: bool = False
    exchange_order_id: str | None = None
    signed_at_ms: int | None = None
    recv_window_ms: int | None = None
    owner: str | None = None
    lease_epoch: int | None = None
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    fees: Decimal = ZERO
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    filled_at: datetime | None = None
    booked_at: datetime | None = None
    check_at: datetime | None = None
    checks: int = 0
    execution: Execution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """A position, with when it was reserved and last changed."""

    position: Position
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """What a subscription's positions on a symbol earned that closed on one UTC day."""

    subscription_id: UUID
    day: date
    symbol: str
    bot_id: UUID
    account_id: int
    closed: int = 0
    wins: int = 0
    losses: int = 0
    pnl_usd: Decimal = ZERO
    gross_pnl_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    loss_usd: Decimal = ZERO
    notional_usd: Decimal = ZERO
    forgiven_usd: Decimal = ZERO
    forgiven_by: str | None = None
    forgiven_reason: str | None = None

    @property
    def counted_loss_usd(self) -> Decimal:
        """What limits count of the loss."""
        return max(self.loss_usd - self.forgiven_usd, ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow:
    """What the venue holds at a place that is not ours."""

    quantity: Decimal
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """When an account was compared with its venue, and since when its past is not known. No fold of facts."""

    due_at: datetime
    checked_at: datetime | None = None
    agreed_at: datetime | None = None
    unreconciled_since: datetime | None = None
    must_compare: bool = False
    restored_at: datetime | None = None
    is_unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRow:
    """What guards a position, and the venue's line of it."""

    armed: ArmedStop
    armed_at: datetime
    updated_at: datetime
    line_id: str | None = None
    line_status: LineStatus | None = None
    line_price: Decimal | None = None
    line_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """A claimed exit; its order's columns are left out."""

    claimed: Claimed
    venue: Venue
    symbol: str
    updated_at: datetime
    code: str | None = None
    reason: str | None = None
    exit_price: Decimal | None = None
    slippage_percent: Decimal | None = None
    executed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """A protective order of ours, with what became of it."""

    line: Line
    updated_at: datetime
    exchange_protection_id: str | None = None
    triggered_order_id: str | None = None
    code: str | None = None
    reason: str | None = None
    acknowledged_at: datetime | None = None
    ended_at: datetime | None = None
    check_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundedRow:
    """What pre-flight found that the venue would certainly refuse; an empty symbol is all. No fold of facts."""

    account_id: int
    subscription_id: UUID | None
    symbol: str
    code: str
    reason: str


@dataclass(slots=True, kw_only=True)
class State:
    """The tables, and the journal they are the fold of."""

    users: dict[UUID, User] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    bots: dict[UUID, Bot] = field(default_factory=dict)
    subscriptions: dict[UUID, Subscription] = field(default_factory=dict)
    trading_states: dict[tuple[str, str], TradingStateSet] = field(default_factory=dict)
    signals: dict[UUID, SignalRow] = field(default_factory=dict)
    orders: dict[str, OrderRow] = field(default_factory=dict)
    positions: dict[int, PositionRow] = field(default_factory=dict)
    fills: dict[FillKey, FillBooked] = field(default_factory=dict)
    listed: list[TickersListed] = field(
        default_factory=list
    )  # the screener's list that stands, if there is one
    foreign_positions: dict[Place, ForeignRow] = field(default_factory=dict)
    daily_results: dict[tuple[UUID, date, str], DayRow] = field(default_factory=dict)
    stops: dict[int, StopRow] = field(default_factory=dict)
    stop_moves: dict[str, StopRaised] = field(default_factory=dict)
    stop_claims: dict[tuple[str, TriggerKind, int], ClaimRow] = field(default_factory=dict)
    protections: dict[str, LineRow] = field(default_factory=dict)
    account_checks: dict[int, CheckRow] = field(default_factory=dict)
    grounded: list[GroundedRow] = field(default_factory=list)
    journal: list[Fact] = field(default_factory=list)

    def copy(self) -> "State":
        """Give a snapshot that changes on its own."""
        return State(**{one.name: getattr(self, one.name).copy() for one in fields(self)})

    def live(self) -> list[Position]:
        """Give the positions that own their place, by id."""
        return [
            row.position for _, row in sorted(self.positions.items()) if row.position.status in LIVE_STATUSES
        ]

    def orders_of(self, position_id: int) -> Iterator[OrderRow]:
        """Give the orders of a position."""
        return (row for row in self.orders.values() if row.position_id == position_id)

    def may_open_again(self) -> list[Position]:
        """Give the closed positions of which an entry is still on its way, by id."""
        entering = {
            row.position_id
            for row in self.orders.values()
            if row.leg is Leg.ENTRY and row.status in ON_ITS_WAY
        }
        return [
            row.position
            for number, row in sorted(self.positions.items())
            if number in entering and row.position.closed_at is not None
        ]


def place_of(position: Position) -> Place:
    """Give the place a position owns while it lives."""
    return position.account_id, position.symbol, position.position_side


def day_of(instant: datetime) -> date:
    """Give the UTC day of an instant."""
    return instant.astimezone(UTC).date()

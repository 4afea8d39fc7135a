"""Fills and positions."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.domain.venue import VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReported(Fact):
    """A venue told of a fill, by stream or by query; possibly not for the first time. Only bookings are kept."""

    is_journaled: ClassVar[bool] = False

    account_id: int
    trade: VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class FillBooked(Fact):
    """One fill, booked once per (account, symbol, trade id, order id)."""

    account_id: int
    trade: VenueTrade
    fee: Decimal  # the commission in the account's margin asset, positive when paid
    fee_rate: Decimal  # margin asset per unit of the commission's asset, at the fill's time
    order_id: str | None  # None: not one of our orders; the books may have forgotten one that is
    order_is_filled: bool  # with this fill the order is complete
    signal_id: UUID | None
    position_id: int | None  # None: it touches no position of ours
    foreign_quantity: Decimal = ZERO  # what of the trade is not that position's
    close_reason: str | None = None  # of a fill that a stop or a target asked for, ours or the venue's


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPositionSeen(Fact):
    """The venue holds something on the account that is not ours, or no more; entries wait until it is gone."""

    account_id: int
    symbol: str
    position_side: PositionSide
    quantity: Decimal  # signed: the venue's minus ours, 0 when they agree


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettled(Fact):
    """An operator said what a difference is: a quantity to adopt, or to write off. It is booked as one fill."""

    position: Position  # before that fill; this fact reserves it where it is new
    trade: VenueTrade
    foreign_left: Decimal  # what still differs there afterwards, signed
    settled_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged(Fact):
    """The position as it stands after what just happened to it."""

    position: Position

    @property
    def signal_id(self) -> UUID:
        """The signal that opened the position: its story has what became of it."""
        return self.position.signal_id

    @property
    def account_id(self) -> int:
        """The account that holds it."""
        return self.position.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLossForgiven(Fact):
    """An operator forgave what a subscription lost on a symbol on a UTC day: limits count that much less of it."""

    subscription_id: UUID
    day: date
    symbol: str
    amount_usd: Decimal
    forgiven_by: str  # the operator, or how they came in
    reason: str

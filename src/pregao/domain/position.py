"""A position is the fold of its fills: nothing else moves its quantity or its price."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pregao.domain.money import ZERO, to_amount
from pregao.domain.order import PositionSide, Side


class Direction(StrEnum):
    """Which way a position earns."""

    LONG = "long"  # when the price rises
    SHORT = "short"  # when it falls

    @property
    def entry_side(self) -> Side:
        """The side of the orders that make it larger."""
        return Side.BUY if self is Direction.LONG else Side.SELL

    @classmethod
    def of_entry(cls, side: Side) -> "Direction":
        """Give the direction an entry on this side opens."""
        return cls.LONG if side is Side.BUY else cls.SHORT


class PositionStatus(StrEnum):
    """Where a position stands."""

    PENDING = "pending"  # its entry is on the way, nothing has filled
    OPEN = "open"  # something is held
    CLOSING = "closing"  # an exit is on the way
    CLOSED = "closed"  # all that was entered was exited
    ABANDONED = "abandoned"  # its entry ended without a fill


FORWARDED_LEVERAGE = 0  # of what is held at a webhook: how it is paid for there is not ours to know
UNKNOWN_PRICE = ZERO  # of a fill at a webhook whose signal named none: nothing trades at 0

LIVE_STATUSES = frozenset({PositionStatus.PENDING, PositionStatus.OPEN, PositionStatus.CLOSING})
"""States that own their symbol on the account: at most one such position there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    One round trip on one account and symbol, as the sums of its fills.

    Sums, not averages, are kept: so the result is the same in whichever order the fills are told.
    Notionals and fees are in the account's margin asset; fees are positive when paid.
    """

    position_id: int
    account_id: int
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    symbol: str
    position_side: PositionSide
    direction: Direction
    status: PositionStatus
    leverage: int
    entered_quantity: Decimal = ZERO
    exited_quantity: Decimal = ZERO
    entry_notional: Decimal = ZERO
    exit_notional: Decimal = ZERO
    fees: Decimal = ZERO
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    exit_signal_id: UUID | None = None
    close_reason: str | None = None

    @property
    def quantity(self) -> Decimal:
        """What is held now, in base units, never negative."""
        return self.entered_quantity - self.exited_quantity

    @property
    def is_forwarded(self) -> bool:
        """Whether somebody else trades it, behind a webhook: what it earns is not known, and it has no leverage."""
        return self.leverage == FORWARDED_LEVERAGE

    @property
    def entry_price(self) -> Decimal | None:
        """The average price paid on entry; None before the first fill, and where nobody knows it."""
        return self.entry_notional / self.entered_quantity if self.entry_notional else None

    @property
    def exit_price(self) -> Decimal | None:
        """The average price of what was exited; None before the first exit fill, and where nobody knows it."""
        return self.exit_notional / self.exited_quantity if self.exit_notional else None

    @property
    def gross_pnl(self) -> Decimal:
        """
        What the exited part earned before fees, with eight decimals.

        Long: (exit - entry) * quantity; short: (entry - exit) * quantity. Of what was only forwarded: nothing is known.
        """
        if self.is_forwarded or self.entry_price is None or self.exit_price is None:
            return to_amount(ZERO)
        # Dividing last keeps a closed position exact: its quantities cancel.
        entered = self.entry_notional * self.exited_quantity / self.entered_quantity
        earned = self.exit_notional - entered
        return to_amount(earned if self.direction is Direction.LONG else -earned)

    @property
    def realized_pnl(self) -> Decimal:
        """What the exited part earned after all fees paid so far; 0 is neither win nor loss."""
        return to_amount(self.gross_pnl - self.fees)


def after_fill(
    position: Position,
    *,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    fee: Decimal,
    traded_at: datetime,
    reason: str | None,
) -> Position:
    """
    Give the position after one of its fills; ``reason`` says why, should this fill close it.

    An exit may be told before the last fill of its entry: the sums take it, and the state follows from them.
    """
    is_entry = side is position.direction.entry_side
    entered, exited = (quantity, ZERO) if is_entry else (ZERO, quantity)
    sums = replace(
        position,
        entered_quantity=position.entered_quantity + entered,
        exited_quantity=position.exited_quantity + exited,
        entry_notional=_notional_after(position.entry_notional, position.entered_quantity, entered, price),
        exit_notional=_notional_after(position.exit_notional, position.exited_quantity, exited, price),
        fees=position.fees + fee,
        opened_at=traded_at if position.opened_at is None else min(position.opened_at, traded_at),
    )
    if sums.quantity == ZERO:
        return replace(sums, status=PositionStatus.CLOSED, closed_at=traded_at, close_reason=reason)
    if sums.status is PositionStatus.PENDING:
        return replace(sums, status=PositionStatus.OPEN)
    if sums.status in (PositionStatus.CLOSED, PositionStatus.ABANDONED):
        # A fill told late, after the exit or after we gave the entry up: what is held must be seen and exited.
        return replace(sums, status=PositionStatus.OPEN, closed_at=None, close_reason=None)
    return sums


def _notional_after(before: Decimal, quantity: Decimal, added: Decimal, price: Decimal) -> Decimal:
    """Add to a sum; with one unknown price in it, it stays unknown."""
    if added == ZERO:
        return before
    is_unknown = price == UNKNOWN_PRICE or (quantity != ZERO and before == ZERO)
    return ZERO if is_unknown else before + price * added

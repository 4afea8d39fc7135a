"""
What the exchange tells an account, the moment it happens.

Events point at the live books: whoever listens writes down what it needs before it returns.
"""

from dataclasses import dataclass
from typing import TypeAlias

from pregao.simulation.books import Account, AlgoOrder, Fill, Order, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTold:
    """An order was taken, traded, canceled, changed or ended; ``fill`` when it traded."""

    account: Account
    order: Order
    execution: str  # NEW, TRADE, CANCELED, EXPIRED, AMENDMENT, CALCULATED
    at_ms: int
    fill: Fill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTold:
    """The wallet or a position changed."""

    account: Account
    reason: str  # ORDER, FUNDING_FEE, MARGIN_TYPE_CHANGE, INSURANCE_CLEAR, DEPOSIT
    positions: tuple[Position, ...]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoTold:
    """A conditional order moved to another state."""

    account: Account
    algo: AlgoOrder
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageTold:
    """A symbol's leverage was set."""

    account: Account
    symbol: str
    leverage: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCalled:
    """The account is close to liquidation."""

    account: Account
    positions: tuple[Position, ...]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamExpired:
    """The account's listen key has ended."""

    account: Account
    listen_key: str
    at_ms: int


Event: TypeAlias = OrderTold | AccountTold | AlgoTold | LeverageTold | MarginCalled | StreamExpired

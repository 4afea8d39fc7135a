"""
What can be asked of the exchange: each command is a value, so a log of them replays to the same books.

Every command carries its time; nothing below reads a clock.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from pregao.domain.money import ZERO
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.venue import MarginMode
from pregao.simulation.books import OrderKind, Quote, Rights, TriggerFate


@dataclass(slots=True, kw_only=True)
class OpenAccount:
    """Open an account; ``secret`` None means its signatures are not verified."""

    at_ms: int
    key: str
    secret: str | None
    balance: Decimal
    position_mode: PositionMode = PositionMode.ONE_WAY


@dataclass(slots=True, kw_only=True)
class PlaceOrder:
    """Place a market or limit order; ``reduce_only`` None means the parameter was not sent."""

    at_ms: int
    key: str
    symbol: str
    side: Side
    kind: OrderKind
    quantity: Decimal | None
    position_side: PositionSide | None = None
    limit_price: Decimal | None = None
    time_in_force: str = ""
    client_order_id: str = ""
    reduce_only: bool | None = None
    good_till_ms: int = 0


@dataclass(slots=True, kw_only=True)
class ModifyOrder:
    """Give an open limit order another price and quantity; it loses its place."""

    at_ms: int
    key: str
    order_id: int
    quantity: Decimal
    limit_price: Decimal


@dataclass(slots=True, kw_only=True)
class CancelOrder:
    """Take an open order back."""

    at_ms: int
    key: str
    order_id: int


@dataclass(slots=True, kw_only=True)
class CancelAllOrders:
    """Take all open orders of a symbol back; conditional ones stay."""

    at_ms: int
    key: str
    symbol: str


@dataclass(slots=True, kw_only=True)
class PlaceAlgo:
    """Place a conditional order."""

    at_ms: int
    key: str
    symbol: str
    side: Side
    kind: OrderKind
    trigger_price: Decimal | None
    quantity: Decimal | None = None
    position_side: PositionSide | None = None
    limit_price: Decimal | None = None
    time_in_force: str = ""
    client_algo_id: str = ""
    reduce_only: bool | None = None
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    activate_price: Decimal = ZERO
    callback_percent: Decimal = ZERO
    good_till_ms: int = 0


@dataclass(slots=True, kw_only=True)
class CancelAlgo:
    """Take a waiting conditional order back."""

    at_ms: int
    key: str
    algo_id: int


@dataclass(slots=True, kw_only=True)
class CancelAllAlgos:
    """Take all waiting conditional orders of a symbol back."""

    at_ms: int
    key: str
    symbol: str


@dataclass(slots=True, kw_only=True)
class SpoilTrigger:
    """Let something go wrong when a waiting conditional order's price comes; ``stuck_ms`` 0 is for ever."""

    at_ms: int
    key: str
    algo_id: int
    fate: TriggerFate
    code: int = 0
    stuck_ms: int = 0


@dataclass(slots=True, kw_only=True)
class SetLeverage:
    """Set the leverage of one symbol."""

    at_ms: int
    key: str
    symbol: str
    leverage: int


@dataclass(slots=True, kw_only=True)
class SetMarginMode:
    """Set the margin mode of one symbol."""

    at_ms: int
    key: str
    symbol: str
    margin_mode: MarginMode


@dataclass(slots=True, kw_only=True)
class SetPositionMode:
    """Set the position mode of the whole account."""

    at_ms: int
    key: str
    position_mode: PositionMode


@dataclass(slots=True, kw_only=True)
class SetRights:
    """Say what the account's key may do from now on, and whether the account may trade."""

    at_ms: int
    key: str
    rights: Rights
    may_trade: bool = True


@dataclass(slots=True, kw_only=True)
class SetCountdown:
    """Cancel the symbol's open orders after so long unless set again; 0 switches it off."""

    at_ms: int
    key: str
    symbol: str
    countdown_ms: int


@dataclass(slots=True, kw_only=True)
class OpenStream:
    """Give the account's listen key, the same one while it lives, and extend it."""

    at_ms: int
    key: str


@dataclass(slots=True, kw_only=True)
class CloseStream:
    """End the account's listen key."""

    at_ms: int
    key: str


@dataclass(slots=True, kw_only=True)
class MovePrice:
    """A symbol has a new price: resting orders may fill, conditional ones may trigger."""

    quote: Quote


@dataclass(slots=True, kw_only=True)
class PassTime:
    """Let deadlines pass: countdowns, good-till dates, listen keys, funding, liquidations."""

    at_ms: int
    funding_rate: Decimal = ZERO


Command: TypeAlias = (
    OpenAccount
    | PlaceOrder
    | ModifyOrder
    | CancelOrder
    | CancelAllOrders
    | PlaceAlgo
    | CancelAlgo
    | CancelAllAlgos
    | SpoilTrigger
    | SetLeverage
    | SetMarginMode
    | SetPositionMode
    | SetRights
    | SetCountdown
    | OpenStream
    | CloseStream
    | MovePrice
    | PassTime
)

"""
Everything the exchange remembers: accounts, orders, positions, fills, incomes and the last quotes.

Plain dataclasses, so that a copy of them is a snapshot. Times are milliseconds since 1970, venue clock.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.venue import MarginMode

DEPTH_USDT = Decimal(
    250_000
)  # quoted at the best price; larger orders are filled in parts, a tick worse each
LEVERAGE_DEFAULT = 20  # what the venue sets on a symbol nobody has touched
OPEN_STATUSES = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class OrderKind(StrEnum):
    """How an order names its price, and what wakes it; the venue's words."""

    MARKET = "MARKET"  # at whatever the book gives
    LIMIT = "LIMIT"  # at the limit or better
    STOP = "STOP"  # a limit order once the price has gone against
    STOP_MARKET = "STOP_MARKET"  # a market order once the price has gone against
    TAKE_PROFIT = "TAKE_PROFIT"  # a limit order once the price has come
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"  # a market order once the price has come
    TRAILING_STOP_MARKET = (
        "TRAILING_STOP_MARKET"  # a market order once the price has turned by the callback rate
    )


CONDITIONAL_KINDS = frozenset(OrderKind) - {OrderKind.MARKET, OrderKind.LIMIT}


class AlgoStatus(StrEnum):
    """Where a conditional order stands; the venue's words."""

    NEW = "NEW"  # waiting for its price
    TRIGGERING = "TRIGGERING"  # the price has come
    TRIGGERED = "TRIGGERED"  # the real order is placed
    FINISHED = "FINISHED"  # the real order has ended, filled or not
    CANCELED = "CANCELED"  # taken back before its price came
    REJECTED = "REJECTED"  # the real order was refused at the trigger
    EXPIRED = "EXPIRED"  # ended by the exchange: nothing left to close, or too old


class TriggerFate(StrEnum):
    """What goes wrong, on purpose, when a conditional order's price comes."""

    STUCK = "stuck"  # it stays TRIGGERING: for a while, or for ever
    REJECTED = "rejected"  # the matching engine refuses the real order
    UNFILLED = "unfilled"  # the real order is taken, and expires without a trade


@dataclass(slots=True, kw_only=True)
class Quote:
    """The price of one symbol: best bid and ask, last trade, mark."""

    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    mark: Decimal
    quantity: Decimal  # of the last trade
    is_buyer_maker: bool  # the last trade hit the bid
    trade_id: int
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Order:
    """One order from acceptance to its end."""

    order_id: int
    client_order_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    kind: OrderKind
    original_kind: OrderKind
    quantity: Decimal
    limit_price: Decimal  # 0 for market orders
    trigger_price: Decimal  # 0 unless a conditional order became this one
    time_in_force: str
    reduce_only: bool  # asked for, or implied by closing in hedge mode
    close_position: bool
    status: OrderStatus
    filled_quantity: Decimal = ZERO
    filled_quote: Decimal = ZERO
    created_ms: int
    updated_ms: int
    good_till_ms: int = 0
    is_liquidation: bool = False
    algo_id: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATUSES

    @property
    def quantity_left(self) -> Decimal:
        """What is not filled yet."""
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal:
        """The mean price of its fills, 0 without any."""
        return self.filled_quote / self.filled_quantity if self.filled_quantity else ZERO


@dataclass(slots=True, kw_only=True)
class AlgoOrder:
    """A conditional order: waits for its price, then places a real one."""

    algo_id: int
    client_algo_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    kind: OrderKind
    quantity: Decimal  # 0 when it closes the position, whatever its size then
    limit_price: Decimal
    trigger_price: Decimal  # moves with the price for trailing stops
    activate_price: Decimal
    callback_percent: Decimal
    is_active: bool  # trailing stops follow the price only once activated
    extreme_price: Decimal  # best price since activation
    time_in_force: str
    working_type: str
    price_protect: bool
    reduce_only: bool
    close_position: bool
    status: AlgoStatus
    created_ms: int
    updated_ms: int
    triggered_ms: int = 0
    good_till_ms: int = 0
    order_id: int = 0  # of the real order, once placed
    is_trigger_told: bool = False  # the venue tells it after what the real order did at once
    actual_price: Decimal = ZERO
    actual_quantity: Decimal = ZERO
    reason: str = ""
    fate: TriggerFate | None = None
    fate_code: int = 0  # the refusal's, when rejected
    stuck_ms: int = 0  # 0: it never goes on by itself


@dataclass(slots=True, kw_only=True)
class Fill:
    """One trade of one order."""

    trade_id: int
    order_id: int
    client_order_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    commission: Decimal
    realized_pnl: Decimal
    is_maker: bool
    traded_ms: int


@dataclass(slots=True, kw_only=True)
class Income:
    """One line of the wallet's statement; their sum is the wallet."""

    income_id: int
    symbol: str
    kind: str  # TRANSFER, REALIZED_PNL, COMMISSION, FUNDING_FEE, INSURANCE_CLEAR
    amount: Decimal
    trade_id: int
    booked_ms: int


@dataclass(slots=True, kw_only=True)
class Position:
    """
    What an account holds of one symbol on one position side.

    ``cost`` is what the open quantity was bought for (negative when sold), so profits add up exactly;
    the entry price follows from it.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal = ZERO  # signed: short is negative
    cost: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    realized_pnl: Decimal = ZERO  # accumulated, before fees
    commission: Decimal = ZERO  # of what is open: moves the break-even price
    updated_ms: int = 0

    @property
    def entry_price(self) -> Decimal:
        """The mean price the open quantity was entered at, 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO


def position_key(symbol: str, position_side: PositionSide) -> str:
    """Name one position of an account."""
    return f"{symbol}:{position_side.value}"


@dataclass(slots=True, kw_only=True)
class Rights:
    """What an API key may do."""

    futures: bool = True
    withdrawals: bool = False
    addresses: tuple[str, ...] = ()  # the only ones it may be used from; none named: any
    is_revoked: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """One API key's books."""

    key: str
    secret: str | None  # None: opened by an unknown key, signatures are not verified
    wallet: Decimal
    opened_ms: int
    position_mode: PositionMode = PositionMode.ONE_WAY
    leverages: dict[str, int] = field(default_factory=dict)
    margin_modes: dict[str, MarginMode] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    open_orders: dict[str, int] = field(default_factory=dict)  # client id to order id
    latest_orders: dict[str, int] = field(default_factory=dict)  # client id to its newest order, open or not
    algos: dict[int, AlgoOrder] = field(default_factory=dict)
    open_algos: dict[str, int] = field(default_factory=dict)
    latest_algos: dict[str, int] = field(default_factory=dict)
    stuck_algos: list[int] = field(default_factory=list)  # TRIGGERING and not sent on yet
    fills: list[Fill] = field(default_factory=list)
    incomes: list[Income] = field(default_factory=list)
    countdowns: dict[str, int] = field(default_factory=dict)  # symbol to the instant its orders are canceled
    listen_key: str = ""
    listen_key_until_ms: int = 0
    listen_keys_made: int = 0
    is_warned: bool = False  # a margin call has been sent and not been answered yet
    rights: Rights = field(default_factory=Rights)  # of its key
    may_trade: bool = True  # the venue lets the account place orders

    def leverage_of(self, symbol: str) -> int:
        """Give the leverage set on a symbol."""
        return self.leverages.get(symbol, LEVERAGE_DEFAULT)

    def margin_mode_of(self, symbol: str) -> MarginMode:
        """Give the margin mode set on a symbol."""
        return self.margin_modes.get(symbol, MarginMode.CROSSED)

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        """Give a position, flat when there never was one."""
        key = position_key(symbol, position_side)
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position(symbol=symbol, position_side=position_side)
        return found

    def find_open_orders(self, symbol: str | None = None) -> list[Order]:
        """Give the orders that may still trade, oldest first."""
        found = [self.orders[number] for number in self.open_orders.values()]
        return [order for order in found if symbol is None or order.symbol == symbol]

    def find_open_algos(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Give the conditional orders that still wait, oldest first."""
        found = [self.algos[number] for number in self.open_algos.values()]
        return [algo for algo in found if symbol is None or algo.symbol == symbol]


@dataclass(slots=True, kw_only=True)
class Books:
    """The whole exchange, as it is saved and restored."""

    accounts: dict[str, Account] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    trade_ids: dict[str, int] = field(default_factory=dict)  # the last one given, per symbol
    order_id: int = 8_389_700_000  # the last one given
    algo_id: int = 2_000_000_000
    income_id: int = 9_689_000_000
    funded_ms: int = 0  # when funding was last settled
    depth_usdt: Decimal = DEPTH_USDT  # part of the books: fills replayed at another depth would differ

"""
An exchange in memory that keeps the rules the desk relies on, and fails when told to.

Client ids are unique among open orders only, an attempt outside its receive window is refused, reduce-only orders
never open. Faults are methods: `lose_next_answer()`, `refuse_next()`, `stay_silent()`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from pregao.domain.clock import Clock, from_ms, to_ms
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.venue import (
    Acknowledgement,
    MarginMode,
    OrderAttempt,
    OutcomeUnknown,
    Quote,
    Refused,
    RetryLater,
    TradeReport,
    VenueError,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)

FEE_RATE = Decimal("0.0005")


def instrument(symbol: str = "BTCUSDT", *, step: str = "0.001", notional_min: str = "5") -> Instrument:
    return Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        price_tick=Decimal("0.1"),
        quantity_step=Decimal(step),
        quantity_min=Decimal(step),
        quantity_max=Decimal(1000),
        market_quantity_step=Decimal(step),
        market_quantity_min=Decimal(step),
        market_quantity_max=Decimal(1000),
        notional_min=Decimal(notional_min),
    )


@dataclass
class FakeExchange:
    """Implements `orders.ports.Exchange`."""

    clock: Clock
    prices: dict[str, Decimal] = field(default_factory=lambda: {"BTCUSDT": Decimal("95200.0")})
    instruments_known: dict[str, Instrument] = field(default_factory=lambda: {"BTCUSDT": instrument()})
    tell: Callable[[TradeReport], Awaitable[None]] | None = None
    submitted: list[OrderAttempt] = field(default_factory=list)
    orders: list[tuple[int, VenueOrder]] = field(default_factory=list)
    trades: list[tuple[int, VenueTrade]] = field(default_factory=list)
    leverages: dict[tuple[int, str], int] = field(default_factory=dict)
    fills_per_order: int = 1
    held: list[asyncio.Event] = field(
        default_factory=list
    )  # set when the story ends, or its failure would hang
    before_each: Callable[[OrderAttempt], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._faults: dict[int | None, list[Callable[[OrderAttempt], Awaitable[None]]]] = {}
        self._after: dict[int | None, list[VenueError]] = {}
        self._silent = False
        self.asked: Counter[str] = Counter()  # questions by method
        self._hangs: dict[int | None, asyncio.Event] = {}
        self._leverage_refusals: dict[int, VenueError] = {}
        self._leverage_seconds = 0.0
        self.stream_is_down = False
        self.forgets: set[str] = set()  # orders whose numbers it knows no more

    # --- faults ---

    def lose_next_answer(self, account_id: int | None = None) -> None:
        """Execute the next order and lose the answer."""
        self._after.setdefault(account_id, []).append(OutcomeUnknown("TIMEOUT", "no answer"))

    def lose_next_order(self, account_id: int | None = None) -> None:
        """Lose the next order before it arrives; the sender cannot tell."""
        self.fail_next(OutcomeUnknown("TIMEOUT", "no answer"), account_id)

    def refuse_next(self, code: str = "-2019", account_id: int | None = None) -> None:
        self.fail_next(Refused(code, "Margin is insufficient."), account_id)

    def busy_next(self, account_id: int | None = None) -> None:
        self.fail_next(RetryLater("-1008", "throttled", retry_after_seconds=0.05), account_id)

    def fail_next(self, error: VenueError, account_id: int | None = None) -> None:
        async def fail(_attempt: OrderAttempt) -> None:
            raise error

        self._faults.setdefault(account_id, []).append(fail)

    def delay_next(self, seconds: float, account_id: int | None = None) -> None:
        async def wait(_attempt: OrderAttempt) -> None:
            await asyncio.sleep(seconds)

        self._faults.setdefault(account_id, []).append(wait)

    def hold_next(self, account_id: int | None = None) -> asyncio.Event:
        """Answer the next order only once the event is set."""
        answer = asyncio.Event()
        self.held.append(answer)

        async def wait(_attempt: OrderAttempt) -> None:
            await answer.wait()

        self._faults.setdefault(account_id, []).append(wait)
        return answer

    def hang_after_next(self, account_id: int | None = None) -> asyncio.Event:
        """Execute the next order and never answer; the event says that it has been executed."""
        executed = asyncio.Event()
        self._hangs[account_id] = executed
        return executed

    def list_also(self, symbol: str, *, price: str) -> None:
        self.prices[symbol] = Decimal(price)
        self.instruments_known[symbol] = instrument(symbol)

    def refuse_leverage(self, account_id: int, error: VenueError | None = None) -> None:
        self._leverage_refusals[account_id] = error or Refused("-4028", "Leverage is not valid.")

    def let_leverage_take(self, seconds: float) -> None:
        """Set the leverage only after so long; the clock must be one that moves when told."""
        self._leverage_seconds = seconds

    def end_last_order(self, status: OrderStatus, *, filled: str) -> None:
        """Let the last order have ended with only so much of it traded."""
        account_id, order = self.orders[-1]
        left = Decimal(filled)
        self.orders[-1] = (account_id, replace(order, status=status, filled_quantity=left))
        trades = [one for one in self.trades if one[1].exchange_order_id == order.exchange_order_id]
        self.trades = [one for one in self.trades if one not in trades]
        if left:
            self.trades.append((account_id, replace(trades[0][1], quantity=left)))

    def stay_silent(self, *, silent: bool = True) -> None:
        """Give no usable answer to any question."""
        self._silent = silent

    # --- the port ---

    async def prepare(self, attempt: OrderAttempt) -> None:
        """Nothing leaves before it is submitted."""

    async def submit(self, attempt: OrderAttempt) -> Acknowledgement:
        sent_at = self.clock()
        self.submitted.append(attempt)
        if self.before_each is not None:
            await self.before_each(attempt)
        for account in (attempt.account_id, None):
            if self._faults.get(account):
                await self._faults[account].pop(0)(attempt)
                break
        now_ms = to_ms(self.clock())
        if now_ms > attempt.signed_at_ms + attempt.recv_window_ms:
            raise RetryLater("-1021", "Timestamp outside of the recvWindow.", retry_after_seconds=0)
        order = await self._execute(attempt)
        for account in (attempt.account_id, None):
            if account in self._hangs:
                self._hangs.pop(account).set()
                await asyncio.Event().wait()
        for account in (attempt.account_id, None):
            if self._after.get(account):
                raise self._after[account].pop(0)
        return Acknowledgement(
            exchange_order_id=order.exchange_order_id, sent_at=sent_at, acknowledged_at=self.clock()
        )

    async def _execute(self, attempt: OrderAttempt) -> VenueOrder:
        rules = self.instruments_known[attempt.symbol]
        assert attempt.quantity % rules.market_quantity_step == 0, "quantity off the market step"
        assert attempt.quantity >= rules.market_quantity_min, "quantity below the minimum"
        if attempt.reduce_only:
            held = self.quantity(attempt.account_id, attempt.symbol)
            if held == 0 or (held > 0) is (attempt.side is Side.BUY):
                raise Refused("-2022", "ReduceOnly Order is rejected.")
            attempt = replace(attempt, quantity=min(attempt.quantity, abs(held)))  # it never flips a position
        price, bound = self.prices[attempt.symbol], attempt.limit_price
        is_out_of_reach = bound is not None and (price > bound if attempt.side is Side.BUY else price < bound)
        now = self.clock()
        order = VenueOrder(
            client_order_id=attempt.client_order_id,
            exchange_order_id=str(next(self._ids)),
            symbol=attempt.symbol,
            status=OrderStatus.EXPIRED if is_out_of_reach else OrderStatus.FILLED,
            quantity=attempt.quantity,
            filled_quantity=ZERO if is_out_of_reach else attempt.quantity,
            created_at=now,
            updated_at=now,
        )
        self.orders.append((attempt.account_id, order))
        if is_out_of_reach:
            return order
        left = attempt.quantity
        for part in range(self.fills_per_order, 0, -1):
            share = (
                left
                if part == 1
                else (left / part // rules.market_quantity_step) * rules.market_quantity_step
            )
            if share == 0:
                continue
            left -= share
            await self.trade(
                attempt.account_id,
                symbol=attempt.symbol,
                side=attempt.side,
                quantity=share,
                position_side=attempt.position_side,
                client_order_id=attempt.client_order_id,
                exchange_order_id=order.exchange_order_id,
            )
        return order

    async def trade(
        self,
        account_id: int,
        *,
        symbol: str = "BTCUSDT",
        side: Side,
        quantity: Decimal,
        position_side: PositionSide = PositionSide.BOTH,
        client_order_id: str = "by-hand",
        exchange_order_id: str | None = None,
    ) -> None:
        """Trade at the present price and tell the stream, unless it is down."""
        price = self.prices[symbol]
        told = VenueTrade(
            trade_id=str(next(self._ids)),
            exchange_order_id=exchange_order_id or str(next(self._ids)),
            client_order_id=client_order_id,
            symbol=symbol,
            side=side,
            position_side=position_side,
            price=price,
            quantity=quantity,
            commission=price * quantity * FEE_RATE,
            commission_asset="USDT",
            is_maker=False,
            realized_pnl=ZERO,
            traded_at=from_ms(to_ms(self.clock())),
        )
        self.trades.append((account_id, told))
        if self.tell is not None and not self.stream_is_down:
            await self.tell(TradeReport(account_id=account_id, trade=told))

    async def find_order(self, *, account_id: int, symbol: str, client_order_id: str) -> VenueOrder | None:
        self._speak()
        for account, order in reversed(self.orders):
            if account == account_id and order.symbol == symbol and order.client_order_id == client_order_id:
                return order
        return None

    async def client_order_id_of(self, *, account_id: int, symbol: str, exchange_order_id: str) -> str | None:
        self._speak()
        for account, trade in self.trades:
            if exchange_order_id in self.forgets:
                continue
            if (account, trade.symbol, trade.exchange_order_id) == (account_id, symbol, exchange_order_id):
                return trade.client_order_id
        return None

    async def trades_of(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> Sequence[VenueTrade]:
        self._speak()
        return [
            replace(trade, client_order_id="")
            for account, trade in self.trades
            if account == account_id
            and trade.symbol == symbol
            and trade.exchange_order_id == exchange_order_id
        ]

    async def trades_since(self, *, account_id: int, symbol: str, since_ms: int) -> Sequence[VenueTrade]:
        self.asked["trades_since"] += 1
        self._speak()
        return [
            replace(trade, client_order_id="")
            for account, trade in self.trades
            if account == account_id and trade.symbol == symbol and to_ms(trade.traded_at) >= since_ms
        ]

    def quantity(self, account_id: int, symbol: str) -> Decimal:
        """What the account holds here, signed."""
        return sum(
            (
                trade.quantity if trade.side is Side.BUY else -trade.quantity
                for account, trade in self.trades
                if account == account_id and trade.symbol == symbol
            ),
            ZERO,
        )

    async def positions(self, *, account_id: int, symbol: str | None = None) -> Sequence[VenuePosition]:
        self._speak()
        held: dict[tuple[str, PositionSide], Decimal] = {}
        for account, trade in self.trades:
            if account == account_id and symbol in (None, trade.symbol):
                signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
                place = trade.symbol, trade.position_side
                held[place] = held.get(place, ZERO) + signed
        return [
            VenuePosition(symbol=one, position_side=side, quantity=quantity, entry_price=self.prices[one])
            for (one, side), quantity in sorted(held.items())
            if quantity != 0
        ]

    async def ensure_leverage(
        self, *, account_id: int, symbol: str, leverage: int, margin_mode: MarginMode
    ) -> None:
        del margin_mode
        if self._leverage_seconds:
            self.clock.forward(self._leverage_seconds)
        if account_id in self._leverage_refusals:
            raise self._leverage_refusals[account_id]
        self.leverages[account_id, symbol] = leverage

    async def position_mode(self, *, account_id: int) -> PositionMode:
        del account_id
        return PositionMode.ONE_WAY

    async def balance(self, *, account_id: int) -> Decimal:
        del account_id
        return Decimal(10_000)

    async def instruments(self) -> dict[str, Instrument]:
        return self.instruments_known

    async def quote(self, symbol: str) -> Quote:
        self._speak()
        price = self.prices[symbol]
        return Quote(symbol=symbol, last_price=price, bid=price, ask=price, quoted_at=self.clock())

    def venue_now_ms(self) -> int:
        return to_ms(self.clock())

    def _speak(self) -> None:
        if self._silent:
            raise OutcomeUnknown("TIMEOUT", "no answer")


def now_utc() -> datetime:
    from datetime import UTC

    return datetime.now(UTC)

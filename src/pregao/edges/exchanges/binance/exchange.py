"""
Binance USD-M futures as our ``Exchange``: one object per venue, for all accounts there.

Every method gives what was asked or raises one of the four kinds of ``VenueError``.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog

from pregao.domain.breaker import Breakers
from pregao.domain.clock import Clock, to_ms
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO, to_text
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.domain.venue import (
    Acknowledgement,
    MarginMode,
    OperatorNeeded,
    OrderAttempt,
    OutcomeUnknown,
    Quote,
    Refused,
    RetryLater,
    VenueError,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)
from pregao.domain.weight import Importance, WeightBudget
from pregao.edges.exchanges.binance.addresses import VenueAddresses
from pregao.edges.exchanges.binance.errors import THROTTLED
from pregao.edges.exchanges.binance.limits import Usage
from pregao.edges.exchanges.binance.outcomes import venues_fault
from pregao.edges.exchanges.binance.passage import Passages
from pregao.edges.exchanges.binance.prices import PriceBook
from pregao.edges.exchanges.binance.rest import BinanceRest, Call
from pregao.edges.exchanges.binance.signing import Credentials, Value, to_wire
from pregao.edges.exchanges.binance.standing import Standing
from pregao.edges.exchanges.binance.translate import (
    ExchangeFacts,
    Json,
    instruments_from,
    order_from,
    position_from,
    trade_from,
)
from pregao.edges.exchanges.wire import Answer, Priority, Wire
from pregao.orders.ports import Exchange

T = TypeVar("T")

PREPARED_MAX = 20_000  # requests written ahead
ORDER = "/fapi/v1/order"
FIND_ORDER = Call(method="GET", path=ORDER, weight=1, importance=Importance.EXITS)
TRADES = Call(method="GET", path="/fapi/v1/userTrades", weight=5, importance=Importance.EXITS)
POSITIONS = Call(method="GET", path="/fapi/v3/positionRisk", weight=5, importance=Importance.EXITS)
AN_ENTRYS: dict[str, Any] = {"importance": Importance.BOOKS, "is_on_an_orders_way": True}
LEVERAGE = Call(method="POST", path="/fapi/v1/leverage", priority=Priority.ENTRY, **AN_ENTRYS)
MARGIN_TYPE = Call(method="POST", path="/fapi/v1/marginType", priority=Priority.ENTRY, **AN_ENTRYS)
POSITION_MODE = Call(
    method="GET", path="/fapi/v1/accountConfig", weight=5
)  # positionSide/dual would weigh 30
BALANCE = Call(method="GET", path="/fapi/v3/balance", weight=5)
FACTS = Call(method="GET", path="/fapi/v1/exchangeInfo", weight=1, tells_limits=True)
DAY = Call(method="GET", path="/fapi/v1/ticker/24hr", weight=40)  # of all symbols at once
A_PRICE: dict[str, Any] = {"importance": Importance.EXITS, "is_on_an_orders_way": True}
BOOK_TICKER = Call(method="GET", path="/fapi/v1/ticker/bookTicker", weight=2, **A_PRICE)
LAST_PRICE = Call(method="GET", path="/fapi/v2/ticker/price", weight=1, **A_PRICE)

NO_SUCH_ORDER = "-2013"
POSITION_SIDE_MISMATCH = "-4061"
CALL_SECONDS_MAX = 10.0  # the port's promise, also where one call needs two requests
TRADES_MAX = 1000  # in one answer
WEEK_MS = 7 * 86_400_000  # the longest span of one answer
HISTORY_MS = 180 * 86_400_000  # trades are told for six months
BOTH = PositionSide.BOTH  # looked up once, as those below: a burst of orders passes here
EXIT, ENTRY = Priority.EXIT, Priority.ENTRY
SIDES = {side: side.upper() for side in Side}
EXITS = frozenset({(Side.SELL, PositionSide.LONG), (Side.BUY, PositionSide.SHORT)})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceSettings:
    """How the adapter behaves."""

    quote_age_seconds_max: float = 1.0
    recv_window_ms: int = 5_000  # for reads and settings; an order attempt carries its own
    instruments_seconds: float = 3_600.0
    clock_seconds: float = 600.0  # between measurements of the venue's clock
    connections_warm: int = 20
    warm_seconds: float = 20.0  # between looks at the warm connections
    margin_asset: str = "USDT"
    user_agent: str = "pregao"


class _Placed(msgspec.Struct, rename="camel"):
    """What we read of an order's acknowledgement."""

    order_id: int | str
    client_order_id: str


_placed = msgspec.json.Decoder(_Placed)
_facts = msgspec.json.Decoder(ExchangeFacts)


class BinanceExchange(Exchange):
    """All our accounts at one Binance venue; made inside a running event loop."""

    def __init__(
        self,
        *,
        addresses: VenueAddresses,
        wire: Wire,
        credentials: Credentials,
        clock: Clock,
        settings: BinanceSettings | None = None,
        name: str = "binance",
        breakers: Breakers | None = None,
        budget: WeightBudget | None = None,
    ) -> None:
        """
        Open nothing yet; ``start`` measures the clock and warms connections, and may be left out.

        ``breakers`` are the process's; the venue's stands there under ``name``. ``budget`` is the weight that all
        processes share.
        """
        self.settings = settings or BinanceSettings()
        known = breakers or Breakers(monotonic=asyncio.get_running_loop().time, clock=clock)
        self.passages = Passages(known, venue=name)
        self.addresses = addresses
        self.prices = PriceBook(clock)
        self.standing = Standing()
        self.rest = BinanceRest(
            line=wire.line(addresses.rest),
            credentials=credentials,
            clock=clock,
            recv_window_ms=self.settings.recv_window_ms,
            user_agent=self.settings.user_agent,
            passages=self.passages,
        )
        if budget is not None:
            self.rest.limits.budget = budget
            budget.follow(lambda drawn: self.rest.limits.adopt(drawn, now_ms=self.venue_now_ms()))
        self.rights = self._rest_of_rights(wire, known, credentials=credentials, clock=clock, name=name)
        """Where keys learn what they may do; None where this venue does not tell."""
        self._line = wire.line(addresses.rest)
        self._prepared: dict[str, tuple[OrderAttempt, bytes]] = {}  # by client order id
        self._instruments: tuple[float, dict[str, Instrument]] | None = None
        self._flights: dict[str, asyncio.Task[Any]] = {}
        self._upkeep: asyncio.Task[None] | None = None
        self._clock_due = 0.0  # monotonic; 0 is long ago

    def _rest_of_rights(
        self, wire: Wire, breakers: Breakers, *, credentials: Credentials, clock: Clock, name: str
    ) -> BinanceRest | None:
        if self.addresses.rights is None:
            return None
        if self.addresses.rights == self.addresses.rest:
            return self.rest
        # Another host: its troubles and its weight are its own.
        return BinanceRest(
            line=wire.line(self.addresses.rights),
            credentials=credentials,
            clock=clock,
            recv_window_ms=self.settings.recv_window_ms,
            user_agent=self.settings.user_agent,
            passages=Passages(breakers, venue=f"{name}_rights"),
        )

    @property
    def usage(self) -> Usage:
        """How much of the exchange's limits is used."""
        return self.rest.limits.usage(now_ms=self.venue_now_ms())

    async def start(self) -> None:
        """
        Measure the venue's clock, open connections in advance, and keep both so until ``close``.

        A venue out of reach is no reason not to start: the upkeep tries again.
        """
        await self._refresh()
        self._upkeep = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """End the upkeep; the wire belongs to whoever made it."""
        tasks = [task for task in (self._upkeep, *self._flights.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.rest.close()
        if self.rights is not None:
            await self.rights.close()

    def venue_now_ms(self) -> int:
        """Give the venue's clock, in milliseconds."""
        return self.rest.clock.now_ms()

    async def prepare(self, attempt: OrderAttempt) -> None:
        """Write and sign the attempt's request ahead; nothing leaves."""
        while len(self._prepared) >= PREPARED_MAX:
            del self._prepared[next(iter(self._prepared))]  # its transaction failed: nobody came for it
        self._prepared[attempt.client_order_id] = attempt, await self._request_of(attempt)

    async def _request_of(self, attempt: OrderAttempt) -> bytes:
        return await self.rest.signed_order(ORDER, _order_query(attempt), account_id=attempt.account_id)

    async def submit(self, attempt: OrderAttempt) -> Acknowledgement:
        """Send the attempt, exactly as signed, once."""
        place = attempt.position_side
        is_exit = attempt.reduce_only or (place is not BOTH and (attempt.side, place) in EXITS)
        # The same number may have been planned with other content before, and never committed.
        planned, request = self._prepared.pop(attempt.client_order_id, (None, b""))
        if planned != attempt:
            request = await self._request_of(attempt)
        passage = self.passages.of_orders(attempt.symbol)
        ticket = passage.begin(is_exit=is_exit)
        try:
            answer = await self.rest.order(
                request, what=ORDER, account_id=attempt.account_id, priority=EXIT if is_exit else ENTRY
            )
            placed = _placed_by(answer, attempt)
        except BaseException as problem:
            passage.end(ticket, problem)
            self.note_trouble(problem, account_id=attempt.account_id, is_exit=is_exit)
            raise
        if not passage.is_calm():
            passage.end(ticket)
        return placed

    def note_trouble(self, problem: BaseException, *, account_id: int, is_exit: bool) -> None:
        """Learn from what an order met: a throttled exit is tried at once, and a side that does not fit is a mode unknown."""
        if is_exit and isinstance(problem, RetryLater) and problem.code == str(THROTTLED):
            problem.retry_after_seconds = 0.0
        if isinstance(problem, OperatorNeeded) and problem.code == POSITION_SIDE_MISMATCH:
            self.standing.position_modes.pop(account_id, None)

    async def find_order(self, *, account_id: int, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Give the order with this client id; None when the venue says it has none."""
        return await self._find_order(account_id, {"symbol": symbol, "origClientOrderId": client_order_id})

    async def client_order_id_of(self, *, account_id: int, symbol: str, exchange_order_id: str) -> str | None:
        """Give the client id of the venue's order, whoever sent it; None when the venue says it has none such."""
        found = await self._find_order(account_id, {"symbol": symbol, "orderId": exchange_order_id})
        return None if found is None else found.client_order_id

    async def _find_order(self, account_id: int, parameters: dict[str, Value]) -> VenueOrder | None:
        try:
            return await self.rest.read(FIND_ORDER, parameters, account_id=account_id, translate=order_from)
        except Refused as refusal:
            if refusal.code == NO_SUCH_ORDER:
                return None
            raise

    async def trades_of(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> Sequence[VenueTrade]:
        """Give the fills of one order, oldest first."""
        return await self._trades(account_id, {"symbol": symbol, "orderId": exchange_order_id})

    async def trades_since(self, *, account_id: int, symbol: str, since_ms: int) -> Sequence[VenueTrade]:
        """Give the account's fills of a symbol from an instant on, oldest first."""
        # One answer holds a thousand trades of a week; a position may be older, and a week busier.
        trades: dict[str, VenueTrade] = {}
        now_ms = self.venue_now_ms()
        start_ms = max(since_ms, now_ms - HISTORY_MS)
        while True:
            span: dict[str, Value] = {"startTime": start_ms, "endTime": start_ms + WEEK_MS}
            page = await self._trades(account_id, {"symbol": symbol, **span, "limit": TRADES_MAX})
            trades.update({trade.trade_id: trade for trade in page})
            last_ms = to_ms(page[-1].traded_at) if len(page) == TRADES_MAX else start_ms + WEEK_MS
            if last_ms > now_ms:
                return list(trades.values())
            start_ms = max(last_ms, start_ms + 1)

    async def positions(self, *, account_id: int, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Give the account's open positions (quantity not 0), of one symbol or all."""
        parameters: dict[str, Value] = {} if symbol is None else {"symbol": symbol}
        rows = await self.rest.read(
            POSITIONS, parameters, account_id=account_id, translate=partial(_each, position_from)
        )
        return [position for position in rows if position.quantity != ZERO]

    async def ensure_leverage(
        self, *, account_id: int, symbol: str, leverage: int, margin_mode: MarginMode
    ) -> None:
        """Set leverage and margin mode where the venue's differ or are unknown; what is known costs no call."""
        key, standing = (account_id, symbol), self.standing
        if standing.leverages.get(key) == leverage and standing.margin_modes.get(key) is margin_mode:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX), standing.lock(account_id, symbol):
                await self._set_leverage(key, leverage=leverage, margin_mode=margin_mode)
        except TimeoutError as late:
            raise OutcomeUnknown(
                "CALL_TOO_LONG", f"account={account_id} symbol={symbol} leverage={leverage}"
            ) from late

    async def position_mode(self, *, account_id: int) -> PositionMode:
        """Give the account's position mode; asked once, then followed."""
        async with self.standing.lock(account_id):
            known = self.standing.position_modes.get(account_id)
            if known is None:
                known = await self.rest.read(
                    POSITION_MODE, {}, account_id=account_id, translate=position_mode_from
                )
                self.standing.position_modes[account_id] = known
        return known

    async def balance(self, *, account_id: int) -> Decimal:
        """Give the wallet balance in the margin asset; 0 when the account holds none."""
        balances = await self.rest.read(
            BALANCE, {}, account_id=account_id, translate=partial(_each, _asset_balance)
        )
        return dict(balances).get(self.settings.margin_asset, ZERO)

    async def instruments(self) -> dict[str, Instrument]:
        """Give what may be traded, by symbol; cached for an hour."""
        now = asyncio.get_running_loop().time()
        if self._instruments is None or now - self._instruments[0] > self.settings.instruments_seconds:
            return await self._together("instruments", self._fetch_instruments)
        return self._instruments[1]

    async def quote(self, symbol: str) -> Quote:
        """Give the symbol's price, not older than the freshness limit; one price for all who ask at once."""
        fresh = self.prices.quote(symbol, age_seconds_max=self.settings.quote_age_seconds_max)
        if fresh is not None:
            return fresh
        return await self._together(f"quote {symbol}", lambda: self._fetch_quote(symbol))

    async def day_volumes(self) -> dict[str, Decimal]:
        """Give what was traded in 24 hours, in quote money, of every symbol that trades against our margin asset."""
        days = await self.rest.public(DAY, {}, translate=_day_volumes)
        traded = await self.instruments()
        return {
            symbol: volume
            for symbol, volume in days.items()
            if (one := traded.get(symbol))
            and one.is_trading
            and one.quote_asset == self.settings.margin_asset
        }

    async def _set_leverage(self, key: tuple[int, str], *, leverage: int, margin_mode: MarginMode) -> None:
        (account_id, symbol), standing = key, self.standing
        if standing.margin_modes.get(key) is not margin_mode:
            standing.margin_modes.pop(key, None)
            mode: dict[str, Value] = {"symbol": symbol, "marginType": margin_mode.upper()}
            await self.rest.change(MARGIN_TYPE, mode, account_id=account_id)
            standing.margin_modes[key] = margin_mode
        if standing.leverages.get(key) != leverage:
            standing.leverages.pop(key, None)
            times: dict[str, Value] = {"symbol": symbol, "leverage": leverage}
            await self.rest.change(LEVERAGE, times, account_id=account_id)
            standing.leverages[key] = leverage

    async def _trades(self, account_id: int, parameters: dict[str, Value]) -> list[VenueTrade]:
        trades = await self.rest.read(
            TRADES, parameters, account_id=account_id, translate=partial(_each, trade_from)
        )
        return sorted(trades, key=lambda trade: (trade.traded_at, len(trade.trade_id), trade.trade_id))

    async def _together(self, name: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Let everybody who asks the same at once wait for one answer; who gives up does not take it away."""
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.create_task(ask())
            flight.add_done_callback(lambda landed: self._landed(name, landed))
        answer: T = await asyncio.shield(flight)
        return answer

    def _landed(self, name: str, flight: asyncio.Task[Any]) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # told to whoever waits; when nobody does, it is nobody's news

    async def _fetch_instruments(self) -> dict[str, Instrument]:
        facts, instruments = await self.rest.public(FACTS, {}, translate=_listed)
        for limit in facts.rate_limits:
            if limit.rate_limit_type == "REQUEST_WEIGHT" and limit.interval == "MINUTE":
                self.rest.limits.weight_max = limit.limit // limit.interval_num
        self._instruments = (asyncio.get_running_loop().time(), instruments)
        return instruments

    async def _fetch_quote(self, symbol: str) -> Quote:
        parameters: dict[str, Value] = {"symbol": symbol}
        (bid, ask), last = await asyncio.gather(
            self.rest.public(BOOK_TICKER, parameters, translate=_sides),
            self.rest.public(LAST_PRICE, parameters, translate=_last_price),
        )
        self.prices.note_book(symbol, bid=bid, ask=ask)
        self.prices.note_last(symbol, price=last)
        quote = self.prices.quote(symbol, age_seconds_max=self.settings.quote_age_seconds_max)
        if quote is None:
            raise Refused("NO_PRICE", f"symbol={symbol} has an empty side of the book, or no trade yet")
        return quote

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self.settings.warm_seconds)
            await self._refresh()

    async def _refresh(self) -> None:
        await self._line.warm(self.settings.connections_warm)
        now = asyncio.get_running_loop().time()
        if now < self._clock_due:
            return
        try:
            await self.rest.measure_clock()
        except VenueError as problem:
            log.warning("binance.clock.unmeasured", code=problem.code)
            return
        self._clock_due = now + self.settings.clock_seconds


def _placed_by(answer: Answer, attempt: OrderAttempt) -> Acknowledgement:
    try:
        placed = _placed.decode(answer.body)
    except msgspec.DecodeError as problem:
        raise venues_fault(
            OutcomeUnknown("ANSWER_UNREADABLE", f"client_order_id={attempt.client_order_id}")
        ) from problem
    if placed.client_order_id != attempt.client_order_id:
        raise venues_fault(
            OutcomeUnknown(
                "ANSWER_MISMATCHED",
                f"client_order_id={attempt.client_order_id} answered={placed.client_order_id}",
            )
        )
    return Acknowledgement(
        exchange_order_id=str(placed.order_id),
        sent_at=answer.sent_at,
        acknowledged_at=answer.answered_at,
    )


def _order_query(attempt: OrderAttempt) -> str:
    limit = attempt.limit_price
    if attempt.position_side is not BOTH:
        place = f"&positionSide={attempt.position_side.upper()}"  # hedge mode forbids reduceOnly
    else:
        place = "&reduceOnly=true" if attempt.reduce_only else ""
    return (
        f"symbol={to_wire(attempt.symbol)}&side={SIDES[attempt.side]}&type={'MARKET' if limit is None else 'LIMIT'}"
        f"&quantity={to_text(attempt.quantity)}&newClientOrderId={to_wire(attempt.client_order_id)}"
        f"{'' if limit is None else f'&price={to_text(limit)}&timeInForce=IOC'}{place}"
        f"&recvWindow={attempt.recv_window_ms}&timestamp={attempt.signed_at_ms}"
    )


def position_mode_from(body: Json) -> PositionMode:
    """Read the position mode off an account's configuration."""
    return PositionMode.HEDGE if body["dualSidePosition"] in (True, "true") else PositionMode.ONE_WAY


def _asset_balance(row: Json) -> tuple[str, Decimal]:
    return str(row["asset"]), Decimal(row["balance"])


def _each(translate: Callable[[Json], T], body: Any) -> list[T]:
    if not isinstance(body, list):
        raise TypeError("no list")
    return [translate(row) for row in body]


def _listed(body: bytes) -> tuple[ExchangeFacts, dict[str, Instrument]]:
    facts = _facts.decode(body)
    return facts, instruments_from(facts)


def _sides(body: bytes) -> tuple[Decimal, Decimal]:
    sides = msgspec.json.decode(body)
    return Decimal(sides["bidPrice"]), Decimal(sides["askPrice"])


def _last_price(body: bytes) -> Decimal:
    return Decimal(msgspec.json.decode(body)["price"])


def _day_volumes(body: bytes) -> dict[str, Decimal]:
    return {one["symbol"]: Decimal(one["quoteVolume"]) for one in msgspec.json.decode(body)}

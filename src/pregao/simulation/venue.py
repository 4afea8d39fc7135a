"""
The paper exchange as the desk's rooms see a venue, without a wire: late, silent, refusing, lagging when its faults say so.

Takes what `orders.ports.Exchange`, `domain.protection.Protections` and `domain.foreign.ForeignOrders` ask. Whatever happens, the engine's books are the truth.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TypeVar

from pregao.domain.clock import Clock, from_ms, to_ms
from pregao.domain.foreign import ForeignOrder
from pregao.domain.instrument import Instrument
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.protection import (
    ProtectionAcknowledgement,
    ProtectionRefused,
    ProtectionStatus,
    ProtectiveOrder,
    RefusalCause,
    VenueProtection,
)
from pregao.domain.venue import (
    Acknowledgement,
    MarginMode,
    OrderAttempt,
    OutcomeUnknown,
    Quote,
    Refused,
    RetryLater,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)
from pregao.simulation import books
from pregao.simulation.books import OrderKind, TriggerFate
from pregao.simulation.commands import (
    CancelAlgo,
    CancelAllAlgos,
    CancelOrder,
    MovePrice,
    OpenAccount,
    PassTime,
    PlaceAlgo,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    SpoilTrigger,
)
from pregao.simulation.events import Event
from pregao.simulation.exchange import Exchange
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.refusals import ExchangeError
from pregao.simulation.reports import Report, held_of, to_protection, to_report, to_trade

T = TypeVar("T")

SLOW_SECONDS_MAX = 3.5
TIMEOUT_SECONDS = 4.0  # the desk waits no longer for an answer
LAG_MS_MAX = 900  # of a question: the desk believes "not found" a second after no attempt can arrive any more
NEVER_MIND = (-4046, -4059)  # what was asked is so already
STUCK_SECONDS_MAX = 8.0
MARGIN_INSUFFICIENT = -2019
DUPLICATED = -4116  # an earlier send may have arrived
KINDS = {
    TriggerKind.STOP: OrderKind.STOP_MARKET,
    TriggerKind.TARGET: OrderKind.TAKE_PROFIT_MARKET,
}
CAUSES = {
    "-2021": RefusalCause.PRICE_PASSED,
    "-2022": RefusalCause.NOTHING_HELD,
    "-4509": RefusalCause.NOTHING_HELD,
    "-4130": RefusalCause.STANDS_ALREADY,
    "-4045": RefusalCause.TOO_MANY,
}


@dataclass(slots=True, kw_only=True)
class Manners:
    """How often a venue misbehaves, as probabilities per request or per event; all 0 is a venue that behaves."""

    lose: float = 0.0  # executed, never answered
    vanish: float = 0.0  # not executed, never answered
    unknown: float = 0.0  # executed or not, answered "unknown"
    refuse: float = 0.0  # not executed, refused
    busy: float = 0.0  # not executed, to be tried later
    stall: float = 0.0  # arrives late
    silent: float = 0.0  # a question is not answered
    slow: float = 0.0  # a question is answered late
    lag: float = 0.0  # a question is answered from older books
    drop: float = 0.0  # an event is not told
    duplicate: float = 0.0  # an event is told again later
    late: float = 0.0  # an event is told late
    cut: float = 0.0  # the streams break instead of telling
    stick: float = 0.0  # a protective order whose price comes stays triggering, for a while or for ever
    reject: float = 0.0  # a protective order is rejected when its price comes
    unfilled: float = 0.0  # what a protective order triggers into expires without a trade


@dataclass(slots=True)
class SimulatedVenue:
    """One venue, all accounts, in virtual time."""

    clock: Clock
    chance: random.Random
    tell: Callable[[Report], None]
    submitted: Callable[[OrderAttempt], None]  # hears each attempt the moment it is sent
    cut_streams: Callable[[], None]
    manners: Manners = field(default_factory=Manners)
    is_down: bool = False
    hits: dict[str, int] = field(default_factory=dict)
    on_quote: list[Callable[[books.Quote], None]] = field(default_factory=list)  # told each price as it moves
    engine: Exchange = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Exchange(tell=self._hear)

    # --- the world's side ---

    def open_account(
        self, account_id: int, *, balance: Decimal, position_mode: PositionMode = PositionMode.ONE_WAY
    ) -> None:
        """Open an account under its number."""
        key, now_ms = str(account_id), self.venue_now_ms()
        self.engine.execute(OpenAccount(at_ms=now_ms, key=key, secret=None, balance=balance))
        if position_mode is not PositionMode.ONE_WAY:
            self.engine.execute(SetPositionMode(at_ms=now_ms, key=key, position_mode=position_mode))

    def trade_by_hand(
        self, account_id: int, *, symbol: str, side: Side, position_side: PositionSide, quantity: Decimal
    ) -> bool:
        """Let the account's owner trade past the desk; say whether the venue took it."""
        self.hits["hand"] = self.hits.get("hand", 0) + 1
        try:
            self.engine.execute(
                PlaceOrder(
                    at_ms=self.venue_now_ms(),
                    key=str(account_id),
                    symbol=symbol,
                    side=side,
                    kind=OrderKind.MARKET,
                    quantity=quantity,
                    position_side=None if position_side is PositionSide.BOTH else position_side,
                    client_order_id=f"web_{self.hits['hand']}",
                )
            )
        except ExchangeError:
            return False
        return True

    def rest_by_hand(
        self, account_id: int, *, symbol: str, side: Side, price: Decimal, quantity: Decimal
    ) -> str:
        """Let the account's owner place an order past the desk that waits for its price; give the venue's number of it."""
        self.hits["hand"] = self.hits.get("hand", 0) + 1
        placed = self.engine.execute(
            PlaceOrder(
                at_ms=self.venue_now_ms(),
                key=str(account_id),
                symbol=symbol,
                side=side,
                kind=OrderKind.LIMIT,
                limit_price=price,
                time_in_force="GTC",
                quantity=quantity,
                client_order_id=f"web_{self.hits['hand']}",
            )
        )
        return str(placed.order_id)

    def move_price(self, symbol: str, price: Decimal) -> None:
        """Let a symbol trade at a price."""
        tick = LISTINGS[symbol].instrument.price_tick
        known = self.engine.books.quotes.get(symbol)
        quote = books.Quote(
            symbol=symbol,
            bid=price - tick,
            ask=price + tick,
            last=price,
            mark=price,
            quantity=Decimal(1),
            is_buyer_maker=False,
            trade_id=0 if known is None else known.trade_id + 1,
            at_ms=self.venue_now_ms(),
        )
        for key, algo in self.engine.find_due(quote):
            self._spoil(key, algo.algo_id)
        self.engine.execute(MovePrice(quote=quote))
        for tell in self.on_quote:
            tell(quote)

    def _spoil(self, key: str, algo_id: int) -> None:
        now_ms = self.venue_now_ms()
        spoil = partial(SpoilTrigger, at_ms=now_ms, key=key, algo_id=algo_id)
        if self._strikes("stick"):
            is_forgotten = self.chance.random() < 0.5
            stuck_ms = 0 if is_forgotten else 1 + int(1_000 * STUCK_SECONDS_MAX * self.chance.random())
            self.engine.execute(spoil(fate=TriggerFate.STUCK, stuck_ms=stuck_ms))
            if stuck_ms:
                asyncio.get_running_loop().call_later(stuck_ms / 1_000 + 0.001, self.pass_time)
        elif self._strikes("reject"):
            self.engine.execute(spoil(fate=TriggerFate.REJECTED, code=MARGIN_INSUFFICIENT))
        elif self._strikes("unfilled"):
            self.engine.execute(spoil(fate=TriggerFate.UNFILLED))

    def pass_time(self) -> None:
        """Let deadlines pass, and liquidate who has too little margin left."""
        self.engine.execute(PassTime(at_ms=self.venue_now_ms()))

    def _hear(self, event: Event) -> None:
        report = to_report(event)
        if report is None:
            return
        if self._strikes("cut"):
            self.cut_streams()
        elif not self._strikes("drop"):
            self._tell_later(report, seconds=0.02 * self.chance.random())
            if self._strikes("duplicate"):
                self._tell_later(report, seconds=3.0 * self.chance.random())

    def _tell_later(self, report: Report, *, seconds: float) -> None:
        late = 3.0 * self.chance.random() if self._strikes("late") else 0.0
        asyncio.get_running_loop().call_later(seconds + late, self.tell, report)

    def _strikes(self, fault: str) -> bool:
        probability: float = getattr(self.manners, fault)
        if probability == 0.0 or self.chance.random() >= probability:
            return False
        self.hits[fault] = self.hits.get(fault, 0) + 1
        return True

    # --- the port ---

    async def prepare(self, attempt: OrderAttempt) -> None:
        """Nothing leaves before it is submitted."""

    async def submit(self, attempt: OrderAttempt) -> Acknowledgement:
        sent_at = self.clock()
        self.submitted(attempt)
        order = await self._sent(partial(self._execute, attempt))
        return Acknowledgement(
            exchange_order_id=str(order.order_id), sent_at=sent_at, acknowledged_at=self.clock()
        )

    async def _sent(self, act: Callable[[], T]) -> T:
        # What has left arrives, whatever becomes of its sender: a task of nobody's.
        answer = asyncio.get_running_loop().create_task(self._take(act), context=contextvars.Context())
        answer.add_done_callback(_look_at)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await asyncio.shield(answer)
        except TimeoutError as silent:
            raise OutcomeUnknown("TIMEOUT", "no answer") from silent

    async def _take(self, act: Callable[[], T]) -> T:
        await self._travel()
        if self._strikes("stall"):
            await asyncio.sleep(8.0 * self.chance.random())
        await self._refuse_at_random()
        is_unknown = self._strikes("unknown")
        if is_unknown and self.chance.random() < 0.5:
            raise OutcomeUnknown("-1007", "execution status unknown")
        done = act()
        if self._strikes("lose"):
            await self._stay_silent()
        await self._travel()
        if is_unknown:
            raise OutcomeUnknown("-1007", "execution status unknown")
        return done

    async def _refuse_at_random(self) -> None:
        if self.is_down or self._strikes("vanish"):
            await self._stay_silent()
        if self._strikes("refuse"):
            raise Refused("-2019", "Margin is insufficient.")
        if self._strikes("busy"):
            raise RetryLater("-1008", "Server is currently overloaded.", retry_after_seconds=0.5)

    async def _stay_silent(self) -> None:
        await asyncio.sleep(TIMEOUT_SECONDS)
        raise OutcomeUnknown("TIMEOUT", "no answer")

    async def _travel(self) -> None:
        await asyncio.sleep(0.001 + 0.03 * self.chance.random())

    def _check_window(self, signed: OrderAttempt | ProtectiveOrder) -> None:
        if self.venue_now_ms() > signed.signed_at_ms + signed.recv_window_ms:
            raise RetryLater("-1021", "Timestamp outside of the recvWindow.", retry_after_seconds=0)

    def _execute(self, attempt: OrderAttempt) -> books.Order:
        now_ms = self.venue_now_ms()
        self._check_window(attempt)
        try:
            return self.engine.execute(
                PlaceOrder(
                    at_ms=now_ms,
                    key=str(attempt.account_id),
                    symbol=attempt.symbol,
                    side=attempt.side,
                    kind=OrderKind.MARKET if attempt.limit_price is None else OrderKind.LIMIT,
                    limit_price=attempt.limit_price,
                    time_in_force="" if attempt.limit_price is None else "IOC",
                    quantity=attempt.quantity,
                    position_side=None
                    if attempt.position_side is PositionSide.BOTH
                    else attempt.position_side,
                    client_order_id=attempt.client_order_id,
                    reduce_only=attempt.reduce_only or None,
                )
            )
        except ExchangeError as refusal:
            raise Refused(str(refusal.code), str(refusal)) from refusal

    async def _ask(self) -> int:
        """Give up to when the books are shown."""
        await self._travel()
        if self.is_down or self._strikes("silent"):
            await self._stay_silent()
        if self._strikes("slow"):
            await asyncio.sleep(SLOW_SECONDS_MAX * self.chance.random())
        lag_ms = int(LAG_MS_MAX * self.chance.random()) if self._strikes("lag") else 0
        return self.venue_now_ms() - lag_ms

    def _account(self, account_id: int) -> books.Account:
        return self.engine.books.accounts[str(account_id)]

    async def find_order(self, *, account_id: int, symbol: str, client_order_id: str) -> VenueOrder | None:
        until_ms = await self._ask()
        account = self._account(account_id)
        number = account.latest_orders.get(client_order_id)
        order = None if number is None else account.orders[number]
        if order is None or order.symbol != symbol or order.created_ms > until_ms:
            return None
        filled = sum((one.quantity for one in self._fills(account, order, until_ms)), ZERO)
        has_ended = order.updated_ms <= until_ms
        open_status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
        return VenueOrder(
            client_order_id=client_order_id,
            exchange_order_id=str(order.order_id),
            symbol=symbol,
            status=order.status if has_ended else open_status,
            quantity=order.quantity,
            filled_quantity=filled,
            created_at=from_ms(order.created_ms),
            updated_at=from_ms(min(order.updated_ms, until_ms)),
        )

    @staticmethod
    def _fills(account: books.Account, order: books.Order, until_ms: int) -> list[books.Fill]:
        return [one for one in account.fills if one.order_id == order.order_id and one.traded_ms <= until_ms]

    async def client_order_id_of(self, *, account_id: int, symbol: str, exchange_order_id: str) -> str | None:
        until_ms = await self._ask()
        order = self._account(account_id).orders.get(int(exchange_order_id))
        if order is None or order.symbol != symbol or order.created_ms > until_ms:
            return None
        return order.client_order_id

    async def trades_of(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> Sequence[VenueTrade]:
        until_ms = await self._ask()
        return [
            to_trade(one, client_order_id="")
            for one in self._account(account_id).fills
            if str(one.order_id) == exchange_order_id and one.symbol == symbol and one.traded_ms <= until_ms
        ]

    async def trades_since(self, *, account_id: int, symbol: str, since_ms: int) -> Sequence[VenueTrade]:
        until_ms = await self._ask()
        return [
            to_trade(one, client_order_id="")
            for one in self._account(account_id).fills
            if one.symbol == symbol and since_ms <= one.traded_ms <= until_ms
        ]

    async def positions(self, *, account_id: int, symbol: str | None = None) -> Sequence[VenuePosition]:
        until_ms = await self._ask()
        held = held_of(self._account(account_id), until_ms=until_ms)
        return [
            VenuePosition(symbol=name, position_side=side, quantity=quantity, entry_price=ZERO)
            for (name, side), quantity in sorted(held.items())
            if quantity and symbol in (None, name)
        ]

    async def ensure_leverage(
        self, *, account_id: int, symbol: str, leverage: int, margin_mode: MarginMode
    ) -> None:
        account = self._account(account_id)
        if account.leverage_of(symbol) == leverage and account.margin_mode_of(symbol) is margin_mode:
            return
        await self._ask()
        now_ms, key = self.venue_now_ms(), str(account_id)
        for command in (
            SetMarginMode(at_ms=now_ms, key=key, symbol=symbol, margin_mode=margin_mode),
            SetLeverage(at_ms=now_ms, key=key, symbol=symbol, leverage=leverage),
        ):
            try:
                self.engine.execute(command)
            except ExchangeError as refusal:
                if refusal.code not in NEVER_MIND:
                    raise Refused(str(refusal.code), str(refusal)) from refusal

    async def position_mode(self, *, account_id: int) -> PositionMode:
        return self._account(account_id).position_mode

    async def balance(self, *, account_id: int) -> Decimal:
        await self._ask()
        return self._account(account_id).wallet

    async def instruments(self) -> dict[str, Instrument]:
        return {symbol: listing.instrument for symbol, listing in LISTINGS.items()}

    async def quote(self, symbol: str) -> Quote:
        if self.is_down:
            await self._stay_silent()
        known = self.engine.books.quotes[symbol]
        return Quote(
            symbol=symbol, last_price=known.last, bid=known.bid, ask=known.ask, quoted_at=self.clock()
        )

    async def place_protection(self, order: ProtectiveOrder) -> ProtectionAcknowledgement:
        sent_at = self.clock()
        try:
            algo = await self._sent(partial(self._place_protection, order))
        except Refused as refusal:
            cause = CAUSES.get(refusal.code, RefusalCause.OTHER)
            raise ProtectionRefused(refusal.code, refusal.message, cause=cause) from refusal
        return ProtectionAcknowledgement(
            exchange_protection_id=str(algo.algo_id), sent_at=sent_at, acknowledged_at=self.clock()
        )

    def _place_protection(self, order: ProtectiveOrder) -> books.AlgoOrder:
        self._check_window(order)
        is_one_way = order.position_side is PositionSide.BOTH
        try:
            return self.engine.execute(
                PlaceAlgo(
                    at_ms=self.venue_now_ms(),
                    key=str(order.account_id),
                    symbol=order.symbol,
                    side=order.side,
                    kind=KINDS[order.kind],
                    trigger_price=order.trigger_price,
                    quantity=order.quantity,
                    position_side=None if is_one_way else order.position_side,
                    client_algo_id=order.protection_id,
                    reduce_only=True if is_one_way and order.quantity is not None else None,
                    close_position=order.quantity is None,
                )
            )
        except ExchangeError as refusal:
            kind = OutcomeUnknown if refusal.code == DUPLICATED else Refused
            raise kind(str(refusal.code), refusal.message) from refusal

    async def find_protection(self, *, account_id: int, protection_id: str) -> VenueProtection | None:
        until_ms = await self._ask()
        account = self._account(account_id)
        number = account.latest_algos.get(protection_id)
        if number is None or account.algos[number].created_ms > until_ms:
            return None
        return to_protection(account.algos[number], until_ms=until_ms)

    async def open_protections(
        self, *, account_id: int, symbol: str | None = None
    ) -> Sequence[VenueProtection]:
        until_ms = await self._ask()
        found = [
            to_protection(algo, until_ms=until_ms)
            for algo in self._account(account_id).algos.values()
            if algo.created_ms <= until_ms and symbol in (None, algo.symbol)
        ]
        return [one for one in found if one.status is ProtectionStatus.ACCEPTED]

    async def cancel_protection(self, *, account_id: int, protection_id: str) -> bool:
        return await self._sent(partial(self._cancel_protection, account_id, protection_id))

    def _cancel_protection(self, account_id: int, protection_id: str) -> bool:
        number = self._account(account_id).latest_algos.get(protection_id, 0)
        try:
            self.engine.execute(CancelAlgo(at_ms=self.venue_now_ms(), key=str(account_id), algo_id=number))
        except ExchangeError:
            return False  # there is one reason: it does not wait
        return True

    async def cancel_protections(self, *, account_id: int, symbol: str) -> None:
        await self._sent(partial(self._cancel_protections, account_id, symbol))

    def _cancel_protections(self, account_id: int, symbol: str) -> None:
        self.engine.execute(CancelAllAlgos(at_ms=self.venue_now_ms(), key=str(account_id), symbol=symbol))

    async def resting_orders(self, *, account_id: int) -> Sequence[ForeignOrder]:
        until_ms = await self._ask()
        account = self._account(account_id)
        found = [
            self._told_of(account, order, until_ms)
            for order in account.orders.values()
            if order.created_ms <= until_ms
        ]
        return [one for one in found if one.rests]

    async def find_resting(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> ForeignOrder | None:
        until_ms = await self._ask()
        account = self._account(account_id)
        order = account.orders.get(int(exchange_order_id))
        if order is None or order.symbol != symbol or order.created_ms > until_ms:
            return None
        return self._told_of(account, order, until_ms)

    async def take_back(self, *, account_id: int, symbol: str, exchange_order_id: str) -> ForeignOrder | None:
        return await self._sent(partial(self._take_back, account_id, symbol, int(exchange_order_id)))

    def _take_back(self, account_id: int, symbol: str, order_id: int) -> ForeignOrder | None:
        account, now_ms = self._account(account_id), self.venue_now_ms()
        known = account.orders.get(order_id)
        if known is None or known.symbol != symbol:
            return None
        try:
            order = self.engine.execute(CancelOrder(at_ms=now_ms, key=str(account_id), order_id=order_id))
        except ExchangeError:
            return None  # there is one reason: it does not rest
        return self._told_of(account, order, now_ms)

    def _told_of(self, account: books.Account, order: books.Order, until_ms: int) -> ForeignOrder:
        filled = sum((one.quantity for one in self._fills(account, order, until_ms)), ZERO)
        open_status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
        return ForeignOrder(
            symbol=order.symbol,
            exchange_order_id=str(order.order_id),
            client_order_id=order.client_order_id,
            side=order.side,
            position_side=order.position_side,
            kind=order.kind.value.lower(),
            price=order.limit_price or None,
            quantity=order.quantity,
            filled_quantity=filled,
            reduce_only=order.reduce_only,
            status=order.status if order.updated_ms <= until_ms else open_status,
            created_at=from_ms(order.created_ms),
        )

    def venue_now_ms(self) -> int:
        return to_ms(self.clock())


def _look_at(answer: asyncio.Task[T]) -> None:
    """Take an answer that nobody waits for any more: its trouble is nobody's."""
    if not answer.cancelled():
        answer.exception()

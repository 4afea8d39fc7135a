"""
The running exchange: the engine, its ledger, the market that moves it and the limits around it.

Everything that changes the books goes through ``execute``: carried out, written down, then answered.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import overload

from pregao.edges.paper.ledger import Ledger
from pregao.simulation.books import Account, AlgoOrder, Order, Quote, TriggerFate
from pregao.simulation.commands import (
    CancelAlgo,
    CancelOrder,
    Command,
    ModifyOrder,
    MovePrice,
    OpenAccount,
    OpenStream,
    PassTime,
    PlaceAlgo,
    PlaceOrder,
    SpoilTrigger,
)
from pregao.simulation.exchange import Exchange
from pregao.simulation.faults import TRIGGER_KINDS, Fault, FaultKind, Faults
from pregao.simulation.history import History
from pregao.simulation.instruments import LISTINGS, Listing
from pregao.simulation.limits import AddressLimit, OrderLimit
from pregao.simulation.market import Market, Tick, quote_after
from pregao.simulation.refusals import ExchangeError

BALANCE_DEFAULT = Decimal(10_000)  # USDT, of an account opened by an unknown key
FUNDING_RATE = Decimal("0.0001")  # the venue's usual rate
_FATES = {
    FaultKind.STICK: TriggerFate.STUCK,
    FaultKind.REJECT: TriggerFate.REJECTED,
    FaultKind.UNFILLED: TriggerFate.UNFILLED,
}


class Venue:
    """One paper exchange."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        market: Market,
        faults: Faults,
        now_ms: Callable[[], int],
        seed: int,
        is_strict: bool,
        weight_max: int,
        depth_usdt: Decimal,
        listings: Mapping[str, Listing] = LISTINGS,
    ) -> None:
        """Open on what the ledger remembers."""
        self.ledger = ledger
        self.market = market
        self.faults = faults
        self.now_ms = now_ms
        self.is_strict = is_strict
        self.books = ledger.restore(listings)
        if self.books.depth_usdt != depth_usdt:
            self.books.depth_usdt = depth_usdt
            ledger.rotate(self.books)  # what is already logged was filled at the old depth
        self.exchange = Exchange(self.books, listings=listings)
        self.listings = listings
        self.histories = {symbol: History(listing, seed=seed) for symbol, listing in listings.items()}
        self.order_limits: dict[str, OrderLimit] = {}
        self.address_limits: dict[str, AddressLimit] = {}
        self.listen_keys: dict[str, str] = {}
        self.down_until_ms = 0
        self.outages: list[tuple[int, int]] = []  # when it was down, in milliseconds
        self.weight_max = weight_max
        self._unwritten: dict[str, Quote] = {}
        for account in self.books.accounts.values():
            if account.listen_key:
                self.listen_keys[account.listen_key] = account.key

    def go_down(self, *, seconds: float) -> None:
        """Answer nobody for so long, from now on."""
        now_ms = self.now_ms()
        self.down_until_ms = max(self.down_until_ms, now_ms + int(seconds * 1_000))
        self.outages.append((now_ms, self.down_until_ms))

    def come_back(self) -> None:
        """Answer again, whatever was said before."""
        now_ms = self.now_ms()
        self.down_until_ms = 0
        self.outages = [(began, min(ended, now_ms)) for began, ended in self.outages]

    @overload
    def execute(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> Order: ...
    @overload
    def execute(self, command: PlaceAlgo | CancelAlgo) -> AlgoOrder: ...
    @overload
    def execute(self, command: OpenAccount | OpenStream) -> Account: ...
    @overload
    def execute(self, command: Command) -> object: ...
    def execute(self, command: Command) -> object:
        """
        Carry out a command and write it down.

        :raises ExchangeError: when it is refused; nothing has changed and nothing is written then.
        """
        self.write_prices()
        result = self.exchange.execute(command)
        self.ledger.append(command, books=self.books)
        return result

    def move_price(self, tick: Tick, *, mark: Decimal | None = None, has_spread: bool | None = None) -> Quote:
        """Let a symbol trade at a new price. Prices alone are written down only before something depends on them."""
        listing = self.listings[tick.symbol]
        quote = quote_after(
            tick,
            listing=listing,
            trade_id=self.exchange.floor.next_trade_id(tick.symbol),
            has_spread=self.market.has_spread if has_spread is None else has_spread,
            mark=mark,
        )
        if self.faults.has(TRIGGER_KINDS):
            self._spoil_triggers(quote)
        command, before = MovePrice(quote=quote), self.exchange.changes
        self.exchange.execute(command)
        self._unwritten.pop(tick.symbol, None)
        if self.exchange.changes != before:
            self.write_prices()
            self.ledger.append(command, books=self.books)
        else:
            self._unwritten[tick.symbol] = quote
        self.histories[tick.symbol].add(quote)
        return quote

    def _spoil_triggers(self, quote: Quote) -> None:
        for key, algo in self.exchange.find_due(quote):
            fault = self.faults.strike(TRIGGER_KINDS, target=f"{algo.kind} {algo.symbol}", key=key)
            if fault is not None:
                self.execute(spoiling(fault, key=key, algo_id=algo.algo_id, at_ms=quote.at_ms))

    def pass_time(self, at_ms: int) -> None:
        """Let deadlines pass, settle funding, look after margins."""
        command, before = PassTime(at_ms=at_ms, funding_rate=FUNDING_RATE), self.exchange.changes
        self.exchange.execute(command)
        if self.exchange.changes != before:
            self.write_prices()
            self.ledger.append(command, books=self.books)

    def write_prices(self) -> None:
        """Write the prices that have moved since the last command: the next one may depend on them."""
        if self._unwritten:
            for quote in self._unwritten.values():
                self.ledger.append(MovePrice(quote=quote), books=self.books)
            self._unwritten.clear()

    def open_prices(self, ticks: Iterable[Tick]) -> None:
        """Give every symbol its first price, unless it has one from before a restart."""
        for tick in ticks:
            standing = self.books.quotes.get(tick.symbol)
            if standing is None:
                self.move_price(tick)
            else:
                self.histories[tick.symbol].add(standing)

    def account(self, key: str, *, at_ms: int) -> Account:
        """
        Give a key's account; an unknown key opens one, unless the exchange is strict.

        :raises ExchangeError: -2015 for an unknown key when strict.
        """
        found = self.books.accounts.get(key)
        if found is not None:
            return found
        if self.is_strict:
            raise ExchangeError(-2015)
        return self.execute(OpenAccount(at_ms=at_ms, key=key, secret=None, balance=BALANCE_DEFAULT))

    def order_limit(self, key: str) -> OrderLimit:
        """Give the order count of an account."""
        found = self.order_limits.get(key)
        if found is None:
            found = self.order_limits[key] = OrderLimit()
        return found

    def address_limit(self, address: str) -> AddressLimit:
        """Give the request weight of an address."""
        found = self.address_limits.get(address)
        if found is None:
            found = self.address_limits[address] = AddressLimit(weight_max=self.weight_max)
        return found


def spoiling(fault: Fault, *, key: str, algo_id: int, at_ms: int) -> SpoilTrigger:
    """Give the command by which a fault strikes a conditional order: the ledger replays what the dice said."""
    return SpoilTrigger(
        at_ms=at_ms,
        key=key,
        algo_id=algo_id,
        fate=_FATES[fault.kind],
        code=fault.code,
        stuck_ms=int(fault.seconds * 1_000),
    )

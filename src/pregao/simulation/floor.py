"""
The floor where everything meets: the books, the lists of who waits for which price, and the ear that is told.

The waiting lists are not part of the books; they are built again from them.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from pregao.domain.money import ZERO, floor_to_step
from pregao.domain.order import Side
from pregao.simulation.books import Account, AlgoOrder, Books, Order, OrderKind, Quote
from pregao.simulation.events import Event
from pregao.simulation.instruments import Listing
from pregao.simulation.refusals import ExchangeError

LEVELS_MAX = (
    24  # the quoted quantity doubles from level to level: enough for any order that passes the filters
)

Waiting = tuple[Decimal, int, str]  # price, order or algo id, account key


@dataclass(slots=True)
class Queues:
    """Who waits for a price of one symbol; sorted, the next to go at the end that is looked at."""

    buys: list[Waiting] = field(default_factory=list)  # limit buys, highest price last
    sells: list[Waiting] = field(default_factory=list)  # limit sells, lowest price first
    risers: list[Waiting] = field(default_factory=list)  # wake at or above their price, lowest first
    fallers: list[Waiting] = field(default_factory=list)  # wake at or below their price, highest last
    trailing: dict[int, str] = field(default_factory=dict)  # trailing stops, looked at on every price
    holders: set[str] = field(default_factory=set)  # accounts that have or had a position


@dataclass(slots=True)
class Floor:
    """The exchange's state with its primitive moves."""

    books: Books
    listings: dict[str, Listing]
    tell: Callable[[Event], None]
    queues: dict[str, Queues] = field(default_factory=dict)
    changes: int = 0  # counts what happened besides prices moving

    def __post_init__(self) -> None:
        """Build the waiting lists from the books."""
        for symbol in self.listings:
            self.queues[symbol] = Queues()
        for account in self.books.accounts.values():
            for position in account.positions.values():
                self.queues[position.symbol].holders.add(account.key)
            for order in account.find_open_orders():
                self.rest(account, order)
            for algo in account.find_open_algos():
                self.await_trigger(account, algo)

    def account(self, key: str) -> Account:
        """
        Give an account by its key.

        :raises ExchangeError: -2015 when there is none.
        """
        found = self.books.accounts.get(key)
        if found is None:
            raise ExchangeError(-2015)
        return found

    def listing(self, symbol: str) -> Listing:
        """
        Give a listed contract.

        :raises ExchangeError: -1121 when it is not listed or has no price yet.
        """
        found = self.listings.get(symbol)
        if found is None or symbol not in self.books.quotes:
            raise ExchangeError(-1121)
        return found

    def quote(self, symbol: str) -> Quote:
        """Give the current price of a symbol that has one."""
        return self.books.quotes[symbol]

    def next_trade_id(self, symbol: str) -> int:
        """Count one more trade of a symbol; the exchange's own and the tape's share the count."""
        number = self.books.trade_ids.get(symbol, 0) + 1
        self.books.trade_ids[symbol] = number
        return number

    def next_order_id(self) -> int:
        """Give the next order id: they only grow."""
        self.books.order_id += 1
        return self.books.order_id

    def rest(self, account: Account, order: Order) -> None:
        """Put a limit order in line."""
        queues = self.queues[order.symbol]
        line = queues.buys if order.side is Side.BUY else queues.sells
        insort(line, (order.limit_price, order.order_id, account.key))

    def unrest(self, account: Account, order: Order) -> None:
        """Take a limit order out of line, if it stands there."""
        queues = self.queues[order.symbol]
        line = queues.buys if order.side is Side.BUY else queues.sells
        _remove(line, (order.limit_price, order.order_id, account.key))

    def await_trigger(self, account: Account, algo: AlgoOrder) -> None:
        """Let a conditional order wait for its price."""
        queues = self.queues[algo.symbol]
        if algo.kind is OrderKind.TRAILING_STOP_MARKET:
            queues.trailing[algo.algo_id] = account.key
            return
        line = queues.risers if rises_to_trigger(algo) else queues.fallers
        insort(line, (algo.trigger_price, algo.algo_id, account.key))

    def forget_trigger(self, account: Account, algo: AlgoOrder) -> None:
        """Let a conditional order wait no longer."""
        queues = self.queues[algo.symbol]
        if algo.kind is OrderKind.TRAILING_STOP_MARKET:
            queues.trailing.pop(algo.algo_id, None)
            return
        line = queues.risers if rises_to_trigger(algo) else queues.fallers
        _remove(line, (algo.trigger_price, algo.algo_id, account.key))

    def ladder(self, symbol: str, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
        """Give the prices and quantities a taker on ``side`` meets, best first: a tick worse, twice as much."""
        quote, instrument = self.quote(symbol), self.listings[symbol].instrument
        buying = side is Side.BUY
        price = quote.ask if buying else quote.bid
        tick = instrument.price_tick if buying else -instrument.price_tick
        step = instrument.quantity_step
        quantity = max(floor_to_step(self.books.depth_usdt / price, step=step), step)
        for _ in range(LEVELS_MAX):
            if price <= ZERO:
                return
            yield price, quantity
            price += tick
            quantity *= 2


def rises_to_trigger(algo: AlgoOrder) -> bool:
    """Whether a conditional order wakes when the price has risen to it (else: fallen)."""
    is_stop = algo.kind in {OrderKind.STOP, OrderKind.STOP_MARKET}
    return (algo.side is Side.BUY) == is_stop


def _remove(line: list[Waiting], entry: Waiting) -> None:
    place = bisect_left(line, entry)
    if place < len(line) and line[place] == entry:
        del line[place]

"""The log gives the books back exactly, although most prices are never written."""

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain.order import PositionSide, Side
from pregao.edges.paper.ledger import Ledger
from pregao.edges.paper.venue import Venue
from pregao.simulation.books import OrderKind
from pregao.simulation.commands import OpenAccount, OpenStream, PlaceAlgo, PlaceOrder, SetLeverage
from pregao.simulation.faults import Faults, read_faults
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.limits import WEIGHT_MAX
from pregao.simulation.market import StillMarket, Tick
from pregao.simulation.refusals import ExchangeError

START_MS = 1_790_000_000_000
ACCOUNTS = ("one", "two")
TRIGGER_FAULTS = "stick:probability=0.3,seconds=7200;reject:probability=0.2;unfilled:probability=0.2"

steps = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.integers(-90, 90)),
        st.tuples(st.just("order"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(2, 300)),
        st.tuples(st.just("limit"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(-45, 45)),
        st.tuples(st.just("stop"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(-60, 60)),
        st.tuples(st.just("trail"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(1, 50)),
        st.tuples(st.just("lever"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(1, 125)),
        st.tuples(st.just("wait"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.integers(1, 10)),
        st.tuples(st.just("stream"), st.sampled_from(ACCOUNTS), st.sampled_from(Side), st.just(0)),
    ),
    max_size=60,
)


def price_at(symbol, thousandths):
    instrument, start = LISTINGS[symbol].instrument, LISTINGS[symbol].start_price
    return (start * (1000 + thousandths) / 1000 // instrument.price_tick) * instrument.price_tick


class Played:
    """A venue on a folder, with a clock that is moved by hand."""

    def __init__(self, folder):
        self.now_ms = START_MS
        self.ledger = Ledger(folder)
        self.venue = Venue(
            ledger=self.ledger,
            market=StillMarket(LISTINGS.values()),
            faults=Faults(read_faults(TRIGGER_FAULTS)),
            now_ms=lambda: self.now_ms,
            seed=1,
            is_strict=False,
            weight_max=WEIGHT_MAX,
            depth_usdt=Decimal(20_000),
        )
        self.venue.open_prices(self.venue.market.opening(START_MS))
        for key in ACCOUNTS:
            self.venue.execute(OpenAccount(at_ms=START_MS, key=key, secret="secret", balance=Decimal(3_000)))

    def do(self, step):
        word, name, side, *rest = step
        self.now_ms += 100
        if word == "price":
            self.move(name, side)
        elif word == "wait":
            self.now_ms += rest[0] * 3_600_000
            self.venue.pass_time(self.now_ms)
        else:
            try:
                self.venue.execute(self.command(word, name, side, rest[0]))
            except ExchangeError:
                return

    def move(self, symbol, thousandths):
        tick = Tick(
            symbol=symbol,
            price=price_at(symbol, thousandths),
            quantity=Decimal(1),
            taker=Side.BUY,
            at_ms=self.now_ms,
        )
        self.venue.move_price(tick)

    def command(self, word, key, side, number):
        common = {"at_ms": self.now_ms, "key": key}
        traded = common | {"symbol": "BTCUSDT", "side": side, "quantity": Decimal("0.01")}
        if word == "order":
            return PlaceOrder(**traded | {"quantity": Decimal(number) / 1000}, kind=OrderKind.MARKET)
        if word == "limit":
            price = price_at("BTCUSDT", number)
            return PlaceOrder(**traded, kind=OrderKind.LIMIT, limit_price=price, time_in_force="GTC")
        if word == "stop":
            return PlaceAlgo(**traded, kind=OrderKind.STOP_MARKET, trigger_price=price_at("BTCUSDT", number))
        if word == "trail":
            return PlaceAlgo(
                **traded,
                kind=OrderKind.TRAILING_STOP_MARKET,
                trigger_price=None,
                callback_percent=Decimal(number) / 10,
            )
        if word == "lever":
            return SetLeverage(**common, symbol="BTCUSDT", leverage=number)
        return OpenStream(**common)


def without_flat(accounts):
    for account in accounts.values():
        flat = [
            key
            for key, position in account.positions.items()
            if not position.quantity and not position.updated_ms
        ]
        for key in flat:
            del account.positions[key]
    return accounts


class TestReplay:
    @settings(max_examples=120, deadline=None)
    @given(steps)
    def test_gives_the_same_books_after_a_death_at_any_moment(self, journey):
        """Prices that changed nothing are written only before a command; skipping them must not show."""
        with tempfile.TemporaryDirectory() as folder:
            played = Played(Path(folder))
            for step in journey:
                played.do(step)
            played.ledger.close()
            reader = Ledger(Path(folder))
            restored = reader.restore()
            reader.close()

        books = played.venue.books
        assert without_flat(restored.accounts) == without_flat(books.accounts)
        assert (restored.order_id, restored.algo_id, restored.income_id) == (
            books.order_id,
            books.algo_id,
            books.income_id,
        )

    def test_goes_on_after_a_rotation(self, tmp_path):
        played = Played(tmp_path)
        played.do(("order", "one", Side.BUY, 10))
        played.ledger.rotate(played.venue.books)
        played.do(("order", "one", Side.SELL, 10))
        played.ledger.close()

        reader = Ledger(tmp_path)
        restored = reader.restore()
        reader.close()

        assert len(restored.accounts["one"].fills) == 2
        assert restored.accounts["one"].position("BTCUSDT", PositionSide.BOTH).quantity == 0
        assert len(list(tmp_path.iterdir())) == 2

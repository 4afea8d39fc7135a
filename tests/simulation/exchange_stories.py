"""Builders for the engine's tests: an exchange with prices and one funded account."""

from decimal import Decimal

from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.simulation.books import Books, OrderKind
from pregao.simulation.commands import MovePrice, OpenAccount, PassTime, PlaceAlgo, PlaceOrder
from pregao.simulation.exchange import Exchange
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.market import StillMarket, Tick, quote_after

START_MS = 1_790_000_000_000
KEY = "desk"


class Story:
    """An exchange at a moment; everything told is kept in ``told``."""

    def __init__(self, *, balance="10000", mode=PositionMode.ONE_WAY, depth_usdt="250000"):
        self.told = []
        self.exchange = Exchange(Books(depth_usdt=Decimal(depth_usdt)), tell=self._keep)
        self.now_ms = START_MS
        for tick in StillMarket(LISTINGS.values()).opening(START_MS):
            self.price(tick.symbol, tick.price)
        self.account = self.exchange.execute(
            OpenAccount(
                at_ms=START_MS, key=KEY, secret="secret", balance=Decimal(balance), position_mode=mode
            )
        )

    def _keep(self, event):
        word = getattr(event, "execution", "") or getattr(getattr(event, "algo", None), "status", "")
        self.told.append((type(event).__name__, str(word)))

    def price(self, symbol, price, *, mark=None):
        tick = Tick(
            symbol=symbol,
            price=Decimal(price),
            quantity=Decimal(1),
            taker=Side.BUY,
            at_ms=self.now_ms,
        )
        trade_id = self.exchange.floor.next_trade_id(symbol)
        quote = quote_after(
            tick,
            listing=LISTINGS[symbol],
            trade_id=trade_id,
            has_spread=True,
            mark=None if mark is None else Decimal(mark),
        )
        self.exchange.execute(MovePrice(quote=quote))
        return quote

    def wait(self, milliseconds):
        self.now_ms += milliseconds
        self.exchange.execute(PassTime(at_ms=self.now_ms, funding_rate=Decimal("0.0001")))

    def order(self, side=Side.BUY, quantity="0.01", *, symbol="BTCUSDT", limit=None, **changes):
        return self.exchange.execute(
            PlaceOrder(
                at_ms=self.now_ms,
                key=KEY,
                symbol=symbol,
                side=side,
                kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
                quantity=Decimal(quantity),
                limit_price=None if limit is None else Decimal(limit),
                **({"time_in_force": "GTC"} if limit is not None else {}) | changes,
            )
        )

    def algo(
        self, side=Side.SELL, trigger="80000", quantity="0.01", *, kind=OrderKind.STOP_MARKET, **changes
    ):
        return self.exchange.execute(
            PlaceAlgo(
                at_ms=self.now_ms,
                key=KEY,
                symbol="BTCUSDT",
                side=side,
                kind=kind,
                trigger_price=None if trigger is None else Decimal(trigger),
                quantity=None if quantity is None else Decimal(quantity),
                **changes,
            )
        )

    def position(self, symbol="BTCUSDT", position_side=PositionSide.BOTH):
        return self.account.position(symbol, position_side)

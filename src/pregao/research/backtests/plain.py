"""
A backtest that can be read: one candle after the other, one event after the other.

The order of events at every candle, which docs/howto/backtest-a-strategy.md shows to people:

1. Funding that falls due while the candle runs is paid at its open, by the position that was held before.
2. What the strategy wanted at the last close is had at the open: what it does not want is closed, what it wants is opened.
   A side that a stop, target or liquidation ended is not entered again until the strategy has wanted something else.
3. At the open a gap beyond the stop or the target ends the position at the open.
4. Within the candle the stop comes first when both stop and target are touched, for nobody knows the order of high and low.
   A liquidation is a stop of the venue's. All this holds on the candle of the entry too.
5. At the close the account is worth its cash and what the position has gained. The last close ends what is still held.
"""

from dataclasses import dataclass
from math import floor, inf, isinf

import numpy as np

from pregao.research.backtests.outcome import Outcome, Trade, added_up, trades_of
from pregao.research.backtests.terms import Ending, Sizing, Terms
from pregao.research.candles import Candles, Prices
from pregao.research.strategies.strategy import FLAT, KEEP, Plan


@dataclass(slots=True, kw_only=True)
class _Position:
    side: int
    quantity: float
    entry_bar: int
    entry_price: float
    stop_price: float
    target_price: float
    liquidation_price: float
    bankrupt_price: float
    fees: float
    funding: float = 0.0

    def gained(self, price: float) -> float:
        return self.side * self.quantity * (price - self.entry_price)

    def is_worse(self, price: float, than: float) -> bool:
        return self.side * (price - than) <= 0


def replay(candles: Candles, plan: Plan, terms: Terms, *, funding: Prices | None = None) -> Outcome:
    """Follow a plan candle by candle; ``funding`` is the rate that falls due while each candle runs."""
    return _Replay(candles, plan, terms, funding).run()


class _Replay:
    def __init__(self, candles: Candles, plan: Plan, terms: Terms, funding: Prices | None) -> None:
        self.candles = candles
        self.plan = plan
        self.terms = terms
        self.funding = funding
        self.cash = terms.start
        self.held: _Position | None = None
        self.barred = FLAT  # the side that ended by itself, until the strategy wants something else
        self.trades: list[Trade] = []
        self.denied = 0
        self.bars_held = 0

    def run(self) -> Outcome:
        candles = self.candles
        equity = np.empty(len(candles))
        for at in range(len(candles)):
            self._pay_funding(at)
            if self.terms.stops_first:
                self._end_by_price(at)
            if at > 0:
                self._follow(int(self.plan.wanted[at - 1]), at)
            if not self.terms.stops_first:
                self._end_by_price(at)
            if self.held is not None:
                self.bars_held += 1
                if at == len(candles) - 1 and self.terms.closes_at_end:
                    self._close(at, float(candles.close[at]), Ending.END)
            equity[at] = self._worth(float(candles.close[at]))
        start, trades = self.terms.start, trades_of(self.trades)
        sums = added_up(trades, equity, start=start, bars_held=self.bars_held, denied=self.denied)
        return Outcome(candles=candles, start=start, trades=trades, equity=equity, sums=sums)

    def _pay_funding(self, at: int) -> None:
        if self.held is None or self.funding is None:
            return
        paid = self.held.side * self.held.quantity * float(self.candles.open[at]) * float(self.funding[at])
        self.held.funding += paid
        self.cash -= paid

    def _follow(self, wanted: int, at: int) -> None:
        if wanted != self.barred:
            self.barred = FLAT
        if wanted == KEEP:
            return
        price = float(self.candles.open[at])
        if self.held is not None and self.held.side != wanted:
            self._close(at, price, Ending.SIGNAL)
        if self.held is None and wanted not in (FLAT, self.barred):
            self._open(at, price, side=wanted)

    def _open(self, at: int, open_price: float, *, side: int) -> None:
        terms = self.terms
        stop, target = _of_bar(self.plan.stop, at - 1), _of_bar(self.plan.target, at - 1)
        price = open_price * (1 + side * terms.slippage)
        quantity = self._quantity(price, stop=stop)
        if quantity <= 0:
            self.denied += 1
            return
        fee = quantity * price * terms.fee
        self.cash -= fee
        self.held = _Position(
            side=side,
            quantity=quantity,
            entry_bar=at,
            entry_price=price,
            stop_price=price * (1 - side * stop),
            target_price=price * (1 + side * target),
            liquidation_price=price * (1 - side * (1 / terms.leverage - terms.maintenance_margin)),
            bankrupt_price=price * (1 - side / terms.leverage),
            fees=fee,
        )

    def _quantity(self, price: float, *, stop: float) -> float:
        terms, equity = self.terms, self.cash
        if equity <= 0 or (terms.sizing is Sizing.RISK and not 0 < stop < inf):
            return 0.0
        if terms.sizing is Sizing.SHARE:
            notional = equity * terms.size * terms.leverage
        elif terms.sizing is Sizing.MONEY:
            notional = terms.size * terms.leverage
        else:
            notional = equity * terms.size / stop
        notional = min(notional, equity * terms.leverage)
        quantity = notional / (price * (1 + max(terms.fee, 0.0)))
        if terms.quantity_step > 0:
            quantity = floor(quantity / terms.quantity_step) * terms.quantity_step
        return quantity

    def _end_by_price(self, at: int) -> None:
        held = self.held
        if held is None or (self.terms.stops_wait_a_bar and at == held.entry_bar):
            return
        stops_first = not held.is_worse(held.stop_price, than=held.liquidation_price)
        guard = held.stop_price if stops_first else held.liquidation_price
        ending = Ending.STOP if stops_first else Ending.LIQUIDATED
        open_price = float(self.candles.open[at])
        low, high = float(self.candles.low[at]), float(self.candles.high[at])
        worst, best = (low, high) if held.side > 0 else (high, low)
        if held.is_worse(open_price, than=guard):
            self._close(at, open_price, ending)
        elif not isinf(held.target_price) and held.side * (open_price - held.target_price) >= 0:
            self._close(at, open_price, Ending.TARGET)
        elif held.is_worse(worst, than=guard):
            self._close(at, guard, ending)
        elif not isinf(held.target_price) and held.side * (best - held.target_price) >= 0:
            self._close(at, held.target_price, Ending.TARGET)

    def _close(self, at: int, price: float, ending: Ending) -> None:
        held, terms = self.held, self.terms
        assert held is not None
        if ending is not Ending.TARGET:
            price *= 1 - held.side * terms.slippage
        if held.is_worse(price, than=held.bankrupt_price):
            price = held.bankrupt_price  # an isolated position cannot lose more than its margin
        fee = held.quantity * price * terms.fee
        self.cash += held.gained(price) - fee
        fees = held.fees + fee
        self.trades.append(
            Trade(
                entry_bar=held.entry_bar,
                exit_bar=at,
                side=held.side,
                quantity=held.quantity,
                entry_price=held.entry_price,
                exit_price=price,
                fees=fees,
                funding=held.funding,
                profit=held.gained(price) - fees - held.funding,
                ending=ending,
            )
        )
        if ending not in (Ending.SIGNAL, Ending.END):
            self.barred = held.side
        self.held = None

    def _worth(self, price: float) -> float:
        return self.cash if self.held is None else self.cash + self.held.gained(price)


def _of_bar(values: Prices, at: int) -> float:
    return float(values[at] if len(values) > 1 else values[0])

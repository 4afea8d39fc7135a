"""
Pair what the desk traded with what the backtest trades, one by one, and explain each difference or say that nothing does.

A trade is known by the candle at whose close it was wanted, and by its side. What differs must have its reason in what was
recorded: a code in a receipt, a level that one side's stop had and the other's had not, the prices that ran meanwhile.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from pregao.domain.clock import to_ms
from pregao.domain.deployment import DeploymentStatus
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import Direction
from pregao.domain.traded import DeploymentTraded, HeardSignal, SignalOrder, SignalPosition, TradingAccount
from pregao.research.backtests.terms import BASIS_POINTS, Ending
from pregao.research.comparison.difference import Cause, Difference, Kind, Pair, Side
from pregao.research.comparison.expected import ExpectedTrade, RunCandles

ASTRAY_BPS_MAX: Final = 50.0  # beyond the prices that ran meanwhile: a thin book; more is no slippage
REST_MAX: Final = 1e-6  # of what was traded: parts that are added up in floats
ACTS: Final = {1: "buy", -1: "sell"}
SIDES: Final = {1: "long", -1: "short"}
EARLIER: Final = (
    "The desk saw other candles before than the backtest has: a backtest of what it saw says {}, too."
)
BY_LEVEL: Final = {
    "stop_loss": Ending.STOP,
    "trailing_stop": Ending.STOP,
    "take_profit": Ending.TARGET,
}


class Said(NamedTuple):
    """Why nothing came of what was wanted, as it was recorded."""

    cause: Cause
    code: str
    reason: str


Say = Callable[..., Difference]
"""Gives a difference whose kind and values are known already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrade:
    """A trade that the backtest makes of the candles as the desk saw them; its instants are closes of those."""

    wanted_at_ms: int
    side: int
    ending: Ending
    ends_at_ms: int  # the close at which its end was wanted, where a signal ended it

    @classmethod
    def all_of(cls, expected: Sequence[ExpectedTrade], run: RunCandles) -> "list[OwnTrade]":
        """Give those of a run over what the desk saw."""
        closes = [int(one) for one in run.closed_at_ms]
        return [
            cls(
                wanted_at_ms=closes[one.signal_bar],
                side=one.trade.side,
                ending=one.trade.ending,
                ends_at_ms=closes[one.trade.exit_bar - 1],
            )
            for one in expected
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All trades of one account beside those of the backtest."""

    account_id: int
    account: str
    pairs: tuple[Pair, ...]


def compare(
    account: TradingAccount,
    traded: DeploymentTraded,
    expected: Sequence[ExpectedTrade],
    run: RunCandles,
    *,
    fee_bps: float,
    of_own: Collection[OwnTrade] | None = None,
) -> Compared:
    """
    Pair the trades of one account with the backtest's, in the order in which they were wanted.

    ``of_own`` are those that a backtest makes of what the desk saw, where it saw other candles than the backtest has.
    """
    beside = _Beside(account, traded, expected, run, fee_bps=fee_bps, of_own=of_own)
    return Compared(account_id=account.account_id, account=account.name, pairs=tuple(beside.pairs()))


def money_of(account: TradingAccount, traded: DeploymentTraded) -> tuple[float, int]:
    """Give the margin and leverage of an account's first entry: what the backtest is sized by."""
    for order in traded.orders:
        if order.account_id == account.account_id and order.leg is Leg.ENTRY and order.margin_usd:
            return float(order.margin_usd), int(order.leverage or 1)
    return 100.0, 1


class _Beside:
    def __init__(
        self,
        account: TradingAccount,
        traded: DeploymentTraded,
        expected: Sequence[ExpectedTrade],
        run: RunCandles,
        *,
        fee_bps: float,
        of_own: Collection[OwnTrade] | None,
    ) -> None:
        number = account.account_id
        self.of_own = None if of_own is None else {(one.wanted_at_ms, one.side): one for one in of_own}
        self.traded = traded
        self.run = run
        self.fee_bps = fee_bps
        self.closes = [int(one) for one in run.closed_at_ms]
        self.bars = run.candles.part(run.first, len(run.candles))
        self.signals = {one.signal_id: one for one in traded.signals}
        self.orders = [one for one in traded.orders if one.account_id == number]
        self.positions = [one for one in traded.positions if one.account_id == number]
        self.expected = {(self.closes[one.signal_bar], one.trade.side): one for one in expected}
        self.step = _step_of(self.orders)

    def pairs(self) -> Iterator[Pair]:
        held = {(self._wanted_at_ms(one), _side_of(one)): one for one in self.positions}
        for place in sorted({*held, *self.expected}):
            desk, backtest = held.get(place), self.expected.get(place)
            differences: tuple[Difference, ...]
            if desk is None:
                assert backtest is not None
                differences = (self._only_in_backtest(place, backtest),)
            elif backtest is None:
                differences = (self._only_on_desk(place),)
            else:
                differences = tuple(self._differences(desk, backtest))
            yield Pair(
                wanted_at_ms=place[0],
                side=SIDES[place[1]],
                position_id=None if desk is None else desk.position_id,
                desk=None if desk is None else _desk_side(desk),
                backtest=None if backtest is None else self._backtest_side(backtest),
                differences=differences,
            )

    def _wanted_at_ms(self, position: SignalPosition) -> int:
        return to_ms(self.signals[position.signal_id].closed_at)

    # --- one trade, in both ---

    def _differences(self, desk: SignalPosition, backtest: ExpectedTrade) -> Iterator[Difference]:
        trade, side = backtest.trade, backtest.trade.side
        entry_price, exit_price = _prices(desk)
        wanted_ms = self.closes[backtest.signal_bar]
        order = self._entry_of(desk)
        decision = None if order is None or order.decision_price is None else float(order.decision_price)
        yield self._latency("entered", wanted_ms, to_ms(desk.opened_at))
        if entry_price != trade.entry_price:
            yield self._price(
                Kind.ENTRY_PRICE, entry_price, trade.entry_price, worse=side, since_ms=wanted_ms, at_ms=to_ms(desk.opened_at),
                more="" if decision is None else f" The price was {decision:g} when it was planned.",
            )  # fmt: skip
        quantity = float(desk.entered_quantity)
        if quantity != trade.quantity:
            yield self._quantity(quantity, trade.quantity, order=order, decision=decision)
        ending = self._ending(desk, backtest)
        if ending is not None:
            yield ending
        if desk.closed_at is None or exit_price is None:
            return
        is_same_end = ending is None
        if is_same_end and trade.ending is Ending.SIGNAL:
            yield self._latency("exited", self.closes[trade.exit_bar - 1], to_ms(desk.closed_at))
        if is_same_end and exit_price != trade.exit_price:
            yield self._price(
                Kind.EXIT_PRICE, exit_price, trade.exit_price, worse=-side, since_ms=self.closes[trade.exit_bar - 1],
                at_ms=to_ms(desk.closed_at), more="",
            )  # fmt: skip
        fees = float(desk.fees)
        if fees != trade.fees:
            turned = float(desk.entry_notional + desk.exit_notional)
            yield Difference(
                kind=Kind.FEES,
                desk=fees,
                backtest=trade.fees,
                unit="",
                cause=Cause.FEE_RATE,
                reason=f"The venue took {fees / turned * BASIS_POINTS:.2f} bps of what was traded, the backtest takes "
                f"{self.fee_bps:.2f}.",
            )
        if float(desk.realized_pnl) != trade.profit:
            yield self._profit(desk, backtest)

    def _latency(self, what: str, wanted_ms: int, filled_ms: int) -> Difference:
        late = filled_ms - wanted_ms
        bars = bisect_left(self.closes, filled_ms) - bisect_left(self.closes, wanted_ms) - 1
        passed = f", {bars} more candles had closed by then" if bars > 0 else ""
        return Difference(
            kind=Kind.LATENCY,
            desk=float(late),
            backtest=0.0,
            unit="ms",
            cause=Cause.FILLED_LATER if late >= 0 else Cause.UNKNOWN,
            reason=f"It {what} {late} ms after the candle's close{passed}; a backtest has the next open.",
        )

    def _price(
        self, kind: Kind, desk: float, backtest: float, *, worse: int, since_ms: int, at_ms: int, more: str
    ) -> Difference:
        bps = worse * (desk - backtest) / backtest * BASIS_POINTS
        span = self._ran(since_ms, at_ms)
        if span is None:
            reason = f"{bps:+.2f} bps against us. It filled after the last candle."
            cause = Cause.LAST_CANDLE
        else:
            low, high = span
            astray = max(low - desk, desk - high, 0.0) / backtest * BASIS_POINTS
            cause = Cause.PRICES_RAN if astray <= ASTRAY_BPS_MAX else Cause.UNKNOWN
            beyond = f", and the fill lies {astray:.2f} bps beyond" if astray else ""
            reason = f"{bps:+.2f} bps against us: meanwhile prices ran from {low:g} to {high:g}{beyond}."
        return Difference(kind=kind, desk=desk, backtest=backtest, unit="", cause=cause, reason=reason + more)

    def _ran(self, since_ms: int, at_ms: int) -> tuple[float, float] | None:
        """Give the lowest and highest price from the close of a candle to an instant; None where a candle of it is missing."""
        closed, last = bisect_left(self.closes, since_ms), bisect_left(self.closes, at_ms)
        if last >= len(self.bars):
            return None
        bars, close = self.bars.part(closed + 1, last + 1), float(self.bars.close[closed])
        return min(close, *bars.low.tolist()), max(close, *bars.high.tolist())

    def _quantity(
        self, desk: float, backtest: float, *, order: SignalOrder | None, decision: float | None
    ) -> Difference:
        say = partial(Difference, kind=Kind.QUANTITY, desk=desk, backtest=backtest, unit="")
        if order is None or order.margin_usd is None or decision is None or order.quantity is None:
            return say(cause=Cause.UNKNOWN, reason="No entry says what it was sized by.")
        money, leverage = float(order.margin_usd), int(order.leverage or 1)
        bought, planned = money * leverage / decision, float(order.quantity)
        rounded = bought - planned
        reason = f"{money:g} x {leverage} at {decision:g} buy {bought:.8g}, rounded down to {planned:g} by the venue's step."
        if desk < planned:
            reason += f" {planned - desk:g} of it did not fill."
        is_known = -REST_MAX * bought <= rounded < self.step * (1 + REST_MAX) and desk <= planned
        return say(cause=Cause.SIZED_BY_ITS_PRICE if is_known else Cause.UNKNOWN, reason=reason)

    def _profit(self, desk: SignalPosition, backtest: ExpectedTrade) -> Difference:
        """Take the difference apart; what is left over has no reason."""
        trade, side = backtest.trade, backtest.trade.side
        entry_price, exit_price = _prices(desk)
        assert exit_price is not None
        quantity = float(desk.entered_quantity)
        parts = {
            "entry price": -side * trade.quantity * (entry_price - trade.entry_price),
            "exit price": side * trade.quantity * (exit_price - trade.exit_price),
            "quantity": side * (quantity - trade.quantity) * (exit_price - entry_price),
            "fees": trade.fees - float(desk.fees),
            "funding": trade.funding,
        }
        earned = float(desk.realized_pnl)
        rest = earned - trade.profit - sum(parts.values())
        is_known = abs(rest) <= REST_MAX * max(float(desk.entry_notional), 1.0)
        told = ", ".join(f"{name} {value:+.6f}" for name, value in parts.items() if value)
        return Difference(
            kind=Kind.PROFIT,
            desk=earned,
            backtest=trade.profit,
            unit="",
            cause=Cause.ADDED_UP if is_known else Cause.UNKNOWN,
            reason=f"{earned - trade.profit:+.6f}: {told}."
            + ("" if is_known else f" {rest:+.6f} is left over."),
        )

    # --- how it ended ---

    def _ending(self, desk: SignalPosition, backtest: ExpectedTrade) -> Difference | None:
        trade = backtest.trade
        ended = _ending_of(desk)
        say = partial(Difference, kind=Kind.ENDING, desk=ended, backtest=trade.ending.name.lower(), unit="")
        if trade.ending is Ending.END:
            return self._still_held(desk, say)
        if desk.close_reason in BY_LEVEL or trade.ending in (Ending.STOP, Ending.TARGET):
            return self._by_level(desk, backtest, say)
        wanted_ms = self.closes[trade.exit_bar - 1]
        exit_signal = None if desk.exit_signal_id is None else self.signals.get(desk.exit_signal_id)
        if exit_signal is not None and to_ms(exit_signal.closed_at) == wanted_ms:
            return None
        if desk.close_reason is not None and exit_signal is None:
            return self._closed_by_somebody(desk, say)
        said = self._why_not(wanted_ms, None)
        if said is None and self._ends_so_by_own(desk, exit_signal):
            return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("that it ended here"))
        if said is None:
            return say(cause=Cause.UNKNOWN, reason="Nothing says why it did not end when the backtest's did.")
        return say(cause=said.cause, code=said.code, reason=said.reason)

    def _closed_by_somebody(self, desk: SignalPosition, say: Say) -> Difference:
        return say(
            cause=Cause.CLOSED_BY_SOMEBODY,
            code="CLOSED_BY_SOMEBODY",
            reason=f"It was closed ({desk.close_reason}), not by a signal of the strategy.",
        )

    def _still_held(self, desk: SignalPosition, say: Say) -> Difference | None:
        if desk.closed_at is None:
            return say(
                cause=Cause.LAST_CANDLE, reason="Both held it at the last candle; the backtest closes there."
            )
        if to_ms(desk.closed_at) >= self.closes[-1]:
            return say(
                cause=Cause.LAST_CANDLE,
                reason="It was closed after the last candle; the backtest closes there.",
            )
        if desk.close_reason in BY_LEVEL:
            return say(
                cause=Cause.STOP_MOVED if desk.is_stop_moved else Cause.UNKNOWN,
                reason="Its stop or target stood elsewhere, or was met by a price that no candle has.",
            )
        exit_signal = None if desk.exit_signal_id is None else self.signals.get(desk.exit_signal_id)
        if exit_signal is None:
            return self._closed_by_somebody(desk, say)
        if self._ends_so_by_own(desk, exit_signal):
            return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("that it ended here"))
        return say(cause=Cause.UNKNOWN, reason="Nothing says why it ended.")

    def _ends_so_by_own(self, desk: SignalPosition, exit_signal: HeardSignal | None) -> bool:
        """Say whether of what the desk saw the backtest makes this trade, too, with its end wanted at the same close."""
        own = None if self.of_own is None else self.of_own.get((self._wanted_at_ms(desk), _side_of(desk)))
        if own is None:
            return False
        if exit_signal is None:
            return own.ending is Ending.END and desk.closed_at is None
        return own.ending is Ending.SIGNAL and own.ends_at_ms == to_ms(exit_signal.closed_at)

    def _by_level(self, desk: SignalPosition, backtest: ExpectedTrade, say: Say) -> Difference | None:
        """Say whether the levels explain it: each side's hangs on the price that it paid."""
        trade = backtest.trade
        ended = None if desk.close_reason is None else BY_LEVEL.get(desk.close_reason)
        if desk.is_stop_moved:
            return say(
                cause=Cause.STOP_MOVED,
                reason="The bot moves its stop behind the price, which the backtest does not.",
            )
        exit_bar = None if desk.closed_at is None else self._bar_at(desk.closed_at)
        if ended is trade.ending and exit_bar == trade.exit_bar:
            return None
        first = min(trade.exit_bar, len(self.bars) - 1 if exit_bar is None else exit_bar)
        if first >= len(self.bars):
            return say(cause=Cause.LAST_CANDLE, reason="It ended after the last candle.")
        between = self._between_levels(desk, backtest, first)
        if between is not None:
            return say(cause=Cause.OWN_LEVEL, reason=between)
        filled_later = self._level_while_on_its_way(desk, backtest, ended=ended)
        if filled_later is not None:
            return say(cause=Cause.FILLED_LATER, reason=filled_later)
        if first == trade.entry_bar or trade.exit_bar == self._bar_at(desk.opened_at):
            return say(
                cause=Cause.ENTERED_WITHIN,
                reason="It ended on the candle of the entry: the backtest enters at an open, the desk a little later.",
            )
        if abs((exit_bar if exit_bar is not None else first) - trade.exit_bar) <= 1 and ended is trade.ending:
            return say(
                cause=Cause.TURN_OF_CANDLES,
                reason="The same level, met at the turn from one candle to the next.",
            )
        low, high = float(self.bars.low[first]), float(self.bars.high[first])
        return say(
            cause=Cause.UNKNOWN,
            reason=f"On one side a level was met at the candle from {low:g} to {high:g}, on the other it was not.",
        )

    def _between_levels(self, desk: SignalPosition, backtest: ExpectedTrade, bar: int) -> str | None:
        """Say that a candle came between two stops or two targets, which hang on the prices paid; None where it did not."""
        low, high = float(self.bars.low[bar]), float(self.bars.high[bar])
        worst, best = (low, high) if backtest.trade.side > 0 else (high, low)
        for what, own, other, reached in (
            ("stop", desk.initial_stop, backtest.stop_price, worst),
            ("target", desk.target_price, backtest.target_price, best),
        ):
            if own is None or other is None:
                continue
            if min(float(own), other) <= reached <= max(float(own), other):
                return (
                    f"The {what} stood at {own:g} on the desk and at {other:g} in the backtest, by the prices paid; the candle "
                    f"came to {reached:g}, between them."
                )
        return None

    def _level_while_on_its_way(
        self, desk: SignalPosition, backtest: ExpectedTrade, *, ended: Ending | None
    ) -> str | None:
        """Say that a level was met while only one side held the trade, its entry or exit being on its way; None where it was not."""
        trade = backtest.trade
        if trade.ending is not Ending.SIGNAL and trade.exit_bar < self._bar_at(desk.opened_at):
            late = to_ms(desk.opened_at) - self.closes[trade.exit_bar]
            return f"The backtest's {trade.ending.name.lower()} was met {late} ms before the desk's entry had filled."
        if trade.ending is not Ending.SIGNAL or ended is None or desk.closed_at is None:
            return None
        wanted_ms = self.closes[trade.exit_bar - 1]
        if to_ms(desk.closed_at) < wanted_ms or self._signal(wanted_ms, None) is None:
            return None
        return (
            f"Its {ended.name.lower()} was met {to_ms(desk.closed_at) - wanted_ms} ms after the close at which its end was wanted, "
            "the exit being on its way."
        )

    def _bar_at(self, at: datetime) -> int:
        """Give the candle that ran at an instant."""
        return bisect_left(self.closes, to_ms(at))

    # --- a trade that one of them has not ---

    def _only_in_backtest(self, place: tuple[int, int], backtest: ExpectedTrade) -> Difference:
        say = partial(
            Difference, kind=Kind.ONLY_IN_BACKTEST, desk=None, backtest=backtest.trade.profit, unit=""
        )
        said = self._why_not(place[0], ACTS[place[1]])
        if said is None and self.of_own is not None and place not in self.of_own:
            return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("no such trade"))
        if said is None:
            return say(cause=Cause.UNKNOWN, reason="The desk has no such trade, and nothing says why.")
        return say(cause=said.cause, code=said.code, reason=said.reason)

    def _only_on_desk(self, place: tuple[int, int]) -> Difference:
        say = partial(Difference, kind=Kind.ONLY_ON_DESK, desk=None, backtest=None, unit="")
        wanted_ms, side = place
        if wanted_ms >= self.closes[-1]:
            return say(
                cause=Cause.LAST_CANDLE,
                reason="It was wanted at the close of the last candle: a backtest has no next open.",
            )
        for one in self.expected.values():
            begins, ends = one.signal_bar, one.trade.exit_bar
            if one.trade.side == side and self.closes[begins] < wanted_ms < self.closes[ends]:
                return say(
                    cause=Cause.STILL_HELD,
                    reason="The backtest still held its trade of this side, which had ended on the desk.",
                )
        if self.of_own is not None and place in self.of_own:
            return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("this trade"))
        return say(cause=Cause.UNKNOWN, reason="The backtest has no such trade, and nothing says why.")

    def _why_not(self, wanted_ms: int, act: str | None) -> Said | None:
        """Give the cause, the code and the reason why nothing came of what was wanted at a close; None where nothing tells it."""
        if wanted_ms in self.run.differing:
            return Said(
                Cause.CANDLE_DIFFERED,
                "CANDLE_DIFFERS",
                "The desk saw another candle there than the backtest has.",
            )
        signal = self._signal(wanted_ms, act)
        if signal is None:
            status = self._standing(wanted_ms)
            if status is DeploymentStatus.ACTIVE:
                return None
            return Said(
                Cause.DEPLOYMENT_STOOD,
                f"DEPLOYMENT_{status.name}",
                f"The deployment was {status} then: it sends no entries.",
            )
        if signal.code is not None:
            return Said(Cause.SIGNAL_REFUSED, signal.code, signal.reason or "")
        orders = [one for one in self.orders if one.signal_id == signal.signal_id]
        wanted_leg = Leg.EXIT if act is None else Leg.ENTRY
        for order in orders:
            if order.leg is wanted_leg and order.code is not None:
                return Said(Cause.ORDER_DENIED, order.code, order.reason or "")
            if order.leg is wanted_leg and order.status in (OrderStatus.EXPIRED, OrderStatus.CANCELED):
                return Said(
                    Cause.ORDER_UNFILLED, f"ORDER_{order.status.name}", "The order ended without a fill."
                )
        if act is not None and any(one.leg is Leg.EXIT for one in orders):
            return Said(
                Cause.CLOSED_ONLY,
                "CLOSED_ONLY",
                "The bot's rules let the signal close what was held, and enter nothing.",
            )
        return None

    def _signal(self, wanted_ms: int, act: str | None) -> HeardSignal | None:
        for one in self.traded.signals:
            if to_ms(one.closed_at) == wanted_ms and act in (None, one.action):
                return one
        return None

    def _standing(self, at_ms: int) -> DeploymentStatus:
        status = DeploymentStatus.ACTIVE
        for one in self.traded.standings:
            if to_ms(one.at) <= at_ms:
                status = one.status
        return status

    def _entry_of(self, position: SignalPosition) -> SignalOrder | None:
        for order in self.orders:
            if order.leg is Leg.ENTRY and order.position_id == position.position_id:
                return order
        return None

    def _backtest_side(self, expected: ExpectedTrade) -> Side:
        trade = expected.trade
        is_by_signal = trade.ending is Ending.SIGNAL
        return Side(
            entered_at_ms=self.closes[expected.signal_bar],
            exited_at_ms=self.closes[trade.exit_bar - 1 if is_by_signal else trade.exit_bar],
            quantity=trade.quantity,
            entry_price=trade.entry_price,
            exit_price=trade.exit_price,
            fees=trade.fees,
            profit=trade.profit,
            ending=trade.ending.name.lower(),
        )


def _desk_side(position: SignalPosition) -> Side:
    entry_price, exit_price = _prices(position)
    is_over = position.closed_at is not None
    return Side(
        entered_at_ms=to_ms(position.opened_at),
        exited_at_ms=None if position.closed_at is None else to_ms(position.closed_at),
        quantity=float(position.entered_quantity),
        entry_price=entry_price,
        exit_price=exit_price,
        fees=float(position.fees),
        profit=float(position.realized_pnl) if is_over else None,
        ending=_ending_of(position),
    )


def _prices(position: SignalPosition) -> tuple[float, float | None]:
    entry = float(position.entry_notional / position.entered_quantity)
    return entry, float(
        position.exit_notional / position.exited_quantity
    ) if position.exited_quantity else None


def _ending_of(position: SignalPosition) -> str:
    return "held" if position.closed_at is None else position.close_reason or "closed"


def _side_of(position: SignalPosition) -> int:
    return 1 if position.direction is Direction.LONG else -1


def _step_of(orders: Sequence[SignalOrder]) -> float:
    """Give the coarsest step that all quantities are multiples of, as far as decimals show it."""
    digits = [
        -int(one.quantity.normalize().as_tuple().exponent)
        for one in orders
        if one.quantity is not None and one.leg is Leg.ENTRY
    ]
    return float(10.0 ** -min(max(digits, default=0), 18))


def unexplained(compared: Sequence[Compared]) -> int:
    """Count the trades with a difference that nothing explains."""
    return sum(not pair.is_explained for one in compared for pair in one.pairs)


def counts(pairs: Sequence[Pair]) -> Mapping[str, int]:
    """Count the trades of both, and of one of the two alone."""
    return {
        "both": sum(one.desk is not None and one.backtest is not None for one in pairs),
        "only_on_desk": sum(one.backtest is None for one in pairs),
        "only_in_backtest": sum(one.desk is None for one in pairs),
        "unexplained": sum(not one.is_explained for one in pairs),
    }

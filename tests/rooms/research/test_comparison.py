"""What the desk traded beside its backtest: each difference has its reason in what was recorded, or is said to have none."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest

from pregao.domain.clock import from_ms
from pregao.domain.deployment import DeploymentStatus
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.traded import (
    DeploymentTraded,
    HeardSignal,
    SignalOrder,
    SignalPosition,
    Standing,
    TradingAccount,
)
from pregao.research.backtests.terms import Ending
from pregao.research.candles import CandlesUnusableError
from pregao.research.comparison.beside import OwnTrade
from pregao.research.comparison.compare import compare, counts, unexplained
from pregao.research.comparison.difference import Cause
from pregao.research.comparison.expected import expected_trades, prepend, run_candles
from pregao.research.strategies.shipped import get_strategy
from pregao.research.strategies.strategy import FLAT, LONG, SHORT, Plan
from tests.builders import deployment
from tests.rooms.research.made import candles_of, walk

START_MS = 1_790_000_000_000 - 1_790_000_000_000 % 60_000
LATE_MS = 180
ANA = TradingAccount(account_id=7, name="Ana")
CANDLES = replace(
    walk(80, seed=5, volatility=0.004, timeframe="1m"), opened_at_ms=START_MS + np.arange(80) * 60_000
)
VALUES = {"fast": 2.0, "slow": 4.0, "shorts": 1.0, "stop_pct": 7.0, "target_pct": 0.0}
MARGIN, LEVERAGE, STEP = Decimal(100), 3, Decimal("0.001")


def planned(candles, **changes):
    return get_strategy("ema_cross").plan(candles, {**VALUES, **changes})


def whole_run(candles=CANDLES, first=0):
    closes = candles.opened_at_ms + candles.timeframe.ms
    return run_candles(candles, began_at_ms=int(closes[first]), bar_at_ms=int(closes[-1]))


def backtested(run, plan):
    return expected_trades(run, plan, money=float(MARGIN), leverage=LEVERAGE, fee_bps=5.0, slippage_bps=0.0)


def traded_as(run, expected, *, paid_bps=1.0):
    """Give a desk that did the same, a little later and a little worse."""
    signals, orders, positions = {}, [], []

    def heard(bar, action):
        at = from_ms(int(run.closed_at_ms[bar]))
        number = UUID(int=int(run.closed_at_ms[bar]))
        signals[number] = HeardSignal(
            signal_id=number, action=action, closed_at=at, received_at=at + timedelta(milliseconds=20),
            status="planned", code=None, reason=None,
        )  # fmt: skip
        return number

    for number, one in enumerate(expected, start=1):
        trade = one.trade
        side = trade.side
        signal_id = heard(one.signal_bar, "buy" if side > 0 else "sell")
        entry = Decimal(repr(trade.entry_price * (1 + side * paid_bps / 10_000)))
        quantity = (MARGIN * LEVERAGE / entry // STEP) * STEP
        orders.append(order(signal_id, number, quantity=quantity, decision_price=entry))
        is_over = trade.ending is Ending.SIGNAL
        exit_price = Decimal(repr(trade.exit_price * (1 - side * paid_bps / 10_000)))
        exit_id = heard(trade.exit_bar - 1, "sell" if side > 0 else "buy") if is_over else None
        turned = quantity * (entry + (exit_price if is_over else 0))
        fees = turned * Decimal("0.0004")
        gained = side * quantity * (exit_price - entry) - fees
        positions.append(
            SignalPosition(
                position_id=number,
                account_id=ANA.account_id,
                signal_id=signal_id,
                direction=Direction.LONG if side > 0 else Direction.SHORT,
                status=PositionStatus.CLOSED if is_over else PositionStatus.OPEN,
                entered_quantity=quantity,
                exited_quantity=quantity if is_over else Decimal(0),
                entry_notional=quantity * entry,
                exit_notional=quantity * exit_price if is_over else Decimal(0),
                fees=fees,
                realized_pnl=gained if is_over else Decimal(0),
                opened_at=late(run, one.signal_bar),
                closed_at=late(run, trade.exit_bar - 1) if is_over else None,
                exit_signal_id=exit_id,
                close_reason="signal" if is_over else None,
                initial_stop=entry * (1 - side * Decimal("0.07")),
                target_price=None,
                is_stop_moved=False,
            )
        )
    return told(run, tuple(signals.values()), tuple(orders), tuple(positions))


def late(run, bar):
    return from_ms(int(run.closed_at_ms[bar]) + LATE_MS)


def order(signal_id, position_id, **changes):
    given = {
        "signal_id": signal_id, "account_id": ANA.account_id, "leg": Leg.ENTRY, "status": OrderStatus.FILLED, "code": None,
        "reason": None, "position_id": position_id, "leverage": LEVERAGE, "margin_usd": MARGIN,
        "decision_price": Decimal(100), "quantity": Decimal(3), "filled_quantity": Decimal(3), "filled_at": None,
    }  # fmt: skip
    return SignalOrder(**(given | changes))


def told(run, signals, orders, positions, *, standings=()):
    return DeploymentTraded(
        deployment=deployment(), began_at=from_ms(int(run.closed_at_ms[0])), bar_at=from_ms(int(run.closed_at_ms[-1])),
        bars=len(run), standings=standings, accounts=(ANA,), signals=signals, orders=orders, positions=positions,
    )  # fmt: skip


def compared(traded, expected, run, **others):
    return compare(ANA, traded, expected, run, fee_bps=5.0, **others)


def difference(found, kind):
    return next(one for pair in found.pairs for one in pair.differences if one.kind == kind)


@pytest.fixture
def run():
    return whole_run()


@pytest.fixture
def expected(run):
    return backtested(run, planned(CANDLES))


@pytest.fixture
def traded(run, expected):
    return traded_as(run, expected)


def without(traded, place):
    """Leave out a trade and the order that opened it."""
    gone = traded.positions[place]
    return (
        replace(
            traded,
            positions=tuple(one for one in traded.positions if one is not gone),
            orders=tuple(one for one in traded.orders if one.position_id != gone.position_id),
        ),
        gone,
    )


class TestCompare:
    def test_explains_a_desk_that_did_the_same_a_little_later_and_worse(self, run, expected, traded):
        found = compared(traded, expected, run)

        assert counts(found.pairs) == {
            "both": len(expected), "only_on_desk": 0, "only_in_backtest": 0, "unexplained": 0,
        }  # fmt: skip
        assert len(expected) > 8
        first = {one.kind.value: one for one in found.pairs[0].differences}
        assert first.keys() == {"latency", "entry_price", "quantity", "exit_price", "fees", "profit"}
        assert first["latency"].desk == LATE_MS
        assert first["entry_price"].reason.startswith("+1.00 bps against us")
        assert "rounded down" in first["quantity"].reason
        assert "4.00 bps" in first["fees"].reason
        assert [one.kind.value for one in found.pairs[-1].differences][-1] == "ending"  # both hold it

    def test_adds_the_parts_of_the_profit_up_and_says_what_is_left_over(self, run, expected, traded):
        first, *others = traded.positions
        odd = replace(first, realized_pnl=first.realized_pnl + Decimal("0.01"))

        found = compared(replace(traded, positions=(odd, *others)), expected, run)

        assert "+0.010000 is left over" in difference(found, "profit").reason
        assert unexplained([found]) == 1

    def test_takes_no_price_for_slippage_that_nobody_traded_at(self, run, expected):
        found = compared(traded_as(run, expected, paid_bps=400.0), expected, run)

        assert not difference(found, "entry_price").is_explained
        assert unexplained([found]) == len(expected)

    def test_takes_no_quantity_for_rounded_that_is_off_by_more_than_a_step(self, run, expected, traded):
        first, *others = traded.orders
        odd = replace(first, quantity=first.quantity - 3 * STEP)

        found = compared(replace(traded, orders=(odd, *others)), expected, run)

        assert not difference(found, "quantity").is_explained

    def test_names_the_code_of_an_entry_that_was_denied(self, run, expected, traded):
        less, gone = without(traded, 2)
        denied = order(
            gone.signal_id, None, status=OrderStatus.DENIED, code="SYMBOL_OWNED", reason="It is another's."
        )

        found = compared(replace(less, orders=(*less.orders, denied)), expected, run)

        one = difference(found, "only_in_backtest")
        assert (one.code, one.is_explained) == ("SYMBOL_OWNED", True)
        assert counts(found.pairs)["only_in_backtest"] == 1

    def test_names_the_code_of_a_signal_that_was_refused(self, run, expected, traded):
        less, gone = without(traded, 2)
        signals = tuple(
            replace(one, code="SIGNAL_STALE", status="refused") if one.signal_id == gone.signal_id else one
            for one in less.signals
        )

        assert (
            difference(compared(replace(less, signals=signals), expected, run), "only_in_backtest").code
            == "SIGNAL_STALE"
        )

    def test_says_that_a_deployment_was_paused(self, run, expected, traded):
        less, gone = without(traded, 2)
        silent = replace(
            less,
            signals=tuple(one for one in less.signals if one.signal_id != gone.signal_id),
            standings=(
                Standing(at=traded.began_at, status=DeploymentStatus.ACTIVE),
                Standing(at=gone.opened_at - timedelta(seconds=1), status=DeploymentStatus.PAUSED),
            ),
        )
        awake = replace(silent, standings=())

        paused = difference(compared(silent, expected, run), "only_in_backtest")
        unknown = difference(compared(awake, expected, run), "only_in_backtest")

        assert (paused.code, paused.is_explained) == ("DEPLOYMENT_PAUSED", True)
        assert (unknown.code, unknown.is_explained) == (None, False)

    def test_finds_no_excuse_for_a_trade_the_backtest_has_not(self, run, expected, traded):
        fewer = [one for one in expected if one is not expected[3]]

        found = compared(traded, fewer, run)

        assert not difference(found, "only_on_desk").is_explained
        assert counts(found.pairs)["only_on_desk"] == 1

    def test_explains_by_other_candles_before_only_what_a_backtest_of_the_desks_own_has_as_the_desk(
        self, run, expected, traded
    ):
        own = OwnTrade.all_of(expected, run)
        less, gone = without(traded, 2)
        unsent = replace(less, signals=tuple(one for one in less.signals if one.signal_id != gone.signal_id))
        others = [one for one in own if one.wanted_at_ms != own[2].wanted_at_ms]

        def causes(desk, of_backtest, of_own):
            found = compared(desk, of_backtest, run, of_own=of_own)
            return [
                one.cause for pair in found.pairs for one in pair.differences if one.kind.startswith("only")
            ]

        assert causes(unsent, expected, others) == [
            Cause.EARLIER_CANDLES
        ]  # neither the desk nor its own has it
        assert causes(unsent, expected, own) == [Cause.UNKNOWN]
        assert causes(traded, expected[:2] + expected[3:], own) == [Cause.EARLIER_CANDLES]
        assert causes(traded, expected[:2] + expected[3:], others) == [Cause.UNKNOWN]

    def test_explains_an_end_by_other_candles_before_only_where_its_own_ends_it_then(
        self, run, expected, traded
    ):
        own = OwnTrade.all_of(expected, run)
        trade = expected[1].trade
        longer = replace(expected[1], trade=replace(trade, exit_bar=trade.exit_bar + 1))
        tried = [expected[0], longer, *expected[2:]]
        otherwise = [replace(one, ends_at_ms=one.ends_at_ms + 60_000) for one in own]

        def ending(of_own):
            return difference(compared(traded, tried, run, of_own=of_own), "ending").cause

        # The signal that the backtest waits for is heard of no desk: only what the desk saw can say why it ended before.
        assert [ending(own), ending(otherwise), ending(None)] == [
            Cause.EARLIER_CANDLES,
            Cause.UNKNOWN,
            Cause.UNKNOWN,
        ]

    def test_knows_who_closed_what_the_backtest_holds(self, run, expected, traded):
        changed = list(traded.positions)
        changed[1] = replace(changed[1], exit_signal_id=UUID(int=1))

        one = difference(compared(replace(traded, positions=tuple(changed)), expected, run), "ending")

        assert (one.code, one.is_explained) == ("CLOSED_BY_SOMEBODY", True)


class TestStops:
    """A long from the second candle on; the fourth falls to 97.0."""

    CANDLES = candles_of(
        [100.0, 100.0, 100.0, 99.0, 99.5, 99.5, 99.5], lows=[100, 100, 100, 97.0, 99, 99.5, 99.5], timeframe="1m",
        start_ms=START_MS,
    )  # fmt: skip
    WANTED = np.array([FLAT, LONG, LONG, LONG, LONG, FLAT, FLAT], dtype=np.int8)

    def found(self, *, stop, own_stop, ends, enters=None):
        run = whole_run(self.CANDLES)
        plan = Plan(wanted=self.WANTED, stop=np.array([stop]), target=np.array([np.inf]))
        expected = backtested(run, plan)
        traded = traded_as(run, expected)
        (position,) = traded.positions
        at, reason = ends
        position = replace(
            position, initial_stop=Decimal(str(own_stop)), closed_at=late(run, at), close_reason=reason,
            opened_at=position.opened_at if enters is None else late(run, enters),
            exited_quantity=position.entered_quantity, exit_notional=position.entered_quantity * 97,
            status=PositionStatus.CLOSED,
        )  # fmt: skip
        return expected, compared(replace(traded, positions=(position,)), expected, run)

    def test_are_explained_where_the_candle_came_between_the_two_levels(self):
        expected, found = self.found(stop=0.03, own_stop="96.9", ends=(5, "signal"))

        assert expected[0].trade.ending is Ending.STOP
        assert difference(found, "ending").is_explained

    @pytest.mark.parametrize(
        ("own_target", "cause"),
        [("101.9", Cause.OWN_LEVEL), ("101.5", Cause.OWN_LEVEL), ("101.2", Cause.UNKNOWN)],
    )
    def test_targets_are_explained_so_too(self, own_target, cause):
        """The fourth candle rises to 101.5; the backtest's target stands at 101.4."""
        candles = candles_of(
            [100.0, 100.0, 100.0, 100.5, 100.5, 100.5, 100.5], highs=[100, 100, 100, 101.5, 100.5, 100.5, 100.5],
            timeframe="1m", start_ms=START_MS,
        )  # fmt: skip
        run = whole_run(candles)
        plan = Plan(wanted=self.WANTED, stop=np.array([np.inf]), target=np.array([0.014]))
        expected = backtested(run, plan)
        traded = traded_as(run, expected)
        (position,) = traded.positions
        held_on = replace(
            position, target_price=Decimal(own_target), closed_at=late(run, 5), close_reason="signal",
            exited_quantity=position.entered_quantity, exit_notional=position.entered_quantity * 100,
            status=PositionStatus.CLOSED,
        )  # fmt: skip

        found = compared(replace(traded, positions=(held_on,)), expected, run)

        assert expected[0].trade.ending is Ending.TARGET
        assert difference(found, "ending").cause is cause

    def test_are_not_explained_where_it_passed_both(self):
        _, found = self.found(stop=0.02, own_stop="97.9", ends=(5, "signal"))

        assert not difference(found, "ending").is_explained

    @pytest.mark.parametrize(
        ("enters", "cause"),
        [(2, Cause.ENTERED_WITHIN), (3, Cause.FILLED_LATER), (4, Cause.FILLED_LATER), (1, Cause.UNKNOWN)],
    )
    def test_are_explained_where_the_desk_did_not_hold_it_yet(self, enters, cause):
        """The fourth candle, which passed both levels, runs from the close of the third; the entry fills a little after a close."""
        _, found = self.found(stop=0.02, own_stop="97.9", ends=(5, "signal"), enters=enters)

        assert difference(found, "ending").cause is cause

    @pytest.mark.parametrize(("is_heard", "cause"), [(True, Cause.FILLED_LATER), (False, Cause.UNKNOWN)])
    def test_are_explained_where_the_exit_was_on_its_way_already(self, is_heard, cause):
        """Wanted at the close of the sixth candle; before it had filled the desk met its stop."""
        expected, _ = self.found(stop=0.2, own_stop="80", ends=(5, "signal"))
        run = whole_run(self.CANDLES)
        traded = traded_as(run, expected)
        (position,) = traded.positions
        stopped = replace(position, close_reason="stop_loss", exit_signal_id=None)
        signals = traded.signals if is_heard else traded.signals[:1]

        found = compared(replace(traded, positions=(stopped,), signals=signals), expected, run)

        assert expected[0].trade.ending is Ending.SIGNAL
        assert difference(found, "ending").cause is cause

    def test_are_no_difference_where_both_ended_at_the_candle(self):
        _, found = self.found(stop=0.02, own_stop="98.0", ends=(2, "stop_loss"))

        assert [one for pair in found.pairs for one in pair.differences if one.kind == "ending"] == []


class TestRunCandles:
    def test_what_was_wanted_before_the_run_is_nobodys_business(self):
        first = 40
        run = whole_run(first=first)
        plan = planned(CANDLES)

        found = backtested(run, plan)

        standing = plan.wanted[first - 1]
        changed = first + int(np.flatnonzero(plan.wanted[first:] != standing)[0])
        assert standing in (LONG, SHORT)
        assert found[0].signal_bar == changed - first
        assert run.first == first

    def test_a_tape_that_was_played_faster_is_found_by_what_its_candles_hold(self):
        tape = walk(200, seed=9, volatility=0.003, timeframe="1m")
        part = tape.part(120, 160)
        seen = candles_of(
            part.close, opens=part.open, highs=part.high, lows=part.low, volumes=part.volume, timeframe="1s",
            start_ms=START_MS,
        )  # fmt: skip

        run = run_candles(seen, began_at_ms=START_MS + 1_000, bar_at_ms=START_MS + 40_000, tried=tape)
        cold = run.cold()

        assert (run.first, run.speed, len(run), run.differing) == (120, 60.0, 40, ())
        assert run.closed_at_ms.tolist() == [START_MS + 1_000 * (at + 1) for at in range(40)]
        assert (cold.first, len(cold.candles)) == (0, 40)
        assert (run.since(START_MS + 11_000).first, len(run.since(START_MS + 11_000))) == (130, 30)

    def test_says_whether_two_began_with_the_same_candles_at_whatever_times(self):
        tape = walk(200, seed=9, volatility=0.003, timeframe="1m")
        run = whole_run(tape, first=120)
        later = whole_run(replace(tape, opened_at_ms=tape.opened_at_ms + 7 * 60_000), first=120)
        missed = prepend(tape.part(0, 119), tape.part(120, 200))
        other = replace(run, candles=missed, first=119)

        assert run.began_as(later, needed=100)
        assert not run.began_as(other, needed=100)
        assert run.began_as(other, needed=0)

    def test_says_which_candles_the_desk_saw_otherwise(self):
        other = CANDLES.close.copy()
        other[30] *= 1.0001
        seen = replace(CANDLES, close=other, high=np.maximum(CANDLES.high, other))

        run = run_candles(
            seen, began_at_ms=START_MS + 60_000, bar_at_ms=START_MS + 80 * 60_000, tried=CANDLES
        )

        assert run.differing == (START_MS + 31 * 60_000,)

    def test_refuses_candles_that_are_not_the_runs(self):
        with pytest.raises(CandlesUnusableError, match="CANDLES_NOT_THE_RUNS"):
            run_candles(
                CANDLES, began_at_ms=START_MS + 60_000, bar_at_ms=START_MS + 60_000 * 80,
                tried=walk(80, seed=6, timeframe="1h"),
            )  # fmt: skip
        with pytest.raises(CandlesUnusableError, match="CANDLES_NOT_SEEN"):
            run_candles(CANDLES, began_at_ms=0, bar_at_ms=1)

    def test_puts_the_venues_past_before_what_was_seen(self):
        seen = CANDLES.part(30, 80)

        whole = prepend(CANDLES, seen)

        assert whole.digest == CANDLES.digest

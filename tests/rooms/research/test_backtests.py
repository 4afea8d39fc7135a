"""Backtests: hand-made cases on the plain one, and the compiled one against it on random ones."""

import os
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pregao.research.backtests import compiled, plain
from pregao.research.backtests.outcome import SUMS, Trades
from pregao.research.backtests.stretches import TILE
from pregao.research.backtests.terms import Ending, Sizing, Terms, TermsUnusableError
from pregao.research.strategies.strategy import FLAT, KEEP, LONG, SHORT, Plan
from tests.rooms.research.made import candles_of, walk

CASES = int(os.environ.get("PREGAO_BACKTEST_CASES", "300"))
NONE = np.array([np.inf])
ALL_IN = Terms(size=1.0)


def plan_of(wanted, *, stop=None, target=None):
    return Plan(
        wanted=np.array(wanted, dtype=np.int8),
        stop=NONE if stop is None else np.atleast_1d(np.asarray(stop, dtype=float)),
        target=NONE if target is None else np.atleast_1d(np.asarray(target, dtype=float)),
    )


def both(candles, plan, terms=ALL_IN, *, funding=None):
    """Run both, hold them to the same answer, and give it."""
    judge = plain.replay(candles, plan, terms, funding=funding)
    other = compiled.replay(candles, plan, terms, funding=funding)
    assert len(judge.trades) == len(other.trades)
    for field in fields(Trades):
        np.testing.assert_allclose(
            getattr(other.trades, field.name),
            getattr(judge.trades, field.name),
            rtol=1e-9,
            atol=1e-9,
            err_msg=field.name,
        )
    np.testing.assert_allclose(other.equity, judge.equity, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.sums, judge.sums, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(compiled.add_up(candles, plan, terms, funding=funding), other.sums)
    return judge


def denied(outcome):
    return outcome.sums[SUMS.index("denied")]


def endings(outcome):
    return [trade.ending for trade in outcome.trades]


class TestOrderOfEvents:
    def test_has_at_the_next_open_what_was_wanted_at_a_close(self):
        candles = candles_of([10, 11, 14, 16], opens=[10, 10, 12, 15])

        outcome = both(candles, plan_of([LONG, LONG, FLAT, FLAT]))

        (trade,) = outcome.trades
        assert (trade.entry_bar, trade.entry_price, trade.exit_bar, trade.exit_price) == (1, 10, 3, 15)
        assert trade.ending is Ending.SIGNAL
        assert outcome.equity.tolist() == [1_000, 1_100, 1_400, 1_500]

    def test_never_acts_on_the_last_close(self):
        assert len(both(candles_of([10, 11]), plan_of([FLAT, LONG])).trades) == 0

    def test_closes_what_is_held_at_the_last_close(self):
        (trade,) = both(candles_of([10, 11, 12]), plan_of([LONG, LONG, LONG])).trades

        assert (trade.exit_bar, trade.exit_price, trade.ending) == (2, 12, Ending.END)

    def test_leaves_it_open_when_told_so(self):
        outcome = both(candles_of([10, 11, 12]), plan_of([LONG] * 3), replace(ALL_IN, closes_at_end=False))

        assert len(outcome.trades) == 0
        assert outcome.equity[-1] == pytest.approx(1_000 * 12 / 10)

    def test_takes_the_stop_when_stop_and_target_are_touched(self):
        candles = candles_of([10, 10, 10], highs=[10, 12, 10], lows=[10, 9, 10])

        (trade,) = both(candles, plan_of([LONG, FLAT, FLAT], stop=0.05, target=0.1)).trades

        assert (trade.ending, trade.exit_price) == (Ending.STOP, 9.5)

    def test_looks_at_stops_on_the_candle_of_the_entry(self):
        """The system this replaces never looked at that candle."""
        candles = candles_of([10, 10, 10], lows=[10, 9, 10])
        plan = plan_of([LONG, LONG, LONG], stop=0.05)

        assert both(candles, plan).trades.exit_bar.tolist() == [1]
        assert endings(both(candles, plan, replace(ALL_IN, stops_wait_a_bar=True))) == [Ending.END]

    def test_fills_a_stop_at_the_open_when_the_gap_went_beyond_it(self):
        candles = candles_of([10, 10, 8, 8], opens=[10, 10, 9, 8], lows=[10, 10, 8, 8])

        (trade,) = both(candles, plan_of([LONG, LONG, LONG, FLAT], stop=0.05)).trades

        assert (trade.exit_bar, trade.exit_price, trade.ending) == (2, 9, Ending.STOP)

    def test_fills_a_target_at_the_open_when_the_gap_went_beyond_it_though_the_stop_is_touched_later(self):
        candles = candles_of([10, 10, 9, 9], opens=[10, 10, 12, 9], lows=[10, 10, 9, 9])

        (trade,) = both(candles, plan_of([LONG, LONG, LONG, FLAT], stop=0.05, target=0.1)).trades

        assert (trade.exit_bar, trade.exit_price, trade.ending) == (2, 12, Ending.TARGET)

    def test_ends_by_signal_at_the_open_before_a_stop_within_the_candle(self):
        """Another program looks at the whole candle first: a low after the open then comes before the open."""
        candles = candles_of([10, 10, 9], opens=[10, 10, 10], lows=[10, 10, 8])

        (trade,) = both(candles, plan_of([LONG, FLAT, FLAT], stop=0.05)).trades

        assert (trade.ending, trade.exit_price) == (Ending.SIGNAL, 10)

    def test_can_look_at_the_whole_candle_first_as_that_program_does(self):
        candles = candles_of([10, 10, 9], opens=[10, 10, 10], lows=[10, 10, 8])
        terms = replace(ALL_IN, stops_wait_a_bar=True, stops_first=True)

        (trade,) = both(candles, plan_of([LONG, FLAT, FLAT], stop=0.05), terms).trades

        assert (trade.ending, trade.exit_price) == (Ending.STOP, 9.5)

    def test_turns_around_at_one_open(self):
        candles = candles_of([10, 10, 10, 8], opens=[10, 10, 11, 10])

        first, second = both(candles, plan_of([LONG, SHORT, SHORT, FLAT])).trades

        assert (first.exit_bar, second.entry_bar) == (2, 2)
        assert (first.profit, second.side) == (pytest.approx(100), SHORT)
        assert second.profit == pytest.approx(1_100 * 3 / 11)

    def test_does_not_enter_again_the_side_that_was_stopped_until_something_else_was_wanted(self):
        lows = [10, 9, 10, 10, 10, 10, 10]
        stay = plan_of([LONG] * 7, stop=0.05)
        again = plan_of([LONG, LONG, LONG, FLAT, LONG, LONG, LONG], stop=0.05)
        kept = plan_of([LONG, KEEP, LONG, LONG, LONG, LONG, LONG], stop=0.05)
        candles = candles_of([10] * 7, lows=lows)

        assert both(candles, stay).trades.entry_bar.tolist() == [1]
        assert both(candles, again).trades.entry_bar.tolist() == [1, 5]
        assert both(candles, kept).trades.entry_bar.tolist() == [1, 3]

    def test_enters_the_other_side_after_a_stop_at_once(self):
        candles = candles_of([10] * 4, lows=[10, 9, 10, 10])

        assert both(candles, plan_of([LONG, SHORT, SHORT, SHORT], stop=0.05)).trades.side.tolist() == [
            LONG,
            SHORT,
        ]

    def test_holds_on_without_an_opinion(self):
        assert len(both(candles_of([10] * 5), plan_of([LONG, KEEP, KEEP, KEEP, KEEP])).trades) == 1


class TestGoldenValues:
    """F112: the source system's golden values, with its mistakes about shorts removed."""

    def test_a_short_that_is_stopped_at_two_percent_with_a_tenth_loses_a_fifth_of_a_percent(self):
        candles = candles_of([100, 103], opens=[100, 100], highs=[100, 103])

        outcome = both(candles, plan_of([SHORT, SHORT], stop=0.02, target=0.04), Terms())

        assert outcome.equity[-1] / 1_000 - 1 == pytest.approx(-0.002, abs=1e-15)
        assert endings(outcome) == [Ending.STOP]

    def test_a_short_that_reaches_its_target_gains(self):
        candles = candles_of([100, 95], opens=[100, 100])

        outcome = both(candles, plan_of([SHORT, SHORT], stop=0.02, target=0.04), Terms())

        assert outcome.equity[-1] == pytest.approx(1_000 * 1.004)

    def test_profits_compound(self):
        candles = candles_of([100, 110, 110, 121], opens=[100, 100, 110, 110])

        outcome = both(candles, plan_of([LONG, FLAT, LONG, FLAT]))

        assert outcome.equity[-1] == pytest.approx(1_210)
        assert sum(trade.profit for trade in outcome.trades) == pytest.approx(210)

    def test_the_account_ends_where_its_equity_ends(self):
        """The source system reported the start plus the sum of the trades, not the curve's end."""
        candles = walk(500, seed=21)
        outcome = both(
            candles, plan_of(np.resize([1, 1, 1, -1, -1, 0, 2], 500), stop=0.01), Terms(size=1.0, fee_bps=5)
        )

        assert outcome.equity[-1] == pytest.approx(1_000 + outcome.trades.profit.sum())


class TestCosts:
    def test_are_a_fee_at_each_fill(self):
        candles = candles_of([10, 10, 20], opens=[10, 10, 20])

        (trade,) = both(
            candles, plan_of([LONG, FLAT, FLAT]), Terms(sizing=Sizing.MONEY, size=100, fee_bps=10)
        ).trades

        quantity = 100 / (10 * 1.001)
        assert trade.quantity == pytest.approx(quantity)
        assert trade.fees == pytest.approx(quantity * (10 + 20) * 0.001)

    def test_are_slippage_against_us_but_not_at_a_target(self):
        candles = candles_of([10, 10, 12], opens=[10, 10, 10], highs=[10, 10, 12])
        terms = replace(ALL_IN, slippage_bps=100)

        (target,) = both(candles, plan_of([LONG, LONG, LONG], target=0.1), terms).trades
        (signal,) = both(candles, plan_of([SHORT, FLAT, FLAT]), terms).trades

        assert (target.entry_price, target.exit_price) == (pytest.approx(10.1), pytest.approx(11.11))
        assert (signal.entry_price, signal.exit_price) == (pytest.approx(9.9), pytest.approx(10.1))

    def test_are_funding_paid_by_longs_and_had_by_shorts_who_held_before(self):
        candles = candles_of([10] * 4)
        funding = np.array([0.0, 0.5, 0.01, 0.0])

        (long,) = both(candles, plan_of([LONG, LONG, FLAT, FLAT]), funding=funding).trades
        (short,) = both(candles, plan_of([SHORT, SHORT, FLAT, FLAT]), funding=funding).trades

        assert (long.funding, long.profit) == (pytest.approx(10), pytest.approx(-10))
        assert (short.funding, short.profit) == (pytest.approx(-10), pytest.approx(10))


class TestSizing:
    def test_in_shares_uses_all_there_is_and_pays_its_fee_from_it(self):
        candles = candles_of([10] * 3)

        outcome = both(candles, plan_of([LONG, LONG, FLAT]), Terms(size=1.0, fee_bps=100))

        assert outcome.trades.quantity[0] * 10 * 1.01 == pytest.approx(1_000)

    def test_in_risk_loses_what_was_risked_at_the_stop(self):
        candles = candles_of([10, 10, 9], opens=[10, 10, 10], lows=[10, 10, 9])

        outcome = both(
            candles, plan_of([LONG, LONG, LONG], stop=0.05), Terms(sizing=Sizing.RISK, size=0.01, leverage=5)
        )

        assert outcome.trades.profit[0] == pytest.approx(-10)

    def test_in_risk_is_bounded_by_the_leverage(self):
        candles = candles_of([10] * 3)

        outcome = both(
            candles, plan_of([LONG] * 3, stop=0.001), Terms(sizing=Sizing.RISK, size=0.5, leverage=2)
        )

        assert outcome.trades.quantity[0] == pytest.approx(1_000 * 2 / 10)

    def test_in_risk_denies_an_entry_without_a_stop(self):
        outcome = both(candles_of([10] * 3), plan_of([LONG] * 3), Terms(sizing=Sizing.RISK, size=0.01))

        assert (len(outcome.trades), denied(outcome)) == (0, 2)

    def test_rounds_down_to_steps_and_denies_what_is_less_than_one(self):
        candles = candles_of([300] * 3)

        assert both(candles, plan_of([LONG] * 3), replace(ALL_IN, quantity_step=1)).trades.quantity[0] == 3
        assert denied(both(candles, plan_of([LONG] * 3), replace(ALL_IN, quantity_step=5))) == 2

    def test_liquidates_a_leveraged_position_before_its_margin_is_gone(self):
        candles = candles_of([100, 100, 89], opens=[100, 100, 100], lows=[100, 100, 88])

        (trade,) = both(candles, plan_of([LONG] * 3), Terms(size=0.5, leverage=10)).trades

        assert (trade.ending, trade.exit_price) == (Ending.LIQUIDATED, pytest.approx(100 * (1 - 0.1 + 0.004)))

    def test_never_loses_more_than_the_margin(self):
        candles = candles_of([100, 100, 50], opens=[100, 100, 50])

        (trade,) = both(candles, plan_of([LONG] * 3), Terms(size=0.5, leverage=10)).trades

        assert trade.profit == pytest.approx(-500)

    def test_enters_nothing_when_the_money_is_gone(self):
        candles = candles_of([100, 100, 50, 50, 50], opens=[100, 100, 50, 50, 50])

        outcome = both(candles, plan_of([LONG, LONG, FLAT, LONG, LONG]), Terms(size=1.0, leverage=10))

        assert (len(outcome.trades), denied(outcome)) == (1, 1)
        assert outcome.equity[-1] == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize(
        "wrong", [{"size": 1.5}, {"size": 0}, {"leverage": 0.5}, {"start": -1}, {"leverage": 300}]
    )
    def test_refuses_terms_that_cannot_be(self, wrong):
        with pytest.raises(TermsUnusableError, match="TERMS_OUT_OF_RANGE"):
            Terms(**wrong)


terms_of_any_kind = st.builds(
    lambda stops_first, stops_wait_a_bar, **others: Terms(
        stops_first=stops_first, stops_wait_a_bar=stops_first or stops_wait_a_bar, **others
    ),
    start=st.sampled_from([1_000.0, 5.0, 1e7]),
    sizing=st.sampled_from(Sizing),
    size=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    leverage=st.sampled_from([1.0, 1.5, 3.0, 20.0]),
    fee_bps=st.sampled_from([0.0, 4.0, 30.0, -1.0]),
    slippage_bps=st.sampled_from([0.0, 2.0, 50.0]),
    maintenance_margin=st.sampled_from([0.0, 0.004, 0.03]),
    quantity_step=st.sampled_from([0.0, 0.001, 1.0]),
    stops_wait_a_bar=st.booleans(),
    stops_first=st.booleans(),
    closes_at_end=st.booleans(),
)
distances = st.one_of(st.just(np.inf), st.floats(0.0005, 0.2))


class TestCompiled:
    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        terms=terms_of_any_kind,
        bars=st.integers(1, 120),
        seed=st.integers(0, 2**32 - 1),
        volatility=st.sampled_from([0.001, 0.01, 0.05]),
        stop=distances,
        target=distances,
        varies=st.booleans(),
        pays=st.booleans(),
        changes=st.sampled_from([0.02, 0.2, 0.8]),
    )
    def test_f112_agrees_with_the_plain_one_on_every_trade(
        self, terms, bars, seed, volatility, stop, target, varies, pays, changes
    ):
        chance = np.random.default_rng(seed)
        candles = walk(bars, seed=seed, volatility=volatility)
        at = np.maximum.accumulate(np.where(chance.random(bars) < changes, np.arange(bars), 0))
        wanted = chance.integers(SHORT, KEEP + 1, bars)[at]
        shape = bars if varies else 1
        plan = plan_of(
            wanted,
            stop=stop * chance.uniform(0.5, 1.5, shape),
            target=target * chance.uniform(0.5, 1.5, shape),
        )

        outcome = both(candles, plan, terms, funding=chance.normal(0, 0.001, bars) if pays else None)

        if terms.closes_at_end:
            assert outcome.equity[-1] == pytest.approx(
                terms.start + outcome.trades.profit.sum(), rel=1e-9, abs=1e-6
            )

    @pytest.mark.parametrize("seed", range(4))
    def test_f112_agrees_over_many_candles_where_little_happens(self, seed):
        """Those are gone through by tiles, and from one on which something may happen to the next."""
        chance = np.random.default_rng(seed)
        bars = 3 * TILE + seed
        at = np.maximum.accumulate(np.where(chance.random(bars) < 0.01, np.arange(bars), 0))
        funding = np.where(np.arange(bars) % 480 == 7, 0.001, 0.0) if seed % 2 else None
        plan = plan_of(chance.integers(SHORT, KEEP + 1, bars)[at], stop=0.02, target=0.03)

        outcome = both(
            walk(bars, seed=seed, volatility=0.005), plan, Terms(size=0.9, fee_bps=1), funding=funding
        )

        assert len(set(endings(outcome))) > 1

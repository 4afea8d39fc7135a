"""F118: technical analysis by eight voters."""

import numpy as np
import pytest

from pregao.research.analysis import compiled
from pregao.research.analysis.voters import BARS_MIN, Signal, analyze, count, decide
from pregao.research.indicators import batch
from tests.rooms.research.made import candles_of, real, walk


def cast(*votes, strengths=None):
    """Count eight votes on one candle."""
    rows = np.array([*votes, *[0] * (8 - len(votes))], dtype=np.int8)[:, None]
    told = (
        np.abs(rows) * 10.0
        if strengths is None
        else np.array([*strengths, *[0] * (8 - len(strengths))])[:, None]
    )
    decided, strength, confidence = count(rows, told)
    return int(decided[0]), float(strength[0]), float(confidence[0])


class TestCount:
    def test_f118_two_votes_decide_nothing(self):
        assert cast(1, 1) == (0, 0.0, 0.0)
        assert cast(-1, -1, 1) == (0, 0.0, 0.0)

    def test_f118_three_votes_decide_when_they_are_stronger(self):
        assert cast(1, 1, 1) == (1, 10.0, 100.0)
        assert cast(-1, -1, -1, 1) == (-1, 10.0, 75.0)

    def test_f118_three_votes_decide_nothing_against_stronger_ones(self):
        assert cast(1, 1, 1, -1, strengths=[10, 10, 10, 50])[0] == 0
        assert cast(1, 1, 1, -1, strengths=[10, 10, 10, 30])[0] == 0

    def test_the_stronger_of_two_sides_with_three_votes_decides(self):
        decided, strength, confidence = cast(1, 1, 1, -1, -1, -1, strengths=[20, 20, 50, 10, 10, 10])

        assert (decided, strength, confidence) == (1, 30.0, 50.0)


class TestAnalyze:
    def test_f118_is_neutral_on_fewer_than_two_hundred_candles(self):
        candles = walk(1_000, seed=51)
        decided = decide(candles)
        at = int(np.flatnonzero(decided.decided)[0])
        assert at >= BARS_MIN - 1

        assert analyze(candles.part(at + 1 - 199, at + 1)).signal is Signal.NEUTRAL
        assert analyze(candles.part(0, at + 1)).signal is not Signal.NEUTRAL

    def test_says_of_the_last_candle_what_all_candles_say(self):
        candles = real("perp_BTCUSDT_5m_2023").part(0, 2_000)
        decided = decide(candles)

        for side, signal in ((1, Signal.BUY), (-1, Signal.SELL), (0, Signal.NEUTRAL)):
            at = int(np.flatnonzero(decided.decided[300:] == side)[0]) + 300
            found = analyze(candles.part(0, at + 1))
            assert found.signal is signal
            assert sum(vote == side for vote in found.votes.values()) >= 3 or side == 0

    def test_puts_the_stop_two_atr_away_and_the_target_twice_as_far(self):
        candles = walk(1_000, seed=52)
        at = int(np.flatnonzero(decide(candles).decided == -1)[0]) + 1

        found = analyze(candles.part(0, at))

        close, atr = candles.close[at - 1], batch.atr(candles)[at - 1]
        assert found.stop_price == pytest.approx(close + 2 * atr)
        assert found.target_price == pytest.approx(close - 4 * atr)

    def test_lets_every_voter_vote_both_ways_on_a_real_month(self):
        voters = decide(real("perp_BTCUSDT_5m_2023")).voters

        assert len(voters) == 8
        for name, voter in voters.items():
            assert {-1, 1} <= set(voter.votes.tolist()), name
            assert ((voter.strengths >= 0) & (voter.strengths <= 100)).all(), name
            assert (voter.strengths[voter.votes == 0] == 0).all(), name


class TestVoters:
    def test_rsi_votes_at_its_extremes(self):
        candles = candles_of(np.concatenate([np.full(20, 100.0), 100 * 0.98 ** np.arange(1, 30)]))

        voter = decide(candles).voters["rsi"]

        strength = batch.rsi(candles.close)[-1]
        assert voter.votes[-1] == 1
        assert voter.strengths[-1] == pytest.approx((30 - strength) * 10 / 3)

    def test_bollinger_says_nothing_of_narrow_bands(self):
        def voted(size):
            closes = np.append(np.tile([100 - size, 100 + size], 20), 100 + 4 * size)
            return decide(candles_of(closes)).voters["bollinger"].votes[-1]

        assert voted(2.0) == -1
        assert voted(0.1) == 0

    def test_patterns_need_two_of_a_side(self):
        candles = real("perp_BTCUSDT_5m_2023")
        voter = decide(candles).voters["patterns"]

        assert (
            60 < voter.strengths[voter.votes != 0].min() < voter.strengths.max() == 80
        )  # some patterns are 80 sure
        assert 0.02 < (voter.votes != 0).mean() < 0.5

    def test_patterns_are_as_strong_as_the_three_surest_of_a_side(self):
        marks = np.random.default_rng(53).choice([-200, -100, -80, 0, 0, 0, 80, 100, 200], (7, 500))

        counts, means = compiled.surest(marks)

        for at, column in enumerate(marks.T.tolist()):
            for side, of_side in enumerate(([m for m in column if m > 0], [-m for m in column if m < 0])):
                surest = sorted((min(mark, 100) for mark in of_side), reverse=True)[:3]
                assert counts[side, at] == len(of_side)
                assert means[side, at] == (sum(surest) / len(surest) if surest else 0)

    def test_levels_break_and_hold(self):
        base = np.concatenate(
            [np.linspace(100, 110, 12), np.linspace(110, 102, 12), np.linspace(102, 109, 9)]
        )
        broken = candles_of([*base, 112.0])
        opens = np.append(base[:1], base[:-1])
        held = candles_of([*base, 107.0], opens=[*opens, 109.0], highs=[*np.maximum(opens, base), 110.0])

        assert decide(broken).voters["levels"].votes[-1] == 1
        assert decide(held).voters["levels"].votes[-1] == -1

    def test_formations_are_completed_by_the_close_that_crosses_their_line(self):
        double_bottom = np.concatenate(
            [
                np.linspace(120, 100, 12),
                np.linspace(101, 110, 10),
                np.linspace(109, 100.3, 10),
                np.linspace(101, 109.5, 9),
                [110.5, 111, 111.5],
            ]
        )
        candles = candles_of(double_bottom)

        found = compiled.formations(candles.high, candles.low, candles.close, np.full(len(candles), 1.0))

        at = int(np.flatnonzero(candles.close > 110)[-3])
        assert found[0, at - 1] == 0
        assert found[0, at] == pytest.approx(100 * (1 - 0.3 / 9.85))
        assert (found[1:, at] == 0).all()

    def test_formations_upside_down_are_those_of_prices_upside_down(self):
        candles = real("perp_BTCUSDT_5m_2023")
        atr = batch.atr(candles)

        found = compiled.formations(candles.high, candles.low, candles.close, atr)
        mirrored = compiled.formations(-candles.low, -candles.high, -candles.close, atr)

        np.testing.assert_allclose(mirrored[2:], found[:2])
        np.testing.assert_allclose(mirrored[:2], found[2:])
        assert (found.max(axis=1) > 60).all()

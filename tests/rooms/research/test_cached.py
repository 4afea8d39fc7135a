"""F110, F111: the cache of indicators."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pregao.research.analysis import voters
from pregao.research.backtests.sweep import sweep
from pregao.research.backtests.terms import Terms
from pregao.research.candles import PRICES, make_candles
from pregao.research.indicators import batch
from pregao.research.indicators.cached import (
    LAB_CACHE,
    IndicatorCache,
    cached_indicator,
    from_bytes,
    to_bytes,
)
from pregao.research.strategies.shipped import STRATEGIES
from tests.rooms.research.made import walk


class SharedMemory:
    """A store that processes share, as a dictionary; what it takes is bytes, as Redis takes them."""

    def __init__(self):
        self.kept = {}
        self.times = []

    def read(self, key):
        return self.kept.get(key)

    def write(self, key, content, *, ttl_seconds):
        assert isinstance(content, bytes)
        self.times.append(ttl_seconds)
        self.kept[key] = content

    def forget(self, pattern):
        start, _, end = pattern.partition("*")
        gone = [key for key in self.kept if key.startswith(start) and end.strip("*") in key]
        for key in gone:
            del self.kept[key]
        return len(gone)


class Watch:
    seconds = 0.0

    def __call__(self):
        return self.seconds


class Counted:
    """An indicator that counts how often it is computed."""

    def __init__(self, *, version=1, **options):
        self.watch = Watch()
        self.cache = IndicatorCache(monotonic=self.watch, **options)
        self.computed = 0

        @cached_indicator(self.cache, version=version)
        def ema(candles, period=9, *, scale=1.0):
            self.computed += 1
            return batch.ema(candles.close, period=period) * scale

        self.ema = ema


CANDLES = walk(300, seed=11)


def changed(row):
    columns = {name: getattr(CANDLES, name).copy() for name in ("opened_at_ms", *PRICES, "volume")}
    columns["volume"][row] += 1
    return make_candles(symbol="TEST", timeframe=CANDLES.timeframe, source="", columns=columns)


class TestKey:
    def test_f110_is_another_for_other_parameters(self):
        """The source system left positional arguments out of it: periods 9 and 21 were one entry."""
        one = Counted()

        results = [one.ema(CANDLES, 9), one.ema(CANDLES, 21), one.ema(CANDLES, 9, scale=2.0)]

        assert one.computed == 3
        assert not np.array_equal(results[0], results[1], equal_nan=True)

    def test_f110_is_the_same_however_the_same_is_written(self):
        one = Counted()

        for call in (
            lambda: one.ema(CANDLES),
            lambda: one.ema(CANDLES, 9),
            lambda: one.ema(CANDLES, period=np.int64(9)),
        ):
            call()

        assert one.computed == 1

    @pytest.mark.parametrize("row", [0, 20, 150, 299])
    def test_f110_is_another_when_any_row_changes(self, row):
        one = Counted()

        one.ema(CANDLES)
        one.ema(changed(row))

        assert one.computed == 2

    def test_f110_is_another_for_another_version(self):
        shared = SharedMemory()
        old, new = Counted(shared=shared), Counted(shared=shared, version=2)

        old.ema(CANDLES)
        new.ema(CANDLES)

        assert new.computed == 1


class TestCache:
    def test_f110_forgets_in_time(self):
        one = Counted(ttl_seconds=300)
        one.ema(CANDLES)

        one.watch.seconds = 299
        one.ema(CANDLES)
        one.watch.seconds = 300
        one.ema(CANDLES)

        assert one.computed == 2

    def test_f110_tells_the_shared_store_the_same_time(self):
        shared = SharedMemory()

        Counted(shared=shared, ttl_seconds=77).ema(CANDLES)

        assert shared.times == [77]

    def test_f110_drops_the_longest_unused(self):
        one = Counted(entries_max=2)
        one.ema(CANDLES, 5)
        one.ema(CANDLES, 6)
        one.ema(CANDLES, 5)
        one.ema(CANDLES, 7)

        one.ema(CANDLES, 5)

        assert one.computed == 3

    def test_f110_holds_no_more_than_so_many_bytes(self):
        size = CANDLES.close.nbytes
        one = Counted(bytes_max=2 * size)
        for period in (5, 6, 7):
            one.ema(CANDLES, period)

        one.ema(CANDLES, 7)
        one.ema(CANDLES, 6)
        one.ema(CANDLES, 5)

        assert one.computed == 4
        too_large = Counted(bytes_max=size - 1)
        too_large.ema(CANDLES)
        too_large.ema(CANDLES)
        assert too_large.computed == 2

    def test_f110_drops_by_pattern_in_both_layers(self):
        shared = SharedMemory()
        one = Counted(shared=shared)
        one.ema(CANDLES)

        dropped = one.cache.forget("ema:*TEST*")
        one.ema(CANDLES)

        assert (dropped, one.computed) == (1, 2)
        assert one.cache.forget("rsi:*") == 0

    def test_f110_computes_once_for_all_who_ask_at_once(self):
        cache = IndicatorCache(monotonic=lambda: 0.0)
        entered, release = threading.Event(), threading.Event()
        computed = []

        @cached_indicator(cache)
        def slow(candles):
            computed.append(1)
            entered.set()
            assert release.wait(10)
            return candles.close * 2

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(slow, CANDLES) for _ in range(8)]
            assert entered.wait(10)
            release.set()
            answers = [one.result(10) for one in asked]

        assert len(computed) == 1
        assert all(answer is answers[0] for answer in answers)
        assert cache.statistics.total_requests == 8

    def test_keeps_no_failure(self):
        cache = IndicatorCache(monotonic=lambda: 0.0)
        outcomes = [ZeroDivisionError("once"), None]

        @cached_indicator(cache)
        def shaky(candles):
            if (error := outcomes.pop(0)) is not None:
                raise error
            return candles.close * 1

        with pytest.raises(ZeroDivisionError):
            shaky(CANDLES)

        assert np.array_equal(shaky(CANDLES), CANDLES.close)

    def test_gives_what_nobody_can_write_into(self):
        with pytest.raises(ValueError, match="read-only"):
            Counted().ema(CANDLES)[0] = 1.0

    def test_lets_another_process_have_it(self):
        shared = SharedMemory()
        first, second = Counted(shared=shared), Counted(shared=shared)

        computed = first.ema(CANDLES)
        read = second.ema(CANDLES)

        assert second.computed == 0
        assert np.array_equal(computed, read, equal_nan=True)
        assert second.cache.statistics.cache_hits == 1

    def test_brings_dataclasses_back_as_what_they_were(self):
        shared = SharedMemory()
        given = []
        for _ in range(2):

            @cached_indicator(IndicatorCache(monotonic=lambda: 0.0, shared=shared))
            def macd(candles) -> batch.Macd:
                return batch.macd(candles.close)

            given.append(macd(CANDLES))

        assert isinstance(given[1], batch.Macd)
        assert np.array_equal(given[0].signal, given[1].signal, equal_nan=True)

    @pytest.mark.parametrize(
        "value", [1.5, "text", None, {"a": np.arange(3), "b": np.zeros((2, 2))}, np.float64(2.5)]
    )
    def test_writes_and_reads_without_pickle(self, value):
        back = from_bytes(to_bytes(value))

        if isinstance(value, dict):
            assert all(np.array_equal(back[name], value[name]) for name in value)
        else:
            assert back == value

    def test_brings_dataclasses_within_dataclasses_back(self):
        shared = SharedMemory()
        given = []
        for _ in range(2):
            cache = IndicatorCache(monotonic=lambda: 0.0, shared=shared)
            given.append(cached_indicator(cache)(voters.decide.__wrapped__)(CANDLES))

        assert given[1].voters.keys() == given[0].voters.keys()
        assert isinstance(given[1].voters["rsi"], voters.Voter)
        assert np.array_equal(given[0].voters["levels"].votes, given[1].voters["levels"].votes)
        assert np.array_equal(given[0].stop, given[1].stop)

    def test_lets_a_sweep_over_the_voters_compute_them_once(self):
        candles = walk(700, seed=12)
        strategy = STRATEGIES["technical_analysis"]
        before = LAB_CACHE.statistics

        sweep(candles, strategy, list(strategy.combinations({"confidence": [50, 60, 70, 80]})), Terms())

        after = LAB_CACHE.statistics
        assert after.cache_misses - before.cache_misses == 1
        assert after.cache_hits - before.cache_hits == 3

    def test_f111_counts_every_request_once(self):
        one = Counted(shared=SharedMemory())
        for period in (5, 6, 5, 5, 6, 7):
            one.ema(CANDLES, period)

        found = one.cache.statistics

        assert (found.total_requests, found.cache_hits, found.cache_misses, found.hit_rate) == (6, 3, 3, 50.0)
        one.ema(CANDLES, 5)
        assert one.cache.statistics.hit_rate == 57.14
        assert IndicatorCache(monotonic=lambda: 0.0).statistics.hit_rate == 0.0

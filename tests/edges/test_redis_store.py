"""The lab's cache in Redis, against a server that speaks its protocol and keeps its rules."""

import time

import numpy as np
import pytest

from pregao.edges.redis_store import ClientMissingError, RedisStore
from pregao.research.indicators import batch
from pregao.research.indicators.cached import IndicatorCache, cached_indicator
from tests.fake_redis import serving
from tests.rooms.research.made import walk

CANDLES = walk(300, seed=81)


@pytest.fixture
def redis():
    with serving() as server:
        yield server


class Watch:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def store_of(redis, watch=None):
    return RedisStore(redis.address, monotonic=watch or Watch())


class TestRedisStore:
    def test_keeps_for_a_while_what_it_is_given(self, redis):
        store = store_of(redis)

        store.write("indicator:a", b"\x00\r\nbytes", ttl_seconds=2)

        assert store.read("indicator:a") == b"\x00\r\nbytes"
        assert store.read("indicator:b") is None
        redis.now = 2.0
        assert store.read("indicator:a") is None

    def test_forgets_by_pattern(self, redis):
        store = store_of(redis)
        for name in ("ema:1", "ema:2", "rsi:1"):
            store.write(f"indicator:{name}", b"x", ttl_seconds=60)

        assert store.forget("indicator:ema:*") == 2
        assert list(redis.kept) == [b"indicator:rsi:1"]

    def test_f110_lets_two_processes_compute_once(self, redis):
        computed = []
        given = []
        for _ in range(2):

            @cached_indicator(IndicatorCache(monotonic=lambda: 0.0, shared=store_of(redis)))
            def macd(candles) -> batch.Macd:
                computed.append(1)
                return batch.macd(candles.close)

            given.append(macd(CANDLES))

        assert len(computed) == 1
        assert np.array_equal(given[0].signal, given[1].signal, equal_nan=True)

    def test_is_empty_while_redis_is_silent_and_asks_again_later(self, redis):
        watch = Watch()
        store = store_of(redis, watch)
        store.write("indicator:a", b"x", ttl_seconds=60)
        redis.silent = True

        begun = time.monotonic()
        assert store.read("indicator:a") is None
        assert time.monotonic() - begun < 2  # the server would hang up after three
        redis.silent = False
        asked = len(redis.asked)
        assert store.read("indicator:a") is None
        assert len(redis.asked) == asked

        watch.seconds = 31
        assert store.read("indicator:a") == b"x"

    def test_computes_when_redis_is_away(self):
        cache = IndicatorCache(monotonic=lambda: 0.0, shared=RedisStore("redis://127.0.0.1:9/0"))

        @cached_indicator(cache)
        def doubled(candles):
            return candles.close * 2

        assert np.array_equal(doubled(CANDLES), CANDLES.close * 2)

    def test_refuses_an_address_that_is_none(self):
        with pytest.raises(ClientMissingError, match="REDIS_CLIENT_MISSING"):
            RedisStore("http://127.0.0.1")

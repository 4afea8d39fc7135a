"""The lab's cache in Redis, against a server that speaks its protocol and keeps its rules."""

import socketserver
import threading
import time
from fnmatch import fnmatchcase

import numpy as np
import pytest

from pregao.edges.redis_store import ClientMissingError, RedisStore
from pregao.research.indicators import batch
from pregao.research.indicators.cached import IndicatorCache, cached_indicator
from tests.rooms.research.made import walk

CANDLES = walk(300, seed=81)


class Redis(socketserver.ThreadingTCPServer):
    """Keeps values until their time; knows the commands that the store needs, and says of others that it does not."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.kept = {}
        self.now = 0.0
        self.silent = False
        self.asked = []

    def answer(self, command, *words):
        self.asked.append(command)
        if command == "GET":
            value, until = self.kept.get(words[0], (None, 0.0))
            return value if until > self.now else None
        if command == "SET":
            assert words[2].upper() == b"PX"
            self.kept[words[0]] = (words[1], self.now + int(words[3]) / 1_000)
            return "OK"
        if command == "DEL":
            return sum(self.kept.pop(word, None) is not None for word in words)
        if command == "SCAN":
            pattern = words[words.index(b"MATCH") + 1].decode()
            return [b"0", [key for key in self.kept if fnmatchcase(key.decode(), pattern)]]
        return ValueError(f"unknown command {command}")


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2])
            if self.server.silent:
                time.sleep(3)
                return
            self.wfile.write(written(self.server.answer(words[0].decode().upper(), *words[1:])))


def written(value):
    if isinstance(value, ValueError):
        return f"-ERR {value}\r\n".encode()
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return f":{value}\r\n".encode()
    if isinstance(value, str):
        return f"+{value}\r\n".encode()
    if isinstance(value, list):
        return f"*{len(value)}\r\n".encode() + b"".join(map(written, value))
    return f"${len(value)}\r\n".encode() + value + b"\r\n"


@pytest.fixture
def redis():
    server = Redis()
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Watch:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def store_of(redis, watch=None):
    return RedisStore(f"redis://127.0.0.1:{redis.server_address[1]}/0?protocol=2", monotonic=watch or Watch())


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

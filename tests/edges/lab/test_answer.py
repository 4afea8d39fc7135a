"""What the lab answers about the last candles, without its process: a venue's candles as it tells them, and what its cache is asked."""

import time

import msgspec
import pytest

from pregao import tally
from pregao.domain.breaker import Breakers
from pregao.domain.lab import Topic
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.lab import topics
from pregao.edges.lab.answer import Answering
from pregao.edges.model_files.store import ModelFolder
from pregao.research.analyzer.counting import counted
from pregao.research.analyzer.ports import PastUnavailableError
from pregao.research.indicators.cached import LAB_CACHE
from tests.edges.http.api.test_ml import SYMBOL, taught, wave
from tests.edges.model_files.test_store import NOON

HOUR_MS = 3_600_000


def kline(at_ms, *, close="1.5"):
    """Give one row as Binance writes it."""
    return [at_ms, "1", "2", "0.5", close, "10.25", at_ms + HOUR_MS - 1, "15", 3, "5", "7.5", "0"]


def told(rows, *, now_ms):
    body = rows if isinstance(rows, bytes) else msgspec.json.encode(rows)
    return topics.VenueTold(body=body, now_ms=now_ms)


def read(rows, *, now_ms=10 * HOUR_MS, venue="binance"):
    return topics.venue_candles(told(rows, now_ms=now_ms), symbol="BTCUSDT", timeframe="1h", venue=venue)


class TestVenueCandles:
    def test_are_the_closed_ones_with_their_numbers(self):
        candles = read([kline(0), kline(HOUR_MS, close="1.75"), kline(2 * HOUR_MS)], now_ms=2 * HOUR_MS)

        assert candles.opened_at_ms.tolist() == [0, HOUR_MS]
        assert candles.close.tolist() == [1.5, 1.75]
        assert candles.volume.tolist() == [10.25, 10.25]
        assert (candles.source, candles.is_simulated) == ("binance", False)
        assert read([kline(0)], venue="paper").is_simulated

    def test_are_none_where_the_venue_tells_none(self):
        assert len(read([])) == 0

    @pytest.mark.parametrize("rows", [b"<html>", b'{"code": -1}', [[0, "one"]], [[0, "1"]], [kline(0), [1]]])
    def test_are_not_made_up_of_what_is_no_candle(self, rows):
        with pytest.raises(PastUnavailableError, match="CANDLES_UNAVAILABLE: venue=binance symbol=BTCUSDT"):
            read(rows)


def counts():
    name = "deriv_bot_cache_operations_total"
    return [tally.OWN.sums.get((name, ("get", result)), 0) for result in ("hit", "miss")]


class TestTheCache:
    @pytest.fixture
    def ask(self, tmp_path):
        (tmp_path / "candles").mkdir()
        write_parquet(wave(), tmp_path / "candles" / f"{SYMBOL}_1h.parquet")
        models = ModelFolder(tmp_path / "models")
        models.keep("wave", taught(), now=NOON)
        LAB_CACHE.forget()

        async def compute(function, *asked):
            return function(*asked)

        async def ask_venue(venue, symbol, timeframe):
            raise AssertionError((venue, symbol, timeframe))

        answering = Answering(
            compute,
            candle_folder=tmp_path / "candles",
            model_folder=tmp_path / "models",
            find_predictors=lambda: models,
            breaker=Breakers(monotonic=time.monotonic, clock=lambda: NOON).get("ml_predictor"),
            ask_venue=ask_venue,
            monotonic=time.monotonic,
        )

        async def asked(topic, **question):
            """Give the answer, and the hits and misses that were counted for it."""
            before = counts()
            answer = await answering.answer(topic, {"symbol": SYMBOL, "timeframe": "1h", **question})
            return answer, tuple(now - then for now, then in zip(counts(), before, strict=True))

        return asked

    async def test_keeps_what_the_voters_and_a_models_figures_cost_and_counts_each_look(self, ask):
        first, (_, computed) = await ask(Topic.SIGNALS)
        again, (hits, misses) = await ask(Topic.SIGNALS)
        said, (said_hits, said_misses) = await ask(Topic.PREDICTION)

        assert computed == 2  # the voters' word, and the model's figures
        assert (hits > 0, misses) == (True, 0)
        assert (said_hits > 0, said_misses) == (True, 0)  # of the same candles
        assert {**first, "latency_ms": 0} == {**again, "latency_ms": 0}
        assert said["model"].startswith("wave@")

    @pytest.mark.parametrize("topic", [Topic.INDICATORS, Topic.PATTERNS])
    async def test_is_not_asked_for_what_costs_less_than_a_look(self, ask, topic):
        _, looked = await ask(topic, limit=5)

        assert looked == (0, 0)


def test_a_count_is_of_what_was_computed_alone():
    LAB_CACHE.forget()
    LAB_CACHE.get("before", lambda: 1)

    found = counted(LAB_CACHE.get, "within", lambda: 2)

    assert (found.told, found.cache_hits, found.cache_misses) == (2, 0, 1)

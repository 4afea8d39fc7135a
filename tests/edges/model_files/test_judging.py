"""A deployment that wants a model is judged with it; where there is none, or it fails, technical analysis has the word."""

import pickle
import time
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial

import pytest

from pregao.bootstrap.computing import find_predictors
from pregao.domain.breaker import Breakers
from pregao.edges.model_files.store import ModelFolder
from pregao.research.analyzer.combine import Source
from pregao.research.analyzer.judge import Judging, Question, candles_of, columns_of
from pregao.research.ticks import Candle
from tests.edges.model_files.test_store import NOON, candles, trained

BARS = 1_000


async def as_if_elsewhere(function, *asked):
    """Carry it out here, with all of it having been through a pipe."""
    function, asked = pickle.loads(pickle.dumps((function, asked)))
    return function(*asked)


@pytest.fixture
def judging(tmp_path):
    breakers = Breakers(monotonic=time.monotonic, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return Judging(
        as_if_elsewhere,
        breaker=breakers.get("ml_predictor"),
        find_predictors=partial(find_predictors, tmp_path / "models"),
    )


@pytest.fixture(scope="module")
def question():
    last = candles().part(len(candles()) - BARS, len(candles()))
    names = [field.name for field in fields(Candle)]
    rows = zip(*(getattr(last, name).tolist() for name in names), strict=True)
    lived = [Candle(**dict(zip(names, row, strict=True))) for row in rows]
    read = partial(candles_of, columns_of(lived), symbol=last.symbol, timeframe=last.timeframe.name)
    return Question(symbol=last.symbol, timeframe=last.timeframe.name, read=read)


async def test_asks_the_model_of_the_symbol_and_timeframe(judging, question, tmp_path):
    folder = ModelFolder(tmp_path / "models")
    folder.keep("btc_1h", trained(), now=NOON)

    combined = (await judging.look(question, with_model=True)).combined

    expected = folder.get("btc_1h").predict(candles().part(len(candles()) - BARS, len(candles())))
    assert combined.ml_prediction == expected
    assert combined.technical_analysis is not None
    assert combined.warning == ""


@pytest.mark.parametrize("with_model", [True, False])
async def test_hears_technical_analysis_alone_where_there_is_no_model(judging, question, with_model):
    combined = (await judging.look(question, with_model=with_model)).combined

    assert combined.signal_source is Source.TECHNICAL_ANALYSIS_ONLY
    assert combined.ml_prediction is None


async def test_hears_technical_analysis_with_a_warning_where_the_model_cannot_be_trusted(
    judging, question, tmp_path
):
    kept = ModelFolder(tmp_path / "models").keep("btc_1h", trained(), now=NOON)
    (tmp_path / "models" / kept.file).write_bytes(b"something else")

    combined = (await judging.look(question, with_model=True)).combined

    assert combined.technical_analysis is not None
    assert "MODEL_CHECKSUM_DIFFERS" in combined.warning

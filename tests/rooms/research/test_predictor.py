"""What a model says becomes the opinion of a trader."""

import pytest

from pregao.domain.prediction import Direction
from pregao.research.analysis.voters import Signal
from pregao.research.models.predictor import Prediction


def prediction(**changes) -> Prediction:
    said = {
        "direction": Direction.PRICE_UP,
        "confidence": 0.7,
        "model": "btc_1h@3f9a01c2d4e5",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "bar_opened_at_ms": 1_577_836_800_000,
    }
    return Prediction(**(said | changes))


@pytest.mark.parametrize(
    ("direction", "signal"),
    [
        (Direction.PRICE_UP, Signal.BUY),
        (Direction.PRICE_DOWN, Signal.SELL),
        (Direction.NO_MOVE, Signal.NEUTRAL),
    ],
)
def test_a_direction_is_what_a_trader_would_do(direction, signal):
    assert prediction(direction=direction).signal is signal


def test_confidence_is_told_in_percent_too():
    assert prediction(confidence=0.25).confidence_pct == 25.0


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan")])
def test_a_confidence_that_is_no_probability_is_our_mistake(confidence):
    with pytest.raises(AssertionError):
        prediction(confidence=confidence)

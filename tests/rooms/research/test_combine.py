"""F117, F118: what is said in the end, of technical analysis and a model."""

import pytest

from pregao.research.analysis.voters import Analysis, Signal
from pregao.research.analyzer.combine import NOTHING, Source, combine
from pregao.research.models.predictor import Direction, Prediction

SELLS = Analysis(
    signal=Signal.SELL, strength=40.0, confidence=75.0, votes={}, stop_price=None, target_price=None
)


def said(direction, confidence):
    return Prediction(
        direction=direction,
        confidence=confidence,
        model="ltc_1m@0123456789ab",
        symbol="LTCUSDT",
        timeframe="1m",
        bar_opened_at_ms=0,
    )


class TestCombine:
    @pytest.mark.parametrize(
        ("prediction", "failure", "signal", "confidence", "source"),
        [
            (said(Direction.PRICE_UP, 0.70), None, Signal.BUY, 70.0, Source.ML_HIGH_CONFIDENCE),
            (said(Direction.NO_MOVE, 0.90), None, Signal.NEUTRAL, 90.0, Source.ML_HIGH_CONFIDENCE),
            (said(Direction.PRICE_UP, 0.69), None, Signal.SELL, 75.0, Source.TECHNICAL_ANALYSIS),
            (None, None, Signal.SELL, 75.0, Source.TECHNICAL_ANALYSIS_ONLY),
            (None, "MODEL_FAILED: it broke", Signal.SELL, 75.0, Source.TECHNICAL_ANALYSIS),
        ],
    )
    def test_f117_a_sure_model_has_the_word_else_technical_analysis(
        self, prediction, failure, signal, confidence, source
    ):
        found = combine(SELLS, prediction, model_failure=failure)

        assert (found.final_signal, found.signal_source) == (signal, source)
        assert found.final_confidence == pytest.approx(confidence)
        assert found.warning == (failure or "")

    def test_says_nothing_of_what_nobody_could_look_at(self):
        assert (NOTHING.final_signal, NOTHING.final_confidence, NOTHING.signal_source) == (
            Signal.NEUTRAL,
            0.0,
            Source.ERROR,
        )

"""Technical analysis and a model's word become one signal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pregao.domain.prediction import SURE_PCT
from pregao.research.analysis.voters import Analysis, Signal
from pregao.research.models.predictor import Prediction

_DIGITS: Final = 9  # 0.7 is 70 percent, whatever its bits say


class Source(StrEnum):
    """Who had the word."""

    ML_HIGH_CONFIDENCE = "ml_high_confidence"
    TECHNICAL_ANALYSIS = "technical_analysis"  # the model was not sure, or failed
    TECHNICAL_ANALYSIS_ONLY = "technical_analysis_only"  # there is no model
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What is said in the end. ``warning`` says why a model that should have spoken did not."""

    final_signal: Signal
    final_confidence: float  # percent
    signal_source: Source
    technical_analysis: Analysis | None
    ml_prediction: Prediction | None = None
    warning: str = ""


def combine(
    analysis: Analysis, prediction: Prediction | None, *, model_failure: str | None = None
) -> Combined:
    """
    Let a model that is at least 70 percent sure have the word, else technical analysis.

    There is no weighing, and nobody asks whether the two agree. A model that failed is no reason to say nothing.
    """
    if prediction is not None and is_sure(prediction):
        return Combined(
            final_signal=prediction.signal,
            final_confidence=prediction.confidence_pct,
            signal_source=Source.ML_HIGH_CONFIDENCE,
            technical_analysis=analysis,
            ml_prediction=prediction,
        )
    has_model = prediction is not None or model_failure is not None
    return Combined(
        final_signal=analysis.signal,
        final_confidence=analysis.confidence,
        signal_source=Source.TECHNICAL_ANALYSIS if has_model else Source.TECHNICAL_ANALYSIS_ONLY,
        technical_analysis=analysis,
        ml_prediction=prediction,
        warning=model_failure or "",
    )


def is_sure(prediction: Prediction) -> bool:
    """Say whether a model has the word."""
    return round(prediction.confidence_pct, _DIGITS) >= SURE_PCT


NOTHING: Final = Combined(
    final_signal=Signal.NEUTRAL, final_confidence=0.0, signal_source=Source.ERROR, technical_analysis=None
)
"""What is said of a symbol that could not be looked at at all."""

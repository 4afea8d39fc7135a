"""What a model says of candles, and that as the opinion of a trader."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pregao.domain.prediction import Direction
from pregao.research.analysis.voters import Signal
from pregao.research.candles import Candles

OPINIONS: Final = {
    Direction.PRICE_UP: Signal.BUY,
    Direction.PRICE_DOWN: Signal.SELL,
    Direction.NO_MOVE: Signal.NEUTRAL,
}


class ModelUnusableError(ValueError):
    """A model that is there cannot be trusted, or not be read; the text says why."""


class PredictionImpossibleError(ValueError):
    """A model cannot say anything of these candles; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """
    What a model says at the close of one candle.

    ``confidence`` is the probability of ``direction``, from 0 to 1. ``model`` is a name and the beginning of its file's
    checksum, such as ``btc_1h@3f9a01c2d4e5``: a model that was trained anew is another one.
    """

    direction: Direction
    confidence: float
    model: str
    symbol: str
    timeframe: str
    bar_opened_at_ms: int

    def __post_init__(self) -> None:
        assert 0 <= self.confidence <= 1

    @property
    def signal(self) -> Signal:
        """What a trader would do who believed it."""
        return OPINIONS[self.direction]

    @property
    def confidence_pct(self) -> float:
        """The confidence in percent, as technical analysis tells its own."""
        return self.confidence * 100


class Predictor(Protocol):
    """One trained model of one symbol and timeframe."""

    @property
    def model(self) -> str:
        """Its name and the beginning of its checksum."""
        ...

    @property
    def bars_min(self) -> int:
        """How many candles it must see to say anything."""
        ...

    def predict(self, candles: Candles) -> Prediction:
        """
        Say what comes after the last candle, which must be closed.

        :raises PredictionImpossibleError: when the candles are another symbol's or timeframe's, or too few.
        """
        ...

    def predict_each(self, candles: Candles, *, first: int) -> Iterator[tuple[int, Prediction]]:
        """
        Say it after each candle from number ``first`` on that enough candles lie before, as `predict` would have said it there.

        :raises PredictionImpossibleError: when the candles are another symbol's or timeframe's.
        """
        ...


class Predictors(Protocol):
    """Where predictors are found."""

    def find(self, *, symbol: str, timeframe: str) -> Predictor | None:
        """
        Give the predictor of a symbol and timeframe; None where there is none, and technical analysis is all there is.

        :raises ModelUnusableError: when a model is there and cannot be trusted.
        """
        ...

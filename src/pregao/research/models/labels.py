"""What a model is to foretell: which of two barriers the price comes to first, within a horizon (the triple barrier)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pregao.domain.lab import BARRIER_MAX, BARRIER_MIN, HORIZON_MAX, HORIZON_MIN
from pregao.research.candles import Candles
from pregao.research.indicators import batch
from pregao.research.models import compiled

UP: Final = 1
DOWN: Final = -1
NEITHER: Final = 0
CLASSES: Final = (DOWN, NEITHER, UP)
ATR_PERIOD: Final = 14

Kinds = NDArray[np.int8]
Places = NDArray[np.int64]


class LabelsUnusableError(ValueError):
    """Nobody can foretell such a thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of every candle: which barrier the price comes to within ``horizon`` candles, ``barrier`` ATR from its close."""

    horizon: int = 24  # candles
    barrier: float = 2.0  # average true ranges of 14 candles

    def __post_init__(self) -> None:
        """
        Refuse what cannot be.

        :raises LabelsUnusableError: when one is out of its range.
        """
        ranges = {"horizon": (HORIZON_MIN, HORIZON_MAX), "barrier": (BARRIER_MIN, BARRIER_MAX)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise LabelsUnusableError(f"LABELS_OUT_OF_RANGE: {name}={value:g} low={low:g} high={high:g}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """
    The answer for every candle, and the number of the candle whose close settles it.

    Where nothing settles it yet, that number is the number of candles: the answer says nothing.
    """

    answers: Kinds
    settled: Places

    @property
    def is_settled(self) -> NDArray[np.bool_]:
        """Whether the answer is known, candle by candle."""
        known: NDArray[np.bool_] = self.settled < len(self.settled)
        return known


def label(candles: Candles, question: Question) -> Labels:
    """Answer the question for every candle, looking at the candles after it."""
    reach = question.barrier * batch.atr(candles, period=ATR_PERIOD)
    answers, settled = compiled.first_touches(
        candles.high, candles.low, candles.close + reach, candles.close - reach, question.horizon
    )
    return Labels(answers=answers, settled=settled)

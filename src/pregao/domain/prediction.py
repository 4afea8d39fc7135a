"""What a model foretells of a symbol, and how a bot's entries depend on it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Direction(StrEnum):
    """Where the price goes first, within the model's horizon."""

    PRICE_UP = "PRICE_UP"  # to the barrier above
    PRICE_DOWN = "PRICE_DOWN"  # to the barrier below
    NO_MOVE = "NO_MOVE"  # to neither


class WhenUnknown(StrEnum):
    """What becomes of an entry of which the model says nothing fresh."""

    PASS = "pass"  # noqa: S105  with a warning in the receipt
    DENY = "deny"


SURE_PCT = 70  # from here on a model has the word before technical analysis
ERRORS_MIN = 2  # standard errors that a model's gain over the base rate must be above 0


def is_better_than_chance(gain: float, *, gain_error: float | None) -> bool:
    """Say whether a gain is more than chance would explain; one whose error nobody can tell is not."""
    return gain_error is not None and gain > ERRORS_MIN * gain_error


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFilter:
    """An entry passes when this model foretells its side, and is at least so sure."""

    model: str  # its name in the lab
    confidence_min: Decimal = Decimal("0.5")  # from 0 to 1
    when_unknown: WhenUnknown = WhenUnknown.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What a model said last of a symbol; ``bar_at`` is when its candle opened, ``model_id`` tells one training from another."""

    model: str
    model_id: str
    symbol: str
    timeframe: str
    direction: Direction
    confidence: Decimal  # from 0 to 1
    bar_at: datetime
    expires_at: datetime  # when it should have said something newer

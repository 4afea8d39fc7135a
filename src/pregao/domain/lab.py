"""What the lab can be asked: a backtest, a comparison, a sweep, a model; and how far it is. It computes in a process of its own."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

CONTENDERS_MAX = 20
COMBINATIONS_MAX = 10_000
FOLDS_MAX = 20
WAITING_MAX = 20  # of the desk
OWN_WAITING_MAX = 5  # of one person
QUESTION_SYMBOLS_MAX = 20
FUNDING_FOLDER = "funding"  # beside the candles: one file of rates for each symbol
HORIZON_MIN, HORIZON_MAX = 1, 1_000  # candles a model looks ahead
BARRIER_MIN, BARRIER_MAX = Decimal("0.1"), Decimal(50)  # average true ranges
ROUNDS_MIN, ROUNDS_MAX = 1, 5_000
TEACHING_FOLDS_MIN, TEACHING_FOLDS_MAX = 2, 50
SEED_MAX = 2**32 - 1
MODEL_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"  # it is part of a file's name
FUNDING_HOURS = 8  # between two times that one rate for all falls due


class LabKind(StrEnum):
    """What is computed."""

    RUN = "run"  # one strategy, with every trade
    COMPARE = "compare"  # several, ranked
    SWEEP = "sweep"  # one, with every combination of values
    TRAIN = "train"  # a model is taught, scored and kept


class LabStatus(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"  # to be carried out, or being carried out
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class Topic(StrEnum):
    """What can be asked and is answered at once: about candles of a symbol, or about what was traded on them."""

    INDICATORS = "indicators"
    SIGNALS = "signals"
    PATTERNS = "patterns"
    PREDICTION = "prediction"  # what a model says of the last candle
    SCOREBOARD = "scoreboard"  # what the entries that a model filtered would have come to
    DEPLOYMENT = "deployment"  # what its signals came to, beside its backtest


class LabSizing(StrEnum):
    """What ``size`` is."""

    SHARE = "share"  # of the equity, as margin
    MONEY = "money"  # an amount, as margin
    RISK = "risk"  # of the equity, lost at the stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTerms:
    """On which terms it trades; rates in hundredths of a percent of what is traded."""

    start: Decimal = Decimal(1_000)
    sizing: LabSizing = LabSizing.SHARE
    size: Decimal = Decimal("0.1")
    leverage: Decimal = Decimal(1)
    fee_bps: Decimal = Decimal(5)  # a taker's on most futures venues: without fees everything flatters
    slippage_bps: Decimal = Decimal(0)
    funding_bps: Decimal = Decimal(
        0
    )  # what longs pay shorts of the position, every eight hours; below 0 shorts pay
    quantity_step: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A strategy with the values that are not its defaults."""

    strategy: str
    values: dict[str, Decimal] = field(default_factory=dict)


class Calibration(StrEnum):
    """How a model's probabilities are set right."""

    SIGMOID = "sigmoid"
    ISOTONIC = "isotonic"  # where there are a thousand answers and more


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """Which model is to be made: its name, what it is to foretell, and how it is taught."""

    name: str
    horizon: int = 24  # candles within which a barrier must be reached
    barrier: Decimal = Decimal(2)  # average true ranges of 14 candles
    folds: int = 5  # stretches that a walk forward is scored on
    seed: int = 0
    rounds: int = 150  # trees of each kind of answer
    calibration: Calibration = Calibration.SIGMOID
    confidence_min: Decimal = Decimal("0.5")  # of what is traded when it is scored


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRequest:
    """All that decides the result: the same request on the same candles gives the same figures."""

    contenders: tuple[Contender, ...]  # one, but for a comparison; none where a model is taught
    ranges: dict[str, tuple[Decimal, ...]] = field(default_factory=dict)  # of a sweep
    folds: int = 0  # of a sweep: so often it is chosen on a stretch and traded on the next
    terms: LabTerms = LabTerms()
    has_funding: bool = False  # the rates that were recorded are paid, in place of one for ever
    since: datetime | None = None
    until: datetime | None = None
    teaching: Teaching | None = None  # of a model, and of nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRun:
    """One thing that was asked, and what came of it."""

    run_id: UUID
    kind: LabKind
    symbol: str
    timeframe: str
    request: LabRequest
    user_id: UUID | None
    asked_by: str
    asked_at: datetime
    status: LabStatus = LabStatus.WAITING
    ended_at: datetime | None = None
    code: str | None = None
    reason: str | None = None


def candles_name(symbol: str, timeframe: str) -> str:
    """Give the name that candles of a symbol are kept by."""
    return f"{symbol}_{timeframe}"

"""The strategies that come with the lab, as far as people set them: names, parameters with ranges. What computes is in `research`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

Values = Mapping[str, float]


class ParameterUnusableError(ValueError):
    """A strategy has no such parameter, or it cannot have such a value."""


class StrategyUnknownError(LookupError):
    """Nothing of this name is a strategy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that a strategy can be given; ``step`` 1 means whole numbers."""

    name: str
    default: float
    low: float
    high: float
    step: float = 1.0
    meaning: str

    @property
    def is_whole(self) -> bool:
        """Whether it counts something."""
        return self.step == 1 and float(self.low).is_integer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A strategy's name, what it does, and what can be set."""

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    is_possible: Callable[[Values], bool] = lambda values: True  # noqa: ARG005

    def filled(self, values: Values) -> dict[str, float]:
        """
        Give every parameter's value, the default where none is given.

        :raises ParameterUnusableError: when one cannot be.
        """
        known = {one.name: one for one in self.parameters}
        if unknown := values.keys() - known.keys():
            raise ParameterUnusableError(
                f"PARAMETER_UNKNOWN: strategy={self.name} parameter={min(unknown)} known={', '.join(known)}."
            )
        filled = {name: float(values.get(name, one.default)) for name, one in known.items()}
        for name, value in filled.items():
            one = known[name]
            if not one.low <= value <= one.high or (one.is_whole and not value.is_integer()):
                raise ParameterUnusableError(
                    f"PARAMETER_OUT_OF_RANGE: strategy={self.name} {name}={value:g} low={one.low:g} high={one.high:g}."
                )
        if not self.is_possible(filled):
            told = " ".join(f"{name}={value:g}" for name, value in filled.items())
            raise ParameterUnusableError(
                f"PARAMETERS_MAKE_NO_SENSE: strategy={self.name} {told}. A fast average must be shorter than a slow one."
            )
        return filled


BOTH_WAYS: Final = Parameter(
    name="shorts", default=1, low=0, high=1, meaning="1 goes short too, 0 is flat instead"
)
EXITS: Final = (
    Parameter(
        name="stop_pct",
        default=2,
        low=0,
        high=50,
        step=0.1,
        meaning="stop, percent from the entry; 0 has none",
    ),
    Parameter(
        name="target_pct",
        default=4,
        low=0,
        high=500,
        step=0.1,
        meaning="target, percent from the entry; 0 has none",
    ),
)


def _count(name: str, default: int, meaning: str, *, low: int = 2, high: int = 1_000) -> Parameter:
    return Parameter(name=name, default=default, low=low, high=high, meaning=meaning)


def _fast_is_shorter(values: Values) -> bool:
    return values["fast"] < values["slow"]


DESCRIPTIONS: Final = {
    one.name: one
    for one in (
        Description(
            name="sma_cross",
            meaning="two simple means cross",
            parameters=(
                _count("fast", 10, "bars of the fast mean"),
                _count("slow", 30, "bars of the slow mean"),
                BOTH_WAYS,
                *EXITS,
            ),
            is_possible=_fast_is_shorter,
        ),
        Description(
            name="ema_cross",
            meaning="two exponential averages cross",
            parameters=(
                _count("fast", 9, "bars of the fast average"),
                _count("slow", 21, "bars of the slow average"),
                BOTH_WAYS,
                *EXITS,
            ),
            is_possible=_fast_is_shorter,
        ),
        Description(
            name="macd",
            meaning="the MACD crosses its own average",
            parameters=(
                _count("fast", 12, "bars of the fast average"),
                _count("slow", 26, "bars of the slow average"),
                _count("signal", 9, "bars of the MACD's average"),
                BOTH_WAYS,
                *EXITS,
            ),
            is_possible=_fast_is_shorter,
        ),
        Description(
            name="rsi_reversal",
            meaning="the RSI comes back from an extreme",
            parameters=(
                _count("period", 14, "bars of the RSI"),
                Parameter(name="low", default=30, low=1, high=50, step=0.5, meaning="below is oversold"),
                Parameter(name="high", default=70, low=50, high=99, step=0.5, meaning="above is overbought"),
                BOTH_WAYS,
                *EXITS,
            ),
        ),
        Description(
            name="bollinger",
            meaning="back to the mean after the close left the bands",
            parameters=(
                _count("period", 20, "bars of the mean"),
                Parameter(
                    name="deviations", default=2, low=0.5, high=5, step=0.1, meaning="half the bands' width"
                ),
                BOTH_WAYS,
                *EXITS,
            ),
        ),
        Description(
            name="breakout",
            meaning="the close leaves the range of the bars before",
            parameters=(
                _count("period", 20, "bars of the range that opens"),
                _count("exit_period", 10, "bars of the range that closes"),
                BOTH_WAYS,
                *EXITS,
            ),
        ),
        Description(
            name="technical_analysis",
            meaning="eight voters decide; stop two ATR away, target twice as far",
            parameters=(
                Parameter(
                    name="confidence",
                    default=60,
                    low=0,
                    high=100,
                    meaning="votes of a side, percent of all cast",
                ),
                BOTH_WAYS,
            ),
        ),
    )
}


def get_description(name: str) -> Description:
    """
    Give a strategy's description by its name.

    :raises StrategyUnknownError: when there is none.
    """
    if name not in DESCRIPTIONS:
        raise StrategyUnknownError(f"STRATEGY_UNKNOWN: strategy={name} known={', '.join(DESCRIPTIONS)}.")
    return DESCRIPTIONS[name]

"""A deployment: a strategy with its values that watches one symbol's candles and feeds one bot."""

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pregao.domain.account import Venue

TIMEFRAME = re.compile(r"([1-9]\d{0,3})([smhd])")
UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class DeploymentStatus(StrEnum):
    """Whether a deployment works."""

    ACTIVE = "active"
    PAUSED = "paused"  # watches, and sends nothing but closes
    REMOVED = "removed"  # for good


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterValue:
    """One parameter of the strategy: a figure about candles, no amount of money."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is watched, by which strategy, and which bot its signals go to."""

    deployment_id: UUID
    bot_id: UUID
    strategy: str
    parameters: tuple[ParameterValue, ...]  # every one the strategy has
    venue: Venue  # whose candles
    symbol: str
    timeframe: str  # such as 15m
    status: DeploymentStatus = DeploymentStatus.ACTIVE
    with_history: bool = True  # begins with the venue's past candles, else with the first it sees itself
    with_model: bool = False  # a model that is sure has the word before technical analysis
    changed_by: str = ""

    @property
    def values(self) -> dict[str, float]:
        """The parameters by their names."""
        return {one.name: one.value for one in self.parameters}

    @property
    def label(self) -> str:
        """Say it in one line."""
        told = " ".join(f"{one.name}={one.value:g}" for one in self.parameters)
        return f"{self.strategy} {told} on {self.symbol} {self.timeframe}"


def find_timeframe_ms(text: str) -> int | None:
    """Give how long a candle of this name lasts, None where it is no name, or longer than a day."""
    found = TIMEFRAME.fullmatch(text)
    if found is None:
        return None
    ms = int(found[1]) * UNIT_MS[found[2]]
    return ms if ms <= UNIT_MS["d"] else None

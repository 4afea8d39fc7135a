"""What is counted and measured: for Prometheus, and system A's counters with what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pregao.domain.clock import Clock
from pregao.domain.money import ZERO

CENT = Decimal("0.01")
COUNTERS = (
    "signals_received", "signals_approved", "signals_rejected", "signals_forwarded_success", "signals_forwarded_error",
)  # fmt: skip
"""System A's counters, which somebody may reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One sample; of a histogram one of its rows `_bucket`, `_sum` and `_count`."""

    name: str
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """One of system A's metrics."""

    metric_name: str
    metric_value: int
    last_updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What follows from the counters; percents and rates with two decimals, 0 where there is nothing to divide by."""

    approval_rate: Decimal
    forward_success_rate: Decimal
    error_rate: Decimal
    signals_per_minute: Decimal


def derived(counted: Mapping[str, int], *, uptime_seconds: float) -> Derived:
    """Give what follows from system A's counters."""
    success, failed = counted["signals_forwarded_success"], counted["signals_forwarded_error"]
    return Derived(
        approval_rate=_ratio(100 * counted["signals_approved"], counted["signals_received"]),
        forward_success_rate=_ratio(100 * success, success + failed),
        error_rate=_ratio(100 * failed, success + failed),
        signals_per_minute=_ratio(60 * counted["signals_received"], Decimal(uptime_seconds)),
    )


def _ratio(part: int, whole: int | Decimal) -> Decimal:
    return (Decimal(part) / whole).quantize(CENT) if whole else ZERO.quantize(CENT)


class CounterBooks(Protocol):
    """Where system A's counters are reset."""

    async def reset(self, *, set_by: str, clock: Clock) -> None:
        """Have every counter begin at zero now."""
        ...


class Figures(Protocol):
    """Where they are fetched."""

    async def readings(self) -> Sequence[Reading]:
        """Give every sample that is counted or told by processes, and those of the state that nobody else shows."""
        ...

    async def metrics(self) -> Sequence[MetricLine]:
        """Give system A's metrics."""
        ...

    async def uptime_seconds(self) -> float:
        """Say for how long the oldest living worker works; 0 where none lives."""
        ...

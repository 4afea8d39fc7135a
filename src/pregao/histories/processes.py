"""One life of a process in a history, and the bell it rings and hears."""

import contextvars
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pregao.domain.protection import ProtectionReport
from pregao.domain.venue import OrderReport, StreamGap, TradeReport
from pregao.simulation.prices import SimulatedPrices
from pregao.trading.monitor import Monitor
from pregao.trading.trader import Trader

Report: TypeAlias = OrderReport | TradeReport | ProtectionReport | StreamGap
Listeners: TypeAlias = list[tuple[str, Callable[[str], None]]]


class Bell:
    """The doorbell of one process."""

    def __init__(self, ring: Callable[[str, str], None]) -> None:
        """Let ``ring`` ring the others'."""
        self._ring = ring
        self.listeners: Listeners = []

    def ring(self, bell: str, *words: str) -> None:
        self._ring(bell, " ".join(words))

    def listen(self, bell: str, listener: Any) -> None:
        self.listeners.append((bell, listener))


@dataclass(slots=True, kw_only=True)
class Process:
    """One life of a process, under one lease."""

    name: str
    context: contextvars.Context
    lease_until: float
    listeners: Listeners
    is_alive: bool = True


@dataclass(slots=True, kw_only=True)
class TraderProcess(Process):
    """A trader, with what the accounts' streams have told it and it has not taken."""

    trader: Trader
    heard: deque[Report] = field(default_factory=deque)
    is_following: bool = False  # the accounts' streams


@dataclass(slots=True, kw_only=True)
class MonitorProcess(Process):
    """A monitor, with the feed it hears."""

    monitor: Monitor
    prices: SimulatedPrices

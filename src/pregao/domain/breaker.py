"""
The circuit breaker: after so many failures in a row nobody is asked for a while, then a few calls try.

Pure: time is given. One machine for a service (a venue's address) and for a symbol there; safe between threads and
tasks.
"""

import inspect
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeAlias, TypeVar, cast

from pregao.domain.clock import Clock

P = ParamSpec("P")
R = TypeVar("R")

Monotonic: TypeAlias = Callable[[], float]
"""Gives seconds that never go back."""

AGAIN_SECONDS = 1.0  # while every probe's place is taken: soon one of them has its answer


class BreakerState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"  # all pass
    OPEN = "open"  # none pass but exits
    HALF_OPEN = "half_open"  # a few at once pass, to see


class BreakerScope(StrEnum):
    """What a breaker watches."""

    SERVICE = "service"  # an address that answers many kinds of calls
    SYMBOL = "symbol"  # orders on one symbol at one venue


class Outcome(StrEnum):
    """What an exception says of the other side."""

    FAILURE = "failure"  # it is the other side's fault
    SUCCESS = "success"  # the other side works: it said no
    NOTHING = "nothing"  # the other side was not asked


Judge: TypeAlias = Callable[[Exception], Outcome]


class CircuitBreakerOpenError(Exception):
    """The breaker lets no call through; nothing was asked."""

    def __init__(self, name: str, *, scope: BreakerScope, retry_after_seconds: float) -> None:
        """Say whose breaker it is and when a call may try."""
        super().__init__(
            f"BREAKER_OPEN: name={name} scope={scope} retry_after_seconds={retry_after_seconds:.1f}. Nothing was asked."
        )
        self.name = name
        self.scope = scope
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """When a breaker opens, how long it stays open, and what closes it again."""

    failure_threshold: int = 5  # failures in a row
    success_threshold: int = 2  # of probes
    timeout_seconds: float = 60.0  # since the last failure; a probe that takes longer gives its place up
    half_open_max_calls: int = 3  # probes at the same time

    def __post_init__(self) -> None:
        """
        Refuse what could never open, or never close.

        :raises ValueError: naming the field.
        """
        for name in ("failure_threshold", "success_threshold", "half_open_max_calls"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"BREAKER_CONFIG_UNUSABLE: {name}={value!r} minimum=1. Give a whole number.")
        seconds = self.timeout_seconds
        if type(seconds) not in (int, float) or not 0 < seconds < math.inf:
            raise ValueError(f"BREAKER_CONFIG_UNUSABLE: timeout_seconds={seconds!r}. Give seconds above 0.")


VENUE = BreakerConfig(
    failure_threshold=5, success_threshold=2, timeout_seconds=5, half_open_max_calls=2
)  # two calls every five seconds hurt no venue, and an entry lives for 60
SYMBOL = BreakerConfig(failure_threshold=3, success_threshold=1, timeout_seconds=300, half_open_max_calls=1)

CONFIGS: Mapping[str, BreakerConfig] = {
    "deriv_api": BreakerConfig(
        failure_threshold=3, success_threshold=2, timeout_seconds=30, half_open_max_calls=2
    ),
    "ml_predictor": BreakerConfig(
        failure_threshold=5, success_threshold=3, timeout_seconds=60, half_open_max_calls=3
    ),
    "trading_engine": BreakerConfig(
        failure_threshold=2, success_threshold=2, timeout_seconds=120, half_open_max_calls=1
    ),
}
"""What services are known by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """How a breaker stands."""

    name: str
    scope: BreakerScope
    state: BreakerState
    failure_count: int  # in a row
    success_count: int  # of probes, while half open
    half_open_calls: int  # probes under way
    last_failure_time: datetime | None  # our clock
    last_failure_seconds: float | None  # how long ago
    retry_after_seconds: float  # 0: calls may try


class Ticket:
    """
    What a call holds while it is under way.

    Calls that begin in the same round share one: of those that fail together only the first counts, because the
    others knew no more. A probe has its own.
    """

    __slots__ = ()


def count_all(_problem: Exception) -> Outcome:
    """Take every exception for the other side's fault, unexpected ones too."""
    return Outcome.FAILURE


class Breaker:
    """
    One breaker. Use it as a decorator, with ``guard``, or by ``begin`` and one of ``succeed``, ``fail``, ``release``.

    ``state``, ``failure_count`` and ``ticket`` are for reading.
    """

    __slots__ = (
        "_clock", "_judge", "_last_failure", "_last_failure_time", "_lock", "_monotonic", "_probes", "_retry_at",
        "_success_count", "_told", "config", "failure_count", "name", "scope", "state", "ticket",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        config: BreakerConfig,
        *,
        scope: BreakerScope = BreakerScope.SERVICE,
        monotonic: Monotonic,
        clock: Clock,
        judge: Judge = count_all,
        told: "Listener | None" = None,
    ) -> None:
        """Begin closed; ``told`` hears of every change of state by a call here: the state before and after it."""
        self.name = name
        self.scope = scope
        self.config = config
        self.state = BreakerState.CLOSED
        self.failure_count = 0
        self.ticket = Ticket()
        self._success_count = 0
        self._probes: dict[Ticket, float] = {}  # when each began
        self._retry_at = 0.0
        self._last_failure: float | None = None
        self._last_failure_time: datetime | None = None
        self._monotonic = monotonic
        self._clock = clock
        self._judge = judge
        self._told = told
        self._lock = threading.Lock()

    # --- calls ---

    def begin(self, *, is_exit: bool = False) -> Ticket:
        """
        Let a call begin; an exit always may, and serves as a probe.

        :raises CircuitBreakerOpenError: with the time to the next try.
        """
        if self.state is BreakerState.CLOSED:
            return self.ticket
        with self._lock:
            before = self.state
            ticket = self._begin_probe(is_exit=is_exit)
            after = self.state
        self._tell(before, after)
        if ticket is None:
            raise CircuitBreakerOpenError(
                self.name, scope=self.scope, retry_after_seconds=self.retry_after() or AGAIN_SECONDS
            )
        return ticket

    def succeed(self, ticket: Ticket) -> None:
        """End a call that the other side answered."""
        if self.state is BreakerState.CLOSED and not self.failure_count:
            return
        with self._lock:
            before = self.state
            is_probe = self._probes.pop(ticket, None) is not None
            if self.state is BreakerState.CLOSED:
                self.failure_count = 0
            elif is_probe:
                if self.state is BreakerState.OPEN:  # an exit passed, and the other side answered
                    self._half_open()
                self._success_count += 1
                if self._success_count >= self.config.success_threshold:
                    self._close()
            after = self.state
        self._tell(before, after)

    def fail(self, ticket: Ticket) -> None:
        """End a call that failed by the other side's fault."""
        with self._lock:
            before = self.state
            is_probe = self._probes.pop(ticket, None) is not None
            if self.state is BreakerState.CLOSED and ticket is self.ticket:
                self._count_failure()
                if self.failure_count >= self.config.failure_threshold:
                    self._open(self.config.timeout_seconds)
            elif is_probe:
                self._count_failure()
                self._open(self.config.timeout_seconds)
            after = self.state
        self._tell(before, after)

    def release(self, ticket: Ticket) -> None:
        """End a call that says nothing: it was canceled, or never left."""
        if self.state is not BreakerState.CLOSED:
            with self._lock:
                self._probes.pop(ticket, None)

    def settle(self, ticket: Ticket, problem: BaseException | None) -> None:
        """End a call by what it raised: nothing, an exception, or its cancellation."""
        if problem is None:
            self.succeed(ticket)
        else:
            self.end(ticket, self._judge(problem) if isinstance(problem, Exception) else Outcome.NOTHING)

    def end(self, ticket: Ticket, outcome: Outcome) -> None:
        """End a call by what it says of the other side."""
        if outcome is Outcome.FAILURE:
            self.fail(ticket)
        elif outcome is Outcome.SUCCESS:
            self.succeed(ticket)
        else:
            self.release(ticket)

    def guard(self, *, is_exit: bool = False) -> "Guard":
        """Give a context, plain or asynchronous, around one call."""
        return Guard(self, is_exit=is_exit)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Guard every call of a function, plain or asynchronous."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                async with self.guard():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", guarded_async)

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.guard():
                return function(*args, **kwargs)

        return guarded

    # --- looking, and what other processes found ---

    def retry_after(self) -> float:
        """Give how long no call but an exit passes; 0 when it may try."""
        return max(0.0, self._retry_at - self._monotonic()) if self.state is BreakerState.OPEN else 0.0

    def status(self) -> BreakerStatus:
        """Give a picture."""
        with self._lock:
            ago = None if self._last_failure is None else self._monotonic() - self._last_failure
            return BreakerStatus(
                name=self.name,
                scope=self.scope,
                state=self.state,
                failure_count=self.failure_count,
                success_count=self._success_count,
                half_open_calls=len(self._probes),
                last_failure_time=self._last_failure_time,
                last_failure_seconds=ago,
                retry_after_seconds=self.retry_after(),
            )

    def adopt_open(self, retry_after_seconds: float) -> None:
        """Open because another process found the other side dead; ``told`` is not told again."""
        with self._lock:
            self._open(retry_after_seconds)

    def adopt_closed(self) -> None:
        """Close because another process was answered; ``told`` is not told again."""
        with self._lock:
            self._close()

    # --- the machine, under the lock ---

    def _begin_probe(self, *, is_exit: bool) -> Ticket | None:
        now = self._monotonic()
        if self.state is BreakerState.CLOSED:
            return self.ticket
        if self.state is BreakerState.OPEN and now >= self._retry_at:
            self._half_open()
        if self.state is BreakerState.HALF_OPEN:
            oldest = now - self.config.timeout_seconds
            self._probes = {probe: began for probe, began in self._probes.items() if began > oldest}
        is_free = len(self._probes) < self.config.half_open_max_calls
        if not is_exit and (self.state is BreakerState.OPEN or not is_free):
            return None
        probe = Ticket()
        self._probes[probe] = now
        return probe

    def _count_failure(self) -> None:
        self.failure_count += 1
        self.ticket = Ticket()
        self._last_failure = self._monotonic()
        self._last_failure_time = self._clock()

    def _open(self, seconds: float) -> None:
        self.state = BreakerState.OPEN
        self.ticket = Ticket()
        self._success_count = 0
        self._retry_at = self._monotonic() + seconds

    def _half_open(self) -> None:
        self.state = BreakerState.HALF_OPEN
        self._success_count = 0

    def _close(self) -> None:
        self.state = BreakerState.CLOSED
        self.ticket = Ticket()
        self.failure_count = self._success_count = 0
        self._probes.clear()

    def _tell(self, before: BreakerState, after: BreakerState) -> None:
        if self._told is not None and after is not before:
            self._told(self, before, after)


Listener: TypeAlias = Callable[[Breaker, BreakerState, BreakerState], None]


class Guard(AbstractContextManager["Guard"], AbstractAsyncContextManager["Guard"]):
    """One call under a breaker."""

    __slots__ = ("_breaker", "_is_exit", "_ticket")

    def __init__(self, breaker: Breaker, *, is_exit: bool) -> None:
        """Begin when entered."""
        self._breaker = breaker
        self._is_exit = is_exit
        self._ticket: Ticket | None = None

    def __enter__(self) -> Self:
        """
        Begin the call.

        :raises CircuitBreakerOpenError: with the time to the next try.
        """
        self._ticket = self._breaker.begin(is_exit=self._is_exit)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, problem: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the call by what it raised."""
        assert self._ticket is not None, "a guard is entered before it is left"
        self._breaker.settle(self._ticket, problem)

    async def __aenter__(self) -> Self:
        """
        Begin the call.

        :raises CircuitBreakerOpenError: with the time to the next try.
        """
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call by what it raised."""
        self.__exit__(kind, problem, trace)


class Breakers:
    """Every breaker of a process, by scope and name."""

    def __init__(self, *, monotonic: Monotonic, clock: Clock) -> None:
        """Know none yet."""
        self._monotonic = monotonic
        self._clock = clock
        self._breakers: dict[tuple[BreakerScope, str], Breaker] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def listen(self, listener: "Listener") -> None:
        """Call ``listener`` with every breaker that a call here has changed, and its state before and after."""
        self._listeners.append(listener)

    def get(
        self,
        name: str,
        config: BreakerConfig | None = None,
        *,
        scope: BreakerScope = BreakerScope.SERVICE,
    ) -> Breaker:
        """
        Give the breaker of this name, made at the first asking.

        Without a configuration it has that of its name, or of a symbol.

        :raises ValueError: when it is known with another configuration, or by no configuration at all.
        """
        with self._lock:
            known = self._breakers.get((scope, name))
            wanted = config or (known.config if known else self._config_of(name, scope))
            if known is None:
                known = self._breakers[scope, name] = Breaker(
                    name,
                    wanted,
                    scope=scope,
                    monotonic=self._monotonic,
                    clock=self._clock,
                    told=self._tell,
                )
            elif known.config != wanted:
                raise ValueError(
                    f"BREAKER_CONFIGURED_OTHERWISE: name={name} scope={scope} config={known.config} wanted={wanted}. "
                    "One name has one configuration."
                )
            return known

    def find(self, name: str, *, scope: BreakerScope) -> Breaker | None:
        """Give the breaker of this name; a symbol's is made when nobody has asked for it yet."""
        if scope is BreakerScope.SYMBOL:
            return self.get(name, scope=scope)
        with self._lock:
            return self._breakers.get((scope, name))

    def all(self) -> list[Breaker]:
        """Give every breaker."""
        with self._lock:
            return list(self._breakers.values())

    def outages(self) -> dict[tuple[BreakerScope, str], float]:
        """Give the breakers that let no entry through now, and for how many seconds."""
        open_now = [breaker for breaker in self.all() if breaker.state is BreakerState.OPEN]
        return {
            (breaker.scope, breaker.name): seconds
            for breaker in open_now
            if (seconds := breaker.retry_after()) > 0
        }

    @staticmethod
    def _config_of(name: str, scope: BreakerScope) -> BreakerConfig:
        if scope is BreakerScope.SYMBOL:
            return SYMBOL
        if name not in CONFIGS:
            raise ValueError(
                f"BREAKER_UNKNOWN: name={name} known={', '.join(CONFIGS)}. Give a configuration."
            )
        return CONFIGS[name]

    def _tell(self, breaker: Breaker, before: BreakerState, after: BreakerState) -> None:
        for listener in self._listeners:
            listener(breaker, before, after)


def symbol_breaker_name(venue: str, symbol: str) -> str:
    """Give the name of a symbol's breaker at a venue."""
    return f"{venue}:{symbol}"

"""
What was computed of candles once need not be computed again: memory first, then a store that processes share, if there is one.

A key is the function with its version, its bound arguments with defaults filled in, and the candles by symbol, timeframe, last
time, number and a hash of every number in them. So another parameter, another version or any changed row is another key.
"""

import fnmatch
import functools
import inspect
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from threading import Lock
from typing import Any, Final, Protocol, TypeVar, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from pregao.research.candles import Candles

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]
ENTRIES_MAX: Final = 128  # of memory, all functions together; the longest unused goes first
BYTES_MAX: Final = 256 * 2**20  # of memory, likewise: half a million candles under eight voters are 40 MB
TTL_SECONDS: Final = 300.0  # in both layers
PREFIX: Final = "indicator:"


class SharedStore(Protocol):
    """Where results lie that other processes may use, such as Redis. It may forget, and it may be away: then it gives None."""

    def read(self, key: str) -> bytes | None:
        """Give what was written under a key, if it is still there."""

    def write(self, key: str, content: bytes, *, ttl_seconds: float) -> None:
        """Keep something for a while."""

    def forget(self, pattern: str) -> int:
        """Drop the keys that match, ``*`` standing for anything, and say how many there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatistics:
    """What the cache was asked, each request counted once."""

    total_requests: int
    cache_hits: int
    cache_misses: int

    @property
    def hit_rate(self) -> float:
        """Hits per hundred requests, two decimals; 0 before the first."""
        return round(100 * self.cache_hits / self.total_requests, 2) if self.total_requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    until: float
    value: Any
    size: int


class IndicatorCache:
    """Keeps results for a while; when several ask for what is not there, one computes and all get it."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        shared: SharedStore | None = None,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
        ttl_seconds: float = TTL_SECONDS,
    ) -> None:
        """Start empty. ``monotonic`` gives seconds that never go back."""
        self._monotonic = monotonic
        self._shared = shared
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._ttl_seconds = ttl_seconds
        self._lock = Lock()
        self._kept: OrderedDict[str, _Entry] = OrderedDict()
        self._computing: dict[str, Future[Any]] = {}
        self._hits = self._misses = 0

    def share(self, shared: SharedStore | None) -> None:
        """Use a store that processes share from now on, or none."""
        self._shared = shared

    def get(self, key: str, compute: Callable[[], Any], *, result: Any = None) -> Any:
        """Give what is kept under a key, else compute and keep it; what comes out cannot be written into."""
        with self._lock:
            found = self._fresh(key)
            if found is not None:
                self._hits += 1
                return found.value
            running = self._computing.get(key)
            if running is None:
                mine = self._computing[key] = Future()
            else:
                self._hits += 1  # computed once, for all who ask meanwhile
        if running is not None:
            return running.result()
        return self._found_or_computed(key, compute, mine, result)

    def forget(self, pattern: str = "*") -> int:
        """Drop what is kept under keys that match, such as ``ema:*BTCUSDT*``, in both layers; say how many memory held."""
        with self._lock:
            dropped = [key for key in self._kept if fnmatch.fnmatchcase(key, f"{PREFIX}{pattern}")]
            for key in dropped:
                self._drop(key)
        if self._shared is not None:
            self._shared.forget(f"{PREFIX}{pattern}")
        return len(dropped)

    @property
    def statistics(self) -> CacheStatistics:
        """What was asked so far."""
        with self._lock:
            return CacheStatistics(
                total_requests=self._hits + self._misses, cache_hits=self._hits, cache_misses=self._misses
            )

    def _fresh(self, key: str) -> "_Entry | None":
        found = self._kept.get(key)
        if found is None:
            return None
        if found.until <= self._monotonic():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found

    def _drop(self, key: str) -> None:
        self._bytes -= self._kept.pop(key).size

    def _found_or_computed(self, key: str, compute: Callable[[], Any], mine: Future[Any], result: Any) -> Any:
        try:
            content = self._shared.read(key) if self._shared is not None else None
            value = _frozen(compute()) if content is None else from_bytes(content, result=result)
            if content is None and self._shared is not None:
                self._shared.write(key, to_bytes(value), ttl_seconds=self._ttl_seconds)
        except BaseException as error:
            with self._lock:
                self._misses += 1
                del self._computing[key]
            mine.set_exception(error)
            raise
        with self._lock:
            if content is None:
                self._misses += 1
            else:
                self._hits += 1
            size = sum(array.nbytes for array in _arrays_of(value))
            self._kept[key] = _Entry(until=self._monotonic() + self._ttl_seconds, value=value, size=size)
            self._bytes += size
            while len(self._kept) > self._entries_max or self._bytes > self._bytes_max:
                self._drop(next(iter(self._kept)))
            del self._computing[key]
        mine.set_result(value)
        return value


LAB_CACHE: Final = IndicatorCache(monotonic=time.monotonic)
"""What this process keeps. A plain indicator is no use in it: TA-Lib computes it in the time that a look takes."""


def cached_indicator(cache: IndicatorCache, *, version: int = 1) -> Callable[[F], F]:
    """
    Keep what a function of candles gives.

    Its first argument is the candles. It gives an array, a dataclass or a dictionary of arrays, or a plain value. Raise
    ``version`` when it computes something else than before.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        result = inspect.get_annotations(function, eval_str=True).get("return")

        @functools.wraps(function)
        def kept(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            key = key_of(function.__name__, version=version, arguments=bound.arguments)
            return cache.get(key, lambda: function(*args, **kwargs), result=result)

        return kept  # type: ignore[return-value]

    return decorate


def key_of(name: str, *, version: int, arguments: Mapping[str, Any]) -> str:
    """Give the key of a call."""
    candles, *others = arguments.values()
    assert isinstance(candles, Candles), "the first argument of a cached indicator is its candles"
    last = int(candles.opened_at_ms[-1]) if len(candles) else 0
    names = list(arguments)[1:]
    told = ",".join(f"{one}={value!r}" for one, value in zip(names, map(_plain, others), strict=True))
    return f"{PREFIX}{name}:{version}:{candles.symbol}:{candles.timeframe.name}:{last}:{len(candles)}:{candles.digest}:{told}"


def to_bytes(value: Any) -> bytes:
    """Write a result without pickle: a line of JSON that describes it, then the arrays' bytes."""
    arrays: list[Array] = []

    def described(one: Any) -> Any:
        if isinstance(one, np.ndarray):
            arrays.append(np.ascontiguousarray(one))
            return {"array": one.dtype.str, "shape": one.shape}
        if is_dataclass(one):
            return {"dict": {field.name: described(getattr(one, field.name)) for field in fields(one)}}
        if isinstance(one, Mapping):
            return {"dict": {name: described(inner) for name, inner in one.items()}}
        return {"plain": _plain(one)}

    head = json.dumps(described(value)).encode()
    return head + b"\n" + b"".join(array.tobytes() for array in arrays)


def from_bytes(content: bytes, *, result: Any = None) -> Any:
    """Read what `to_bytes` wrote; ``result`` is the dataclass that it was, if it was one."""
    head, _, body = content.partition(b"\n")
    at = 0

    def read(told: Any) -> Any:
        nonlocal at
        if "array" in told:
            dtype = np.dtype(told["array"])
            count = int(np.prod(told["shape"]))
            array = np.frombuffer(body, dtype=dtype, count=count, offset=at).reshape(told["shape"])
            at += count * dtype.itemsize
            return array
        if "dict" in told:
            return {name: read(inner) for name, inner in told["dict"].items()}
        return told["plain"]

    return _restored(read(json.loads(head)), result)


def _arrays_of(value: Any) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays_of(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _arrays_of(inner)


def _frozen(value: Any) -> Any:
    for array in _arrays_of(value):
        array.setflags(write=False)
    return value


def _restored(value: Any, kind: Any) -> Any:
    """Make dictionaries the dataclasses that they were, as far as the annotations tell."""
    if isinstance(kind, type) and is_dataclass(kind):
        kinds = get_type_hints(kind)
        return kind(**{name: _restored(inner, kinds[name]) for name, inner in value.items()})
    if isinstance(value, dict) and len(inner_kinds := get_args(kind)) == 2:
        return {name: _restored(inner, inner_kinds[1]) for name, inner in value.items()}
    return value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

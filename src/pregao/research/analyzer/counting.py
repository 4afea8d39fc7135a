"""Counts what the lab's cache is asked for by what computes in other processes: they have no figures of their own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pregao import tally
from pregao.research.indicators.cached import LAB_CACHE

Compute: TypeAlias = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in another process, and gives what it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a function gave, and what the cache of its process was asked for it."""

    told: Any
    cache_hits: int
    cache_misses: int


def counted(function: Callable[..., Any], *asked: Any) -> Counted:
    """Carry it out where it is computed, and count."""
    before = LAB_CACHE.statistics
    told = function(*asked)
    after = LAB_CACHE.statistics
    return Counted(
        told=told,
        cache_hits=after.cache_hits - before.cache_hits,
        cache_misses=after.cache_misses - before.cache_misses,
    )


def counting(compute: Compute) -> Compute:
    """Give the same with what was counted told here."""

    async def compute_and_tell(function: Callable[..., Any], *asked: Any) -> Any:
        found: Counted = await compute(counted, function, *asked)
        for result, more in (("hit", found.cache_hits), ("miss", found.cache_misses)):
            if more:
                tally.count("deriv_bot_cache_operations_total", "get", result, by=more)
        return found.told

    return compute_and_tell

"""Several symbols looked at together: so many at a time, each by itself; what fails of one is its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Monotonic: TypeAlias = Callable[[], float]

AT_ONCE_MAX: Final = 10  # symbols: ten answers of a source that takes a tenth of a second come in a tenth


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Generic[T]):
    """What came of one symbol: what is said of it, or the problem; and how long it took once its turn had come."""

    said: T | None
    problem: Exception | None
    latency_ms: float


async def look_at_each(
    symbols: Iterable[str],
    look: Callable[[str], Awaitable[T]],
    *,
    monotonic: Monotonic,
    at_once_max: int = AT_ONCE_MAX,
) -> dict[str, Seen[T]]:
    """Look at each symbol once, so many at a time; nothing is said of none."""
    places = asyncio.Semaphore(at_once_max)

    async def seen(symbol: str) -> Seen[T]:
        async with places:
            began = monotonic()
            try:
                said, problem = await look(symbol), None
            except Exception as failed:  # whatever it is, the others are looked at
                said, problem = None, failed
            return Seen(said=said, problem=problem, latency_ms=(monotonic() - began) * 1_000)

    named = list(dict.fromkeys(symbols))
    return dict(zip(named, await asyncio.gather(*map(seen, named)), strict=True))

"""The exchange's clock: ours plus a measured offset."""

from collections.abc import Awaitable, Callable
from statistics import median

from pregao.domain.clock import Clock, to_ms

SAMPLES = 5  # the median of five shrugs off two bad answers


class VenueClock:
    """Gives the venue's milliseconds; measured anew when the venue says ours is off."""

    def __init__(self, clock: Clock) -> None:
        """Start with no offset."""
        self._clock = clock
        self.offset_ms = 0
        self.is_measured = False
        self.measured_ms = 0  # our clock
        self.drift_ms: int | None = None  # since the measurement before; None where there was none

    def now_ms(self) -> int:
        """Give the venue's present, in milliseconds since 1970."""
        return to_ms(self._clock()) + self.offset_ms

    async def measure(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Take the offset from a few answers to ``ask`` (server time in ms), each placed mid-way of its journey."""
        offsets = []
        for _ in range(SAMPLES):
            before = to_ms(self._clock())
            server = await ask()
            after = to_ms(self._clock())
            offsets.append(server - (before + after) // 2)
        before_ms, self.offset_ms = self.offset_ms, int(median(offsets))
        self.drift_ms = self.offset_ms - before_ms if self.is_measured else None
        self.measured_ms = to_ms(self._clock())
        self.is_measured = True

"""How much of the exchange's patience is used: weight per address, orders per account, and enforced pauses."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field

import structlog

from pregao.domain.venue import RetryLater
from pregao.domain.weight import SHARES, Drawn, Importance, WeightBudget
from pregao.edges.exchanges.wire import Answer

WEIGHT_PER_MINUTE = 2400  # per address, until exchangeInfo says otherwise
MINUTE_MS = 60_000
SLICE = 40  # of the weight, drawn at once: eight of the dearer questions
DEBT_SHARE = 0.01  # of a minute's weight: so much goes ahead of its slice; a burst of more waits for one
DRAW_SECONDS_MAX = 0.5  # so long a question waits for a slice; without one the venue's own count decides

COUNTER = re.compile(rb"x-mbx-(used-weight|order-count)-(\d+[smhd])", re.IGNORECASE)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A picture of the counters, as the exchange last told them."""

    weight_used: int
    weight_max: int
    orders: dict[int, dict[str, int]]  # account id → interval (10s, 1m) → orders counted
    paused_seconds: float  # all requests of this address, after a 429 or 418


@dataclass(slots=True)
class Limits:
    """The counters, fed by every answer's headers, and the slices of the weight that all processes share."""

    weight_max: int = WEIGHT_PER_MINUTE
    budget: WeightBudget | None = None
    _weight_used: int = 0
    _weight_minute: int = 0
    _slice: int = 0  # of what was drawn, what is left; below 0 where something could not wait
    _waiting: Counter[Importance] = field(default_factory=Counter)  # weight that waits for a slice
    _drawn: int = 0  # by all processes, as was last heard
    _drawing: asyncio.Task[None] | None = None
    _orders: dict[int, dict[str, int]] = field(default_factory=dict)
    _paused_until_ms: int = 0
    _account_paused_until_ms: dict[int, int] = field(default_factory=dict)

    def note(self, answer: Answer, *, account_id: int | None, now_ms: int) -> None:
        """Read the counters off an answer."""
        for name, value in answer.headers:
            if name[:2] not in (b"x-", b"X-") or (found := COUNTER.fullmatch(name)) is None:
                continue
            if not value.isdigit():
                continue
            interval = found[2].decode().lower()
            if found[1].lower() == b"order-count":
                if account_id is not None:
                    self._orders.setdefault(account_id, {})[interval] = int(value)
            elif interval == "1m":
                self._begin_minute(now_ms)
                self._weight_used = int(value)

    def pause(self, seconds: float, *, now_ms: int, account_id: int | None = None) -> None:
        """Stop asking for so long: everybody, in every process, or one account."""
        until = now_ms + int(seconds * 1000)
        if account_id is not None:
            self._account_paused_until_ms[account_id] = until
            return
        self._paused_until_ms = max(self._paused_until_ms, until)
        if self.budget is not None:
            self.budget.pause(seconds)

    def adopt(self, drawn: Drawn, *, now_ms: int) -> None:
        """Take over what other processes have drawn, and a pause that one of them was told."""
        if drawn.paused_seconds > 0:
            until = now_ms + int(drawn.paused_seconds * 1000)
            self._paused_until_ms = max(self._paused_until_ms, until)
        self._begin_minute(now_ms)
        if drawn.minute == self._weight_minute:
            self._drawn = max(self._drawn, drawn.drawn)

    @property
    def is_any_paused(self) -> bool:
        """Whether a pause was ever asked for: nearly never, and then nobody need look at the clock."""
        return bool(self._paused_until_ms or self._account_paused_until_ms)

    def check_pause(self, *, account_id: int | None, now_ms: int) -> None:
        """
        Let a request pass unless a pause stands: asking on through a 429 turns it into a ban.

        :raises RetryLater: with the rest of the pause; nothing was sent.
        """
        until = self._paused_until_ms
        if account_id is not None and self._account_paused_until_ms:
            until = max(until, self._account_paused_until_ms.get(account_id, 0))
        if until > now_ms:
            seconds = (until - now_ms) / 1000
            raise RetryLater(
                "VENUE_PAUSED",
                f"the exchange asked for {seconds:.1f} s of silence",
                retry_after_seconds=seconds,
            )

    async def take(self, weight: int, *, importance: Importance, hurries: bool, now_ms: int) -> None:
        """
        Let a question pass while its weight fits this minute; orders weigh nothing and are never asked.

        What ``hurries`` does not wait for a slice, it is drawn afterwards; but for the most of a burst.

        :raises RetryLater: with the time to the next minute; nothing was sent.
        """
        self._begin_minute(now_ms)
        self._check(weight, importance=importance, now_ms=now_ms)
        if self.budget is not None and self._slice < weight:
            if not hurries or self._slice - weight < -self.weight_max * DEBT_SHARE:
                await self._wait_for_slice(weight, importance=importance, now_ms=now_ms)
                self._check(weight, importance=importance, now_ms=now_ms)
            else:
                self._draw(now_ms)
        self._slice -= weight
        self._weight_used += weight  # what is in flight counts; the next answer's header corrects it

    def usage(self, *, now_ms: int) -> Usage:
        """Give a picture of the counters."""
        current = now_ms // MINUTE_MS == self._weight_minute
        return Usage(
            weight_used=self._weight_used if current else 0,
            weight_max=self.weight_max,
            orders={account: dict(counts) for account, counts in self._orders.items()},
            paused_seconds=max(0.0, (self._paused_until_ms - now_ms) / 1000),
        )

    async def close(self) -> None:
        """End a draw under way."""
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)

    def _begin_minute(self, now_ms: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._weight_minute:
            self._weight_minute = minute
            self._weight_used = self._slice = self._drawn = 0

    def _check(self, weight: int, *, importance: Importance, now_ms: int) -> None:
        used = max(self._weight_used, self._drawn - max(self._slice, 0))
        if used + weight > self.weight_max * SHARES[importance]:
            seconds = ((self._weight_minute + 1) * MINUTE_MS - now_ms) / 1000
            raise RetryLater(
                "WEIGHT_NEARLY_USED",
                f"weight_used={used} weight={weight} weight_max={self.weight_max} importance={importance.name.lower()}",
                retry_after_seconds=max(0.1, seconds),
            )

    async def _wait_for_slice(self, weight: int, *, importance: Importance, now_ms: int) -> None:
        """Wait until there is enough, or nothing more is given, or the database is too slow to wait for."""
        self._waiting[importance] += weight
        try:
            async with asyncio.timeout(DRAW_SECONDS_MAX):
                # The one under way was asked for before this question came, the next may be for something dearer.
                for _ in Importance:
                    await asyncio.shield(self._draw(now_ms))
                    if self._slice >= weight:
                        return
        except TimeoutError:
            log.warning("binance.weight.undrawn", error="TimeoutError")
        finally:
            self._waiting[importance] -= weight

    def _draw(self, now_ms: int) -> asyncio.Task[None]:
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._drawn_slice(now_ms // MINUTE_MS))
        return self._drawing

    async def _drawn_slice(self, minute: int) -> None:
        assert self.budget is not None, "whoever draws has looked"
        # For the most important that waits, within its share: what is left for exits is not hoarded by reads.
        importance = next((one for one in Importance if self._waiting[one] > 0), Importance.EXITS)
        asked = max(0, self._waiting[importance] - self._slice)
        if self._drawn < self.weight_max * SHARES[Importance.REST]:
            asked = max(asked, SLICE)
        try:
            told = await self.budget.draw(
                minute=minute,
                asked=asked,
                used=self._weight_used,
                weight_max=self.weight_max,
                limit=int(self.weight_max * SHARES[importance]),
            )
        except Exception as away:  # the venue's own count goes on deciding
            log.warning("binance.weight.undrawn", error=type(away).__name__)
            return
        if told.minute == self._weight_minute:
            self._slice += told.granted
            self._drawn = max(self._drawn, told.drawn)

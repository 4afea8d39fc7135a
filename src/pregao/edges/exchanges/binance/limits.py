"""How much of the exchange's patience is used: weight per address, orders per account, and enforced pauses."""

import re
from dataclasses import dataclass, field

from pregao.domain.venue import RetryLater
from pregao.edges.exchanges.wire import Answer

WEIGHT_PER_MINUTE = 2400  # per address, until exchangeInfo says otherwise
READ_SHARE = 0.8  # of the weight: what is left belongs to what orders hang on
VITAL_SHARE = 0.95
MINUTE_MS = 60_000

COUNTER = re.compile(rb"x-mbx-(used-weight|order-count)-(\d+[smhd])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A picture of the counters, as the exchange last told them."""

    weight_used: int
    weight_max: int
    orders: dict[int, dict[str, int]]  # account id → interval (10s, 1m) → orders counted
    paused_seconds: float  # all requests of this address, after a 429 or 418


@dataclass(slots=True)
class Limits:
    """The counters, fed by every answer's headers."""

    weight_max: int = WEIGHT_PER_MINUTE
    _weight_used: int = 0
    _weight_minute: int = 0
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
                self._weight_used = int(value)
                self._weight_minute = now_ms // MINUTE_MS

    def pause(self, seconds: float, *, now_ms: int, account_id: int | None = None) -> None:
        """Stop asking for so long: everybody, or one account."""
        until = now_ms + int(seconds * 1000)
        if account_id is None:
            self._paused_until_ms = max(self._paused_until_ms, until)
        else:
            self._account_paused_until_ms[account_id] = until

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

    def check_weight(self, weight: int, *, is_vital: bool, now_ms: int) -> None:
        """
        Let a read pass while its weight fits this minute; orders weigh nothing and are never asked.

        :raises RetryLater: with the time to the next minute; nothing was sent.
        """
        minute = now_ms // MINUTE_MS
        if minute != self._weight_minute:
            self._weight_used, self._weight_minute = 0, minute
        allowed = self.weight_max * (VITAL_SHARE if is_vital else READ_SHARE)
        if self._weight_used + weight > allowed:
            seconds = ((minute + 1) * MINUTE_MS - now_ms) / 1000
            raise RetryLater(
                "WEIGHT_NEARLY_USED",
                f"weight_used={self._weight_used} weight={weight} weight_max={self.weight_max}",
                retry_after_seconds=seconds,
            )
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

"""
What the research lab computed, in a Redis that several processes share. An extra: the client is not installed by default.

A Redis that is away, slow or full is as good as empty: nothing of the lab waits for it longer than a fifth of a second, and it
is left alone for half a minute then.
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

TIMEOUT_SECONDS: Final = 0.2  # for a look that saves some hundredths to some tenths of a second
REST_SECONDS: Final = 30.0
CONTENT_BYTES_MAX: Final = 64 * 2**20  # larger results are cheaper to compute than to carry
KEYS_AT_ONCE: Final = 500


class ClientMissingError(RuntimeError):
    """Redis' client is not installed, or the address is none."""


class RedisStore:
    """Reads, writes and forgets; gives nothing while Redis is away."""

    def __init__(self, address: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        Name the Redis; nothing is asked yet.

        :raises ClientMissingError: when the client is missing or the address cannot be read.
        """
        try:
            redis = import_module("redis")
            once = import_module("redis.retry").Retry(import_module("redis.backoff").NoBackoff(), 0)
            self._client: Any = redis.Redis.from_url(
                address, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=once
            )
        except (ImportError, ValueError) as problem:
            raise ClientMissingError(
                f"REDIS_CLIENT_MISSING: problem={type(problem).__name__}. Install it with `.venv/bin/python -m pip install redis` "
                "and write PREGAO_LAB_CACHE_URL as redis://HOST:PORT/0, or leave that empty."
            ) from problem
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._monotonic = monotonic
        self._away_until = float("-inf")

    def read(self, key: str) -> bytes | None:
        """Give what was written under a key, if it is still there."""
        found: bytes | None = self._asked(lambda: self._client.get(key))
        return found

    def write(self, key: str, content: bytes, *, ttl_seconds: float) -> None:
        """Keep something for a while."""
        if len(content) <= CONTENT_BYTES_MAX:
            self._asked(lambda: self._client.set(key, content, px=max(1, int(ttl_seconds * 1_000))))

    def forget(self, pattern: str) -> int:
        """Drop the keys that match, ``*`` standing for anything, and say how many there were."""
        return self._asked(lambda: self._dropped(pattern)) or 0

    def _dropped(self, pattern: str) -> int:
        dropped, some = 0, []
        for key in self._client.scan_iter(match=pattern, count=KEYS_AT_ONCE):
            some.append(key)
            if len(some) == KEYS_AT_ONCE:
                dropped += int(self._client.delete(*some))
                some = []
        return dropped + (int(self._client.delete(*some)) if some else 0)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        if self._monotonic() < self._away_until:
            return None
        try:
            return ask()
        except self._errors:
            self._away_until = self._monotonic() + REST_SECONDS
            return None


def share_what_is_computed(address: str) -> None:
    """
    Have this process share its lab's cache with all that name the same Redis; with nobody where the address is empty.

    :raises ClientMissingError: when the client is missing or the address cannot be read.
    """
    if not address:
        return
    cached = import_module("pregao.research.indicators.cached")  # it loads numpy, which not every process has
    cached.LAB_CACHE.share(RedisStore(address))

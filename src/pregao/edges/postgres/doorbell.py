"""
The doorbell: NOTIFY from one separate connection per process, after the commit.

Inside a writing transaction NOTIFY would serialise all commits (measured: docs/performance.md). A ring may be
lost with its connection; whoever listens also looks once a second.
"""

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg
import structlog

from pregao.edges.postgres.pool import AWAY

Listener = Callable[[str], None]

PAYLOAD_BYTES_MAX = 7_000  # PostgreSQL takes 8,000
RECONNECT_SECONDS = 1.0

log = structlog.get_logger()


class Doorbell:
    """Rings and hears named bells over one connection of its own, and reconnects when it breaks."""

    def __init__(self, dsn: str) -> None:
        """Connect lazily to ``dsn`` when run."""
        self._dsn = dsn
        self._listeners: dict[str, list[Listener]] = {}
        self._rings: dict[str, set[str]] = {}
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ring(self, bell: str, *words: str) -> None:
        """Ring soon; rings of one bell that wait together go out as one, their words joined by spaces."""
        self._rings.setdefault(bell, set()).update(words)
        self._rung.set()

    def listen(self, bell: str, listener: Listener) -> None:
        """Call ``listener`` with the words of each ring; must be called before ``start``."""
        self._listeners.setdefault(bell, []).append(listener)

    async def start(self) -> None:
        """Begin; returns when the first connection stands."""
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(ready))
        await ready.wait()

    async def close(self) -> None:
        """Stop ringing and hearing."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, ready: asyncio.Event) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn)
                try:
                    # An ear that has gone deaf is noticed when it happens, not at the next ring.
                    connection.add_termination_listener(lambda _connection: self._rung.set())
                    for bell in self._listeners:
                        await connection.add_listener(bell, self._hear)
                    ready.set()
                    await self._ring_on(connection)
                finally:
                    connection.terminate()
            except AWAY as broken:
                log.warning("postgres.doorbell.broken", error=type(broken).__name__)
                ready.set()
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _ring_on(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            if connection.is_closed():
                raise ConnectionResetError("the doorbell's connection ended")
            rings, self._rings = self._rings, {}
            for bell, words in rings.items():
                for payload in _payloads(words):
                    await connection.execute("SELECT pg_notify($1, $2)", bell, payload)

    def _hear(self, _connection: object, _pid: int, bell: str, payload: object) -> None:
        for listener in self._listeners[bell]:
            listener(str(payload))


def _payloads(words: set[str]) -> list[str]:
    payloads = [""]
    for word in sorted(words):
        if len(payloads[-1]) + len(word) + 1 > PAYLOAD_BYTES_MAX:
            payloads.append("")
        payloads[-1] = f"{payloads[-1]} {word}".strip()
    return payloads

"""A websocket that stays: it comes back after a loss, and is replaced before its day is over."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp
import structlog

log = structlog.get_logger()

BACKOFF_SECONDS = 0.5  # doubled with every failure in a row
DOUBTFUL_FAILURES = 3  # in a row: perhaps it is the address, not the network


class Opening(StrEnum):
    """Why a connection was opened."""

    AWAY = "away"  # there was none: messages may have been missed
    AGED = "aged"  # the one before is near the end of its day
    RENEWED = "renewed"  # it shall carry something else; the one before is still open


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """How long a connection may live, be silent, and stay away."""

    lifetime_seconds: float = 23 * 3600.0  # the exchange ends connections after 24 hours
    silence_seconds_max: float = 20.0  # without a byte or an answered ping the connection counts as dead
    connect_seconds_max: float = 10.0
    backoff_seconds_max: float = 30.0
    overlap_seconds: float = (
        1.0  # the old one stays so long beside the new: a handshake is no subscription yet
    )


class Connection(Protocol):
    """One open websocket; what comes goes where whoever opened it wants it."""

    @property
    def closed(self) -> bool:
        """Whether it is over, or about to be."""
        ...

    async def send(self, text: str) -> None:
        """Send a text; raises ``OSError`` where it cannot be."""
        ...

    async def close(self) -> None:
        """End it."""
        ...

    async def ended(self) -> None:
        """Return when nothing comes any more, and all that came has been handed over."""
        ...


class KeptSocket:
    """One connection, opened by ``connect``; every opening is told to ``on_open``."""

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[Connection]],
        on_open: Callable[[Opening], Awaitable[None]],
        limits: SocketLimits,
        on_doubt: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Open nothing yet. Around a replacement messages may come twice.

        ``connect`` raises ``OSError`` or ``TimeoutError`` where there is nobody. ``on_doubt`` is told when opening keeps
        failing: its address may be out of date. ``on_lost`` is told when a connection ended and none is there in its place.
        """
        self._connect = connect
        self._on_open = on_open
        self._limits = limits
        self._on_doubt = on_doubt
        self._on_lost = on_lost
        self._renewal = asyncio.Event()
        self._socket: Connection | None = None
        self._lost_at: float | None = None
        self.away_seconds = 0.0  # how long there was no connection before the present one

    @property
    def is_open(self) -> bool:
        """Whether there is a connection just now."""
        return self._socket is not None and not self._socket.closed

    def renew(self) -> None:
        """Open another one, and only then close the present connection."""
        self._renewal.set()

    async def send(self, text: str) -> None:
        """Send a text; does nothing while there is no connection (``on_open`` follows when there is one)."""
        if self._socket is not None and not self._socket.closed:
            with contextlib.suppress(OSError):
                await self._socket.send(text)

    async def run(self) -> None:
        """Keep the connection until canceled."""
        failures = 0
        while True:
            try:
                socket = await self._opened(Opening.AWAY)
            except (OSError, TimeoutError) as problem:
                failures += 1
                log.warning(
                    "binance.socket.unreachable",
                    failures=failures,
                    problem=type(problem.__cause__ or problem).__name__,
                )
                if failures % DOUBTFUL_FAILURES == 0:
                    self._on_doubt()
                await asyncio.sleep(self._backoff(failures))
                continue
            connected_at = asyncio.get_running_loop().time()
            await self._keep(socket)
            self._on_lost()
            self._lost_at = asyncio.get_running_loop().time()
            lived = self._lost_at - connected_at
            failures = 1 if lived > BACKOFF_SECONDS else failures + 1  # a door slammed at once counts as shut
            log.info("binance.socket.lost", lived_seconds=round(lived, 1))
            await asyncio.sleep(self._backoff(failures))

    async def _opened(self, opening: Opening) -> Connection:
        self._renewal.clear()
        async with asyncio.timeout(self._limits.connect_seconds_max):
            socket = await self._connect()
        self._socket = socket
        if opening is Opening.AWAY and self._lost_at is not None:
            self.away_seconds = asyncio.get_running_loop().time() - self._lost_at
        await self._on_open(opening)
        return socket

    async def _keep(self, socket: Connection) -> None:
        reading = asyncio.create_task(_end_of(socket))
        lifetime = self._limits.lifetime_seconds
        try:
            while await self._wait(reading, seconds=lifetime):
                try:
                    opening = Opening.RENEWED if self._renewal.is_set() else Opening.AGED
                    fresh = await self._opened(opening)
                except (OSError, TimeoutError):
                    lifetime = self._backoff(DOUBTFUL_FAILURES)  # the old one still serves meanwhile
                    continue
                lifetime = self._limits.lifetime_seconds
                old_reading, reading = reading, asyncio.create_task(_end_of(fresh))
                socket, old_socket = fresh, socket
                await self._retire(old_socket, old_reading)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await socket.close()

    async def _retire(self, socket: Connection, reading: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait({reading}, timeout=self._limits.overlap_seconds)
            await socket.close()
            await asyncio.gather(reading, return_exceptions=True)  # what it has read is still told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await socket.close()

    async def _wait(self, reading: asyncio.Task[None], *, seconds: float) -> bool:
        """Wait for the end of reading (False), or for the time of a replacement (True)."""
        renewal = asyncio.create_task(self._renewal.wait())
        try:
            await asyncio.wait({reading, renewal}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            renewal.cancel()
        return not reading.done()

    def _backoff(self, failures: int) -> float:
        longest = min(self._limits.backoff_seconds_max, BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # a thousand desks do not come back in the same instant


async def _end_of(socket: Connection) -> None:
    await socket.ended()


class _Texts:
    """A connection of aiohttp's: texts are read one by one, each only after the one before was taken."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, on_text: Callable[[str], Awaitable[None]]
    ) -> None:
        self._socket = socket
        self._on_text = on_text

    @property
    def closed(self) -> bool:
        return self._socket.closed

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_str(text)
        except aiohttp.ClientError as problem:
            raise ConnectionError("the websocket is closing") from problem

    async def close(self) -> None:
        await self._socket.close()

    async def ended(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._on_text(message.data)


def texts_of(
    session: aiohttp.ClientSession,
    *,
    url: Callable[[], str],
    on_text: Callable[[str], Awaitable[None]],
    limits: SocketLimits,
) -> Callable[[], Awaitable[Connection]]:
    """Give what opens ``url()``, as it is then; every text goes to ``on_text``."""

    async def connect() -> Connection:
        try:
            socket = await session.ws_connect(url(), heartbeat=limits.silence_seconds_max / 2, max_msg_size=0)
        except aiohttp.ClientError as problem:
            raise ConnectionError(type(problem).__name__) from problem
        return _Texts(socket, on_text)

    return connect

"""
HTTP/1.1 to venues: one line of kept connections per address, shared by all accounts, made for bursts of orders.

A request's bytes leave inside the call that asks, when a connection is free. What may have reached the wire is
never sent again, except a read that met a kept connection the other side had just closed.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import cast
from urllib.parse import urlsplit

import httptools

from pregao.domain.clock import Clock
from pregao.edges.exchanges.tls import system_authorities

BODY_BYTES_MAX = 32 * 1024 * 1024  # the largest real answer, exchangeInfo, has about 2 MB


class WireError(Exception):
    """No answer was had."""


class NotSent(WireError):
    """Provably not one byte of the request left: no connection, or none free in time."""


class AnswerLost(WireError):
    """The request may have been read, and no whole answer came."""


class Priority(IntEnum):
    """Who goes first when every connection is busy."""

    EXIT = 0  # closes a position: never waits behind anything else
    ENTRY = 1  # opens one
    READ = 2  # asks; may hold only a part of the connections


PRIORITIES = tuple(Priority)  # looked up once: every request passes here
READ = Priority.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """How much of the network one address may take."""

    connections_max: int = 200
    reads_share: float = 0.5  # of the connections: slow questions must not keep orders waiting
    timeout_seconds: float = 10.0  # for the whole request, waiting for a connection included
    idle_seconds_max: float = 55.0  # venues drop silent connections after about a minute


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer; header names as they came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    sent_at: datetime
    answered_at: datetime

    def header(self, name: bytes) -> bytes | None:
        """Give a header's value, or None; ``name`` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Quiet:
    """While orders leave, answers stay unread: to read them takes the time that the orders need."""

    def __init__(self) -> None:
        """Read everything at once, until somebody begins."""
        self._is_on = False
        self._unread: list[_Connection] = []

    def begin(self) -> None:
        """Leave answers unread from now on."""
        self._is_on = True

    def end(self) -> None:
        """Read what has come meanwhile, in its order, and everything at once from now on."""
        self._is_on = False
        unread, self._unread = self._unread, []
        for connection in unread:
            connection.read()

    def takes(self, connection: "_Connection") -> bool:
        """Say whether the connection's answer stays unread for now; then ``end`` has it read."""
        if self._is_on:
            self._unread.append(connection)
        return self._is_on


class Wire:
    """All lines of one process; every adapter and account shares them."""

    def __init__(
        self, *, clock: Clock, limits: WireLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Take the clock for the answers' instants; ``tls`` replaces the system's certificate authorities."""
        self._clock = clock
        self._limits = limits or WireLimits()
        self._tls = tls
        self.quiet = Quiet()
        self._lines: dict[tuple[str, str, int], Line] = {}

    def line(self, base_url: str) -> "Line":
        """Give the line to a base URL's scheme, host and port; the same one every time."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"ADDRESS_UNREADABLE: base_url={base_url} needs http:// or https:// and a host")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = (parts.scheme, parts.hostname, port)
        if address not in self._lines:
            tls = (self._tls or system_authorities()) if parts.scheme == "https" else None
            self._lines[address] = Line(
                parts.hostname, port, limits=self._limits, clock=self._clock, tls=tls, quiet=self.quiet
            )
        return self._lines[address]

    async def close(self) -> None:
        """Close every connection; whoever still waits learns that nothing was sent, or that the answer is lost."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))


class _Request:
    __slots__ = (
        "connection", "future", "is_patient", "is_repeatable", "payload", "priority", "sent_at", "timer",
    )  # fmt: skip

    def __init__(
        self,
        payload: bytes,
        priority: Priority,
        future: asyncio.Future[Answer],
        *,
        is_repeatable: bool,
        is_patient: bool,
    ) -> None:
        self.payload = payload
        self.priority = priority
        self.future = future
        self.is_repeatable = is_repeatable
        self.is_patient = is_patient
        self.connection: _Connection | None = None
        self.sent_at: datetime | None = None
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, failure: WireError) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if not self.future.done():
            self.future.set_exception(failure)


class Line:
    """The kept connections to one address."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: WireLimits,
        clock: Clock,
        tls: ssl.SSLContext | None,
        quiet: Quiet,
    ) -> None:
        """Open nothing yet; connections come with the first requests or with ``warm``."""
        self.clock = clock
        self._quiet = quiet
        self._host = host
        self._port = port
        self._limits = limits
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []  # the last used goes first: the least likely to have been dropped
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: tuple[deque[_Request], ...] = tuple(deque() for _ in Priority)
        self._reads = 0
        self._reads_max = max(1, int(limits.connections_max * limits.reads_share))
        self._is_closed = False

    @property
    def connections(self) -> int:
        """How many connections are open or being opened."""
        return len(self._open) + len(self._opening)

    @property
    def host_header(self) -> str:
        """What the Host header says: the port only where it is not the scheme's own."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return host if self._port == (80 if self._tls is None else 443) else f"{host}:{self._port}"

    async def ask(
        self, payload: bytes, *, priority: Priority, is_repeatable: bool = False, is_patient: bool = False
    ) -> Answer:
        """
        Send one whole HTTP request and give its answer; a patient one's may stay unread while orders leave.

        :raises NotSent: when provably no byte left.
        :raises AnswerLost: when it may have been read; a repeatable one was tried once more where that is safe.
        """
        request = _Request(
            payload,
            priority,
            self._loop.create_future(),
            is_repeatable=is_repeatable,
            is_patient=is_patient,
        )
        request.timer = self._loop.call_later(self._limits.timeout_seconds, self._expire, request)
        self._give(request)
        try:
            return await request.future
        except asyncio.CancelledError:
            request.timer.cancel()
            if request.connection is not None:
                request.connection.close()  # its answer would be taken for the next one's
            raise

    async def warm(self, count: int) -> int:
        """Have at least ``count`` fresh connections open (within the limit); give how many there are."""
        oldest = self._loop.time() - self._limits.idle_seconds_max / 2
        for connection in [kept for kept in self._idle if kept.idle_since < oldest]:
            connection.close()
            self._open.discard(connection)
        self._idle = [kept for kept in self._idle if kept.is_open]
        missing = min(count, self._limits.connections_max) - self.connections
        await asyncio.gather(*(self._open_another() for _ in range(missing)))
        return len(self._open)

    async def close(self) -> None:
        """Close the connections and fail who waits."""
        self._is_closed = True
        for task in tuple(self._opening):
            task.cancel()
        for connection in tuple(self._open):
            connection.close()
        self._fail_waiting("the line was closed")
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.sleep(0)  # lets the connections say they are gone

    # Giving requests to connections.

    def _give(self, request: _Request) -> None:
        if self._is_closed:
            request.fail(NotSent("the line was closed"))
            return
        if request.priority is not READ or self._reads < self._reads_max:
            oldest = self._loop.time() - self._limits.idle_seconds_max
            while self._idle:
                connection = self._idle.pop()
                if connection.is_open and connection.idle_since >= oldest:
                    self._send(connection, request)
                    return
                connection.close()
                self._open.discard(connection)
        self._waiting[request.priority].append(request)
        self._open_for_waiting()

    def _send(self, connection: "_Connection", request: _Request) -> None:
        if request.priority is READ:
            self._reads += 1
        connection.send(request)

    def _next_waiting(self) -> _Request | None:
        for priority in PRIORITIES:
            if priority is READ and self._reads >= self._reads_max:
                return None
            waiting = self._waiting[priority]
            while waiting:
                request = waiting.popleft()
                if not request.future.done():
                    return request
        return None

    def may_stay_unread(self, connection: "_Connection") -> bool:
        """Say whether an answer is left for later: while orders leave, and nobody waits for its connection."""
        return not any(self._waiting) and self._quiet.takes(connection)

    def ended(self, request: _Request) -> None:
        """Take note that a request holds its connection no more."""
        if request.priority is READ:
            self._reads -= 1

    def freed(self, connection: "_Connection") -> None:
        """Take a clean connection back: the next in line has it, or it rests."""
        request = self._next_waiting()
        if request is not None:
            self._send(connection, request)
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def dropped(self, connection: "_Connection") -> None:
        """Take note that a connection is gone."""
        if connection not in self._open:
            return  # it never served: opening another at once would storm an address that refuses us
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        while self._idle and (request := self._next_waiting()) is not None:
            self._give(request)
        self._open_for_waiting()

    def repeat(self, request: _Request) -> None:
        """Give a read its one second chance, before others."""
        request.connection = None
        self._waiting[request.priority].appendleft(request)
        self._open_for_waiting()

    def _expire(self, request: _Request) -> None:
        seconds = self._limits.timeout_seconds
        if request.connection is None:
            request.fail(NotSent(f"no connection was free within {seconds} s"))
            return
        request.connection.read()
        if not request.future.done():
            request.fail(AnswerLost(f"no answer within {seconds} s"))
            request.connection.close()

    # Opening connections.

    def _open_for_waiting(self) -> None:
        reads = min(len(self._waiting[Priority.READ]), self._reads_max - self._reads)
        wanted = sum(len(self._waiting[priority]) for priority in (Priority.EXIT, Priority.ENTRY)) + reads
        while len(self._opening) < wanted and self.connections < self._limits.connections_max:
            self._open_another()

    def _open_another(self) -> asyncio.Task[None]:
        task = self._loop.create_task(self._opened())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    async def _opened(self) -> None:
        connection = _Connection(self)
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                transport, _ = await self._loop.create_connection(
                    lambda: connection, self._host, self._port, ssl=self._tls
                )
        except Exception as cause:
            connection.close()
            self._not_opened(cause)
            return
        self._opening.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if self._is_closed or transport.is_closing():
            transport.abort()
            self._open_for_waiting()
            return
        connection.transport = transport
        connection.is_open = True
        self._open.add(connection)
        self.freed(connection)

    def _not_opened(self, cause: Exception) -> None:
        self._opening.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if self._open or self._opening:
            return  # another connection will serve those who wait, or their time runs out unsent
        self._fail_waiting(f"no connection to {self._host} port {self._port}", cause=cause)

    def _fail_waiting(self, reason: str, *, cause: Exception | None = None) -> None:
        for waiting in self._waiting:
            while waiting:
                failure = NotSent(reason)
                failure.__cause__ = cause
                waiting.popleft().fail(failure)


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, and httptools' callbacks for its answer."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_has_excess",
        "_headers",
        "_is_whole",
        "_keeps_alive",
        "_line",
        "_parser",
        "_status",
        "_unread",
        "_unread_at",
        "answers",
        "idle_since",
        "is_open",
        "request",
        "transport",
    )

    def __init__(self, line: Line) -> None:
        self._line = line
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._status = 0
        self._is_whole = False
        self._keeps_alive = False
        self._has_excess = False
        self._unread = b""
        self._unread_at: datetime | None = None
        self.answers = 0
        self.idle_since = 0.0
        self.is_open = False
        self.request: _Request | None = None
        self.transport: asyncio.Transport | None = None

    def send(self, request: _Request) -> None:
        self.request = request
        request.connection = self
        request.sent_at = self._line.clock()
        assert self.transport is not None
        self.transport.write(request.payload)

    def close(self) -> None:
        self.is_open = False
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.request is None:
            self.close()  # nobody asked: it could be taken for the answer to somebody else's order
            return
        if self._unread:
            self._unread += data
        elif self.request.is_patient and self._line.may_stay_unread(self):
            self._unread, self._unread_at = data, self._line.clock()
        else:
            self._read(data)

    def read(self) -> None:
        """Read what was left unread."""
        if self._unread:
            data, self._unread = self._unread, b""
            self._read(data)
            self._unread_at = None

    def _read(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._has_excess = True
            if not self._is_whole:
                self._fail("the answer is not HTTP")
        if self._is_whole:
            self._deliver()
        elif self._body_bytes > BODY_BYTES_MAX:
            self._fail("the answer is larger than BODY_BYTES_MAX")

    def connection_lost(self, exc: Exception | None) -> None:
        self.read()
        self.is_open = False
        self._fail("the connection ended before the answer was whole", cause=exc)
        self._line.dropped(self)

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._has_excess = True  # a second answer behind the first: this side and that count differently

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_whole:
            self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        if not self._is_whole:
            self._body.append(body)
            self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._is_whole:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:
            self._headers.clear()  # 1xx announces the answer, it is none
            return
        self._keeps_alive = self._parser.should_keep_alive()
        self._is_whole = True

    def _deliver(self) -> None:
        request, self.request = self.request, None
        assert request is not None
        assert request.sent_at is not None
        assert request.timer is not None
        request.timer.cancel()
        if not request.future.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            answered_at = self._unread_at or self._line.clock()
            request.future.set_result(Answer(self._status, self._headers, body, request.sent_at, answered_at))
        self._line.ended(request)
        self.answers += 1
        self._headers, self._body = [], []
        self._body_bytes = 0
        self._is_whole = False
        if self.is_open and self._keeps_alive and not self._has_excess:
            self._line.freed(self)
        else:
            self.close()

    def _fail(self, reason: str, *, cause: Exception | None = None) -> None:
        request, self.request = self.request, None
        self.close()
        if request is None:
            return
        self._line.ended(request)
        if request.future.done():
            return
        if request.is_repeatable and self.answers and not self._headers and not self._body:
            request.is_repeatable = False
            self._line.repeat(request)
            return
        failure = AnswerLost(reason)
        failure.__cause__ = cause
        request.fail(failure)

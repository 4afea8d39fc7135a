"""
The short way of a webhook from the wire to the intake and back.

Uvicorn's protocol, without ASGI's messages for a POST that comes whole and asks for nothing unusual: they cost more
than reading the alert, and a task for each as much as half of it. Everything else takes the long way, through uvicorn
as it is, and gets the same answers.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from pregao.edges.http.answers import MASTER_PATH, QUEUE_PATH
from pregao.edges.http.delivery import BODY_BYTES_MAX
from pregao.edges.http.live.lines import DROP, drop_stream

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
Reply: TypeAlias = tuple[int, bytes, Headers]
"""HTTP status, body of JSON, and the headers beside its type and its length."""


class Sender(Protocol):
    """Who waits for the answer to one POST; exactly one of these is called, at once or later."""

    def reply(self, reply: Reply) -> None:
        """Answer."""
        ...

    def wait(self, rest: Coroutine[Any, Any, Reply]) -> None:
        """Answer once that is done, in a task."""
        ...


Begin: TypeAlias = Callable[[dict[str, Any], bytes, Sender], None]
"""Begins to answer a POST to a webhook, given its ASGI scope and its whole body; never raises."""

CLOSE = (b"connection", b"close")
HEAD = {
    status: line + b"content-type: application/json\r\ncontent-length: "
    for status, line in STATUS_LINE.items()
}
_PLAIN_WEBHOOK = re.compile(
    rb"(%b[A-Za-z0-9._~-]*|%b)(?:\?(.*))?" % (re.escape(MASTER_PATH.encode()), re.escape(QUEUE_PATH.encode()))
)


class WebhookProtocol(HttpToolsProtocol):
    """One connection. An application that takes webhooks says so with a method ``begin`` of the type ``Begin``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begin: Begin | None = getattr(self.config.app, "begin", None)
        self._silent_since: float | None = None  # by the loop's clock
        self._silence: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Prepare for a request; most of its scope is of use on the long way only."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Begin a request, whichever way it takes."""
        # One that comes in the same bytes as a request that was answered at once is not an idle connection's.
        self._unset_keepalive_if_required()
        found = _PLAIN_WEBHOOK.fullmatch(self.url)
        if found is None or not self._is_usual():
            self._take_long_way()
            return
        path, query = found.groups()
        self.scope = {  # type: ignore[typeddict-item]
            "type": "http",
            "method": "POST",
            "path": path.decode(),
            "query_string": query or b"",
            "headers": self.headers,
            "client": self.client,
        }
        self.cycle = _Post(self)

    def _take_long_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        self.scope["extensions"] = {DROP: partial(drop_stream, self.transport)}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Hand the request over, now that it is whole."""
        post = self.cycle
        if type(post) is _Post:
            assert self._begin is not None, "or it would have taken the long way"
            self._begin(post.scope, bytes(post.body), post)  # type: ignore[arg-type]
        else:
            super().on_message_complete()

    def on_answered(self) -> None:
        """Be ready for the next request, and end the connection if none comes: by one timer for many."""
        if self.pipeline or self.flow.read_paused:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._silent_since = self.loop.time()
        if self._silence is None:
            self._silence = self.loop.call_later(self.timeout_keep_alive, self._end_silence)

    def _end_silence(self) -> None:
        self._silence = None
        if self._silent_since is None:
            return
        left = self._silent_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.timeout_keep_alive_handler()
        else:
            self._silence = self.loop.call_later(left, self._end_silence)

    def _unset_keepalive_if_required(self) -> None:
        self._silent_since = None
        if self.timeout_keep_alive_task is not None:
            super()._unset_keepalive_if_required()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

    def _is_usual(self) -> bool:
        parser, before = self.parser, self.cycle
        length = b""
        for name, value in self.headers:
            if name == b"content-length":
                length = value
        return (
            self._begin is not None
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and (before is None or before.response_complete)  # else it waits in uvicorn's pipeline
            and length.isdigit()
            and int(length) <= BODY_BYTES_MAX
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.root_path
            and self.limit_concurrency is None
        )


class _Post(RequestResponseCycle):
    """What uvicorn's protocol needs of a request that is on its way, and no more."""

    def __init__(self, protocol: WebhookProtocol) -> None:
        self.protocol = protocol
        self.scope = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.keep_alive = protocol.parser.should_keep_alive()
        self.message_event = _NOBODY_WAITS
        self.body = bytearray()
        self.response_complete = False
        self.disconnected = False

    def reply(self, reply: Reply) -> None:
        """Answer the request; where the sender does not read, once he does."""
        if self.flow.write_paused and not self.disconnected:
            self.wait(_known(reply))
        else:
            self._write(reply)

    def wait(self, rest: Coroutine[Any, Any, Reply]) -> None:
        """Answer the request once that is done."""
        self.protocol._start_asgi_task(self, rest)  # type: ignore[arg-type]  # noqa: SLF001  # run as any application, by:

    async def run_asgi(self, app: Any) -> None:
        """Wait for the answer, and for a sender who does not read."""
        reply = await app
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        self._write(reply)

    def _write(self, reply: Reply) -> None:
        self.response_complete = True
        if self.disconnected or self.transport.is_closing():
            return
        status, body, headers = reply
        more = [*self.protocol.server_state.default_headers, *headers]
        closes = not self.keep_alive or CLOSE in headers
        if closes and CLOSE not in headers:
            more.append(CLOSE)
        lines = b"".join([b"%b: %b\r\n" % header for header in more]) if more else b""
        self.transport.write(b"%b%d\r\n%b\r\n%b" % (HEAD[status], len(body), lines, body))
        if closes:
            self.transport.close()
        self.protocol.on_answered()


async def _known(reply: Reply) -> Reply:
    return reply


class _NobodyWaits:
    def set(self) -> None:
        pass


_NOBODY_WAITS: Any = _NobodyWaits()

"""
The short way of a webhook from the wire to the intake and back.

Uvicorn's protocol, without ASGI's messages for a POST that comes whole and asks for nothing unusual: they cost more
than reading the alert. Everything else takes the long way, through uvicorn as it is, and gets the same answers.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from pregao.edges.http.answers import MASTER_PATH, QUEUE_PATH
from pregao.edges.http.delivery import BODY_BYTES_MAX
from pregao.edges.http.live.lines import DROP, drop_stream

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
Reply: TypeAlias = tuple[int, bytes, Headers]
"""HTTP status, body, headers."""

Take: TypeAlias = Callable[[dict[str, Any], bytes], Awaitable[Reply]]
"""Answers a POST to a webhook, given its ASGI scope and its whole body."""

CLOSE = (b"connection", b"close")
_PLAIN_WEBHOOK = re.compile(
    rb"(%b[A-Za-z0-9._~-]*|%b)(?:\?(.*))?" % (re.escape(MASTER_PATH.encode()), re.escape(QUEUE_PATH.encode()))
)


class WebhookProtocol(HttpToolsProtocol):
    """One connection. An application that takes webhooks says so with a method ``take`` of the type ``Take``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._take: Take | None = getattr(self.config.app, "take", None)

    def on_headers_complete(self) -> None:
        """Begin a request, whichever way it takes."""
        found = _PLAIN_WEBHOOK.fullmatch(self.url)
        if found is None or not self._is_usual():
            self.scope["extensions"] = {DROP: partial(drop_stream, self.transport)}  # type: ignore[dict-item]
            super().on_headers_complete()
            return
        path, query = found.groups()
        self.scope["method"] = "POST"
        self.scope["path"] = path.decode()
        self.scope["query_string"] = query or b""
        self.cycle = _Post(self)

    def on_message_complete(self) -> None:
        """Hand the request over, now that it is whole."""
        if type(self.cycle) is _Post:
            assert self._take is not None, "or it would have taken the long way"
            self._start_asgi_task(self.cycle, self._take)  # type: ignore[arg-type]  # run by the cycle, as any application
        else:
            super().on_message_complete()

    def _is_usual(self) -> bool:
        parser, before = self.parser, self.cycle
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        return (
            self._take is not None
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

    async def run_asgi(self, app: Any) -> None:
        """Answer the request; ``app`` is a ``Take``."""
        status, body, headers = await app(self.scope, bytes(self.body))
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        self.response_complete = True
        if self.disconnected or self.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % header for header in (*self.protocol.server_state.default_headers, *headers)]
        is_told = CLOSE in headers
        if not self.keep_alive and not is_told:
            lines.append(b"%b: %b\r\n" % CLOSE)
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], b"".join(lines), body))
        if is_told or not self.keep_alive:
            self.transport.close()
        self.protocol.on_response_complete()


class _NobodyWaits:
    def set(self) -> None:
        pass


_NOBODY_WAITS: Any = _NobodyWaits()

"""
Server-sent events: what happens, with its place as id, so that a reader who comes back goes on where he was.

A line without an event is sent now and then: it shows that both ends are there, and how far the reader is though
nothing of his happened. Who was let in is looked at again every minute.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.edges.http.answers import encode
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS
from pregao.edges.http.live.events import EventsView
from pregao.edges.http.live.feed import LEFT, SLOW, Ended, Feed, Watcher
from pregao.edges.http.live.lines import drop_of
from pregao.views.live import Place

RETRY_MS = 2_000
HEARTBEAT_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 60.0
SIGNED_OUT = "SIGNED_OUT"

Message = MutableMapping[str, Any]
StillIn = Callable[[], Awaitable[Principal | None]]
"""Gives who the reader's token is of now."""

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # else nginx keeps events until it has a page of them
    ],
}


class EventStream(Response):
    """An answer that goes on until the reader leaves, is too slow, signs out, or the process stops."""

    media_type = "text/event-stream"

    def __init__(
        self,
        feed: Feed,
        view: EventsView,
        *,
        after: Place | None,
        who: Principal,
        still_in: StillIn,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        look_again_seconds: float = LOOK_AGAIN_SECONDS,
    ) -> None:
        """Tell ``who`` what happens, from behind ``after`` on."""
        super().__init__()
        self._feed = feed
        self._view = view
        self._after = after
        self._who = who
        self._still_in = still_in
        self._heartbeat_seconds = heartbeat_seconds
        self._look_again_seconds = look_again_seconds
        self._asked_at = time.monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer; what the database says first is an error like any other, for nothing was answered yet."""
        try:
            async with self._feed.watch(self._view, after=self._after) as watcher:
                await send(dict(START))
                await self._serve(watcher, scope, receive, send)
        except Ended as ended:
            await send(dict(START))
            await _send(send, _ended(ended.code))
        await send({"type": "http.response.body", "body": b""})

    async def _serve(self, watcher: Watcher, scope: Any, receive: Any, send: Any) -> None:
        watcher.drop = lambda: drop_of(scope)(_ended(SLOW))
        left = asyncio.create_task(_until_left(receive))
        left.add_done_callback(lambda _done: watcher.end(LEFT))
        try:
            await self._tell(watcher, send)
        finally:
            left.cancel()

    async def _tell(self, watcher: Watcher, send: Any) -> None:
        await _send(send, self._welcome(watcher.behind))
        while True:
            try:
                taken = await watcher.take(seconds=self._heartbeat_seconds)
            except Ended as ended:
                await _send(send, _ended(ended.code))
                return
            if not await self._is_still_in():
                await _send(send, _ended(SIGNED_OUT))
                return
            if taken.messages:
                await _send(send, b"".join(taken.messages))
            if taken.is_reset:
                await _send(send, _reset(taken.place))
            if not taken.messages:
                await _send(send, b": still here\nid: %b\n\n" % str(taken.place).encode())

    def _welcome(self, place: Place) -> bytes:
        # Who comes back keeps his own place until what he has missed was told.
        own = b"" if self._after is not None else b"id: %b\n" % str(place).encode()
        topics = sorted(self._view.topics)
        return b"retry: %d\n%bevent: ready\ndata: %b\n\n" % (RETRY_MS, own, encode({"topics": topics}))

    async def _is_still_in(self) -> bool:
        if time.monotonic() - self._asked_at < self._look_again_seconds:
            return True
        self._asked_at = time.monotonic()
        try:
            return await self._still_in() == self._who
        except DATABASE_AWAY_ERRORS:
            return True  # nobody can say; asked again in a minute


async def _until_left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Any, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _ended(code: str) -> bytes:
    return b"event: end\ndata: %b\n\n" % encode({"code": code})


def _reset(place: Place) -> bytes:
    """Say that more was missed than is told again: the page is to be loaded anew."""
    return b"id: %b\nevent: reset\ndata: {}\n\n" % str(place).encode()

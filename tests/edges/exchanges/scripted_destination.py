"""A webhook of somebody else's over real HTTP: it takes one Idempotency-Key once, and misbehaves when told to."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET_PATH = "/hook/s3cr3t-of-the-path"


@dataclass
class Destination:
    """What was posted to it, and what it does next."""

    address: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)  # all that arrived, as it arrived
    keys: list[str] = field(default_factory=list)  # its header Idempotency-Key, post by post
    troubles: deque[Any] = field(default_factory=deque)  # one for each post to come; None is none
    by_ticker: dict[str, Any] = field(default_factory=dict)  # a trouble that lasts
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.address}{SECRET_PATH}?token=t0ken"

    @property
    def taken(self) -> Counter[str]:
        """How often each signal was carried out, by whoever takes each key once."""
        first = {key: post["signal_id"] for key, post in zip(self.keys, self.posts, strict=True)}
        return Counter(first.values())

    def of(self, ticker: str) -> list[dict[str, Any]]:
        return [post for post in self.posts if post["ticker"] == ticker]

    def keys_of(self, ticker: str) -> list[str]:
        return [key for key, post in zip(self.keys, self.posts, strict=True) if post["ticker"] == ticker]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.posts.append(body)
        self.keys.append(request.headers["Idempotency-Key"])
        trouble = self.troubles.popleft() if self.troubles else self.by_ticker.get(body["ticker"])
        match trouble:
            case None:
                return web.json_response({"accepted": True})
            case int(status):
                return web.Response(status=status, text=f"no: {status} " + "x" * 1_000)
            case (int(status), dict(headers)):
                return web.Response(status=status, headers=headers)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "garbage":
                assert request.transport is not None
                request.transport.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
                request.transport.close()
                return web.Response()
            case "silence":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.release.wait(), 30)
                return web.Response()
            case "redirect":
                return web.Response(status=302, headers={"Location": f"{self.address}/elsewhere"})
        raise AssertionError(trouble)


@contextlib.asynccontextmanager
async def scripted_destination() -> AsyncIterator[Destination]:
    destination = Destination()
    app = web.Application()
    app.router.add_post(SECRET_PATH, destination.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = site._server.sockets[0].getsockname()[:2]
    destination.address = f"http://{host}:{port}"
    try:
        yield destination
    finally:
        destination.release.set()
        await runner.cleanup()

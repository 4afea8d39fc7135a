"""Who watches a desk over real wires: a reader of server-sent events, and the websocket client of the library."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

EVENTS = "/api/v1/live/events"
SOON = 30.0


class Reader:
    """One stream of events: what came, each with its id, name and data."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.place = ""  # the last id, as a browser keeps it
        self.seen: list[dict[str, Any]] = []
        self._blocks = self._read()

    async def next(self) -> dict[str, Any]:
        """Give the next event; a line that only shows that the stream is alive is none."""
        async with asyncio.timeout(SOON):
            async for block in self._blocks:
                self.place = block.get("id", self.place)
                if "data" in block:
                    event = {**block, "data": json.loads(block["data"])}
                    self.seen.append(event)
                    return event
        raise EOFError

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read on until it comes."""
        while not is_it(event := await self.next()):
            pass
        return event

    async def facts(self, count: int) -> list[dict[str, Any]]:
        """Give the next events that are facts."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            if "id" in (event := await self.next()) and event["event"] != "ready":
                found.append(event)
        return found

    async def _read(self) -> AsyncIterator[dict[str, str]]:
        block: dict[str, str] = {}
        async for line in self.answer.aiter_lines():
            if not line:
                yield block
                block = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                block[name] = value


@contextlib.asynccontextmanager
async def reading(
    base_url: str, *, token: str = "", place: str = "", cookie: str = "", **asked: str
) -> AsyncIterator[Reader]:
    """Open a stream, from a place on where one is given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": f"pregao_session={cookie}"}
    if place:
        headers["Last-Event-ID"] = place
    timeout = httpx.Timeout(SOON)
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=timeout, verify=False) as client,
        client.stream("GET", EVENTS, headers=headers, params=asked) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        reader = Reader(answer)
        first = await reader.next()
        assert first["event"] == "ready"
        yield reader


@contextlib.asynccontextmanager
async def watching(
    base_url: str, path: str, *, token: str = "", headers: Mapping[str, str] | None = None
) -> AsyncIterator[ClientConnection]:
    """Open a websocket, with a bearer's header where there is a token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {**(headers or {})}
    address = base_url.replace("http://", "ws://") + path
    async with connect(address, additional_headers=headers, open_timeout=SOON, proxy=None) as socket:
        yield socket


async def until_told(socket: ClientConnection, kind: str, **wanted: Any) -> dict[str, Any]:
    """Read until a message of this type says all of this, and give what it says."""
    async with asyncio.timeout(SOON):
        while True:
            told = json.loads(await socket.recv())
            data: dict[str, Any] = told["data"]
            if told["type"] == kind and wanted.items() <= data.items():
                return data

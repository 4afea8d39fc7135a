"""
A venue of our own for the adapter's tests: raw sockets, rules, and misbehaviour on request.

It checks keys, signatures and the duplicate rule like the exchange, keeps the orders it executed, and does to
the next order whatever a test asks for.
"""

import asyncio
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

from aiohttp import WSMsgType, web

from pregao.domain.clock import to_ms
from pregao.domain.order import PositionSide, Side
from pregao.domain.venue import OrderAttempt
from pregao.edges.exchanges.binance import ApiKey

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANSWER_SECONDS = 1.0  # so long a caller waits here: longer than a busy machine stands still
LATE_SECONDS = 1.3


class StandingClock:
    """Gives the same instant until it is moved."""

    def __init__(self, instant=NOON):
        self.instant = instant

    def __call__(self):
        return self.instant

    def move(self, seconds):
        self.instant += timedelta(seconds=seconds)


def key_of(account_id):
    return ApiKey(f"key-{account_id}", f"secret-{account_id}")


def attempt(account_id=1, **changes):
    given = {
        "client_order_id": f"p{'a' * 26}{account_id}",
        "account_id": account_id,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "quantity": Decimal("0.0030"),
        "reduce_only": False,
        "signed_at_ms": to_ms(NOON),
        "recv_window_ms": 5_000,
    }
    return OrderAttempt(**(given | changes))


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    connection: int


@dataclass
class Misdeed:
    """What to do to one request instead of answering it properly."""

    executes: bool = True
    delay_seconds: float = 0.0
    answer: bytes | None = None  # these bytes, as they are
    closes: bool = False  # after the answer, or instead of one


def http(status, body, *, headers=()):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


@dataclass
class ScriptedVenue:
    clock: StandingClock = field(default_factory=StandingClock)
    received: list[Received] = field(default_factory=list)
    executed: dict[str, dict] = field(default_factory=dict)  # client order id → order
    answers: dict[tuple[str, str], object] = field(default_factory=dict)
    misdeeds: dict[str, deque] = field(default_factory=dict)  # path → for the next requests, in order
    slow_keys: dict[str, float] = field(default_factory=dict)  # key → seconds
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""

    def will(self, misdeed, *, path="/fapi/v1/order"):
        self.misdeeds.setdefault(path, deque()).append(misdeed)

    def refuse(self, status, body, **more):
        self.will(Misdeed(executes=False, answer=http(status, body, **more)))

    def orders_received(self):
        return [one for one in self.received if (one.method, one.path) == ("POST", "/fapi/v1/order")]

    def asked(self, path):
        return [one for one in self.received if one.path == path]

    async def drop_all(self):
        """Close every kept connection, as a venue does with idle ones."""
        for writer in self.writers:
            writer.close()
        await asyncio.sleep(0.02)

    async def serve(self, reader, writer):
        self.connections += 1
        number = self.connections
        self.writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                request = self._read(head, number)
                self.received.append(request)
                if not await self._answer(request, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _read(self, head, number):
        method, target, _ = head[0].split(" ")
        parts = urlsplit(target)
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        return Received(method, parts.path, dict(parse_qsl(parts.query)), parts.query, headers, number)

    async def _answer(self, request, writer):
        await asyncio.sleep(self.slow_keys.get(request.headers.get("x-mbx-apikey", ""), 0))
        planned = self.misdeeds.get(request.path)
        misdeed = planned.popleft() if planned else Misdeed()
        answer = self._proper(request) if misdeed.executes else b""
        await asyncio.sleep(misdeed.delay_seconds)
        if misdeed.answer is not None:
            answer = misdeed.answer
        if not misdeed.closes or misdeed.answer is not None:
            writer.write(answer)
            await writer.drain()
        return not misdeed.closes

    def _proper(self, request):
        if "signature" in request.query and (problem := self._signature_problem(request)):
            return problem
        if (request.method, request.path) == ("POST", "/fapi/v1/order"):
            return self._place(request)
        if (request.method, request.path) == ("GET", "/fapi/v1/order"):
            order = self.executed.get(request.query["origClientOrderId"])
            return http(200, order) if order else http(400, {"code": -2013, "msg": "Order does not exist."})
        if request.path == "/fapi/v1/time":
            return http(200, {"serverTime": to_ms(self.clock())})
        body = self.answers.get((request.method, request.path))
        if isinstance(body, bytes):
            return body
        return http(404, b"<html>no such page</html>") if body is None else http(200, body)

    def _signature_problem(self, request):
        account = request.headers.get("x-mbx-apikey", "").removeprefix("key-")
        signed, _, signature = request.raw_query.rpartition("&signature=")
        expected = hmac.new(f"secret-{account}".encode(), signed.encode(), "sha256").hexdigest()
        if signature != expected:
            return http(400, {"code": -1022, "msg": "Signature for this request is not valid."})
        age = to_ms(self.clock()) - int(request.query["timestamp"])
        if not -1000 < age <= int(request.query["recvWindow"]):
            return http(
                400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
            )
        return None

    def _place(self, request):
        client_order_id = request.query["newClientOrderId"]
        if client_order_id in self.executed:
            return http(400, {"code": -4116, "msg": "ClientOrderId is duplicated."})
        order = {
            "orderId": 1000 + len(self.executed), "clientOrderId": client_order_id, "status": "NEW",
            "symbol": request.query["symbol"], "origQty": request.query["quantity"], "executedQty": "0",
            "time": to_ms(self.clock()), "updateTime": to_ms(self.clock()),
        }  # fmt: skip
        self.executed[client_order_id] = order
        counted = ("X-MBX-ORDER-COUNT-10S: 3", "X-MBX-ORDER-COUNT-1M: 7")
        return http(200, order, headers=counted)


@asynccontextmanager
async def scripted_venue(*, tls=None):
    venue = ScriptedVenue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    venue.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield venue
    finally:
        server.close()
        for writer in venue.writers:
            writer.close()
        await asyncio.sleep(0.01)


@dataclass
class ScriptedStreams:
    """A websocket venue: remembers what was opened and subscribed, says what a test says."""

    names_accounts: bool = True  # whether messages say whose they are
    refuses: bool = False  # whether openings are turned away
    opened: list[str] = field(default_factory=list)  # path and query of each opening
    live_before: list[int] = field(default_factory=list)  # how many were open when each opening came
    sockets: list[tuple[list[str], web.WebSocketResponse]] = field(default_factory=list)
    texts: list[dict] = field(default_factory=list)
    url: str = ""

    @property
    def live(self):
        return [(keys, socket) for keys, socket in self.sockets if not socket.closed]

    async def answer(self, request):
        if self.refuses:
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.opened.append(request.path_qs)
        self.live_before.append(len(self.live))
        self.sockets.append((request.query.getall("listenKey", []), socket))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.texts.append(json.loads(message.data))
        return socket

    async def say(self, key, event):
        for keys, socket in self.live:
            if key in keys:
                stream = key if self.names_accounts else event["e"]
                await socket.send_json({"stream": stream, "data": event})

    async def say_all(self, text):
        for _, socket in self.live:
            await socket.send_str(text)

    async def drop_all(self):
        for _, socket in self.live:
            await socket.close()


@asynccontextmanager
async def scripted_streams():
    streams = ScriptedStreams()
    application = web.Application()
    application.router.add_get("/{path:.*}", streams.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    streams.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield streams
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait until something holds; fail when it never does."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


Sink = Callable[[object], Awaitable[None]]

"""The wire: pings that nobody answers, and who is not let in any more."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn

from pregao.accounts.principal import ADMIN_TOKEN
from pregao.domain.user import Role
from pregao.edges.http.intake import UVICORN_OPTIONS
from pregao.edges.http.live.events import EventsView, Eyes, Topic
from pregao.edges.http.live.feed import Feed
from pregao.edges.http.live.lines import drop_of
from pregao.edges.http.live.stream import EventStream
from tests.edges.http.api.own_desk import TOKEN, own_desk
from tests.edges.http.live.happenings import ListedHappenings, look

SOON = 20.0
PING_SECONDS, PONG_SECONDS = 0.2, 3.0  # whoever answers has time to, on a busy machine too


@contextlib.asynccontextmanager
async def served(app) -> AsyncIterator[int]:
    """Serve an application as the desk does, with pings that come soon; give the port."""
    options = {**UVICORN_OPTIONS, "ws_ping_interval": PING_SECONDS, "ws_ping_timeout": PONG_SECONDS}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, **options))
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a websocket by hand: nothing here answers a ping by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /ws/notifications HTTP/1.1\r\nHost: desk\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Authorization: Bearer %b\r\n\r\n" % TOKEN.encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    return reader, writer


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one short frame: its opcode and what it holds."""
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2))
    return first & 0x0F, await reader.readexactly(length)


CLOSE, PING, PONG = 8, 9, 10


class TestPings:
    async def test_f022_a_client_that_answers_stays_and_one_that_does_not_is_closed(self, database):
        async with own_desk(database) as desk, served(desk.app) as port, asyncio.timeout(SOON):
            reader, writer = await opened(port)
            for _ in range(3):
                while (got := await frame(reader))[0] != PING:
                    pass
                writer.write(bytes([0x80 | PONG, 0x80 | len(got[1]), 0, 0, 0, 0]) + got[1])

            while (got := await frame(reader))[0] != CLOSE:
                pass  # from here on nothing is answered
            assert int.from_bytes(got[1][:2]) == 1011
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()


class TestTheLastWord:
    async def test_is_told_on_either_wire_to_who_still_reads(self):
        async with served(dropping) as port, asyncio.timeout(SOON):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n")
            assert (await reader.read()).endswith(b"8\r\nTOO_SLOW\r\n0\r\n\r\n")
            writer.close()
            reader, writer = await opened(port)
            opcode, told = await frame(reader)
            assert (opcode, int.from_bytes(told[:2]), told[2:]) == (CLOSE, 1013, b"TOO_SLOW")
            writer.close()


async def dropping(scope, receive, send) -> None:
    """Answer, and end the line at once."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    drop_of(scope)(b"TOO_SLOW")
    if scope["type"] == "http":
        await send({"type": "http.response.body", "body": b""})


class TestStreams:
    async def test_end_when_the_reader_is_signed_out_and_show_life_before(self):
        feed = Feed(ListedHappenings(), look=look)
        signed_in = [ADMIN_TOKEN, ADMIN_TOKEN, None]
        view = EventsView(Eyes(Role.ADMIN, None), frozenset(Topic))

        async def still_in():
            return signed_in.pop(0)

        stream = EventStream(
            feed, view, after=None, who=ADMIN_TOKEN, still_in=still_in, heartbeat_seconds=0.01, look_again_seconds=0
        )  # fmt: skip
        sent = await answered(stream)

        assert [message["type"] for message in sent[:1]] == ["http.response.start"]
        words = [message["body"] for message in sent[1:]]
        assert words[0].startswith(b"retry: 2000\nid: 1.100.0\nevent: ready\n")
        assert words[1:3] == [b": still here\nid: 1.100.0\n\n"] * 2
        assert words[3:] == [b'event: end\ndata: {"code":"SIGNED_OUT"}\n\n', b""]


async def answered(stream: EventStream) -> list[dict]:
    """Give all that is answered to a reader who stays."""
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    async with asyncio.timeout(SOON):
        await stream({"type": "http", "extensions": {}}, receive, send)
    return sent

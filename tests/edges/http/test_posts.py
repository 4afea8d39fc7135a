"""The short way of a webhook: what is unusual takes the long way, and nobody can tell the difference."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn

from pregao.edges.http.answers import MASTER_PATH
from pregao.edges.http.intake import UVICORN_OPTIONS

PATH = f"{MASTER_PATH}a-bot"
SECONDS_MAX = 5


@dataclass
class Application:
    """Answers with what it got, and says which way it came."""

    came: list[tuple[str, bytes]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    is_quick: bool = (
        False  # answers without a task of the server's: before it returns, or by somebody else's call
    )
    calls: set[asyncio.Task] = field(default_factory=set)

    def begin(self, scope, body, sender):
        self.came.append(("short", body))
        if not self.is_quick:
            sender.wait(self._reply(scope, body))
        elif self.hold is None:
            sender.reply(self._say(scope, body))
        else:
            self.calls.add(asyncio.create_task(self._call(scope, body, sender)))

    async def _call(self, scope, body, sender):
        sender.reply(await self._reply(scope, body))

    async def __call__(self, scope, receive, send):
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
        self.came.append(("long", body))
        status, text, headers = await self._reply(scope, body)
        length = (b"content-length", b"%d" % len(text))
        headers = ((b"content-type", b"application/json"), length, *headers)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _reply(self, scope, body):
        if self.hold is not None:
            await self.hold.wait()
        return self._say(scope, body)

    def _say(self, scope, body):
        text = b"%b %b?%b %b" % (
            scope["method"].encode(),
            scope["path"].encode(),
            scope["query_string"],
            body,
        )
        return 202, text, ((b"x-client", scope["client"][0].encode()),)


@asynccontextmanager
async def opened(*, is_quick: bool = False):
    application = Application(is_quick=is_quick)
    config = uvicorn.Config(
        application, host="127.0.0.1", port=0, log_level="error", lifespan="off", **UVICORN_OPTIONS
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    async with asyncio.timeout(SECONDS_MAX):
        yield application, server, reader, writer
    writer.close()
    server.should_exit = True
    await task


def post(
    body: bytes = b"{}", *, path: str = PATH, headers: tuple[str, ...] = (), version: str = "1.1"
) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: here", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def answer(reader) -> tuple[bytes, bytes]:
    """Read one answer: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(int(length.partition(b":")[2]))


QUICK = pytest.mark.parametrize("is_quick", [False, True])


class TestWebhookProtocol:
    @QUICK
    async def test_answers_a_whole_post_like_the_long_way(self, is_quick):
        async with opened(is_quick=is_quick) as (application, _, reader, writer):
            writer.write(post(b"{1}"))
            short = await answer(reader)
            writer.write(chunked(b"{1}"))
            long = await answer(reader)

        assert application.came == [("short", b"{1}"), ("long", b"{1}")]
        assert short == long

    async def test_gives_path_and_query_as_the_long_way_does(self):
        async with opened() as (application, _, reader, writer):
            for path in (f"{PATH}?secret=a%20b&wait=0", f"{PATH}?", "/webhook/in?secret=x"):
                writer.write(post(path=path))
                _, short = await answer(reader)
                writer.write(post(path=path, headers=("Expect: 100-continue",)))
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                assert (await answer(reader))[1] == short

        assert [way for way, _ in application.came] == ["short", "long"] * 3

    async def test_waits_for_a_body_that_comes_in_pieces(self):
        async with opened() as (application, _, reader, writer):
            sent = post(b"0123456789")
            for piece in (sent[:20], sent[20:-5], sent[-5:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            await answer(reader)

        assert application.came == [("short", b"0123456789")]

    @QUICK
    async def test_answers_in_order_what_comes_at_once(self, is_quick):
        async with opened(is_quick=is_quick) as (application, _, reader, writer):
            writer.write(b"".join(post(b"%d" % number) for number in range(5)))
            bodies = [(await answer(reader))[1] for _ in range(5)]

        assert [body[-1:] for body in bodies] == [b"0", b"1", b"2", b"3", b"4"]
        assert [body for _, body in application.came] == [b"0", b"1", b"2", b"3", b"4"]

    @pytest.mark.parametrize(
        "sent",
        [
            post(b"x", path=f"{MASTER_PATH}a%2Db"),
            post(b"x", path="/api/v1/bots"),
            post(b"x", path="/webhook/in/more"),
            post(b"x", path=f"http://elsewhere{PATH}"),
            post(b"x", headers=("Upgrade: other", "Connection: Upgrade")),
            post(b"x" * 70_000),
            post(b"x").replace(b"POST", b"PUT"),
            f"POST {PATH} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode(),
        ],
    )  # fmt: skip
    async def test_leaves_what_is_unusual_to_the_long_way(self, sent):
        async with opened() as (application, _, reader, writer):
            writer.write(sent)
            head, _ = await answer(reader)

        assert head.startswith(b"HTTP/1.1 202 ")
        assert [way for way, _ in application.came] == ["long"]

    @QUICK
    @pytest.mark.parametrize("how", [{"headers": ("Connection: close",)}, {"version": "1.0"}])
    async def test_closes_the_connection_when_the_sender_wants_no_more(self, how, is_quick):
        async with opened(is_quick=is_quick) as (application, _, reader, writer):
            writer.write(post(**how))
            head, _ = await answer(reader)

            assert b"\r\nconnection: close\r\n" in head
            assert await reader.read() == b""
        assert len(application.came) == 1

    async def test_takes_nothing_from_a_sender_who_leaves_before_the_end(self):
        async with opened() as (application, _, reader, writer):
            writer.write(post(b"0123456789")[:-1])
            writer.write_eof()
            assert await reader.read() == b""

        assert application.came == []

    @QUICK
    async def test_survives_a_sender_who_does_not_wait_for_the_answer(self, is_quick):
        async with opened(is_quick=is_quick) as (application, server, _, writer):
            application.hold = asyncio.Event()
            writer.write(post())
            while not application.came:
                await asyncio.sleep(0.01)
            writer.close()
            await asyncio.sleep(0.05)
            application.hold.set()
            await asyncio.gather(*application.calls)
            while server.server_state.tasks:
                await asyncio.sleep(0.01)

    @QUICK
    async def test_answers_what_is_on_its_way_when_the_server_stops(self, is_quick):
        async with opened(is_quick=is_quick) as (application, server, reader, writer):
            application.hold = asyncio.Event()
            writer.write(post())
            while not application.came:
                await asyncio.sleep(0.01)
            server.should_exit = True
            await asyncio.sleep(0.3)
            application.hold.set()
            head, _ = await answer(reader)

            assert b"\r\nconnection: close\r\n" in head
            assert await reader.read() == b""

    @QUICK
    async def test_closes_a_connection_that_is_silent_after_its_answer(self, is_quick):
        async with opened(is_quick=is_quick) as (_, server, _, _):
            server.config.timeout_keep_alive = 1
            other, writing = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
            writing.write(post())
            await answer(other)

            assert await other.read() == b""
            writing.close()

    async def test_counts_silence_from_the_last_answer_on(self):
        async with opened(is_quick=True) as (application, server, _, _):
            server.config.timeout_keep_alive = 1
            other, writing = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
            loop = asyncio.get_running_loop()
            writing.write(post())
            await answer(other)
            await asyncio.sleep(0.5)
            writing.write(post())
            await answer(other)
            answered_at = loop.time()

            assert await other.read() == b""
            assert loop.time() - answered_at > 0.9  # the first answer's second was over before
            assert len(application.came) == 2
            writing.close()

    @QUICK
    async def test_keeps_a_connection_whose_request_takes_longer_than_it_may_be_silent(self, is_quick):
        async with opened(is_quick=is_quick) as (application, server, _, _):
            server.config.timeout_keep_alive = 1
            other, writing = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
            writing.write(post(b"first"))
            await answer(other)
            application.is_quick, application.hold = False, asyncio.Event()
            writing.write(post(b"second"))
            await asyncio.sleep(1.5)
            application.hold.set()
            _, body = await answer(other)

            assert body.endswith(b"second")
            writing.close()

    async def test_waits_for_a_sender_who_does_not_read(self):
        posts, before = 200, -1  # of 60 KB: more than both ends of a connection hold
        async with opened(is_quick=True) as (application, _, reader, writer):
            writer.write(b"".join(post(b"%05d" % number * 12_000) for number in range(posts)))
            while before < len(application.came):
                before = len(application.came)
                await asyncio.sleep(0.2)
            bodies = [(await answer(reader))[1] for _ in range(posts)]

        assert [body[-5:] for body in bodies] == [b"%05d" % number for number in range(posts)]

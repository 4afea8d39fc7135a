"""A destination's host is looked at before the connection, and the connection goes to what was looked at."""

import asyncio
import contextlib
import ssl

import pytest

from pregao.destinations.refusals import SettingUnusableError
from pregao.edges.destinations import CheckedDestinations
from pregao.edges.exchanges.webhook.post import Post, Posts
from tests.edges.notifications.scripted_channels import certificate


class Names:
    """A name server that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def answer(reader, writer):
    """Say who was asked for; and where else to look, which nobody should follow."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    host = next(line for line in head.split("\r\n") if line.lower().startswith("host:"))
    body = host.encode()
    writer.write(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    await writer.drain()
    writer.close()


@pytest.fixture
async def server():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def posts():
    posts = Posts()
    yield posts
    await posts.close()


async def posted(posts, destinations, url):
    """Check an address as whoever forwards does, and post there."""
    checked = await destinations.check(url)
    post = Post(
        url=url, addresses=checked.addresses, key="one", body=b"{}", timeout_seconds=5, keeps_connection=False
    )
    return await posts.send(post)


class TestDestinations:
    async def test_give_what_the_name_server_says_when_all_of_it_is_public(self):
        names = Names(["8.8.8.8", "2606:4700:4700::1111"])

        checked = await CheckedDestinations((), resolve=names).check("https://hooks.example/secret/path")

        assert (checked.host, checked.port) == ("hooks.example", 443)
        assert checked.addresses == ("8.8.8.8", "2606:4700:4700::1111")
        assert names.asked == [("hooks.example", 443)]

    @pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://localhost/"])
    async def test_are_refused_by_the_system_resolver_too_unless_allowed(self, url):
        with pytest.raises(SettingUnusableError) as refused:
            await CheckedDestinations(()).check(url)

        assert refused.value.code == "DESTINATION_FORBIDDEN"

    async def test_without_an_address_are_unresolved(self):
        with pytest.raises(SettingUnusableError) as refused:
            await CheckedDestinations(()).check("http://nobody.invalid/")

        assert refused.value.code == "DESTINATION_UNRESOLVED"


@contextlib.asynccontextmanager
async def listening(*, tls=None):
    """Listen, and keep what everybody said until he left."""
    said = []

    async def hear(reader, writer):
        said.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], said


class TestConnect:
    async def test_goes_to_what_was_checked_and_leaves_without_a_word(self):
        names = Names(["127.0.0.9", "127.0.0.1"])  # nobody listens at the first
        destinations = CheckedDestinations(["hooks.example"], resolve=names)
        async with listening() as (port, said):
            checked = await destinations.check(f"http://hooks.example:{port}/in?token=t0ken")

            seconds = await destinations.connect(checked, seconds_max=5)

            async with asyncio.timeout(5):
                while not said:
                    await asyncio.sleep(0.01)
        assert 0 <= seconds < 5
        assert (said, names.asked) == ([b""], [("hooks.example", port)])

    async def test_fails_where_nobody_listens(self):
        destinations = CheckedDestinations(["127.0.0.1"])
        async with listening() as (port, _):
            pass
        checked = await destinations.check(f"http://127.0.0.1:{port}/")

        with pytest.raises(ConnectionRefusedError):
            await destinations.connect(checked, seconds_max=5)

    async def test_fails_where_the_certificate_is_nobodys(self, tmp_path):
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(*map(str, certificate(tmp_path)))
        destinations = CheckedDestinations(["127.0.0.1"])
        async with listening(tls=own) as (port, said):
            checked = await destinations.check(f"https://127.0.0.1:{port}/in")

            with pytest.raises(ssl.SSLCertVerificationError):
                await destinations.connect(checked, seconds_max=5)

        assert said in ([], [b""])


class TestConnection:
    async def test_goes_to_what_was_checked_under_the_name_and_follows_no_redirect(self, server, posts):
        names = Names(["127.0.0.1"])
        destinations = CheckedDestinations(["hooks.example"], resolve=names)

        answered = await posted(posts, destinations, f"http://hooks.example:{server}/in")

        assert (answered.status, answered.answer.text) == (307, f"Host: hooks.example:{server}")
        assert names.asked == [("hooks.example", server)]

    async def test_is_not_made_when_the_name_has_another_address_by_then(self, server, posts):
        """It was public when it was set; its name server says 127.0.0.1 when a signal comes."""
        destinations = CheckedDestinations((), resolve=Names(["8.8.8.8"], ["127.0.0.1"]))
        await destinations.check(f"http://rebinding.example:{server}/in")

        with pytest.raises(SettingUnusableError) as refused:
            await posted(posts, destinations, f"http://rebinding.example:{server}/in")

        assert refused.value.code == "DESTINATION_FORBIDDEN"

    async def test_tries_the_next_address_when_one_does_not_answer(self, server, posts):
        destinations = CheckedDestinations(["hooks.example"], resolve=Names(["127.0.0.9", "127.0.0.1"]))

        assert (await posted(posts, destinations, f"http://hooks.example:{server}/in")).status == 307

import asyncio

import pytest

from benchmarks.certificate import make_certificate, serving
from pregao.edges.exchanges.wire import AnswerLost, NotSent, Priority, Wire, WireLimits
from tests.edges.exchanges.scripted_venue import (
    ANSWER_SECONDS,
    Misdeed,
    StandingClock,
    http,
    scripted_venue,
    until,
)

GET = b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /slow?%d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def post(number=0):
    return POST % number


def wire_with(**limits):
    return Wire(clock=StandingClock(), limits=WireLimits(**({"timeout_seconds": ANSWER_SECONDS} | limits)))


class TestLine:
    async def test_reuses_its_connections(self, venue, wire):
        line = wire.line(venue.url)

        for _ in range(5):
            await line.ask(GET, priority=Priority.READ)

        assert venue.connections == 1

    async def test_is_one_per_address(self, venue, wire):
        assert wire.line(venue.url) is wire.line(venue.url + "/")

    async def test_opens_no_more_connections_than_allowed(self, venue):
        venue.answers["POST", "/slow"] = {}
        wire = wire_with(connections_max=3)
        line = wire.line(venue.url)

        answers = await asyncio.gather(*(line.ask(post(), priority=Priority.ENTRY) for _ in range(30)))

        assert [answer.status for answer in answers] == [200] * 30
        assert venue.connections <= 3
        await wire.close()

    async def test_says_not_sent_when_nobody_listens(self, wire):
        with pytest.raises(NotSent):
            await wire.line("http://127.0.0.1:9").ask(post(), priority=Priority.ENTRY)

    async def test_says_not_sent_when_no_connection_was_ready_in_time(self, venue):
        """A plain venue never ends a TLS handshake."""
        wire = wire_with(timeout_seconds=0.1)

        with pytest.raises(NotSent):
            await wire.line(venue.url.replace("http", "https")).ask(post(), priority=Priority.ENTRY)

        await wire.close()

    async def test_sends_nothing_twice_when_a_kept_connection_dies_under_an_order(self, venue, wire):
        line = wire.line(venue.url)
        await line.ask(GET, priority=Priority.READ)
        venue.will(Misdeed(closes=True), path="/slow")

        with pytest.raises(AnswerLost):
            await line.ask(post(), priority=Priority.ENTRY)

        await asyncio.sleep(0.05)
        assert len(venue.asked("/slow")) == 1

    async def test_repeats_a_read_once_when_a_kept_connection_dies_under_it(self, venue, wire):
        line = wire.line(venue.url)
        await line.ask(GET, priority=Priority.READ)
        venue.will(Misdeed(closes=True), path="/fapi/v1/time")

        answer = await line.ask(GET, priority=Priority.READ, is_repeatable=True)

        assert answer.status == 200
        assert len(venue.received) == 3

    async def test_does_not_repeat_a_read_on_a_fresh_connection(self, venue, wire):
        venue.will(Misdeed(closes=True), path="/fapi/v1/time")

        with pytest.raises(AnswerLost):
            await wire.line(venue.url).ask(GET, priority=Priority.READ, is_repeatable=True)

        assert len(venue.received) == 1

    async def test_does_not_reuse_a_connection_whose_answer_was_late(self, venue):
        venue.answers["POST", "/slow"] = {"late": True}
        venue.will(Misdeed(delay_seconds=0.15), path="/slow")
        wire = wire_with(timeout_seconds=0.1)
        line = wire.line(venue.url)

        with pytest.raises(AnswerLost):
            await line.ask(post(), priority=Priority.ENTRY)
        answer = await line.ask(GET, priority=Priority.READ)

        assert b"serverTime" in answer.body
        assert venue.connections == 2
        await wire.close()

    async def test_does_not_reuse_a_connection_whose_caller_gave_up(self, venue, wire):
        venue.answers["POST", "/slow"] = {"late": True}
        venue.will(Misdeed(delay_seconds=0.05), path="/slow")
        line = wire.line(venue.url)
        asking = asyncio.create_task(line.ask(post(), priority=Priority.ENTRY))
        await until(lambda: venue.received)

        asking.cancel()
        answer = await line.ask(GET, priority=Priority.READ)

        assert b"serverTime" in answer.body
        assert venue.connections == 2

    @pytest.mark.parametrize(
        "bytes_",
        [
            b"what?\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nConte",
        ],
    )
    async def test_loses_an_answer_that_is_not_whole(self, venue, wire, bytes_):
        venue.will(Misdeed(answer=bytes_, closes=True), path="/slow")

        with pytest.raises(AnswerLost):
            await wire.line(venue.url).ask(post(), priority=Priority.ENTRY)

        assert len(venue.received) == 1

    async def test_takes_no_second_answer_for_the_next_request(self, venue, wire):
        """Two answers to one request: the second must not become somebody else's."""
        venue.will(Misdeed(answer=http(200, b"first") + http(200, b"second")), path="/slow")
        line = wire.line(venue.url)

        first = await line.ask(post(), priority=Priority.ENTRY)
        second = await line.ask(GET, priority=Priority.READ)

        assert first.body == b"first"
        assert b"serverTime" in second.body
        assert venue.connections == 2

    async def test_reads_chunks_and_announcements(self, venue, wire):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        venue.will(Misdeed(answer=b"HTTP/1.1 100 Continue\r\n\r\n" + chunked), path="/slow")

        answer = await wire.line(venue.url).ask(post(), priority=Priority.ENTRY)

        assert (answer.status, answer.body) == (200, b"abc")

    async def test_closes_when_the_venue_says_so(self, venue, wire):
        venue.will(Misdeed(answer=http(200, b"{}", headers=["Connection: close"])), path="/slow")
        line = wire.line(venue.url)

        await line.ask(post(), priority=Priority.ENTRY)
        await line.ask(GET, priority=Priority.READ)

        assert venue.connections == 2

    async def test_lets_exits_go_first(self, venue):
        venue.answers["POST", "/slow"] = {}
        venue.will(Misdeed(delay_seconds=0.05), path="/slow")
        wire = wire_with(connections_max=1)
        line = wire.line(venue.url)
        blocking = asyncio.create_task(line.ask(post(0), priority=Priority.ENTRY))
        await until(lambda: venue.received)

        await asyncio.gather(
            line.ask(GET, priority=Priority.READ),
            line.ask(post(1), priority=Priority.ENTRY),
            line.ask(post(2), priority=Priority.ENTRY),
            line.ask(post(3), priority=Priority.EXIT),
        )

        await blocking
        assert [one.raw_query for one in venue.received] == ["0", "3", "1", "2", ""]
        await wire.close()

    async def test_leaves_connections_to_orders_when_reads_are_slow(self, venue):
        venue.answers["POST", "/slow"] = {}
        for _ in range(8):
            venue.will(Misdeed(delay_seconds=0.2), path="/fapi/v1/time")
        wire = wire_with(connections_max=4)
        line = wire.line(venue.url)
        reads = [asyncio.create_task(line.ask(GET, priority=Priority.READ)) for _ in range(8)]
        await until(lambda: len(venue.received) == 2)

        async with asyncio.timeout(0.15):
            await line.ask(post(), priority=Priority.ENTRY)

        await asyncio.gather(*reads, return_exceptions=True)
        await wire.close()

    async def test_warms_connections_in_advance(self, venue, wire):
        line = wire.line(venue.url)

        opened = await line.warm(5)
        await asyncio.gather(*(line.ask(GET, priority=Priority.ENTRY) for _ in range(5)))

        assert opened == 5
        assert venue.connections == 5

    async def test_opens_anew_after_the_venue_dropped_idle_connections(self, venue, wire):
        line = wire.line(venue.url)
        await line.warm(2)
        await venue.drop_all()

        answer = await line.ask(GET, priority=Priority.ENTRY)

        assert answer.status == 200

    async def test_writes_the_first_of_many_before_the_last_is_built(self, venue, wire):
        line = wire.line(venue.url)
        await line.warm(1)
        sent = []

        async def ask():
            sent.append((await line.ask(GET, priority=Priority.ENTRY)).status)

        asking = asyncio.create_task(ask())
        await asyncio.sleep(0)  # one step of the task: the bytes are out
        connection = next(iter(line._open))
        assert connection.transport.get_write_buffer_size() == 0
        assert connection.request is not None
        await asking


class TestTls:
    async def test_refuses_an_unknown_certificate(self, own_certificate):
        server, _ = own_certificate
        async with scripted_venue(tls=server) as venue:
            wire = wire_with()

            with pytest.raises(NotSent):
                await wire.line(venue.url).ask(post(), priority=Priority.ENTRY)

            assert venue.received == []
            await wire.close()

    async def test_talks_over_a_known_certificate(self, own_certificate):
        server, client = own_certificate
        async with scripted_venue(tls=server) as venue:
            wire = Wire(clock=StandingClock(), limits=WireLimits(timeout_seconds=2), tls=client)

            answer = await wire.line(venue.url).ask(GET, priority=Priority.READ)

            assert answer.status == 200
            await wire.close()


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory):
    made = make_certificate(tmp_path_factory.mktemp("tls"))
    return serving(made.public, made.private), made.verifying()


class TestQuiet:
    """While a burst of orders leaves, what venues answer to the first of them is not read."""

    def ask(self, line, **changes):
        return asyncio.create_task(
            line.ask(post(), priority=Priority.ENTRY, **{"is_patient": True, **changes})
        )

    async def begin(self, venue, wire):
        venue.answers["POST", "/slow"] = {"orderId": 7}
        line = wire.line(venue.url)
        await line.warm(2)
        wire.quiet.begin()
        return line

    async def unread(self, venue, asking):
        await until(lambda: venue.asked("/slow"))
        await asyncio.sleep(0.05)
        return not asking.done()

    async def test_leaves_a_patient_answer_unread_until_it_ends(self, venue, wire):
        line = await self.begin(venue, wire)
        asking = self.ask(line)
        assert await self.unread(venue, asking)

        wire.quiet.end()

        assert (await asking).body == b'{"orderId": 7}'

    async def test_reads_what_somebody_else_waits_for(self, venue, wire):
        line = await self.begin(venue, wire)

        answer = await asyncio.wait_for(self.ask(line, is_patient=False), timeout=0.3)

        assert answer.status == 200

    async def test_reads_an_answer_whose_connection_somebody_waits_for(self, venue):
        wire = wire_with(connections_max=1)
        line = await self.begin(venue, wire)

        first, second = self.ask(line), self.ask(line)
        answer = await asyncio.wait_for(first, timeout=0.3)

        assert answer.status == 200
        wire.quiet.end()
        await second
        await wire.close()

    async def test_loses_no_answer_whose_time_is_over(self, venue, wire):
        """It came in time; nobody had looked."""
        line = await self.begin(venue, wire)

        answer = await asyncio.wait_for(self.ask(line), timeout=10)

        assert answer.status == 200

    async def test_loses_no_answer_whose_connection_ends(self, venue, wire):
        line = await self.begin(venue, wire)
        asking = self.ask(line)
        assert await self.unread(venue, asking)

        await line.close()

        assert (await asking).status == 200

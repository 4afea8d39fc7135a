"""Real time over HTTP (F022): what happens appears without reload, to whoever may see it, once, and after a restart."""

import asyncio
import contextlib
import dataclasses
import json
import secrets
import socket as sockets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pregao.bootstrap.web import serve_web
from pregao.domain.facts import AlertRaised, Fact, ScreenerPaused
from pregao.edges.postgres.journal import Journal, open_journal
from tests.builders import alert, listed
from tests.fresh_database import fresh_database
from tests.journeys.live_client import EVENTS, SOON, reading, until_told, watching
from tests.journeys.test_features_b_trading import PAPER, bot_with, follow, numbers, say
from tests.journeys.whole_desk import TOKEN, WholeDesk, running_desk
from tests.ports import free_port

UPDATES, NOTIFICATIONS = "/ws/admin-updates", "/ws/notifications"


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, tmp_path_factory.mktemp("state"), paper=PAPER) as running,
    ):
        yield running


@pytest.fixture
async def journal(desk: WholeDesk) -> AsyncIterator[Journal]:
    journal = await open_journal(desk.settings.database_url, connections_max=2)
    yield journal
    await journal.pool.close()


def url_of(desk: WholeDesk) -> str:
    return str(desk.client.base_url)


async def somebody(desk: WholeDesk) -> tuple[str, str]:
    """Enroll a trader; give his id and the token of his session."""
    password = secrets.token_hex(16)
    email = f"watcher{next(numbers)}@example.com"
    user = {"email": email, "name": "watcher", "role": "trader", "password": password}
    made = await desk.ask("POST", "/api/v1/admin/users", json=user)
    login = await desk.ask("POST", "/api/v1/auth/login", json={"email": email, "password": password})
    return made["user_id"], login["token"]


def paused(by: str) -> ScreenerPaused:
    return ScreenerPaused(happened_at=datetime.now(UTC), is_paused=True, set_by=by)


def raised(title: str, user_id: str | None) -> AlertRaised:
    to = None if user_id is None else UUID(user_id)
    told = alert(title=title, dedupe_key=title, alert_id=uuid4(), user_id=to)
    return AlertRaised(happened_at=datetime.now(UTC), alert=told)


async def put(journal: Journal, *told: Fact | str) -> None:
    """Commit facts, each in a transaction of its own; a name is told by somebody of that name."""
    for one in told:
        async with journal.transaction() as transaction:
            await transaction.append([paused(one) if isinstance(one, str) else one])


def names_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["set_by"] for event in events]


class TestOneOrder:
    async def test_f022_appears_on_every_wire_without_a_reload(self, desk):
        """The trade of one follower: staff sees it in A's words, he in B's, and the events tell the same."""
        user_id, token = await somebody(desk)
        bot = await desk.create_bot()
        follower = await follow(desk, bot, user_id=user_id)
        async with (
            watching(url_of(desk), UPDATES, token=TOKEN) as staff,
            watching(url_of(desk), NOTIFICATIONS, token=token) as owner,
            reading(url_of(desk), token=token, topics="orders,positions") as reader,
        ):
            assert (await until_told(staff, "auth_status_update"))["authenticated"] is True
            assert "signals_approved" in await until_told(staff, "metrics_update")
            assert (await until_told(owner, "connected"))["user_id"] == user_id

            await say(desk, bot, "buy")

            opened = await until_told(staff, "order_status_change", new_status="open", ticker="ETHUSDT")
            assert "ETHUSDT" in (await until_told(staff, "sell_all_list_update"))["tickers"]
            filled = await until_told(owner, "order_update", status="filled")
            assert filled["account_id"] == follower.account_id
            execution = await until_told(owner, "bot_execution", status="success")
            assert execution["bot_id"] == bot["bot_id"]
            fill = await reader.until(lambda event: event["event"] == "fill")
            assert fill["data"]["account_id"] == follower.account_id

            await say(desk, bot, "close")

            closed = {"position_id": opened["position_id"], "new_status": "closed"}
            await until_told(staff, "order_status_change", **closed)
            told = await until_told(owner, "position_update", status="closed")
            assert told["position_id"] == opened["position_id"]
            [position] = await follower.positions()
            assert told["realized_pnl"] == position["realized_pnl"]

    async def test_f022_the_audit_log_has_what_was_told(self, desk):
        bot, _ = await bot_with(desk)
        async with watching(url_of(desk), UPDATES, token=TOKEN) as staff:
            receipt = await say(desk, bot, "buy")
            told = await until_told(
                staff, "new_audit_entry", event_type="approved", signal_id=receipt["signal_id"]
            )
            assert (told["ticker"], told["signal_type"]) == ("ETHUSDT", "buy")

            await staff.send(json.dumps({"type": "get_audit_log"}))
            log = (await until_told(staff, "audit_log_data"))["events"]

        assert len(log) <= 100
        own = {event["event_type"] for event in log if event["signal_id"] == receipt["signal_id"]}
        assert own == {"received", "processing", "approved"}
        assert told in log


class TestWhoSeesWhat:
    async def test_a_subscriber_is_told_of_his_own_accounts_only(self, desk):
        (first_id, first), (second_id, second) = await somebody(desk), await somebody(desk)
        bot = await desk.create_bot()
        followers = {
            token: await follow(desk, bot, user_id=user_id)
            for token, user_id in ((first, first_id), (second, second_id))
        }
        async with (
            reading(url_of(desk), token=first) as one,
            reading(url_of(desk), token=second) as other,
        ):
            await say(desk, bot, "buy")
            for reader in (one, other):
                await reader.until(lambda event: event["data"].get("status") == "open")
        for reader, token in ((one, first), (other, second)):
            accounts = {event["data"]["account_id"] for event in reader.seen if "account_id" in event["data"]}
            assert accounts == {followers[token].account_id}
            assert {"signal", "order", "fill", "position"} <= {event["event"] for event in reader.seen}
            assert "SignalPlanned" not in {event["data"].get("kind") for event in reader.seen}

    async def test_an_alert_is_told_to_whom_it_is_raised_for_and_to_staff(self, desk, journal):
        (his, token), (hers, stranger) = await somebody(desk), await somebody(desk)
        async with (
            reading(url_of(desk), token=token, topics="alerts") as owner,
            reading(url_of(desk), token=stranger, topics="alerts") as other,
            reading(url_of(desk), token=TOKEN, topics="alerts") as staff,
        ):
            await put(journal, raised("his", his), raised("the desk's", None), raised("hers", hers))

            for reader, titles in (
                (owner, ["his"]),
                (other, ["hers"]),
                (staff, ["his", "the desk's", "hers"]),
            ):
                told = await reader.facts(len(titles))
                assert [event["data"]["title"] for event in told] == titles

    async def test_a_session_comes_in_with_its_cookie_and_topics_are_chosen(self, desk, journal):
        _, token = await somebody(desk)
        async with reading(url_of(desk), cookie=token, topics="health") as reader:
            health = await reader.until(lambda event: event["event"] == "health")
        assert health["data"] == {"status": "healthy"}
        answer = await desk.client.get(EVENTS, params={"topics": "weather"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "TOPIC_UNKNOWN")
        answer = await desk.client.get(EVENTS, headers={"Last-Event-ID": "yesterday"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "PLACE_UNREADABLE")
        async with httpx.AsyncClient(base_url=url_of(desk), verify=False) as stranger:
            assert (await stranger.get(EVENTS)).status_code == 401


class TestComingIn:
    async def test_by_a_header_and_a_wrong_one_is_refused(self, desk):
        for token, status in (("wrong", 401), ((await somebody(desk))[1], 403)):
            with pytest.raises(InvalidStatus) as refused:
                async with watching(url_of(desk), UPDATES, token=token):
                    pass
            assert refused.value.response.status_code == status
            error = json.loads(refused.value.response.body)["error"]
            assert error["code"] == {401: "TOKEN_WRONG", 403: "ROLE_FORBIDDEN"}[status]

    async def test_by_the_first_message_and_a_wrong_one_is_closed(self, desk):
        async with watching(url_of(desk), UPDATES) as staff:
            await staff.send(json.dumps({"type": "auth", "token": TOKEN}))
            assert (await until_told(staff, "auth_status_update"))["role"] == "admin"
            await staff.send(json.dumps({"type": "ping"}))
            await until_told(staff, "pong")
            await staff.send("no JSON")
            assert (await until_told(staff, "error"))["code"] == "MESSAGE_UNREADABLE"
        assert await closed_with(desk, json.dumps({"type": "auth", "token": "wrong"})) == 4401
        assert await closed_with(desk, json.dumps({"type": "get_status"})) == 4401
        _, trader = await somebody(desk)
        assert await closed_with(desk, json.dumps({"type": "auth", "token": trader})) == 4403

    async def test_by_a_sessions_cookie_from_a_page_of_ours_only(self, desk):
        user_id, token = await somebody(desk)
        cookie = {"Cookie": f"pregao_session={token}"}
        ours = {**cookie, "Origin": url_of(desk)}
        async with watching(url_of(desk), NOTIFICATIONS, headers=ours) as owner:
            assert (await until_told(owner, "connected"))["user_id"] == user_id
        async with watching(
            url_of(desk), NOTIFICATIONS, headers={**cookie, "Origin": "http://evil.test"}
        ) as other:
            await other.send(json.dumps({"type": "get_status"}))
            assert (await until_told(other, "auth_status_update"))["authenticated"] is False

    async def test_by_a_ticket_once(self, desk):
        ticket = (await desk.ask("POST", "/api/v1/live/tickets"))["ticket"]
        async with watching(url_of(desk), f"{UPDATES}?ticket={ticket}") as staff:
            assert (await until_told(staff, "auth_status_update"))["authenticated"] is True
        async with watching(url_of(desk), f"{UPDATES}?ticket={ticket}") as again:
            told = await until_told(again, "auth_status_update")
            assert (told["authenticated"], told["code"]) == (False, "TICKET_WRONG")
            with pytest.raises(ConnectionClosed) as closed:
                await again.recv()
        assert closed.value.rcvd.code == 4401


async def closed_with(desk: WholeDesk, first: str) -> int:
    async with watching(url_of(desk), UPDATES) as socket:
        await socket.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            await until_told(socket, "nothing is called so")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


class TestGoingOn:
    async def test_f022_after_a_restart_nothing_is_lost_or_told_twice(self, desk, journal):
        """A web process of its own ends in the middle, and another answers at the same address."""
        settings = dataclasses.replace(desk.settings, server_port=free_port())
        url = f"http://127.0.0.1:{settings.server_port}"
        async with (
            web(settings, url) as process,
            reading(url, token=TOKEN, topics="screener") as reader,
            watching(url, NOTIFICATIONS, token=TOKEN) as owner,
        ):
            await put(journal, "1", "2", "3")
            before = names_of(await reader.facts(3))
            process.cancel()
            end = await reader.until(lambda event: event["event"] == "end")
            with pytest.raises(ConnectionClosed) as closed:
                await until_told(owner, "nothing is called so")
            async with asyncio.timeout(SOON):
                await asyncio.wait([process])
        assert (end["data"]["code"], closed.value.rcvd.code) == ("STOPPING", 1012)
        await put(journal, "4", "5")
        async with (
            web(settings, url),
            reading(url, token=TOKEN, place=reader.place, topics="screener") as later,
        ):
            await put(journal, "6")
            after = names_of(await later.facts(3))
        assert before + after == ["1", "2", "3", "4", "5", "6"]

    async def test_what_is_committed_late_is_told_once_too(self, desk, journal):
        async with reading(url_of(desk), token=TOKEN, topics="screener") as reader:
            async with journal.transaction() as late:
                await late.append([paused("late")])
                async with journal.transaction() as early:
                    await early.connection.execute("SELECT pg_current_xact_id()")
            await put(journal, "last")
            told = await reader.facts(2)
            place = reader.place
        assert names_of(told) == ["late", "last"]
        async with reading(url_of(desk), token=TOKEN, topics="screener", place=place) as later:
            await put(journal, "more")
            assert names_of(await later.facts(1)) == ["more"]

    async def test_a_place_of_another_database_loads_the_page_anew(self, desk, journal):
        async with reading(url_of(desk), token=TOKEN, topics="screener", place="99.1.1") as reader:
            assert (await reader.next())["event"] == "reset"
            await put(journal, "next")
            assert names_of(await reader.facts(1)) == ["next"]


@pytest.mark.extra
class TestSlowOnes:
    async def test_f022_who_never_reads_is_dropped_and_the_others_go_on(self, desk, journal):
        """More than any line holds: two that read nothing, one on either wire, and two that read all of it."""
        words = [f"{number} {'X' * 40_000}" for number in range(300)]
        async with (
            reading(url_of(desk), token=TOKEN, topics="screener") as reader,
            watching(url_of(desk), UPDATES, token=TOKEN) as staff,
        ):
            with (
                deaf_client(desk, f"{EVENTS}?topics=screener") as stream,
                deaf_client(desk, UPDATES, UPGRADE) as updates,
            ):
                reads = asyncio.gather(
                    reader.facts(len(words)), until_told(staff, "top_n_tickers_update", count=7)
                )
                for word in words:
                    await put(journal, listed([word]))
                await put(journal, listed([f"LAST{number}" for number in range(7)]))

                told, _ = await reads
                assert [event["data"]["tickers"] for event in told] == [[word] for word in words]
                await until_ended(stream)
                await until_ended(updates)


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def deaf_client(desk: WholeDesk, path: str, headers: str = "") -> sockets.socket:
    """Ask for a stream and read none of it."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", desk.settings.server_port))
    asked = f"GET {path} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n"
    raw.sendall(asked.encode())
    raw.setblocking(False)
    return raw


async def until_ended(raw: sockets.socket) -> None:
    """Read at last, until the other end has closed, or cut a line that was not read in time."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SOON):
        with contextlib.suppress(ConnectionError):
            while await loop.sock_recv(raw, 1 << 20):
                pass


@contextlib.asynccontextmanager
async def web(settings: Any, url: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run a web process's main of its own."""
    task = asyncio.create_task(serve_web(settings))
    try:
        async with httpx.AsyncClient(base_url=url, verify=False) as client, asyncio.timeout(SOON):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/health")).status_code == 200:
                        break
                assert not task.done(), task
                await asyncio.sleep(0.05)
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

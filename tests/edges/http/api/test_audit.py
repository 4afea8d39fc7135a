"""Every change somebody asks for is written down: who, from where, what, and what came of it (F033)."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from pregao.domain.facts import ActionTaken
from pregao.edges.http.audit import ALL_STRANGERS_PER_MINUTE_MAX, STRANGERS_PER_MINUTE_MAX, Audit, Strangers
from pregao.edges.postgres.actions import PostgresActions
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import NOON
from tests.edges.http.api.own_desk import (
    ACCOUNTS,
    ACTIONS,
    AUTH,
    AWAY,
    BOTS,
    PASSWORD,
    SUBSCRIPTIONS,
    TOKEN,
    USERS,
    app_client,
    client_of,
    code_of,
    own_desk,
)

SECRET = "a-secret-of-binance-9876543210"


@asynccontextmanager
async def ticking_desk(database, **changes):
    """A desk whose clock moves a little whenever it is looked at: the log is in the order of time."""
    ticks = itertools.count()
    clock = lambda: desk.now + timedelta(microseconds=next(ticks))  # noqa: E731
    async with own_desk(database, clock=clock, **changes) as desk:
        yield desk


@pytest.fixture
async def desk(database):
    async with ticking_desk(database) as desk:
        yield desk


def what(action: dict) -> tuple:
    return action["action"], action["status"], action["error_code"]


class TestAudit:
    async def test_tells_who_from_where_what_and_the_result(self, desk):
        ana = await desk.enroll("ana", "operator")
        made = await ana.made(BOTS, name="EMA cross")

        await ana.client.patch(f"{BOTS}/{made['bot_id']}", json={"status": "paused"})

        action = (await desk.actions())[-1]
        assert action.pop("action_id")
        assert action.pop("duration_ms") >= 0
        assert action.pop("happened_at").startswith("2026-11-21T12:00:00")
        assert action == {
            "user_id": ana.user_id,
            "email": "ana@desk.test",
            "principal": "session",
            "source_address": "192.0.2.1",
            "user_agent": ana.client.headers["user-agent"],
            "method": "PATCH",
            "path": f"{BOTS}/{made['bot_id']}",
            "action": "patch_bot",
            "action_type": "config_update",
            "targets": {"bot_id": made["bot_id"]},
            "status": 200,
            "error_code": None,
        }

    async def test_names_what_was_made(self, desk):
        made = await desk.make_account()

        (action,) = await desk.actions()

        assert what(action) == ("post_account", 201, None)
        assert action["targets"] == {"account_id": str(made["account_id"])}
        assert (action["principal"], action["user_id"]) == ("admin token", None)

    async def test_writes_down_what_was_refused_and_why(self, desk):
        ana = await desk.enroll("ana")
        await desk.make_bot(webhook_path="a-path-that-is-taken")
        before = len(await desk.actions())

        async with app_client(desk.app, token="wrong") as stranger:
            await stranger.post(BOTS, json={"name": "x"})
        await ana.client.post(BOTS, json={"name": "EMA cross"})
        await desk.client.post(BOTS, json={"name": "EMA", "webhook_path": "a-path-that-is-taken"})
        await desk.client.post(BOTS, json={"name": "EMA", "default_leverage": 0})
        await desk.client.post(BOTS, json={"name": 7})
        await desk.client.delete(f"{ACCOUNTS}/77")
        await desk.client.post("/api/v1/nothing")
        await desk.client.put(BOTS)

        refused = (await desk.actions())[before:]
        assert [(one["principal"], *what(one)) for one in refused] == [
            ("", "post_bot", 401, "TOKEN_WRONG"),
            ("session", "post_bot", 403, "ROLE_FORBIDDEN"),
            ("admin token", "post_bot", 409, "WEBHOOK_PATH_TAKEN"),
            ("admin token", "post_bot", 422, "SETTING_OUT_OF_RANGE"),
            ("admin token", "post_bot", 422, "SETTING_UNREADABLE"),
            ("admin token", "delete_account", 404, "ACCOUNT_UNKNOWN"),
            ("admin token", "", 404, "PATH_UNKNOWN"),
            ("admin token", "", 405, "METHOD_NOT_ALLOWED"),
        ]
        assert refused[1]["user_id"] == ana.user_id

    async def test_tells_whose_login_failed_and_whose_did_not(self, desk):
        ana = await desk.enroll("ana")
        await desk.log_in(ana.email, "wrong", address="203.0.113.9")
        await desk.log_in("nobody@desk.test", "wrong", address="203.0.113.9")

        good, bad, nobodys = (await desk.actions(action="post_login"))[-3:]

        assert (good["user_id"], good["principal"], good["status"]) == (ana.user_id, "session", 200)
        assert (bad["user_id"], bad["targets"], bad["error_code"]) == (
            None,
            {"user_id": ana.user_id},
            "LOGIN_WRONG",
        )
        assert (nobodys["targets"], nobodys["source_address"]) == ({}, "203.0.113.9")

    async def test_keeps_no_secret(self, desk):
        """F033: bodies, passwords, tokens and keys stay out."""
        ana = await desk.enroll("ana")
        token = await ana.made(f"{AUTH}/tokens", name="bot")
        await ana.made(
            ACCOUNTS, name="demo", venue="binance_demo", api_key="the-key-of-ana", secret_key=SECRET
        )
        await ana.client.post(f"{AUTH}/password", json={"current": SECRET, "new": PASSWORD})

        told = str(await desk.journal.pool.fetch("SELECT * FROM admin_actions")) + str(
            await desk.journal.pool.fetch("SELECT fact FROM journal WHERE kind = 'ActionTaken'")
        )

        assert "post_password" in told
        assert not [one for one in (PASSWORD, token["token"], "the-key-of-ana", SECRET, TOKEN) if one in told]

    async def test_leaves_reads_alone(self, desk):
        await desk.client.get(BOTS)
        await desk.client.get(f"{BOTS}/{'0' * 32}")
        await desk.client.head(BOTS)

        assert await desk.actions() == []

    async def test_is_folded_again_by_a_rebuild(self, desk):
        await desk.make_account()
        await desk.client.delete(f"{ACCOUNTS}/77")

        found = await compare_with_journal(desk.journal)

        assert found.differences == ()

    async def test_comes_before_the_answer(self, desk):
        """Whoever was told something finds it in the log."""
        told = []

        async def send(message):
            told.append(
                (message["type"], await desk.journal.pool.fetchval("SELECT count(*) FROM admin_actions"))
            )

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "DELETE",
            "path": f"{ACCOUNTS}/77",
            "raw_path": f"{ACCOUNTS}/77".encode(),
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {TOKEN}".encode())],
            "client": ("127.0.0.1", 1),
        }

        async def receive():
            return {"type": "http.request", "body": b""}

        await desk.app(scope, receive, send)

        assert told == [("http.response.start", 1), ("http.response.body", 1)]

    async def test_believes_our_proxies_only(self, database):
        async with ticking_desk(database, trusted_proxies=("10.0.0.0/8",)) as desk:
            for address in ("10.1.1.1", "203.0.113.9"):
                async with app_client(desk.app, address=address) as client:
                    await client.delete(
                        f"{ACCOUNTS}/77", headers={"X-Forwarded-For": "1.1.1.1, 198.51.100.7"}
                    )

            addresses = [one["source_address"] for one in await desk.actions()]

        assert addresses == ["198.51.100.7", "203.0.113.9"]

    async def test_cuts_what_strangers_may_write(self, desk):
        long = "x" * 5_000
        await desk.client.delete(f"/api/v1/{long}%00\u202e", headers={"User-Agent": long})

        (action,) = await desk.actions()

        assert (len(action["path"]), len(action["user_agent"])) == (300, 200)

    async def test_writes_down_mistakes_of_ours(self, desk):
        broken = replace(desk.ports, bots=None)

        async with client_of(broken) as client:
            answer = await client.post(BOTS, json={"name": "EMA cross"})

        (action,) = await desk.actions()
        assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
        assert what(action) == ("post_bot", 500, "INTERNAL")


class TestWithoutTheDatabase:
    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_the_request_goes_on_and_the_log_has_it(self, desk, database, away_pool):
        away = Journal(await away_pool(database))
        ports = replace(desk.ports, record_action=PostgresActions(away).record)

        with structlog.testing.capture_logs() as logs:
            async with client_of(ports) as client:
                answer = await client.post(BOTS, json={"name": "EMA cross"})

        assert answer.status_code == 201
        (line,) = [one for one in logs if one["event"] == "http.audit.lost"]
        assert (line["action"], line["status"], line["principal"]) == ("post_bot", 201, "admin token")
        assert answer.json()["secret"] not in str(logs)

    async def test_a_slow_one_is_not_waited_for(self, desk):
        async def never(_action: ActionTaken) -> None:
            await asyncio.sleep(60)

        async with client_of(replace(desk.ports, record_action=never)) as client:
            async with asyncio.timeout(10):
                answer = await client.post(BOTS, json={"name": "EMA cross"})

        assert answer.status_code == 201


class TestStrangers:
    async def test_do_not_fill_the_journal(self, desk):
        """A journal that keeps everything for ever must not be written by people nobody knows."""
        for address in ("203.0.113.9", "203.0.113.10"):
            async with app_client(desk.app, token="wrong", address=address) as stranger:
                await asyncio.gather(*(stranger.post(BOTS) for _ in range(40)))

        addresses = [one["source_address"] for one in await desk.actions()]

        assert {one: addresses.count(one) for one in addresses} == {
            "203.0.113.9": STRANGERS_PER_MINUTE_MAX,
            "203.0.113.10": STRANGERS_PER_MINUTE_MAX,
        }

    def test_are_left_out_together_too(self):
        strangers = Strangers()

        kept = [
            not strangers.count(f"2001:db8:{number:x}::1", now=NOON)
            for number in range(2 * ALL_STRANGERS_PER_MINUTE_MAX)
        ]

        assert kept.count(True) == ALL_STRANGERS_PER_MINUTE_MAX

    async def test_are_written_down_again_a_minute_later(self, desk):
        async with app_client(desk.app, token="wrong") as stranger:
            for _ in range(STRANGERS_PER_MINUTE_MAX + 5):
                await stranger.post(BOTS)
            desk.later(minutes=1)
            await stranger.post(BOTS)

        assert len(await desk.actions()) == STRANGERS_PER_MINUTE_MAX + 1


class TestStreams:
    async def test_are_passed_on_as_they_come(self):
        """An answer that is a stream must not wait for its own end."""
        recorded, seen = [], asyncio.Event()

        async def parts():
            yield b"one"
            await seen.wait()
            yield b"two"

        async def chat(_request):
            return StreamingResponse(parts())

        async def record(action):
            recorded.append(action.action)

        routes = [Route("/api/chat", chat, methods=["POST"])]
        app = Audit(Starlette(routes=routes), record=record, clock=lambda: NOON, routes=routes)
        told = []

        async def send(message):
            told.append(message.get("body"))
            if message.get("body") == b"one":
                seen.set()

        async def receive():
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "POST", "path": "/api/chat", "headers": [], "query_string": b""}
        async with asyncio.timeout(5):
            await app(scope, receive, send)

        assert told[:3] == [None, b"one", b"two"]
        assert recorded == ["chat"]


class TestList:
    async def test_is_filtered_and_paged_without_gaps(self, desk):
        ana = await desk.enroll("ana")
        for number in range(5):
            desk.later(seconds=1)
            await ana.client.post(f"{AUTH}/tokens", json={"name": f"{number}" if number % 2 else ""})

        pages, cursor = [], None
        while True:
            query = {"user_id": ana.user_id, "action": "post_token", "limit": 2}
            page = (
                await desk.client.get(ACTIONS, params=query | ({"cursor": cursor} if cursor else {}))
            ).json()
            pages += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        failed = await desk.actions(user_id=ana.user_id, success="false")
        done = await desk.actions(user_id=ana.user_id, success="true", action="post_token")

        assert [one["status"] for one in pages] == [422, 201, 422, 201, 422]
        assert len({one["action_id"] for one in pages}) == 5
        assert {one["error_code"] for one in failed} == {"NAME_UNUSABLE"}
        assert len(done) == 2

    @pytest.mark.parametrize("role", ["operator", "trader", "viewer"])
    async def test_is_for_admins_only(self, desk, role):
        person = await desk.enroll("ana", role)

        answer = await person.client.get(ACTIONS)

        assert (answer.status_code, code_of(answer)) == (403, "ROLE_FORBIDDEN")

    async def test_has_users_and_subscriptions_too(self, desk):
        ana = await desk.enroll("ana")
        await desk.client.patch(f"{USERS}/{ana.user_id}", json={"role": "viewer"})
        await desk.client.post(SUBSCRIPTIONS, json={"bot_id": "0" * 32, "account_id": 1})

        *_, changed, refused = await desk.actions()

        assert (changed["action"], changed["targets"]) == ("patch_user", {"user_id": ana.user_id})
        assert what(refused) == ("post_subscription", 404, "BOT_UNKNOWN")

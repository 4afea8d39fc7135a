"""What may be traded, over HTTP: five levels, who may set which, what is kept of it and what is answered."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import TradingStateSet
from pregao.domain.trading_state import ScopeLevel, TradingState, scopes_of
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.trading_states import IDLE_SECONDS_MAX, acknowledge, lock_states
from pregao.edges.postgres.workers import Workers
from tests.builders import BOT_ID, configured
from tests.edges.http.api.own_desk import code_of

STATE = "/api/v1/trading-state"
KILL = "/api/admin/kill-switch/"
NOBODY = str(UUID(int=404))


async def halt(
    desk, *, client=None, level="desk", state="halted", reason="the venue is mad", wait=0, **named
):
    body = {"level": level, "state": state, "reason": reason, "wait_seconds": wait, **named}
    return await (client or desk.client).post(STATE, json=body)


async def resume(desk, *, client=None, level="desk", **named):
    body = {"level": level, "reason": "over", "wait_seconds": 0, **named}
    return await (client or desk.client).post(f"{STATE}/resume", json=body)


async def standing(desk):
    return [
        (one["level"], one["name"], one["state"]) for one in (await desk.client.get(STATE)).json()["states"]
    ]


@pytest.fixture
async def followed(desk):
    """A desk with a bot that one account follows."""
    await desk.append(*configured())
    return desk


class TestTradingState:
    async def test_is_active_until_somebody_says_otherwise(self, desk):
        now = (await desk.client.get(STATE)).json()

        assert (now["state"], now["version"], now["states"], now["is_acknowledged"]) == (
            "active",
            0,
            [],
            True,
        )

    async def test_f092_is_set_and_resumed_at_every_level(self, followed):
        desk = followed
        ana = await desk.enroll("ana")
        levels = {
            "desk": ({}, "desk"),
            "user": ({"user_id": ana.user_id}, "ana@desk.test"),
            "account": ({"account_id": 1}, "account 1"),
            "bot": ({"bot_id": str(BOT_ID)}, "EMA cross"),
            "symbol": ({"venue": "paper", "symbol": "BTCUSDT"}, "paper:BTCUSDT"),
        }

        for level, (named, _) in levels.items():
            assert (await halt(desk, level=level, **named)).status_code == 200
        all_halted = await standing(desk)
        for level, (named, _) in levels.items():
            assert (await resume(desk, level=level, **named)).status_code == 200

        assert all_halted == [(level, name, "halted") for level, (_, name) in levels.items()]
        assert await standing(desk) == []
        versions = [fact.version for fact in await desk.journaled() if isinstance(fact, TradingStateSet)]
        assert versions == list(range(1, 11))
        assert desk.rings.count("states") == 10
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_f092_keeps_who_why_and_from_where(self, desk):
        await halt(desk, state="reducing", reason="  news at two  ")

        [fact] = [one for one in await desk.journaled() if isinstance(one, TradingStateSet)]
        [shown] = (await desk.client.get(STATE)).json()["states"]
        [action] = await desk.actions()
        assert (fact.state, fact.reason, fact.set_by, fact.user_id) == (
            TradingState.REDUCING,
            "news at two",
            "admin token",
            None,
        )
        assert fact.source_address == "127.0.0.1"
        assert (shown["reason"], shown["set_by"], shown["block_exits"]) == (
            "news at two",
            "admin token",
            False,
        )
        assert (action["action"], action["status"], action["targets"]) == (
            "post_trading_state",
            200,
            {"level": "desk", "subject": "", "state": "reducing"},
        )

    async def test_resuming_what_is_active_changes_nothing(self, desk):
        answer = await resume(desk)

        assert (answer.status_code, answer.json()["version"]) == (200, 0)
        assert await desk.journaled() == []

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"level": "account"}, 422, "SCOPE_UNUSABLE"),
            ({"level": "desk", "account_id": 1}, 422, "SCOPE_UNUSABLE"),
            ({"level": "symbol", "symbol": "BTCUSDT"}, 422, "SCOPE_UNUSABLE"),
            ({"level": "account", "account_id": 404}, 404, "ACCOUNT_UNKNOWN"),
            ({"level": "user", "user_id": NOBODY}, 404, "USER_UNKNOWN"),
            ({"level": "bot", "bot_id": NOBODY}, 404, "BOT_UNKNOWN"),
            ({"level": "desk", "state": "reducing", "block_exits": True}, 422, "BLOCK_EXITS_UNUSABLE"),
            ({"level": "desk", "reason": "   "}, 422, "REASON_MISSING"),
        ],
    )
    async def test_refuses_what_names_nothing(self, desk, body, status, code):
        answer = await desk.client.post(STATE, json={"state": "halted", "reason": "because", **body})

        assert (answer.status_code, code_of(answer)) == (status, code)
        assert await desk.journaled() == []

    async def test_two_at_once_get_two_versions(self, desk):
        answers = await asyncio.gather(*(halt(desk, reason=f"for reason {n}") for n in range(6)))

        assert {answer.status_code for answer in answers} == {200}
        versions = [fact.version for fact in await desk.journaled()]
        assert versions == [1, 2, 3, 4, 5, 6]

    async def test_the_detailed_health_shows_it(self, desk):
        before = (await desk.client.get("/health/detailed")).json()["trading"]
        await halt(desk)
        after = (await desk.client.get("/health/detailed")).json()["trading"]
        bots = (await desk.client.get("/api/v1/bots/health")).json()

        assert before == {"state": "active", "version": 0, "states_set": 0}
        assert after == {"state": "halted", "version": 1, "states_set": 1}
        assert bots["trading_state"] == "halted"


class TestTradersOfTheirOwn:
    """A trader stops himself and his accounts, and takes back what he has set himself."""

    async def test_f092_halt_and_resume_themselves_and_their_accounts(self, desk):
        ana = await desk.enroll("ana")
        account = await ana.made("/api/v1/exchange-accounts", name="mine")
        own = {"level": "account", "account_id": account["account_id"]}
        self_ = {"level": "user", "user_id": ana.user_id}

        answers = [
            await halt(desk, client=ana.client, **own),
            await halt(desk, client=ana.client, **self_),
            await resume(desk, client=ana.client, **own),
            await resume(desk, client=ana.client, **self_),
        ]

        assert [answer.status_code for answer in answers] == [200] * 4
        assert [one["name"] for one in answers[1].json()["states"]] == ["mine", "ana@desk.test"]

    async def test_f092_cannot_resume_what_an_operator_halted(self, desk):
        ana = await desk.enroll("ana")
        self_ = {"level": "user", "user_id": ana.user_id}
        await halt(desk, **self_)

        answers = [
            await resume(desk, client=ana.client, **self_),
            await halt(desk, client=ana.client, **self_),
        ]
        shown = (await ana.client.get(STATE)).json()["states"]

        assert [(one.status_code, code_of(one)) for one in answers] == [(409, "STATE_SET_BY_OPERATOR")] * 2
        assert [(one["reason"], one["set_by"]) for one in shown] == [("the venue is mad", "operator")]

    @pytest.mark.parametrize("role", ["trader", "viewer"])
    async def test_reach_no_other_level(self, followed, role):
        desk = followed
        ana = await desk.enroll("ana", role)
        answers = [
            await halt(desk, client=ana.client),
            await halt(desk, client=ana.client, level="bot", bot_id=str(BOT_ID)),
            await halt(desk, client=ana.client, level="symbol", venue="paper", symbol="BTCUSDT"),
            await resume(desk, client=ana.client),
            await halt(desk, client=ana.client, level="user", user_id=ana.user_id, block_exits=True),
        ]

        assert [(one.status_code, code_of(one)) for one in answers] == [(403, "ROLE_FORBIDDEN")] * 5
        assert not any(isinstance(fact, TradingStateSet) for fact in await desk.journaled())

    async def test_cannot_stop_somebody_else(self, desk):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        his = await bruno.made("/api/v1/exchange-accounts", name="his")

        answers = [
            await halt(desk, client=ana.client, level="user", user_id=bruno.user_id),
            await halt(desk, client=ana.client, level="account", account_id=his["account_id"]),
            await ana.client.post(KILL, json={"tenant_id": bruno.user_id, "reason": "envy"}),
        ]

        assert [code_of(one) for one in answers] == ["USER_UNKNOWN", "ACCOUNT_UNKNOWN", "USER_UNKNOWN"]

    async def test_see_what_concerns_them_and_no_workers(self, followed):
        desk = followed
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        await halt(desk, level="user", user_id=bruno.user_id)
        await halt(desk, level="bot", bot_id=str(BOT_ID))
        await halt(desk, state="reducing")
        await Workers(desk.journal.pool).enter(worker_id="trader-box-7", role="trader")

        now = (await ana.client.get(STATE)).json()

        assert [one["level"] for one in now["states"]] == ["desk"]
        assert (now["state"], now["traders"], now["waiting_for"]) == ("reducing", [], ["trader"])


class TestKillSwitch:
    @pytest.mark.parametrize("path", [KILL, KILL.rstrip("/")])
    async def test_f092_halts_a_tenant_and_no_other(self, desk, path):
        ana = await desk.enroll("ana")

        answer = await desk.client.post(path, json={"tenant_id": ana.user_id, "reason": "too many losses"})

        assert answer.status_code == 200
        told = answer.json()
        assert (told["success"], told["tenant_id"], told["trading_enabled"]) == (True, ana.user_id, False)
        assert await standing(desk) == [("user", "ana@desk.test", "halted")]

    async def test_needs_a_reason_and_a_tenant(self, desk):
        ana = await desk.enroll("ana")

        unknown = await desk.client.post(KILL, json={"tenant_id": NOBODY, "reason": "x"})
        unsaid = await desk.client.post(KILL, json={"tenant_id": ana.user_id})

        assert (unknown.status_code, code_of(unknown)) == (404, "USER_UNKNOWN")
        assert unsaid.status_code == 422


class TestAcknowledgement:
    async def test_names_the_traders_that_have_not_seen_it(self, desk):
        lease = await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        await Workers(desk.journal.pool).enter(worker_id="web-1", role="web")

        unseen = (await halt(desk, wait=0.2)).json()
        await acknowledge(
            desk.journal.pool, worker_id="trader-1", lease_epoch=lease.lease_epoch, version=unseen["version"]
        )
        seen = (await desk.client.get(STATE)).json()

        assert (unseen["is_acknowledged"], unseen["waiting_for"]) == (False, ["trader-1"])
        assert (seen["is_acknowledged"], seen["waiting_for"]) == (True, [])
        assert [(one["worker_id"], one["states_seen"]) for one in seen["traders"]] == [("trader-1", 1)]

    async def test_waits_for_nobody_whose_lease_has_run_out(self, desk):
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        await desk.journal.pool.execute(
            "UPDATE workers SET lease_until = clock_timestamp() + $1", timedelta(seconds=0.3)
        )

        answer = (await halt(desk, wait=5)).json()

        assert (answer["is_acknowledged"], answer["waiting_for"]) == (True, [])

    async def test_counts_for_the_lease_it_was_given_under_only(self, desk):
        """What starts anew under an old name has seen nothing yet."""
        lease = await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        version = (await halt(desk)).json()["version"]
        await acknowledge(
            desk.journal.pool, worker_id="trader-1", lease_epoch=lease.lease_epoch, version=version
        )
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")

        await acknowledge(
            desk.journal.pool, worker_id="trader-1", lease_epoch=lease.lease_epoch, version=version
        )

        assert (await desk.client.get(STATE)).json()["waiting_for"] == ["trader-1"]


class TestTheLock:
    """Whoever plans has read the states; whoever changes one waits for him, but not for ever."""

    async def test_a_change_waits_until_who_plans_is_done(self, desk):
        async with desk.journal.transaction() as planning:
            states = await PostgresBooks(planning.connection).trading_states()
            changing = asyncio.create_task(halt(desk))
            await asyncio.sleep(0.2)
            waited = not changing.done()
        await changing

        async with desk.journal.transaction() as planning:
            after = await PostgresBooks(planning.connection).trading_states()
        assert not states
        assert waited
        stands = after.strictest(scopes_of(venue=Venue.PAPER, symbol="BTCUSDT"))
        assert (stands.level, stands.state) == (ScopeLevel.DESK, TradingState.HALTED)

    async def test_who_plans_while_it_changes_sees_the_change(self, desk):
        async with desk.ports.trading_state_books.open(owner=None) as book:

            async def plan():
                async with desk.journal.transaction() as planning:
                    return await PostgresBooks(planning.connection).trading_states()

            planning = asyncio.create_task(plan())
            await asyncio.sleep(0.2)
            assert not planning.done()
            [fact] = [halted_by_hand(desk, version=await book.next_version())]
            await book.append([fact])

        assert bool(await planning)

    async def test_a_change_that_waits_too_long_is_made_without_the_lock(self, desk):
        """A halt that an endless row of planners kept out would be none; the traders hold back what they planned."""
        async with desk.journal.transaction() as planning:
            await PostgresBooks(planning.connection).trading_states()

            answer = await asyncio.wait_for(halt(desk), timeout=10)

        assert (answer.status_code, answer.json()["state"]) == (200, "halted")

    async def test_one_who_froze_with_it_keeps_nobody_from_planning(self, desk):
        """Exits are planned under the shared lock too: PostgreSQL ends who holds it alone and says nothing."""
        frozen = await desk.journal.pool.acquire()
        began = asyncio.get_running_loop().time()
        await frozen.transaction().start()
        await lock_states(frozen)

        async with desk.journal.transaction() as planning:
            await asyncio.wait_for(PostgresBooks(planning.connection).trading_states(), IDLE_SECONDS_MAX + 3)

        assert asyncio.get_running_loop().time() - began > IDLE_SECONDS_MAX / 2, "else nobody held the lock"


def halted_by_hand(desk, *, version: int) -> TradingStateSet:
    return TradingStateSet(
        happened_at=desk.now, version=version, level=ScopeLevel.DESK, subject="", name="desk",
        state=TradingState.HALTED, block_exits=False, reason="by hand", set_by="ana", user_id=None,
        is_by_staff=True, source_address="local",
    )  # fmt: skip

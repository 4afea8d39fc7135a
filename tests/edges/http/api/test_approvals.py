"""What waits for a person, over HTTP: listed, answered once and in time, by staff."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.decisions.answer import CLOCK
from pregao.domain.account import Venue
from pregao.domain.bot import Approval
from pregao.domain.facts import AccountConfigured, ApprovalAnswered, DecisionPending, Verdict
from pregao.domain.venue import RetryLater
from pregao.edges.postgres.approvals import PostgresApprovals
from tests.builders import BOT_ID, NOON, account, answered, arrival, bot, configured, instruction
from tests.edges.http.api.own_desk import AWAY, client_of, code_of

APPROVALS = "/api/v1/approvals"
SIGNAL_ID = UUID("01930000-0000-7000-8000-00000000abcd")
VERDICT = Verdict(check="SYMBOL", passed=True, numbers={"symbol": "BTCUSDT", "trading_symbol": "any"})


def asked(signal_id=SIGNAL_ID, *, at=NOON, seconds=300, **changes) -> list:
    """Give the facts of a signal that waits for a person."""
    wanted = instruction(now=at)
    given = {
        "happened_at": at,
        "signal_id": signal_id,
        "bot_id": BOT_ID,
        "instruction": wanted,
        "verdicts": (VERDICT,),
        "venue": Venue.PAPER,
        "price": Decimal("95200.10"),
        "expires_at": at + timedelta(seconds=seconds),
    }
    return [*arrival(wanted, signal_id=signal_id, now=at), DecisionPending(**{**given, **changes})]


@pytest.fixture
async def waiting(desk):
    """A desk with one signal that waits for a person."""
    await desk.append(*configured(bots=[bot(approval=Approval.MANUAL)], accounts=3), *asked())
    return desk


async def answer(desk, verb="approve", *, client=None, signal_id=SIGNAL_ID, **body):
    return await (client or desk.client).post(f"{APPROVALS}/{signal_id}/{verb}", **body)


async def listed(desk, **query) -> list[dict]:
    return (await desk.client.get(APPROVALS, params=query)).json()["items"]


async def paged(desk, **query) -> list[str]:
    """Give the signals of a list that is read one by one."""
    found, cursor = [], {}
    while True:
        page = (await desk.client.get(APPROVALS, params={"limit": 1, **query, **cursor})).json()
        found += [line["signal_id"] for line in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


class TestList:
    async def test_says_what_a_person_must_know(self, waiting):
        waiting.later(seconds=40.5)
        await waiting.append(AccountConfigured(happened_at=NOON, account=account(3, is_active=False)))

        [line] = await listed(waiting)

        assert line == {
            "signal_id": str(SIGNAL_ID),
            "bot_id": str(BOT_ID),
            "bot_name": "EMA cross",
            "symbol": "BTCUSDT",
            "side": "buy",
            "signal_price": "95000",
            "verdicts": [
                {"check": "SYMBOL", "passed": True, "numbers": {"symbol": "BTCUSDT", "trading_symbol": "any"}}
            ],
            "received_at": "2026-11-21T12:00:00Z",
            "asked_at": "2026-11-21T12:00:00Z",
            "expires_at": "2026-11-21T12:05:00Z",
            "seconds_left": 259,
            "venue": "paper",
            "price_then": "95200.1",
            "price_move_pct_max": "1",
            "subscriptions": 2,
            "status": "pending",
            "code": None,
            "answered_at": None,
            "answered_by": None,
            "is_approved": None,
            "reason": None,
        }
        assert (await waiting.client.get(f"{APPROVALS}/{SIGNAL_ID}")).json() == line

    async def test_has_the_oldest_first_and_nothing_that_is_answered(self, desk):
        await desk.append(*configured())
        ids = [UUID(int=9 - number) for number in range(3)]
        for age, signal_id in enumerate(ids):
            await desk.append(*asked(signal_id, at=NOON + timedelta(seconds=age)))
        await answer(desk, "decline", signal_id=ids[1])

        assert await paged(desk) == [str(ids[0]), str(ids[2])]

    async def test_goes_on_where_it_was_though_the_last_one_is_answered_meanwhile(self, desk):
        await desk.append(*configured())
        ids = [UUID(int=9 - number) for number in range(2)]
        for age, signal_id in enumerate(ids):
            await desk.append(*asked(signal_id, at=NOON + timedelta(seconds=age)))
        first = (await desk.client.get(APPROVALS, params={"limit": 1})).json()
        await answer(desk, signal_id=ids[0])

        rest = await listed(desk, cursor=first["next_cursor"])

        assert [line["signal_id"] for line in rest] == [str(ids[1])]

    async def test_has_what_is_answered_the_latest_signal_first(self, desk):
        await desk.append(*configured())
        ids = [UUID(int=number) for number in range(1, 5)]
        for signal_id in ids:
            await desk.append(*asked(signal_id))
        for signal_id, verb in ((ids[2], "decline"), (ids[0], "approve"), (ids[3], "approve")):
            await answer(desk, verb, signal_id=signal_id)

        found = await paged(desk, status="answered")
        [no] = [line for line in await listed(desk, status="answered") if line["signal_id"] == str(ids[2])]

        assert found == [str(ids[3]), str(ids[2]), str(ids[0])]
        assert (no["answered_by"], no["is_approved"], no["status"], no["seconds_left"]) == (
            "admin token", False, "answered", None,
        )  # fmt: skip

    @pytest.mark.parametrize("status", ["pending", "answered"])
    async def test_is_narrowed_to_a_bot(self, waiting, status):
        if status == "answered":
            await answer(waiting)

        found = [len(await listed(waiting, status=status, bot_id=str(one))) for one in (BOT_ID, UUID(int=99))]

        assert found == [1, 0]

    async def test_knows_no_other_status(self, desk):
        assert (await desk.client.get(APPROVALS, params={"status": "settled"})).status_code == 422

    async def test_shows_no_time_left_where_it_is_over(self, waiting):
        waiting.later(hours=1)

        assert [line["seconds_left"] for line in await listed(waiting)] == [0]

    async def test_shows_that_there_was_no_price(self, desk):
        await desk.append(*configured(accounts=0), *asked(venue=None, price=None))

        [line] = await listed(desk)

        assert (line["venue"], line["price_then"], line["subscriptions"]) == (None, None, 0)


class TestOne:
    async def test_says_what_was_answered(self, waiting):
        waiting.later(seconds=10)
        await answer(waiting, "decline", json={"reason": "news at two"})

        line = (await waiting.client.get(f"{APPROVALS}/{SIGNAL_ID}")).json()

        told = {
            name: line[name] for name in ("answered_at", "answered_by", "is_approved", "reason", "status")
        }
        assert told == {
            "answered_at": "2026-11-21T12:00:10Z",
            "answered_by": "admin token",
            "is_approved": False,
            "reason": "news at two",
            "status": "answered",
        }

    async def test_is_404_where_nobody_was_asked(self, desk):
        await desk.append(*configured(), *arrival(instruction(), signal_id=UUID(int=78)))

        told = [await desk.client.get(f"{APPROVALS}/{UUID(int=number)}") for number in (77, 78)]

        assert [(one.status_code, code_of(one)) for one in told] == [(404, "APPROVAL_UNKNOWN")] * 2


class TestAnswer:
    @pytest.mark.parametrize(("verb", "is_approved"), [("approve", True), ("decline", False)])
    async def test_is_a_fact_and_rings_the_trader(self, waiting, verb, is_approved):
        waiting.later(seconds=10)

        told = await answer(waiting, verb, json={"reason": " as planned "})

        fact = (await waiting.journaled())[-1]
        assert (told.status_code, told.json()) == (
            200,
            {
                "signal_id": str(SIGNAL_ID),
                "is_approved": is_approved,
                "answered_by": "admin token",
                "answered_at": "2026-11-21T12:00:10Z",
                "reason": "as planned",
            },
        )
        assert isinstance(fact, ApprovalAnswered)
        assert (fact.is_approved, fact.answered_by, fact.reason) == (is_approved, "admin token", "as planned")
        assert (fact.instruction, fact.verdicts, fact.price) == (
            instruction(),
            (VERDICT,),
            Decimal("95200.10"),
        )
        assert waiting.rings == ["signals"]
        assert await listed(waiting) == []

    @pytest.mark.parametrize("body", [{}, {"json": {}}, {"json": None}])
    async def test_needs_no_reason(self, waiting, body):
        assert (await answer(waiting, **body)).json()["reason"] == ""

    async def test_names_the_person_who_gave_it(self, waiting):
        ana = await waiting.enroll("ana", role="operator")

        told = await answer(waiting, client=ana.client)

        assert told.json()["answered_by"] == "ana@desk.test, session"

    @pytest.mark.parametrize("role", ["viewer", "trader"])
    async def test_is_for_staff_only(self, waiting, role):
        person = await waiting.enroll("bruno", role=role)

        told = [await answer(waiting, verb, client=person.client) for verb in ("approve", "decline")]
        told.append(await person.client.get(APPROVALS))
        told.append(await person.client.get(f"{APPROVALS}/{SIGNAL_ID}"))

        assert [(one.status_code, code_of(one)) for one in told] == [(403, "ROLE_FORBIDDEN")] * 4
        assert len(await listed(waiting)) == 1

    async def test_is_written_down_with_who_and_the_refused_ones_too(self, waiting):
        ana, bruno = await waiting.enroll("ana", role="operator"), await waiting.enroll("bruno")
        for person, verb in ((bruno, "approve"), (ana, "decline"), (ana, "approve")):
            waiting.later(seconds=1)
            await answer(waiting, verb, client=person.client)

        actions = (await waiting.actions())[-3:]

        assert {str(one["targets"]) for one in actions} == {str({"signal_id": str(SIGNAL_ID)})}
        assert [(one["email"], one["action"], one["status"], one["error_code"]) for one in actions] == [
            ("bruno@desk.test", "approve_entry", 403, "ROLE_FORBIDDEN"),
            ("ana@desk.test", "decline_entry", 200, None),
            ("ana@desk.test", "approve_entry", 409, "APPROVAL_ANSWERED"),
        ]

    async def test_counts_once(self, waiting):
        told = await asyncio.gather(*(answer(waiting, verb) for verb in ("approve", "decline") * 3))

        assert sorted(one.status_code for one in told) == [200, 409, 409, 409, 409, 409]
        assert {code_of(one) for one in told if one.status_code == 409} == {"APPROVAL_ANSWERED"}
        facts = [fact for fact in await waiting.journaled() if isinstance(fact, ApprovalAnswered)]
        assert len(facts) == 1

    async def test_says_who_was_quicker(self, waiting):
        await answer(waiting)

        late = await answer(waiting, "decline")

        assert late.json()["error"]["details"] == {
            "answered_by": "admin token",
            "answered_at": "2026-11-21T12:00:00+00:00",
            "is_approved": True,
        }

    async def test_comes_too_late(self, waiting):
        waiting.later(seconds=300)

        late = await answer(waiting)

        assert (late.status_code, code_of(late)) == (409, "APPROVAL_EXPIRED")
        assert [type(fact) for fact in await waiting.journaled()].count(ApprovalAnswered) == 0

    async def test_comes_too_late_after_the_clock_has_answered_too(self, waiting):
        """Whether a trader has looked in this second or not is nobody's business."""
        at = NOON + timedelta(seconds=300)
        await waiting.append(
            answered(instruction(), signal_id=SIGNAL_ID, at=at, is_approved=False, answered_by=CLOCK)
        )

        late = await answer(waiting)

        assert (late.status_code, code_of(late)) == (409, "APPROVAL_EXPIRED")
        assert late.json()["error"]["details"] == {"expires_at": "2026-11-21T12:05:00+00:00"}

    async def test_is_404_where_nobody_was_asked(self, waiting):
        unknown = UUID(int=77)
        never_asked = arrival(instruction(), signal_id=UUID(int=78))
        await waiting.append(*never_asked)

        told = [await answer(waiting, signal_id=one) for one in (unknown, UUID(int=78))]

        assert [(one.status_code, code_of(one)) for one in told] == [(404, "APPROVAL_UNKNOWN")] * 2

    @pytest.mark.parametrize(
        "body",
        [
            {"json": {"reason": "x" * 501}},
            {"json": {"reason": "two\nlines"}},
            {"json": {"reason": "zero\x00"}},
            {"content": b'{"reason": "\\ud800"}', "headers": {"Content-Type": "application/json"}},
            {"json": {"reason": None}},
            {"json": {"because": "it"}},
            {"json": []},
        ],
    )
    async def test_refuses_a_reason_that_cannot_be_kept(self, waiting, body):
        told = await answer(waiting, **body)

        assert told.status_code == 422
        assert len(await listed(waiting)) == 1

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_is_503_while_the_database_is_away(self, desk, database, away_pool):
        away = replace(desk.ports, approvals=PostgresApprovals(await away_pool(database)))
        async with client_of(away) as client:
            told = await client.get(APPROVALS)

        assert (told.status_code, code_of(told)) == (503, "DATABASE_AWAY")


class TestReceipt:
    async def test_says_that_it_waits_for_a_person(self, waiting):
        receipt = (await waiting.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()

        assert (receipt["status"], receipt["is_complete"], receipt["rows"]) == ("pending", False, [])
        assert [verdict["check"] for verdict in receipt["verdicts"]] == ["SYMBOL"]
        assert receipt["approval"] == {
            "asked_at": "2026-11-21T12:00:00Z",
            "expires_at": "2026-11-21T12:05:00Z",
            "venue": "paper",
            "price_then": "95200.1",
            "answered_at": None,
            "answered_by": None,
            "is_approved": None,
            "reason": None,
        }

    async def test_says_who_answered(self, waiting):
        await answer(waiting, "decline", json={"reason": "news at two"})

        receipt = (await waiting.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()

        told = receipt["approval"]
        assert (receipt["status"], told["answered_by"], told["is_approved"], told["reason"]) == (
            "answered",
            "admin token",
            False,
            "news at two",
        )

    async def test_has_no_approval_where_nobody_was_asked(self, desk):
        await desk.append(*configured(), *arrival(instruction(), signal_id=SIGNAL_ID))

        receipt = (await desk.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()

        assert receipt["approval"] is None

    @pytest.mark.parametrize("status", ["pending", "answered"])
    async def test_is_found_by_where_it_stands(self, waiting, status):
        if status == "answered":
            await answer(waiting)

        page = (await waiting.client.get("/api/v1/signals", params={"status": status})).json()

        assert [signal["status"] for signal in page["items"]] == [status]


class TestEffect:
    async def test_adds_up_what_all_active_subscriptions_would_enter(self, waiting):
        await waiting.append(AccountConfigured(happened_at=NOON, account=account(3, is_active=False)))
        waiting.bars.price = Decimal("96152.101")  # one percent above what was asked about

        shown = (await waiting.client.get(f"{APPROVALS}/{SIGNAL_ID}/effect")).json()

        settings = bot(approval=Approval.MANUAL)
        notional = settings.default_margin_usd * settings.default_leverage
        assert (shown["subscriptions"], len(shown["largest"])) == (2, 2)
        assert Decimal(shown["margin_usd"]) == 2 * settings.default_margin_usd
        assert Decimal(shown["notional_usd"]) == 2 * notional
        assert (shown["price_then"], shown["price_now"], shown["price_move_pct"]) == (
            "95200.1",
            "96152.101",
            "1",
        )

    async def test_says_nothing_of_a_price_that_the_venue_does_not_tell(self, waiting):
        waiting.bars.trouble = RetryLater("WEIGHT_NEARLY_USED", "Kept.", retry_after_seconds=9)

        shown = (await waiting.client.get(f"{APPROVALS}/{SIGNAL_ID}/effect")).json()

        assert (shown["price_now"], shown["price_move_pct"], shown["subscriptions"]) == (None, None, 3)

    async def test_is_404_where_nobody_was_asked(self, waiting):
        refused = await waiting.client.get(f"{APPROVALS}/{UUID(int=9)}/effect")

        assert (refused.status_code, code_of(refused)) == (404, "APPROVAL_UNKNOWN")


class TestApproveAll:
    async def test_answers_each_once_and_says_which_could_not_be(self, waiting):
        other = UUID(int=SIGNAL_ID.int + 1)
        await waiting.append(*asked(signal_id=other))
        await answer(waiting, "decline", signal_id=other)
        both = {"signal_ids": [str(SIGNAL_ID), str(other), str(SIGNAL_ID)], "reason": "seen both"}

        shown = await waiting.client.post(f"{APPROVALS}/approve-all", json=both)
        again = await waiting.client.post(f"{APPROVALS}/approve-all", json=both)

        told = [
            [(one["is_approved"], one["code"]) for one in each.json()["items"]] for each in (shown, again)
        ]
        assert told == [
            [(True, None), (False, "APPROVAL_ANSWERED")],
            [(False, "APPROVAL_ANSWERED"), (False, "APPROVAL_ANSWERED")],
        ]
        answers = [one for one in await waiting.journaled() if isinstance(one, ApprovalAnswered)]
        assert [(one.signal_id, one.is_approved, one.reason) for one in answers] == [
            (other, False, ""),
            (SIGNAL_ID, True, "seen both"),
        ]

    async def test_is_for_staff_only(self, waiting):
        ana = await waiting.enroll("ana")

        refused = await ana.client.post(f"{APPROVALS}/approve-all", json={"signal_ids": [str(SIGNAL_ID)]})

        assert (refused.status_code, code_of(refused)) == (403, "ROLE_FORBIDDEN")

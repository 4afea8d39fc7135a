"""Selling out over HTTP: what would be closed, who may ask for what, one job at a scope, and its end."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import (
    AccountConfigured,
    FlattenAccountSeen,
    FlattenEnded,
    FlattenStarted,
    HeldPlace,
    TradingStateSet,
)
from pregao.domain.order import PositionSide
from pregao.domain.trading_state import TradingState
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, account, configured
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import approved, planned

FLATTEN = "/api/v1/flatten"
STATE = "/api/v1/trading-state"
NOBODY = str(UUID(int=404))


async def sell_out(desk, *, client=None, level="desk", reason="enough", **named):
    return await (client or desk.client).post(FLATTEN, json={"level": level, "reason": reason, **named})


@pytest.fixture
async def holding(desk):
    """Two accounts of the desk's with a position each, at two venues, and one that never traded."""
    await desk.append(*approved(accounts=3, orders=2), planned(1), planned(2))
    await desk.append(
        AccountConfigured(happened_at=desk.now, account=account(2, venue=Venue.BINANCE_DEMO, name="second"))
    )
    return desk


async def preview(desk, **scope):
    answer = await desk.client.post(f"{FLATTEN}/preview", json=scope)
    assert answer.status_code == 200, answer.text
    return [(one["account_id"], one["symbol"], one["status"]) for one in answer.json()["positions"]]


class TestPreview:
    async def test_shows_what_a_job_would_close_at_every_level(self, holding):
        both = [(1, "BTCUSDT", "pending"), (2, "BTCUSDT", "pending")]

        assert await preview(holding, level="desk") == both
        assert await preview(holding, level="bot", bot_id=str(BOT_ID)) == both
        assert await preview(holding, level="account", account_id=2) == both[1:]
        assert await preview(holding, level="symbol", venue="paper", symbol="BTCUSDT") == both[:1]
        assert await preview(holding, level="symbol", venue="paper", symbol="ETHUSDT") == []
        assert not any(isinstance(fact, FlattenStarted) for fact in await holding.journaled())

    async def test_of_a_user_shows_his_accounts_only(self, holding):
        ana = await holding.enroll("ana")
        own = account(1, user_id=UUID(ana.user_id))
        await holding.append(AccountConfigured(happened_at=holding.now, account=own))

        assert await preview(holding, level="user", user_id=ana.user_id) == [(1, "BTCUSDT", "pending")]


class TestStart:
    async def test_keeps_who_why_and_which_accounts_and_reduces_first(self, holding):
        desk = holding

        answer = await sell_out(desk)

        told = answer.json()
        [reduced] = [fact for fact in await desk.journaled() if isinstance(fact, TradingStateSet)]
        [started] = [fact for fact in await desk.journaled() if isinstance(fact, FlattenStarted)]
        [action] = await desk.actions()
        assert answer.status_code == 201
        assert (told["status"], told["accounts"], told["proven"], told["reason"]) == (
            "running",
            2,
            0,
            "enough",
        )
        assert [(row["account_id"], row["proved_at"]) for row in told["rows"]] == [(1, None), (2, None)]
        assert [len(row["standing"]) for row in told["rows"]] == [1, 1]
        assert (reduced.state, reduced.reason) == (TradingState.REDUCING, "selling out: enough")
        assert (started.account_ids, started.asked_by, started.source_address) == (
            (1, 2),
            "admin token",
            "127.0.0.1",
        )
        assert (action["action"], action["targets"]["flatten_id"]) == ("post_flatten", told["flatten_id"])
        assert desk.rings.count("flattens") == 1
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_lets_trading_go_on_where_that_is_asked(self, holding):
        await sell_out(holding, keep_trading=True)

        assert (await holding.client.get(STATE)).json()["states"] == []

    async def test_leaves_a_stricter_state_as_it_is(self, holding):
        await holding.client.post(
            STATE, json={"level": "desk", "state": "halted", "reason": "mad", "wait_seconds": 0}
        )

        await sell_out(holding)

        [state] = (await holding.client.get(STATE)).json()["states"]
        assert (state["state"], state["reason"]) == ("halted", "mad")

    async def test_runs_once_at_a_scope(self, holding):
        first = await sell_out(holding)

        second = await sell_out(holding)
        elsewhere = await sell_out(holding, level="account", account_id=1)

        assert (second.status_code, code_of(second)) == (409, "FLATTEN_RUNNING")
        assert second.json()["error"]["details"] == {"flatten_id": first.json()["flatten_id"]}
        assert elsewhere.status_code == 201

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"level": "account"}, 422, "SCOPE_UNUSABLE"),
            ({"level": "account", "account_id": 404}, 404, "ACCOUNT_UNKNOWN"),
            ({"level": "bot", "bot_id": NOBODY}, 404, "BOT_UNKNOWN"),
            ({"level": "desk", "reason": "  "}, 422, "REASON_MISSING"),
        ],
    )
    async def test_refuses_what_names_nothing(self, desk, body, status, code):
        answer = await desk.client.post(FLATTEN, json={"reason": "enough", **body})

        assert (answer.status_code, code_of(answer)) == (status, code)
        assert await desk.journaled() == []


class TestStop:
    async def test_ends_it_once_and_leaves_the_state(self, holding):
        desk = holding
        job = (await sell_out(desk)).json()["flatten_id"]

        stopped = await desk.client.post(f"{FLATTEN}/{job}/stop", json={"reason": "a mistake"})
        again = await desk.client.post(f"{FLATTEN}/{job}/stop", json={"reason": "a mistake"})
        unknown = await desk.client.post(f"{FLATTEN}/{NOBODY}/stop", json={"reason": "a mistake"})

        told = stopped.json()
        assert (told["status"], told["ended_by"], told["end_reason"]) == (
            "stopped",
            "admin token",
            "a mistake",
        )
        assert (again.status_code, code_of(again)) == (409, "FLATTEN_ENDED")
        assert (unknown.status_code, code_of(unknown)) == (404, "FLATTEN_UNKNOWN")
        assert (await desk.client.get(STATE)).json()["state"] == "reducing"
        assert (await sell_out(desk)).status_code == 201

    async def test_the_first_end_counts(self, holding):
        """A trader proves the last account in the moment that somebody stops the job."""
        job = UUID((await sell_out(holding)).json()["flatten_id"])
        end = FlattenEnded(
            happened_at=holding.now, flatten_id=job, is_done=False, ended_by="ana", reason="a mistake"
        )

        await holding.append(end)
        await holding.append(replace(end, is_done=True, ended_by="trader-1"))

        shown = (await holding.client.get(f"{FLATTEN}/{job}")).json()
        assert (shown["status"], shown["ended_by"]) == ("stopped", "ana")
        assert (await compare_with_journal(holding.journal)).differences == ()


class TestReceipt:
    async def test_shows_what_was_closed_what_was_proven_and_what_is_not_ours(self, holding):
        desk = holding
        job = (await sell_out(desk)).json()["flatten_id"]
        seen = FlattenAccountSeen(
            happened_at=desk.now,
            flatten_id=UUID(job),
            account_id=1,
            is_flat=True,
            code="",
            reason="",
            closed=(HeldPlace(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal("0.005")),),
            attempts=2,
            foreign=(HeldPlace(symbol="ETHUSDT", position_side=PositionSide.BOTH, quantity=Decimal("-1.5")),),
        )

        await desk.append(
            seen, replace(seen, account_id=2, is_flat=False, code="EXITS_BLOCKED", reason="mad")
        )

        shown = (await desk.client.get(f"{FLATTEN}/{job}")).json()
        first, second = shown["rows"]
        assert (shown["accounts"], shown["proven"]) == (2, 1)
        assert first["closed"] == [{"symbol": "BTCUSDT", "position_side": "both", "quantity": "0.005"}]
        assert (first["attempts"], first["code"], first["foreign"][0]["quantity"]) == (2, None, "-1.5")
        assert first["proved_at"] is not None
        assert (second["proved_at"], second["code"], second["reason"]) == (None, "EXITS_BLOCKED", "mad")
        assert [one["flatten_id"] for one in (await desk.client.get(FLATTEN)).json()["items"]] == [job]
        assert (await compare_with_journal(desk.journal)).differences == ()


class TestTraders:
    async def test_sell_out_themselves_and_nobody_else(self, desk):
        await desk.append(*configured())
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")
        answers = [
            await sell_out(desk, client=ana.client),
            await sell_out(desk, client=ana.client, level="bot", bot_id=str(BOT_ID)),
            await sell_out(desk, client=ana.client, level="user", user_id=bruno.user_id),
            await sell_out(desk, client=ana.client, level="user", user_id=ana.user_id),
        ]

        assert [one.status_code for one in answers] == [403, 403, 404, 201]
        assert (await bruno.client.get(FLATTEN)).json()["items"] == []

    async def test_stop_what_is_theirs_and_not_what_an_operator_started(self, desk):
        ana = await desk.enroll("ana")
        own = (await sell_out(desk, client=ana.client, level="user", user_id=ana.user_id)).json()[
            "flatten_id"
        ]
        stopped = await ana.client.post(f"{FLATTEN}/{own}/stop", json={"reason": "no"})
        theirs = (await sell_out(desk, level="user", user_id=ana.user_id)).json()["flatten_id"]

        refused = await ana.client.post(f"{FLATTEN}/{theirs}/stop", json={"reason": "no"})

        assert stopped.json()["status"] == "stopped"
        assert (refused.status_code, code_of(refused)) == (409, "FLATTEN_BY_OPERATOR")
        assert (await ana.client.get(f"{FLATTEN}/{theirs}")).json()["asked_by"] == "operator"

"""The whole desk at a glance, and the end of bots that were never used."""

from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import DeliveryTurnedAway, SignalRefused, SignalRepeated
from pregao.edges.ids import uuid7
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import BOT_ID, arrival, instruction
from tests.edges.http.api.own_desk import ACCOUNTS, BOTS, SUBSCRIPTIONS, code_of
from tests.edges.http.api.test_receipts import approved, denied, planned

ADMIN = "/api/v1/admin"
SIGNAL_TODAY = UUID("01a1fdfa-4600-7000-8000-000000000001")  # made at noon, as the others are


async def knock(desk, *, times: int = 1) -> None:
    for _ in range(times):
        await desk.append(
            DeliveryTurnedAway(
                happened_at=desk.now,
                webhook_path="bot-ema-cross-15m",
                body_sha256="0" * 64,
                body_size=7,
                source_address="203.0.113.9",
            )
        )


async def refused(desk, *, signal_id: UUID) -> None:
    received, _ = arrival(instruction(), signal_id=signal_id, now=desk.now)
    refusal = SignalRefused(
        happened_at=desk.now, signal_id=signal_id, bot_id=BOT_ID, code="ACTION_MISSING", reason="None."
    )
    await desk.append(received, refusal)


class TestStats:
    async def test_count_what_there_is(self, desk):
        await desk.enroll("ana")
        await desk.append(*approved(accounts=3, orders=1), planned(1), denied(2))
        await desk.make_bot("another")
        await refused(desk, signal_id=uuid7(desk.now))
        await desk.journal.pool.execute(
            """
            INSERT INTO daily_results (subscription_id, day, symbol, bot_id, account_id, closed, wins, losses, pnl_usd)
            VALUES ($1, '2026-11-21', 'BTCUSDT', $1, 1, 3, 2, 1, 12.5), ($1, '2026-11-20', 'BTCUSDT', $1, 1, 9, 9, 0, 99)
            """,
            BOT_ID,
        )

        stats = (await desk.client.get(f"{ADMIN}/dashboard/stats")).json()

        expected = {
            "users": 1,
            "users_active": 1,
            "bots_active": 2,
            "bots_paused": 0,
            "bots_archived": 0,
            "accounts": 3,
            "accounts_active": 3,
            "subscriptions_active": 3,
            "subscriptions_paused": 0,
            "signals_refused_today": 1,
            "signals_declined_today": 0,
            "signals_waiting": 0,
            "orders_live": 1,
            "orders_unresolved": 0,
            "positions_live": 1,
            "positions_closed_today": 3,
            "wins_today": 2,
            "losses_today": 1,
            "pnl_today": "12.5",
            "workers": 0,
        }
        assert {name: stats[name] for name in expected} == expected
        assert Decimal(stats["pnl_today"]) == Decimal("12.5")

    async def test_count_the_signals_of_the_utc_day(self, desk):
        await desk.append(*approved(accounts=0, orders=0)[:1])
        desk.later(hours=11, minutes=59)
        await refused(desk, signal_id=uuid7(desk.now))
        before = (await desk.client.get(f"{ADMIN}/dashboard/stats")).json()["signals_today"]
        desk.later(minutes=1)
        await refused(desk, signal_id=uuid7(desk.now))
        after = (await desk.client.get(f"{ADMIN}/dashboard/stats")).json()["signals_today"]

        assert (before, after) == (1, 1)


class TestLists:
    async def test_tell_what_hangs_on_each_bot(self, desk):
        await desk.append(*approved(accounts=3, orders=1), planned(1))

        (shown,) = (await desk.client.get(f"{ADMIN}/bots")).json()["items"]

        assert (shown["subscriptions"], shown["active_subscriptions"], shown["signals"]) == (3, 3, 1)
        assert shown["live_positions"] == 1
        assert "secret_sha256" not in shown

    async def test_tell_whose_each_account_is(self, desk):
        ana = await desk.enroll("ana")
        await ana.made(ACCOUNTS, name="hers")
        await desk.make_account("the desk's")

        listed = (await desk.client.get(f"{ADMIN}/exchanges")).json()["items"]

        assert [(one["name"], one["email"], one["has_credentials"]) for one in listed] == [
            ("hers", "ana@desk.test", True),
            ("the desk's", None, True),
        ]

    async def test_tell_what_came_in_by_each_webhook_and_what_did_not(self, desk):
        await desk.append(*approved(accounts=0, orders=0))
        desk.later(seconds=1)
        await refused(desk, signal_id=SIGNAL_TODAY)
        await desk.append(
            SignalRepeated(happened_at=desk.now, signal_id=SIGNAL_TODAY, source_address="192.0.2.1")
        )
        await knock(desk, times=3)

        (shown,) = (await desk.client.get(f"{ADMIN}/webhooks")).json()["items"]

        told = {
            name: shown[name] for name in ("signals", "deliveries", "refused", "last_code", "turned_away")
        }
        assert told == {
            "signals": 2,
            "deliveries": 3,
            "refused": 1,
            "last_code": "ACTION_MISSING",
            "turned_away": 3,
        }
        assert shown["webhook_url"].endswith("/webhook/master/bot-ema-cross-15m")
        assert shown["last_signal_at"] == shown["last_turned_away_at"] == "2026-11-21T12:00:01Z"

    @pytest.mark.parametrize("path", ["bots", "exchanges", "webhooks"])
    async def test_are_paged(self, desk, path):
        for name in ("one", "two", "three"):
            desk.later(seconds=1)
            await desk.make_bot(f"bot {name}")
            await desk.make_account(name)

        first = (await desk.client.get(f"{ADMIN}/{path}", params={"limit": 2})).json()
        query = {"limit": 2, "cursor": first["next_cursor"]}
        rest = (await desk.client.get(f"{ADMIN}/{path}", params=query)).json()

        assert [len(page["items"]) for page in (first, rest)] == [2, 1]
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize("path", ["dashboard/stats", "bots", "exchanges", "webhooks"])
    async def test_are_for_staff(self, desk, path):
        olga, ana = await desk.enroll("olga", "operator"), await desk.enroll("ana")

        answers = [await one.client.get(f"{ADMIN}/{path}") for one in (olga, ana)]

        assert [one.status_code for one in answers] == [200, 403]


class TestForgetBot:
    async def test_frees_the_path_of_one_that_was_never_used(self, desk):
        made = await desk.make_bot(webhook_path="a-path-that-is-wanted")
        account = await desk.make_account()
        await desk.made(SUBSCRIPTIONS, bot_id=made["bot_id"], account_id=account["account_id"])
        await desk.client.delete(f"{BOTS}/{made['bot_id']}")
        desk.later(minutes=1)

        gone = await desk.client.delete(f"{ADMIN}/bots/{made['bot_id']}")

        shown = await desk.client.get(f"{BOTS}/{made['bot_id']}")
        again = await desk.make_bot(webhook_path="a-path-that-is-wanted")
        found = await compare_with_journal(desk.journal)
        assert (gone.status_code, gone.json()["is_forgotten"]) == (200, True)
        assert (shown.status_code, code_of(shown)) == (404, "BOT_UNKNOWN")
        assert again["bot_id"] != made["bot_id"]
        assert found.differences == ()
        assert desk.rings.count("bots") >= 3

    async def test_keeps_what_the_journal_keeps(self, desk):
        await desk.append(*approved(accounts=1, orders=0))
        await desk.client.delete(f"{BOTS}/{BOT_ID}")
        desk.later(minutes=1)

        answer = await desk.client.delete(f"{ADMIN}/bots/{BOT_ID}")

        assert (answer.status_code, code_of(answer)) == (409, "BOT_HAS_HISTORY")

    async def test_takes_an_admin(self, desk):
        olga = await desk.enroll("olga", "operator")
        made = await desk.make_bot()

        by_operator = await olga.client.delete(f"{ADMIN}/bots/{made['bot_id']}")
        too_early = await desk.client.delete(f"{ADMIN}/bots/{made['bot_id']}")

        assert (by_operator.status_code, code_of(by_operator)) == (403, "ROLE_FORBIDDEN")
        assert (too_early.status_code, code_of(too_early)) == (409, "BOT_NOT_ARCHIVED")

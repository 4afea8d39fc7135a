"""Figures over HTTP: what stands there, what is refused, and that a loss is forgiven in sight."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import AccountConfigured, DailyLossForgiven, OrderRejected, PositionChanged
from pregao.domain.order import OrderStatus
from pregao.domain.position import Direction, Position
from tests.builders import BOT_ID, NOON, account, closed, configured, held
from tests.edges.http.api.own_desk import BOTS, SUBSCRIPTIONS, code_of
from tests.edges.http.api.test_receipts import (
    SIGNAL_ID,
    accepted,
    after,
    approved,
    denied,
    filled,
    planned,
)

SUBSCRIPTION = UUID(int=1)
PERFORMANCE = f"{SUBSCRIPTIONS}/{SUBSCRIPTION}/performance"
FORGIVE = f"{SUBSCRIPTIONS}/{SUBSCRIPTION}/reset-daily-loss"


async def trade(desk, position: Position) -> None:
    """Plan an entry and have its position closed, as the facts tell it."""
    number = position.position_id
    order = planned(
        position.account_id,
        order_id=f"p{number}",
        client_order_id=f"p{number}1",
        position_id=number,
        symbol=position.symbol,
        side=position.direction.entry_side,
        subscription_id=position.subscription_id,
    )
    await desk.append(order, PositionChanged(happened_at=NOON, position=position))


@pytest.fixture
async def traded(desk):
    """Three days of two symbols on one account: the last is today."""
    await desk.append(*configured(accounts=2))
    yesterday, long_ago = NOON - timedelta(days=1), NOON - timedelta(days=40)
    short = held("2", price="50", position_id=4, symbol="ETHUSDT", direction=Direction.SHORT)
    for position in (
        closed(held("1", price="100", position_id=1), at=long_ago, pnl="7"),
        closed(held("1", price="100", position_id=2), at=yesterday, pnl="3", fees="0.5"),
        closed(held("1", price="100", position_id=3), at=NOON, pnl="-4", fees="0.5"),
        closed(short, at=NOON, pnl="-1.25", fees="0.25"),
    ):
        await trade(desk, position)
    return desk


class TestSubscriptionPerformance:
    async def test_tells_today_the_period_and_all_time(self, traded):
        shown = (await traded.client.get(PERFORMANCE)).json()

        assert (shown["first_day"], shown["last_day"], len(shown["daily"])) == (
            "2026-10-23",
            "2026-11-21",
            30,
        )
        assert shown["today"] == {
            "closed": 2, "wins": 0, "losses": 2, "win_rate_pct": "0", "pnl_usd": "-5.25", "pnl_pct": "-2.625",
            "gross_pnl_usd": "-4.5", "fees_usd": "0.75", "loss_usd": "5.25", "notional_usd": "200",
            "average_pnl_usd": "-2.625", "profit_factor": "0", "forgiven_usd": "0", "counted_loss_usd": "5.25",
            "open_loss_usd": "0", "max_daily_loss_usd": "200", "remaining_loss_usd": "194.75",
        }  # fmt: skip
        assert (shown["period"]["closed"], shown["period"]["pnl_usd"], shown["period"]["win_rate_pct"]) == (
            3, "-2.25", "33.33",
        )  # fmt: skip
        assert (shown["all_time"]["closed"], shown["all_time"]["pnl_usd"]) == (4, "4.75")
        assert (shown["best_pnl_usd"], shown["worst_pnl_usd"], shown["drawdown_max_usd"]) == (
            "3",
            "-4",
            "5.25",
        )
        assert [(one["symbol"], one["pnl_usd"]) for one in shown["symbols"]] == [
            ("BTCUSDT", "-1"),
            ("ETHUSDT", "-1.25"),
        ]

    async def test_gives_a_series_that_goes_on_from_what_was_before(self, traded):
        daily = (await traded.client.get(PERFORMANCE, params={"days": 3})).json()["daily"]

        assert [(one["day"], one["pnl_usd"], one["cumulative_pnl_usd"], one["cumulative_closed"]) for one in daily] == [
            ("2026-11-19", "0", "7", 1),
            ("2026-11-20", "3", "10", 2),
            ("2026-11-21", "-5.25", "4.75", 4),
        ]  # fmt: skip

    async def test_of_one_that_never_traded_is_all_zeros_and_nulls(self, desk):
        await desk.append(*configured())

        shown = (await desk.client.get(PERFORMANCE)).json()

        assert (shown["period"]["closed"], shown["period"]["win_rate_pct"], shown["best_pnl_usd"]) == (
            0,
            None,
            None,
        )
        assert shown["executions"] == dict.fromkeys(shown["executions"], 0)

    async def test_counts_orders_of_every_status_once(self, desk):
        """F055, B-14: executed, failed, skipped and pending are all that were received."""
        await desk.append(*configured())
        await desk.journal.pool.execute(
            """
            INSERT INTO orders (order_id, attempt, signal_id, bot_id, subscription_id, account_id, leg, symbol, status,
                                filled_quantity, planned_at, updated_at)
            SELECT status || filled, 1, $1, $2, $3, 1, 'entry', 'BTCUSDT', status, filled, now(), now()
            FROM unnest($4::text[]) AS status, unnest(ARRAY[0, 0.005]) AS filled
            """,
            SIGNAL_ID,
            BOT_ID,
            SUBSCRIPTION,
            list(OrderStatus),
        )

        shown = (await desk.client.get(PERFORMANCE)).json()["executions"]
        [view] = await desk.journal.pool.fetch("SELECT * FROM public.bot_subscriptions")

        statuses = len(OrderStatus)
        assert shown == {
            "received": 2 * statuses,
            "executed": statuses,
            "failed": 3,
            "skipped": 1,
            "pending": 6,
        }
        assert (view["total_signals_received"], view["total_orders_executed"]) == (2 * statuses, statuses)
        assert (view["total_orders_failed"], view["total_orders_skipped"]) == (3, 1)

    @pytest.mark.parametrize("days", [0, -1, 366, "many"])
    async def test_refuses_days_out_of_range(self, traded, days):
        answer = await traded.client.get(PERFORMANCE, params={"days": days})

        assert answer.status_code == 422

    @pytest.mark.parametrize("days", [1, 365])
    async def test_takes_the_first_and_the_last_of_the_range(self, traded, days):
        shown = (await traded.client.get(PERFORMANCE, params={"days": days})).json()

        assert len(shown["daily"]) == days

    @pytest.mark.parametrize("what", ["performance", "daily-snapshots"])
    async def test_tells_an_unknown_subscription(self, desk, what):
        answer = await desk.client.get(f"{SUBSCRIPTIONS}/{'0' * 32}/{what}")

        assert (answer.status_code, code_of(answer)) == (404, "SUBSCRIPTION_UNKNOWN")


class TestPerformance:
    async def test_adds_up_everything_and_shows_its_parts(self, traded):
        shown = (await traded.client.get("/api/v1/performance", params={"days": 3})).json()

        assert (shown["period"]["pnl_usd"], shown["today"]["pnl_usd"], shown["all_time"]["pnl_usd"]) == (
            "-2.25", "-5.25", "4.75",
        )  # fmt: skip
        assert [one["cumulative_pnl_usd"] for one in shown["daily"]] == ["7", "10", "4.75"]
        assert [(one["bot_name"], one["pnl_usd"], one["fees_usd"]) for one in shown["bots"]] == [
            ("EMA cross", "-2.25", "1.25")
        ]
        assert [(one["account_id"], one["closed"]) for one in shown["accounts"]] == [(1, 3)]

    @pytest.mark.parametrize(
        ("chosen", "closed", "best"),
        [
            ({"symbol": " ethusdt "}, 1, "-1.25"),
            ({"symbol": "BTC"}, 0, None),
            ({"account_id": 2}, 0, None),
            (
                {"bot_id": BOT_ID, "account_id": 1, "subscription_id": SUBSCRIPTION, "symbol": "BTCUSDT"},
                2,
                "3",
            ),
        ],
    )
    async def test_is_of_what_is_chosen(self, traded, chosen, closed, best):
        shown = (await traded.client.get("/api/v1/performance", params=chosen)).json()

        assert (shown["period"]["closed"], shown["best_pnl_usd"]) == (closed, best)

    async def test_shows_an_owner_his_own(self, traded):
        ana, eve = await traded.enroll("ana"), await traded.enroll("eve")
        owned = replace(account(1), user_id=ana.user_id)
        await traded.append(AccountConfigured(happened_at=NOON, account=owned))

        closed = [
            (await one.client.get("/api/v1/performance")).json()["period"]["closed"] for one in (ana, eve)
        ]

        assert closed == [3, 0]

    async def test_as_a_file_is_the_lines_it_is_the_sum_of(self, traded):
        """F061: a recomputation from the file gives the figures."""
        shown = (await traded.client.get("/api/v1/performance")).json()
        answer = await traded.client.get("/api/v1/performance", params={"format": "csv"})

        rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert [(row["day"], row["symbol"], row["pnl_usd"]) for row in rows] == [
            ("2026-11-20", "BTCUSDT", "3"),
            ("2026-11-21", "BTCUSDT", "-4"),
            ("2026-11-21", "ETHUSDT", "-1.25"),
        ]
        assert sum(Decimal(row["pnl_usd"]) for row in rows) == Decimal(shown["period"]["pnl_usd"])
        assert sum(Decimal(row["fees_usd"]) for row in rows) == Decimal(shown["period"]["fees_usd"])


class TestDailySnapshots:
    async def test_are_the_days_on_which_something_closed(self, traded):
        answer = await traded.client.get(
            f"{SUBSCRIPTIONS}/{SUBSCRIPTION}/daily-snapshots", params={"days": 60}
        )
        rows = await traded.journal.pool.fetch("SELECT * FROM public.bot_pnl_history ORDER BY snapshot_date")

        items = answer.json()["items"]
        assert [(one["snapshot_date"], one["daily_pnl_usd"], one["win_rate_pct"]) for one in items] == [
            ("2026-10-12", "7", "100"),
            ("2026-11-20", "3", "100"),
            ("2026-11-21", "-5.25", "50"),
        ]
        for item, row in zip(items, rows, strict=True):
            for name, value in item.items():
                assert str(row[name]) == value if name == "snapshot_date" else row[name] == Decimal(value), (
                    name
                )


class TestForgiveDailyLoss:
    async def test_frees_the_limit_and_keeps_the_results(self, traded):
        answer = await traded.client.post(FORGIVE, json={"reason": "venue outage"})
        shown = (await traded.client.get(PERFORMANCE)).json()
        view = await traded.journal.pool.fetchrow(
            "SELECT * FROM public.bot_subscriptions WHERE id = $1", SUBSCRIPTION
        )

        assert answer.status_code == 200
        today = answer.json()["today"]
        assert (today["pnl_usd"], today["loss_usd"], today["forgiven_usd"]) == ("-5.25", "5.25", "5.25")
        assert (today["counted_loss_usd"], today["remaining_loss_usd"]) == ("0", "200")
        assert shown["today"] == today
        assert shown["forgiven"] == [
            {"day": "2026-11-21", "symbol": symbol, "forgiven_usd": amount, "forgiven_by": "admin token",
             "reason": "venue outage"}
            for symbol, amount in (("BTCUSDT", "4"), ("ETHUSDT", "1.25"))
        ]  # fmt: skip
        assert view["total_pnl_usd"] == Decimal("4.75")

    async def test_done_twice_is_done_once(self, traded):
        answers = [await traded.client.post(FORGIVE, json={"reason": "venue outage"}) for _ in range(2)]

        assert answers[0].json() == answers[1].json()
        facts = [fact for fact in await traded.journaled() if isinstance(fact, DailyLossForgiven)]
        assert [(fact.symbol, fact.amount_usd) for fact in facts] == [
            ("BTCUSDT", Decimal(4)),
            ("ETHUSDT", Decimal("1.25")),
        ]

    async def test_counts_what_is_lost_afterwards(self, traded):
        await traded.client.post(FORGIVE, json={"reason": "venue outage"})

        await trade(traded, closed(held("1", price="100", position_id=5), at=NOON, pnl="-2"))

        shown = (await traded.client.get(PERFORMANCE)).json()
        assert (shown["today"]["loss_usd"], shown["today"]["counted_loss_usd"]) == ("7.25", "2")

    async def test_leaves_other_days_and_subscriptions_alone(self, traded):
        other = held("1", price="100", position_id=5, account_id=2, subscription_id=UUID(int=2))
        await trade(traded, closed(other, at=NOON, pnl="-9"))
        traded.later(days=1)

        await traded.client.post(FORGIVE, json={"reason": "venue outage"})

        forgiven = await traded.journal.pool.fetchval("SELECT sum(forgiven_usd) FROM daily_results")
        assert forgiven == 0

    @pytest.mark.parametrize(
        ("body", "code"),
        [({"reason": "x"}, "REASON_UNUSABLE"), ({}, None), ({"reason": "fine", "amount": 5}, None)],
    )
    async def test_wants_a_reason_and_nothing_else(self, traded, body, code):
        answer = await traded.client.post(FORGIVE, json=body)

        assert answer.status_code == 422
        assert code is None or code_of(answer) == code

    async def test_tells_an_unknown_subscription(self, desk):
        answer = await desk.client.post(
            f"{SUBSCRIPTIONS}/{'0' * 32}/reset-daily-loss", json={"reason": "venue outage"}
        )

        assert (answer.status_code, code_of(answer)) == (404, "SUBSCRIPTION_UNKNOWN")


class TestBotPerformance:
    async def test_tells_what_became_of_its_signals_and_orders(self, desk):
        await desk.append(
            *approved(accounts=4, orders=3),
            *(planned(number) for number in (1, 3, 4)),
            denied(2),
            accepted(1),
            filled(1, price="95390.4"),  # 20 bps above the decision
            OrderRejected(
                happened_at=after(30),
                order_id="p3",
                attempt=1,
                signal_id=SIGNAL_ID,
                position_id=3,
                code="-2019",
                reason="Margin is insufficient.",
            ),
        )

        shown = (await desk.client.get(f"{BOTS}/{BOT_ID}/performance")).json()
        rows = await desk.journal.pool.fetch("SELECT * FROM public.bot_signals")

        assert shown["executions"] == {"received": 4, "executed": 1, "failed": 1, "skipped": 1, "pending": 1}
        assert shown["signals"] == {"planned": 1}
        assert shown["average"] == {
            "slippage_bps": "20",
            "sent_ms": 5,
            "acknowledged_ms": 30,
            "booked_ms": 40,
        }
        assert [
            (row["successful_executions"], row["failed_executions"], row["skipped_executions"])
            for row in rows
        ] == [(1, 1, 1)]

    async def test_adds_up_its_subscribers_and_names_the_best(self, traded):
        other = held("1", price="100", position_id=5, account_id=2, subscription_id=UUID(int=2))
        await trade(traded, closed(other, at=NOON, pnl="6"))

        shown = (await traded.client.get(f"{BOTS}/{BOT_ID}/performance")).json()
        view = await traded.journal.pool.fetchrow("SELECT * FROM public.bots")

        assert (shown["period"]["closed"], shown["period"]["pnl_usd"]) == (4, "3.75")
        assert (shown["best_pnl_usd"], shown["worst_pnl_usd"]) == ("6", "-4")
        assert [
            (one["account_id"], one["account_name"], one["pnl_usd"]) for one in shown["top_subscribers"]
        ] == [
            (2, "account 2", "6"),
            (1, "account 1", "-2.25"),
        ]
        assert (view["avg_win_rate"], view["avg_pnl_pct"]) == (Decimal("60.00"), Decimal("2.1500"))

    async def test_names_ten_subscribers_at_most(self, desk):
        await desk.append(*configured(accounts=12))
        for number in range(1, 13):
            one = held(
                "1", price="100", position_id=number, account_id=number, subscription_id=UUID(int=number)
            )
            await trade(desk, closed(one, at=NOON, pnl=str(number)))

        shown = (await desk.client.get(f"{BOTS}/{BOT_ID}/performance")).json()

        assert [one["account_id"] for one in shown["top_subscribers"]] == list(range(12, 2, -1))

    async def test_tells_an_unknown_bot(self, desk):
        answer = await desk.client.get(f"{BOTS}/{'0' * 32}/performance")

        assert (answer.status_code, code_of(answer)) == (404, "BOT_UNKNOWN")


class TestWhoMaySee:
    async def test_owners_see_their_own_and_nobody_elses(self, traded):
        """F064: somebody else's subscription is as good as none."""
        ana, bob = await traded.enroll("ana", "viewer"), await traded.enroll("bob", "trader")
        theirs = account(user_id=UUID(ana.user_id))
        await traded.append(AccountConfigured(happened_at=NOON, account=theirs))
        paths = [PERFORMANCE, f"{SUBSCRIPTIONS}/{SUBSCRIPTION}/daily-snapshots"]

        hers = [await ana.client.get(path) for path in paths]
        his = [await bob.client.get(path) for path in paths]

        assert [answer.status_code for answer in hers] == [200, 200]
        assert hers[0].json() == (await traded.client.get(PERFORMANCE)).json()
        assert [(answer.status_code, code_of(answer)) for answer in his] == [
            (404, "SUBSCRIPTION_UNKNOWN")
        ] * 2

    async def test_bots_figures_and_forgiving_are_staffs(self, traded):
        trader, operator = await traded.enroll("ana"), await traded.enroll("olga", "operator")
        await traded.append(
            AccountConfigured(happened_at=NOON, account=account(user_id=UUID(trader.user_id)))
        )

        answers = [
            await person.client.request(method, path, json=body)
            for person in (trader, operator)
            for method, path, body in (
                ("GET", f"{BOTS}/{BOT_ID}/performance", None),
                ("POST", FORGIVE, {"reason": "venue outage"}),
            )
        ]

        assert [answer.status_code for answer in answers] == [403, 403, 200, 200]
        shown = (await trader.client.get(PERFORMANCE)).json()
        assert {one["forgiven_by"] for one in shown["forgiven"]} == {"olga"}

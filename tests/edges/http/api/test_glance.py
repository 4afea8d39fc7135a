"""What is at stake, and what came of today's signals: each counted once, an owner's own only."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.facts import AccountConfigured, SignalRefused, SignalRepeated
from pregao.domain.position import Direction
from pregao.edges.ids import uuid7
from tests.builders import BOT_ID, NOON, account, arrival, configured, held, instruction
from tests.edges.http.api.test_performance import trade
from tests.edges.http.api.test_receipts import accepted, approved, denied, filled, planned

EXPOSURE = "/api/v1/exposure"
OUTCOMES = "/api/v1/signals/outcomes"


async def told(desk, symbol: str, *, bid: str, ask: str, seconds_ago: float = 0) -> None:
    """Have a monitor read a price at the paper exchange."""
    await desk.journal.pool.execute(
        """
        INSERT INTO watches (venue, symbol, worker_id, lease_epoch, source, price_at, bid, ask, told_at)
        VALUES ('paper', $1, 'monitor', 1, 'ws', clock_timestamp() - make_interval(secs => $4), $2, $3, clock_timestamp())
        """,
        symbol,
        Decimal(bid),
        Decimal(ask),
        seconds_ago,
    )


async def hold(desk, *positions) -> None:
    for one in positions:
        await trade(desk, one)


class TestExposure:
    async def test_values_each_side_at_what_it_would_exit_at(self, desk):
        await desk.append(*configured(accounts=2))
        short = held(
            "2", price="50", position_id=2, account_id=2, symbol="ETHUSDT", direction=Direction.SHORT
        )
        await hold(desk, held("0.5", price="100", position_id=1), short)
        await told(desk, "BTCUSDT", bid="110", ask="111")
        await told(desk, "ETHUSDT", bid="59", ask="60", seconds_ago=31)

        shown = (await desk.client.get(EXPOSURE)).json()

        assert shown["total"] == {
            "positions": 2, "unpriced": 1, "long_usd": "55", "short_usd": "100", "gross_usd": "155",
            "net_usd": "-45", "unrealized_pnl_usd": "5",
        }  # fmt: skip
        assert [(one["symbol"], one["gross_usd"], one["unrealized_pnl_usd"]) for one in shown["symbols"]] == [
            ("ETHUSDT", "100", None),
            ("BTCUSDT", "55", "5"),
        ]
        assert [(one["account_id"], one["net_usd"]) for one in shown["accounts"]] == [(2, "-100"), (1, "55")]

    async def test_of_an_empty_desk_is_nothing(self, desk):
        shown = (await desk.client.get(EXPOSURE)).json()

        assert (shown["total"]["gross_usd"], shown["total"]["unrealized_pnl_usd"]) == ("0", None)
        assert (shown["symbols"], shown["accounts"]) == ([], [])

    async def test_shows_an_owner_his_own(self, desk):
        ana = await desk.enroll("ana")
        await desk.append(*configured(accounts=2))
        owned = replace(account(2), user_id=ana.user_id)
        await desk.append(AccountConfigured(happened_at=NOON, account=owned))
        await hold(
            desk, held("1", price="100", position_id=1), held("1", price="7", position_id=2, account_id=2)
        )

        shown = (await ana.client.get(EXPOSURE)).json()

        assert (shown["total"]["gross_usd"], [one["account_id"] for one in shown["accounts"]]) == ("7", [2])


def partly_executed() -> list:
    """Give a signal of today that filled on the first account and was denied on the second."""
    signal_id = uuid7(NOON)
    told = [*approved(accounts=2, orders=1), planned(1), accepted(1), filled(1, price="100"), denied(2)]
    return [replace(one, signal_id=signal_id) if hasattr(one, "signal_id") else one for one in told]


class TestSignalOutcomes:
    async def test_counts_each_signal_of_the_day_once(self, desk):
        await desk.append(*partly_executed())
        received, _ = arrival(instruction(), signal_id=uuid7(desk.now), now=desk.now)
        no = SignalRefused(
            happened_at=desk.now,
            signal_id=received.signal_id,
            bot_id=BOT_ID,
            code="ACTION_MISSING",
            reason="None.",
        )
        again = SignalRepeated(happened_at=desk.now, signal_id=received.signal_id, source_address="192.0.2.1")
        await desk.append(received, no, again)

        shown = (await desk.client.get(OUTCOMES)).json()

        counted = {name: count for name, count in shown.items() if count and name != "timestamp"}
        assert counted == {"received": 2, "partly_executed": 1, "refused": 1, "repeats": 1}

    async def test_begins_anew_at_midnight(self, desk):
        await desk.append(*partly_executed())
        assert (await desk.client.get(OUTCOMES)).json()["received"] == 1
        desk.later(hours=12)

        assert (await desk.client.get(OUTCOMES)).json()["received"] == 0

    async def test_is_about_an_owners_orders_to_him(self, desk):
        ana, eve = await desk.enroll("ana"), await desk.enroll("eve")
        await desk.append(*partly_executed())
        owned = replace(account(2), user_id=ana.user_id)
        await desk.append(AccountConfigured(happened_at=NOON + timedelta(seconds=1), account=owned))

        hers, others = [(await one.client.get(OUTCOMES)).json() for one in (ana, eve)]

        assert (hers["received"], hers["skipped"], others["received"]) == (1, 1, 0)


class TestWeights:
    @pytest.mark.parametrize(("role", "status"), [("operator", 200), ("trader", 403)])
    async def test_are_for_those_who_look_after_the_desk(self, desk, role, status):
        await desk.journal.pool.execute(
            """
            INSERT INTO weights (egress, service, minute, drawn, used, weight_max)
            VALUES ('main', 'paper', floor(extract(epoch FROM clock_timestamp()) / 60) + 1, 40, 30, 2400)
            """
        )
        person = await desk.enroll("olga", role)

        answer = await person.client.get("/api/v1/weights")

        assert answer.status_code == status
        if status == 200:
            [line] = answer.json()["items"]
            assert (line["service"], line["drawn"], line["weight_max"]) == ("paper", 40, 2400)

"""`pregao drift`: what an account holds beside the books, seen and settled."""

import asyncio
from decimal import Decimal

import pytest

from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.cli import drift
from tests.builders import NOON
from tests.edges.http.api.test_foreign_orders import foreign_seen, told_canceled

WHY = ("--price", "60000", "--reason", "bought by hand")


@pytest.fixture
async def main(shell):
    """An account named main, subscribed to a bot, that holds what the books do not know; and one that agrees."""
    desk, _ = shell
    account = await desk.make_account("main")
    await desk.make_account("other")
    bot = await desk.make_bot()
    await desk.made("/api/v1/bot-subscriptions", bot_id=bot["bot_id"], account_id=account["account_id"])
    return account["account_id"]


async def seen(desk, account_id, quantity, *, position_side=PositionSide.BOTH):
    await desk.append(
        ForeignPositionSeen(
            happened_at=NOON,
            account_id=account_id,
            symbol="BTCUSDT",
            position_side=position_side,
            quantity=Decimal(quantity),
        )
    )


class TestList:
    async def test_says_what_differs(self, shell, main):
        desk, here = shell
        await seen(desk, main, "-0.5", position_side=PositionSide.SHORT)

        told = await here.run(drift.app, "list", "--only")
        listed = await here.read(drift.app, "list")

        assert "BTCUSDT short: -0.5 there, 0 here" in " ".join(told.stdout.split())
        assert "other" not in told.stdout
        assert [one["account"] for one in listed] == ["main", "other"]

    @pytest.mark.usefixtures("main")
    async def test_says_that_nothing_does(self, shell):
        _, here = shell

        assert "Nothing differs." in (await here.run(drift.app, "list", "--only")).stdout


class TestOrders:
    async def test_lists_what_is_not_ours_and_has_it_taken_back(self, shell, main):
        desk, here = shell
        await foreign_seen(desk, main)

        listed = await here.read(drift.app, "orders")
        shown = await here.run(drift.app, "orders")
        asked = asyncio.create_task(
            here.read(drift.app, "cancel", "main", "btcusdt", "8389700001", "--reason", "left from May")
        )
        await told_canceled(desk)
        cancel = await asked
        again = await here.run(drift.app, "cancel", "main", "BTCUSDT", "8389700001", "--reason", "again")
        cancels = await here.read(drift.app, "cancels")

        assert [one["exchange_order_id"] for one in listed] == ["8389700001"]
        assert "8389700001" in shown.stdout
        assert (cancel["status"], cancel["reason"]) == ("canceled", "left from May")
        assert "FOREIGN_ORDER_UNKNOWN" in again.stderr
        assert [one["cancel_id"] for one in cancels] == [cancel["cancel_id"]]


class TestSettle:
    async def test_adopts_and_writes_off(self, shell, main):
        desk, here = shell
        await seen(desk, main, "0.5")

        adopted = await here.run(
            drift.app, "adopt", "main", "btcusdt", "--subscription", "EMA cross/main", *WHY
        )
        agreed = await here.run(drift.app, "list", "--only")
        await seen(desk, main, "-0.2")
        written_off = await here.read(drift.app, "write-off", "main", "BTCUSDT", *WHY)

        assert "Adopted 0.5 BTCUSDT at 60000." in adopted.stdout, adopted.stderr
        assert "Nothing differs." in agreed.stdout
        assert (written_off["booked_quantity"], written_off["quantity"], written_off["status"]) == (
            "0.2",
            "0.3",
            "open",
        )

    async def test_says_why_not(self, shell, main):
        desk, here = shell
        await seen(desk, main, "0.5")

        told = await here.run(drift.app, "write-off", "main", "BTCUSDT", *WHY)

        assert told.exit_code == 1
        assert "DRIFT_IS_FOREIGN" in told.stderr

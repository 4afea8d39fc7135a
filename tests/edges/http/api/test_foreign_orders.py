"""Orders at venues that are not ours, over the API: who sees them, who has them taken back, and what is kept of that."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import ForeignCancelAsked, ForeignCancelTold
from pregao.domain.foreign import CancelStatus, ForeignOrder
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.edges.postgres import foreign
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import NOON
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_receipts import approved, planned

ORDERS, CANCELS = "/api/v1/drift/orders", "/api/v1/drift/cancels"
NUMBER = "8389700001"
OURS = f"p{'y' * 26}"


def resting(**changes) -> ForeignOrder:
    given = {
        "symbol": "BTCUSDT", "exchange_order_id": NUMBER, "client_order_id": "web_1", "side": Side.BUY,
        "position_side": PositionSide.BOTH, "kind": "limit", "price": Decimal(80_000), "quantity": Decimal("0.01"),
        "filled_quantity": Decimal(0), "reduce_only": False, "status": OrderStatus.ACCEPTED, "created_at": NOON,
    }  # fmt: skip
    return ForeignOrder(**(given | changes))


async def foreign_seen(desk, account_id: int, *orders: ForeignOrder) -> None:
    """Have a look see these orders on an account."""
    views = foreign.PostgresForeign(desk.journal.pool, ring=lambda: None)
    asked_at = await views.ask(account_id)
    venue = (await desk.client.get(f"/api/v1/exchange-accounts/{account_id}")).json()["venue"]
    due = foreign.DueLook(account_id=account_id, venue=venue, asked_at=asked_at)
    await foreign.keep_look(desk.journal.pool, due, orders or (resting(),), seconds=60)


async def told_canceled(desk) -> None:
    """Wait until one is to be taken back, and have the venue say that it is."""
    async with asyncio.timeout(20):
        while not (row := await desk.journal.pool.fetchrow("SELECT * FROM foreign_cancels")):
            await asyncio.sleep(0.02)
    told = ForeignCancelTold(
        happened_at=NOON, cancel_id=row["cancel_id"], account_id=row["account_id"], status=CancelStatus.CANCELED,
        code=None, reason=None, filled_quantity=Decimal("0.004"),
    )  # fmt: skip
    await foreign.tell(desk.journal, told)


@pytest.fixture
async def main(desk) -> int:
    return (await desk.make_account("main"))["account_id"]


async def cancel(desk, account_id: int, *, client=None, **changes):
    body = {"symbol": "BTCUSDT", "exchange_order_id": NUMBER, "reason": "left from May", **changes}
    return await (client or desk.client).post(f"/api/v1/drift/{account_id}/orders/cancel", json=body)


class TestSeen:
    async def test_are_shown_to_staff_and_to_the_accounts_owner(self, desk, main):
        ana, bia = await desk.enroll("ana"), await desk.enroll("bia")
        own = (await desk.make_account("Ana's", user_id=str(ana.user_id)))["account_id"]
        await foreign_seen(desk, main)
        await foreign_seen(desk, own, resting(symbol="ETHUSDT", exchange_order_id="12"))

        everybodys = (await desk.client.get(ORDERS)).json()["items"]
        hers = (await ana.client.get(ORDERS)).json()["items"]
        nobodys = (await bia.client.get(ORDERS)).json()["items"]
        one_accounts = (await desk.client.get(ORDERS, params={"account_id": main})).json()["items"]

        assert [one["account_id"] for one in everybodys] == [own, main]  # by name
        assert [one["symbol"] for one in hers] == ["ETHUSDT"]
        assert nobodys == []
        [one] = one_accounts
        assert (one["exchange_order_id"], one["price"], one["quantity"], one["cancel_id"]) == (
            NUMBER, "80000", "0.01", None,
        )  # fmt: skip

    async def test_pages_go_on_where_the_one_before_ended(self, desk, main):
        await foreign_seen(desk, main, *(resting(exchange_order_id=str(number)) for number in range(1, 6)))

        seen, cursor = [], None
        while True:
            page = (
                await desk.client.get(ORDERS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ).json()
            seen += [one["exchange_order_id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break

        assert seen == ["1", "2", "3", "4", "5"]

    async def test_a_look_takes_the_place_of_the_one_before(self, desk, main):
        await foreign_seen(desk, main)
        await foreign_seen(desk, main, resting(exchange_order_id="9"))

        [one] = (await desk.client.get(ORDERS)).json()["items"]

        assert one["exchange_order_id"] == "9"

    async def test_what_the_desk_has_sent_is_not_among_them(self, desk):
        await desk.append(*approved(accounts=1, orders=1), planned(1))
        await desk.journal.pool.execute("UPDATE orders SET order_id = $1", OURS)

        await foreign_seen(desk, 1, resting(client_order_id=f"{OURS}2"), resting(exchange_order_id="9"))

        seen = (await desk.client.get(ORDERS)).json()["items"]
        assert [one["exchange_order_id"] for one in seen] == ["9"]

    async def test_a_look_without_a_trader_is_pending_and_a_webhook_cannot_be_asked(self, desk, main):
        hook = await desk.made(
            "/api/v1/exchange-accounts", name="W", venue="webhook", destination={"url": "http://127.0.0.1:9/"}
        )

        pending = await desk.client.post(f"/api/v1/drift/{main}/orders/look")
        nobody = await desk.client.post(f"/api/v1/drift/{hook['account_id']}/orders/look")

        assert (pending.json()["is_pending"], pending.json()["looked_at"]) == (True, None)
        assert (nobody.status_code, code_of(nobody)) == (409, "VENUE_UNASKABLE")


class TestCancel:
    async def test_is_written_with_who_and_why_before_anything_leaves(self, desk, main):
        await foreign_seen(desk, main)

        answer = await cancel(desk, main)
        again = await cancel(desk, main)

        told = answer.json()
        assert (answer.status_code, told["status"], told["asked_by"]) == (202, "asked", "admin token")
        assert (again.status_code, code_of(again)) == (409, "CANCEL_ON_THE_WAY")
        [fact] = [one for one in await desk.journaled() if isinstance(one, ForeignCancelAsked)]
        assert (fact.order, fact.reason, fact.account_id) == (resting(), "left from May", main)
        [order] = (await desk.client.get(ORDERS)).json()["items"]
        assert order["cancel_id"] == told["cancel_id"] == str(fact.cancel_id)
        [action] = [
            one
            for one in (await desk.client.get("/api/v1/admin/actions")).json()["items"]
            if one["action"] == "cancel_foreign_order" and one["status"] == 202
        ]
        assert action["targets"]["exchange_order_id"] == NUMBER
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_the_venues_word_ends_it_and_the_first_end_counts(self, desk, main):
        await foreign_seen(desk, main)
        asked = (await cancel(desk, main)).json()

        await told_canceled(desk)
        late = ForeignCancelTold(
            happened_at=NOON + timedelta(minutes=1), cancel_id=UUID(asked["cancel_id"]), account_id=main,
            status=CancelStatus.REFUSED, code="-1", reason="late", filled_quantity=None,
        )  # fmt: skip
        await foreign.tell(desk.journal, late)

        ended = (await desk.client.get(f"{CANCELS}/{asked['cancel_id']}")).json()
        assert (ended["status"], ended["filled_quantity"], ended["code"]) == ("canceled", "0.004", None)
        assert (await desk.client.get(ORDERS)).json()["items"] == []
        assert [one["cancel_id"] for one in (await desk.client.get(CANCELS)).json()["items"]] == [
            asked["cancel_id"]
        ]
        assert (await compare_with_journal(desk.journal)).differences == ()

        # A look that was answered before that is written after it.
        await foreign_seen(desk, main)
        assert (await desk.client.get(ORDERS)).json()["items"] == []

    async def test_is_refused_where_none_was_seen_and_where_it_is_ours(self, desk):
        await desk.append(*approved(accounts=1, orders=1), planned(1))
        await foreign_seen(desk, 1, resting(client_order_id=f"{OURS}1"))
        await desk.journal.pool.execute("UPDATE orders SET order_id = $1", OURS)

        unknown = await cancel(desk, 1, exchange_order_id="404")
        ours = await cancel(desk, 1)

        assert (unknown.status_code, code_of(unknown)) == (404, "FOREIGN_ORDER_UNKNOWN")
        assert (ours.status_code, code_of(ours)) == (409, "ORDER_IS_OURS")
        assert not any(isinstance(one, ForeignCancelAsked) for one in await desk.journaled())

    async def test_is_an_operators_alone(self, desk, main):
        trader = await desk.enroll("tom", "trader")
        await foreign_seen(desk, main)

        refused = await cancel(desk, main, client=trader.client)
        look = await trader.client.post(f"/api/v1/drift/{main}/orders/look")

        assert (refused.status_code, look.status_code) == (403, 403)

"""Orders and selling out on pages: what is held is closed from its order's row, the list to sell is led by hand, a job tells each leg."""

import json
import re
from decimal import Decimal
from html import unescape
from types import SimpleNamespace

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    FlattenAccountSeen,
    HeldPlace,
    SubscriptionConfigured,
)
from pregao.domain.order import PositionSide
from pregao.domain.position import Direction
from pregao.edges.http.console.pages.guards import effect_of_closing
from tests.builders import NOON, account, bot, configured, flatten_started, held, subscription
from tests.edges.http.api.test_receipts import accepted, approved, filled, planned
from tests.edges.http.api.test_sell_list_at_source import bought
from tests.edges.http.console.signed_in import signed_in

LIST = "/admin/sell-all-queue"


async def one_held_and_one_on_its_way(desk) -> int:
    """Have the first of two entries filled, and its position open; give that."""
    await desk.append(
        *approved(accounts=2, orders=2),
        planned(1),
        planned(2),
        accepted(1),
        filled(1, price="100", quantity="3"),
    )
    return await desk.journal.pool.fetchval(
        "UPDATE positions SET status = 'open' WHERE position_id = 1 RETURNING position_id"
    )  # fmt: skip


class TestOrders:
    async def test_what_is_held_is_closed_from_its_order_and_nothing_else(self, desk, admin):
        position_id = await one_held_and_one_on_its_way(desk)

        page = (await admin.get("/console/orders")).text
        listed = {one["order_id"]: one for one in (await desk.client.get("/api/v1/orders")).json()["items"]}

        rows = dict(re.findall(r'<tr id="order-(\w+)">(.*?)</tr>', page, re.DOTALL))
        closes = {name: re.findall(r'data-acts="([^"]+)"', row) for name, row in rows.items()}
        assert closes == {"p1": [f"POST /api/v1/positions/{position_id}/close"], "p2": []}
        assert (listed["p1"]["position_status"], listed["p2"]["position_status"]) == ("open", "pending")
        assert '<dialog id="close-one"' in page
        said = re.search(r'data-what="([^"]+)"', rows["p1"])[1]
        assert said.startswith("long BTCUSDT · ")

    async def test_a_subscriber_closes_his_own_and_a_viewer_nothing(self, desk):
        """Each sees the position; only who may trade is offered what ends it, and only what is his."""
        trader, viewer = [await signed_in(desk, name, name) for name in ("trader", "viewer")]
        ids = {row["name"]: row["user_id"] for row in await desk.journal.pool.fetch("SELECT * FROM users")}
        await one_held_and_one_on_its_way(desk)
        give = "UPDATE accounts SET user_id = $1 WHERE account_id = 1"
        opener = 'data-acts="POST /api/v1/positions/1/close"'
        pages = ("/console/orders", "/console/positions", "/console/positions/1")

        found = {}
        for name, client in (("trader", trader), ("viewer", viewer)):
            await desk.journal.pool.execute(give, ids[name])
            found[name] = [(await client.get(page)).text.count(opener) for page in pages]
        others = [(await trader.get(page)).text.count(opener) for page in pages]

        assert found == {"trader": [1, 1, 1], "viewer": [0, 0, 0]}
        assert others == [0, 0, 0]

    async def test_says_on_the_position_what_closing_would_do(self, desk, admin):
        await desk.append(*configured(accounts=1))
        await bought(desk, "BTCUSDT", number=1)

        page = (await admin.get("/console/positions/1")).text

        effect = re.search(r'id="close-effect".*?</dl>', page, re.DOTALL)[0]
        assert f'title="{held(position_id=1).quantity}"' in effect
        assert "nobody has looked for 30 seconds" in effect


class TestEffect:
    @pytest.mark.parametrize(("direction", "result"), [(Direction.LONG, "-15"), (Direction.SHORT, "6")])
    def test_is_reckoned_at_the_side_that_would_be_taken(self, direction, result):
        """A long is sold at the bid, a short is bought back at the ask."""
        position = SimpleNamespace(direction=direction, quantity=Decimal(3), entry_price=Decimal(100))
        guard = SimpleNamespace(is_watched=True, bid=Decimal(95), ask=Decimal(98))

        effect = effect_of_closing(SimpleNamespace(position=position, guard=guard))

        assert effect.result == Decimal(result)
        assert effect.value == 3 * effect.price


class TestSellList:
    async def test_is_led_by_hand_and_says_how_far_each_sale_is(self, desk, admin):
        await desk.append(
            BotConfigured(happened_at=NOON, bot=bot(name="default")),
            AccountConfigured(happened_at=NOON, account=account(1)),
            AccountConfigured(happened_at=NOON, account=account(2, venue=Venue.WEBHOOK, name="Broker's hook")),
            *(SubscriptionConfigured(happened_at=NOON, subscription=subscription(one)) for one in (1, 2)),
        )  # fmt: skip
        empty = (await admin.get("/console/sell-all")).text
        await bought(desk, "LTCUSDT", number=7)
        entered = await admin.post(LIST, json={"ticker": "aapl"})
        assert entered.status_code == 201, entered.text

        page = (await admin.get("/console/sell-all")).text

        assert "Nothing is on the list." in empty
        fills = [
            json.loads(unescape(one))
            for one in re.findall(r'data-opens="sell-ticker"[^>]* data-fill=\'([^\']+)\'', page)
        ]
        assert fills == [{"ticker": "AAPL"}, {"ticker": "LTCUSDT"}]
        asks = re.findall(r'data-api="([^"]+)"', page)
        assert f"POST {LIST}" in asks
        assert "POST /admin/order/sell-individual" in asks
        assert f"POST {LIST}/clear" in asks
        assert "POST /admin/order/sell-all" in asks
        assert "leaves the list after 72 hours" in page

        sold = await admin.post("/admin/order/sell-individual", json={"ticker": "AAPL"})
        assert sold.status_code == 200, sold.text

    async def test_is_not_shown_to_who_does_not_look_after_the_desk(self, desk):
        trader = await signed_in(desk, "bruno", "trader")

        page = (await trader.get("/console/sell-all")).text

        assert "The list to sell" not in page
        assert LIST not in page


class TestJob:
    async def test_tells_of_each_leg_what_was_closed_what_stands_and_what_is_not_ours(self, desk, admin):
        await one_held_and_one_on_its_way(desk)
        started = flatten_started(account_ids=(1, 2))
        await desk.append(
            started,
            FlattenAccountSeen(
                happened_at=NOON, flatten_id=started.flatten_id, account_id=1, is_flat=False, code="EXIT_IN_FLIGHT",
                reason="An exit is on its way.", closed=(HeldPlace(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=held().quantity),),
                attempts=3, foreign=(HeldPlace(symbol="ETHUSDT", position_side=PositionSide.BOTH, quantity=held().quantity),),
            ),
        )  # fmt: skip

        page = (await admin.get(f"/console/sell-all/{started.flatten_id}")).text

        legs = dict(re.findall(r'<tr id="leg-(\d+)">(.*?)</tr>', page, re.DOTALL))
        assert "not yet" in legs["1"]
        assert 'data-label="Tries">3<' in legs["1"]
        assert re.search(r'data-label="Still held">.*BTCUSDT', legs["1"])
        assert re.search(r'data-label="Not ours, left alone">.*ETHUSDT', legs["1"])
        assert "EXIT_IN_FLIGHT" in legs["1"]
        assert f'data-api="POST /api/v1/flatten/{started.flatten_id}/stop"' in page

        stopped = await admin.post(f"/api/v1/flatten/{started.flatten_id}/stop", json={"reason": "enough"})
        over = (await admin.get(f"/console/sell-all/{started.flatten_id}")).text
        assert (stopped.json()["status"], '/stop"' in over) == ("stopped", False)

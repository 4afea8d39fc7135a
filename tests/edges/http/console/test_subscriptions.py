"""Who follows what: the values and where each is set, the limits and what is used, and why something was skipped."""

import re

from tests.edges.http.api.own_desk import ACCOUNTS, SUBSCRIPTIONS
from tests.edges.http.api.test_receipts import approved, denied
from tests.edges.http.console.signed_in import signed_in

LIST = "/console/subscriptions"


def read(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


async def page_of(client, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


class TestSubscription:
    async def test_shows_where_each_value_is_set(self, admin, desk):
        bot = await desk.make_bot(
            "EMA cross", default_leverage=5, symbols=[{"symbol": "BTCUSDT", "leverage": 3}]
        )
        account = await desk.make_account("Ana")
        made = await desk.made(
            SUBSCRIPTIONS,
            bot_id=bot["bot_id"],
            account_id=account["account_id"],
            custom_margin_usd="60",
            custom_take_profit_pct="0",
            symbols=[{"symbol": "ETHUSDT", "leverage": 2, "is_active": False}],
        )

        shown = read(await page_of(admin, f"{LIST}/{made['subscription_id']}"))

        assert "any other 5× the bot&#39;s 60.00 own 2.5 the bot&#39;s none own yes" in shown
        assert "BTCUSDT 3× the bot&#39;s, on this symbol 60.00 own" in shown
        assert "ETHUSDT 2× own, on this symbol 60.00 own" in shown
        assert "0 / 3 positions · 0.00 / 200.00 USD lost today" in shown

    async def test_says_why_it_skipped(self, admin, desk):
        await desk.append(*approved(accounts=1, orders=0), denied(1))
        (one,) = (await desk.client.get(f"{SUBSCRIPTIONS}/my-subscriptions")).json()["items"]

        shown = read(await page_of(admin, f"{LIST}/{one['subscription_id']}"))

        assert f"denied {denied(1).code} " in shown

    async def test_a_viewer_changes_nothing_and_a_subscriber_only_what_is_his(self, desk):
        bot = await desk.make_bot("EMA cross")
        bruno = await signed_in(desk, "bruno", "trader")
        eve = await signed_in(desk, "eve", "trader")
        vera = await signed_in(desk, "vera", "viewer")
        account = (await bruno.post(ACCOUNTS, json={"name": "Bruno, paper"})).json()
        made = (
            await bruno.post(
                SUBSCRIPTIONS, json={"bot_id": bot["bot_id"], "account_id": account["account_id"]}
            )
        ).json()
        path = f"{LIST}/{made['subscription_id']}"

        assert "Stop out" in await page_of(bruno, path)
        assert "Bruno, paper" in await page_of(bruno, LIST)
        assert "Bruno, paper" not in await page_of(eve, LIST)
        assert (await eve.get(path)).status_code == 404
        assert "data-api" not in (await page_of(vera, LIST)).partition("<main")[2].partition("</main")[0]

    async def test_one_that_has_ended_is_only_shown(self, admin, desk):
        bot, account = await desk.make_bot(), await desk.make_account()
        made = await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])
        path = f"{SUBSCRIPTIONS}/{made['subscription_id']}"
        await desk.client.delete(path)

        assert f"PATCH {path}" not in await page_of(admin, f"{LIST}/{made['subscription_id']}")

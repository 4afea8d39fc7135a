"""Who follows what: the values and where each is set, the limits and what is used, and why something was skipped."""

import re

from pregao.edges.http.api.rules import GuardAsked, RiskAsked
from pregao.edges.http.api.subscriptions import SubscriptionChanges
from tests.edges.http.api.own_desk import ACCOUNTS, SUBSCRIPTIONS
from tests.edges.http.api.test_receipts import approved, denied
from tests.edges.http.console.signed_in import signed_in
from tests.edges.http.console.test_bots import names_on

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


class TestChange:
    async def test_every_value_that_can_be_its_own_has_its_field(self, admin, desk):
        """One that is added to the API and not here fails: it could be set by programs only."""
        bot, account = await desk.make_bot("EMA cross"), await desk.make_account("Ana")
        made = await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])

        page = await page_of(admin, f"{LIST}/{made['subscription_id']}")
        names = names_on(page[page.index('id="change"') : page.index('id="symbol"')])

        flat = set(SubscriptionChanges.model_fields) - {
            "status",
            "symbols",
        }  # these have dialogs of their own
        assert flat <= names
        assert {f"custom_guard.{name}" for name in GuardAsked.model_fields} <= names
        assert {f"custom_risk.{name}" for name in RiskAsked.model_fields} <= names

    async def test_shows_what_is_its_own(self, admin, desk):
        bot, account = await desk.make_bot("EMA cross"), await desk.make_account("Ana")
        made = await desk.made(
            SUBSCRIPTIONS,
            bot_id=bot["bot_id"],
            account_id=account["account_id"],
            custom_risk={"capital_usd": "1000", "daily_loss_pct_max": "5"},
            custom_guard={"trailing": "hand_span"},
        )

        page = await page_of(admin, f"{LIST}/{made['subscription_id']}")

        assert '<option value="hand_span" selected>' in page
        assert (
            'name="custom_risk.daily_loss_pct_max" inputmode="decimal" autocomplete="off" data-empty value="5"'
            in page
        )
        assert "Risk, in shares of its capital 1 rules own" in read(page)

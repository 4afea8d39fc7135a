"""The first steps: how far somebody is follows from what there is, and is shown to nobody else."""

import re

from pregao.bots.ready_made import DEMO_PATH
from pregao.edges.own_address import own_address
from tests.edges.http.api.own_desk import SUBSCRIPTIONS
from tests.edges.http.console.signed_in import signed_in

BEGIN = "/console/begin"


def steps_of(page: str) -> list[str]:
    """Give what stands beside each step."""
    return re.findall(r"<h2>\d\. [^<]+ <span class=\"state \w+\">(\w+)</span></h2>", page)


async def begun(client) -> str:
    answer = await client.get(BEGIN)
    assert answer.status_code == 200, answer.text
    return answer.text


class TestBegin:
    async def test_goes_on_as_things_come_to_be(self, admin, desk):
        seen = [steps_of(await begun(admin))]
        account = await desk.make_account("Ana, paper")
        seen.append(steps_of(await begun(admin)))
        bot = await desk.make_bot("EMA cross")
        seen.append(steps_of(await begun(admin)))
        await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])
        page = await begun(admin)

        assert seen == [
            ["now", "later", "later", "later", "later"],
            ["done", "now", "later", "later", "later"],
            ["done", "done", "now", "later", "later"],
        ]
        assert steps_of(page) == ["done", "done", "done", "now", "now"]
        assert bot["webhook_url"] in page
        assert bot["secret"] not in page
        assert f'data-secret-of="{bot["bot_id"]}"' in page

    async def test_what_a_desk_brings_along_is_nobodys_step(self, admin, desk):
        account = await desk.make_account("Ana, demo")
        bot = await desk.make_bot("Demo", webhook_path=DEMO_PATH)
        await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])

        assert steps_of(await begun(admin))[0] == "now"

    async def test_goes_on_with_what_is_named(self, admin, desk):
        first, second = await desk.make_account("first"), await desk.make_account("second")
        bot = await desk.make_bot("EMA cross")
        await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=first["account_id"])

        page = (await admin.get(f"{BEGIN}?account={second['account_id']}")).text

        assert steps_of(page) == ["done", "done", "now", "later", "later"]

    async def test_a_subscriber_follows_with_an_account_of_his_own(self, desk):
        await desk.make_account("the desk's own")
        bot = await desk.make_bot("EMA cross", webhook_path="ema-cross-secret-place")
        bruno = await signed_in(desk, "bruno", "trader")
        nothing = await begun(bruno)

        account = await bruno.post("/api/v1/exchange-accounts", json={"name": "Bruno, paper"})
        joining = await begun(bruno)
        body = {"bot_id": bot["bot_id"], "account_id": account.json()["account_id"]}
        assert (await bruno.post("/api/v1/bot-subscriptions", json=body)).status_code == 201
        waiting = await begun(bruno)

        assert steps_of(nothing) == ["now", "later", "later"]
        assert steps_of(joining) == ["done", "now", "later"]
        assert steps_of(waiting) == ["done", "done", "now"]
        assert all("ema-cross-secret-place" not in page for page in (nothing, joining, waiting))

    async def test_a_viewer_begins_nothing(self, desk):
        vera = await signed_in(desk, "vera", "viewer")

        assert (await vera.get(BEGIN)).status_code == 403

    async def test_is_offered_while_no_signal_has_come(self, admin):
        assert f'href="{BEGIN}"' in (await admin.get("/admin")).text


class TestAccounts:
    async def test_only_those_who_may_connect_are_offered_to(self, desk):
        vera = await signed_in(desk, "vera", "viewer")
        bruno = await signed_in(desk, "bruno", "trader")

        assert "POST /api/v1/exchange-accounts" not in (await vera.get("/console/accounts")).text
        assert "POST /api/v1/exchange-accounts" in (await bruno.get("/console/accounts")).text

    async def test_a_page_says_what_can_be_done_and_nothing_of_its_keys(self, admin, desk):
        account = await desk.make_account("Ana", venue="binance", api_key="k" * 64, secret_key="s" * 64)

        page = (await admin.get(f"/console/accounts/{account['account_id']}")).text

        assert f'data-api="PATCH /api/v1/exchange-accounts/{account["account_id"]}"' in page
        assert "real money" in page
        assert "k" * 64 not in page
        assert "s" * 64 not in page

    async def test_a_webhooks_page_says_what_does_not_apply_there(self, admin, desk):
        account = await desk.make_account("W", venue="webhook", destination={"url": "http://127.0.0.1:9/"})

        page = (await admin.get(f"/console/accounts/{account['account_id']}")).text

        assert "a webhook cannot be asked what it holds" in page


class TestOwnAddress:
    def test_is_none_or_says_whether_the_world_can_see_it(self):
        found = own_address()

        assert found is None or found.text.count(".") == 3
        assert found is None or isinstance(found.is_public, bool)

"""Two people on one desk, over the wire: each trades the same signal on his own account and sees his own of it."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import WholeDesk, running_desk

PASSWORD = "correct horse battery"
ALERT = '{"ticker": "BTCUSDT", "action": "buy"}'


@contextlib.asynccontextmanager
async def logged_in(desk: WholeDesk, name: str) -> AsyncIterator[WholeDesk]:
    """Give the desk as a new trader sees it."""
    email = f"{name}@desk.test"
    user = {"email": email, "name": name, "role": "trader", "password": PASSWORD}
    await desk.ask("POST", "/api/v1/admin/users", json=user)
    login = await desk.ask("POST", "/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    headers = {"Authorization": f"Bearer {login['token']}"}
    async with httpx.AsyncClient(
        base_url=desk.client.base_url, headers=headers, timeout=20, verify=False
    ) as client:
        yield WholeDesk(client, desk.paper, desk.settings)


def ids_of(lists: dict[str, Any], field: str) -> set[Any]:
    return {one[field] for one in lists["items"]}


class TestTwoPeople:
    async def test_trade_one_signal_and_see_only_their_own_part(self, database, tmp_path):
        """F064."""
        async with (
            running_desk(database, tmp_path, paper=PaperSettings(simulate_seed=7)) as desk,
            logged_in(desk, "ana") as ana,
            logged_in(desk, "bruno") as bruno,
        ):
            bot = await desk.create_bot()
            accounts = {}
            for person in (ana, bruno):
                account_id = await person.open_account("main")
                await person.subscribe({"bot_id": bot["bot_id"]}, account_id, custom_margin_usd="200")
                accounts[person] = account_id

            signal_id = (await desk.post(bot, ALERT)).json()["signal_id"]
            everything = await desk.receipt(signal_id)

            assert [row["outcome"] for row in everything["rows"]] == ["filled", "filled"]
            for person, stranger in ((ana, bruno), (bruno, ana)):
                receipt = await person.receipt(signal_id)
                orders = await person.ask("GET", "/api/v1/orders")
                positions = await person.ask("GET", "/api/v1/positions")
                others = await person.client.get(f"/api/v1/exchange-accounts/{accounts[stranger]}")
                of_other = await person.ask("GET", f"/api/v1/orders?account_id={accounts[stranger]}")
                assert [row["account_id"] for row in receipt["rows"]] == [accounts[person]]
                assert ids_of(orders, "account_id") == ids_of(positions, "account_id") == {accounts[person]}
                assert (others.status_code, of_other["items"]) == (404, [])
            actions = await desk.ask("GET", "/api/v1/admin/actions?action=post_subscription")
            assert {one["email"] for one in actions["items"]} == {"ana@desk.test", "bruno@desk.test"}

    async def test_nobody_comes_in_without_a_token(self, database, tmp_path):
        """F036: every path of the running desk's document, with every method it has."""
        async with running_desk(database, tmp_path, paper=PaperSettings(simulate_seed=7)) as desk:
            document = await desk.ask("GET", "/openapi.json")
            async with httpx.AsyncClient(base_url=desk.client.base_url, verify=False) as stranger:
                answers = {
                    (path, method): (await stranger.request(method, re.sub(r"{\w+}", "1", path))).status_code
                    for path, item in document["paths"].items()
                    for method in item
                }

        assert {path for (path, _), status in answers.items() if status != 401} == {
            "/health",
            "/health/detailed",
            "/health/ready",
            "/api/v1/bots/health",
            "/api/v1/auth/login",
            "/api/v1/bots/webhook/master/{webhook_path}",  # 404: no bot has the path; else it takes the secret
        }

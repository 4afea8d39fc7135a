"""An operator answers, outlives a restart of the server and sells everything, in a browser, and reloads nothing."""

import re

from playwright.async_api import expect

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.test_console_in_chromium import BUY, browsing, come_in
from tests.journeys.whole_desk import running_desk

GONE = ("ERR_CONNECTION_", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING", "status of 503")
"""What a browser says of a server that ends under it."""


async def test_f022_approves_outlives_a_restart_and_sells_everything(database, tmp_path):
    """No row is lost or doubled by the restart, and the job that sells ends with every account proven flat."""
    async with (
        running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk,
        browsing(desk, expected=GONE) as page,
    ):
        await come_in(page)
        accounts = [await desk.open_account(name) for name in ("Ana, paper", "Bruno, paper")]
        bots = [await desk.create_bot("Asked", approval="manual"), await desk.create_bot("Trend")]
        for bot in bots:
            for account_id in accounts:
                await desk.subscribe(bot, account_id)

        await page.goto("/console/approvals")
        await expect(page.locator("#live")).to_have_text("live")
        asked = (await desk.post(bots[0], BUY)).json()["signal_id"]
        card = page.locator(f"#signal-{asked}")
        await expect(card).to_contain_text("buy LTCUSDT · Asked")
        await expect(card.locator("[data-until]")).to_have_text(re.compile(r"\d:\d\d"))
        await expect(card).to_contain_text("2 subscriptions")
        await card.get_by_role("button", name="Approve").click()
        await expect(card).to_have_count(0)
        assert (await desk.receipt(asked))["status"] == "settled"

        await page.goto("/console/orders")
        rows = page.locator("#list tbody tr")
        await expect(rows).to_have_count(2)
        await expect(page.locator("#live")).to_have_text("live")
        await desk.restart_web()
        await desk.receipt((await desk.post(bots[1], BUY.replace("LTC", "BTC"))).json()["signal_id"])
        await expect(rows).to_have_count(4)
        await expect(page.locator("#live")).to_have_text("live")
        await desk.receipt((await desk.post(bots[1], BUY.replace("LTC", "ETH"))).json()["signal_id"])
        await expect(rows).to_have_count(6)

        await page.goto("/console/sell-all")
        await page.get_by_role("button", name="Close 6 positions").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("6 positions are closed at the market.")
        await dialog.get_by_label("Reason").fill("enough")
        await dialog.get_by_label("Type CLOSE").fill("CLOSE")
        await dialog.get_by_role("button", name="Close all").click()
        await expect(page.locator("#toasts")).to_contain_text("The job has begun.")
        [job] = (await desk.ask("GET", "/api/v1/flatten"))["items"]
        await page.goto(f"/console/sell-all/{job['flatten_id']}")
        await expect(page.locator("#receipt dl")).to_contain_text("2 / 2")
        await expect(page.locator("tr[id^=leg-] .state.good")).to_have_count(2)
        assert (await desk.ask("GET", "/api/v1/positions?live_only=true"))["items"] == []

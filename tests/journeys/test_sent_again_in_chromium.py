"""Retry and replay, pressed in a real browser: what they would do is seen before, and what came of it after."""

import pytest
from playwright.async_api import expect

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.test_console_in_chromium import BUY, CLOSE, PHONE, browsing, come_in, pytestmark
from tests.journeys.whole_desk import running_desk

__all__ = ["pytestmark"]


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk:
        yield desk


class TestSentAgainInChromium:
    async def test_is_previewed_typed_and_marked_in_both_languages(self, desk):
        bot = await desk.create_bot("EMA cross", default_leverage=5)
        for name in ("Ana", "Bruno"):
            made = await desk.subscribe(bot, await desk.open_account(name))
        paused = f"/api/v1/bot-subscriptions/{made['subscription_id']}"
        await desk.ask("PATCH", paused, json={"status": "paused"})
        signal_id = (await desk.post(bot, BUY)).json()["signal_id"]
        await desk.receipt(signal_id)
        await desk.ask("PATCH", paused, json={"status": "active"})

        async with browsing(desk) as page:
            await come_in(page)
            await page.goto(f"/console/signals/{signal_id}")
            await expect(page.locator("#timeline")).to_contain_text("Stops armed")
            await page.get_by_role("button", name="Retry on 1 accounts").click()
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_contain_text("Get it again: it failed there for a reason that may pass")
            await expect(dialog.locator("dd").first).to_contain_text("Bruno SUBSCRIPTION_PAUSED")
            await expect(dialog.locator("dd").last).to_contain_text("Ana")
            await dialog.get_by_label("Type RETRY").fill("retry")
            await dialog.get_by_role("button", name="Retry", exact=True).click()
            await expect(page.locator(".toast.bad")).to_contain_text("Type RETRY")
            assert (await desk.ask("GET", f"/api/v1/signals/{signal_id}/retry"))["retried_as"] is None
            await dialog.get_by_label("Type RETRY").fill("RETRY")
            await dialog.get_by_role("button", name="Retry", exact=True).click()
            await expect(page.locator("#receipt")).to_contain_text("Retried by")
            await expect(page.locator("#again")).not_to_contain_text("Retry on")
            retried = (await desk.ask("GET", f"/api/v1/signals/{signal_id}/retry"))["retried_as"]
            [row] = (await desk.receipt(retried))["rows"]
            await page.locator(f'a[href="/console/signals/{retried}"]').click()
            await expect(page.locator("#receipt")).to_contain_text("Retry of")
            await expect(page.locator("#receipt")).to_contain_text("filled")
            closed = (await desk.post(bot, CLOSE)).json()["signal_id"]
            await desk.receipt(closed)

            await page.goto(f"/console/signals/{signal_id}")
            await expect(page.locator("#timeline")).to_contain_text("Positions closed")
            await page.set_viewport_size(PHONE)
            await page.get_by_role("button", name="Português").click()
            await page.goto(f"/console/signals/{signal_id}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await page.get_by_role("button", name="Reproduzir no papel").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Conta").select_option(label="Ana")
            await dialog.get_by_role("button", name="Reproduzir", exact=True).click()
            await expect(page.locator("#receipt")).to_contain_text("Reproduzido por")
            told = await desk.ask("GET", f"/api/v1/signals/{signal_id}/receipt")
            [replayed] = [one["signal_id"] for one in told["repeats"] if one["source"] == "replay"]
            [paper] = (await desk.receipt(replayed))["rows"]
            await page.goto("/console/signals")
            await expect(page.locator(f"#signal-{replayed}")).to_contain_text("reprodução no papel")

        assert (row["account"], row["outcome"]) == ("Bruno", "filled")
        assert (paper["account"], paper["outcome"]) == ("Ana", "filled")

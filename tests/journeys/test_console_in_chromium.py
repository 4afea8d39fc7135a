"""The console in a real browser: it moves with the desk, acts through the API, and breaks no rule of its own policy."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from pregao.bootstrap.process import close_pool
from pregao.domain.alert import AlertKind, AlertLevel
from pregao.domain.facts import AlertRaised
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from tests.builders import alert
from tests.edges.http.console.signed_in import PAGES
from tests.journeys.whole_desk import TOKEN, WholeDesk, running_desk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OFFLINE = ("ERR_INTERNET_DISCONNECTED", "Failed to fetch")  # what a browser says that was cut off on purpose
SECONDS_MAX = 60  # of one expectation, on a machine that does much else
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
BUY = '{"symbol": "LTCUSDT", "action": "buy"}'
SELL = '{"symbol": "LTCUSDT", "action": "sell"}'
CLOSE = '{"symbol": "LTCUSDT", "action": "close"}'
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
FAULTS = """
async () => (await axe.run({ resultTypes: ["violations"] })).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ")}`)
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install the system's package `chromium`"),
]


@asynccontextmanager
async def browsing(
    desk: WholeDesk, *, locale: str = "en-US", expected: tuple[str, ...] = ()
) -> AsyncIterator[Page]:
    """Open a browser at the first user's sign-in; what it complains of at the end is the test's failure, if not ``expected``."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        context = await browser.new_context(base_url=str(desk.client.base_url), locale=locale)
        context.set_default_timeout(SECONDS_MAX * 1000)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None,
        )
        try:
            yield page
        finally:
            await browser.close()
    assert [one for one in complaints if not any(part in one for part in (*OFFLINE, *expected))] == []


async def come_in(page: Page) -> None:
    """Make the first user."""
    await page.goto("/admin")
    await page.get_by_role("link", name="first one").click()
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.get_by_label("E-mail").fill("ana@desk.test")
    await page.get_by_label("Name").fill("Ana")
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Make the user").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def take_the_first_steps(page: Page) -> str:
    """Go from nothing to an alert that is sent from the page, as one types and without a reload; give the bot's secret."""
    await page.get_by_role("link", name="First steps").click()
    await page.get_by_label("Where it trades").select_option("binance")
    await expect(page.get_by_label("API key")).to_be_visible()
    await page.get_by_label("Where it trades").select_option("paper")
    await page.get_by_label("Name").fill("Ana, paper")
    await page.get_by_role("button", name="Connect", exact=True).click()

    bot = page.locator("#step-bot")
    await expect(bot.locator("[data-effect=position_usd]")).to_have_text("500")
    await bot.get_by_label("Leverage").fill("500")
    await expect(bot.locator(".problem")).to_have_text("Between 1 and 125.")
    await bot.get_by_label("Leverage").fill("5")
    await expect(bot.locator(".problem")).to_have_count(0)
    await bot.get_by_label("Name").fill("EMA cross")
    await bot.get_by_role("button", name="Make").click()

    follow = page.locator("#step-subscription")
    await follow.get_by_label("Own margin").fill("60")
    await expect(follow.locator("[data-effect=position_usd]")).to_have_text("300")
    await follow.get_by_role("button", name="Follow").click()

    await expect(page.locator("#step-alert")).to_contain_text("Waiting for the first alert")
    message = json.loads(await page.locator("#first-message").text_content() or "")
    await page.get_by_role("button", name="Send it from here").click()
    secret: str = message["secret"]
    return secret


async def see_notices_in_portuguese(page: Page, desk: WholeDesk) -> None:
    """Be told in the page's language what was refused, and of an alert as it comes."""
    address = {"webhook_url": "https://discord.com/api/webhooks/1/nobody"}
    channel = {"name": "Night", "kind": "discord", "address": address}
    await desk.ask("POST", "/api/v1/alert-channels", json=channel)
    await page.goto("/console/alerts")
    await page.get_by_role("button", name="Novo canal").click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("input[name=name]").fill("Night")
    await dialog.locator('input[name="address.webhook_url"]').fill(address["webhook_url"])
    await dialog.locator("button.main").click()
    await expect(page.locator(".toast.bad")).to_contain_text("CHANNEL_NAME_TAKEN: Outro canal tem este nome.")

    await expect(page.locator("#live")).to_have_text("ao vivo")
    journal = await open_journal(desk.settings.database_url, connections_max=1)
    try:
        async with journal.transaction() as transaction:
            raised = alert(
                kind=AlertKind.POSITION_UNGUARDED, level=AlertLevel.CRITICAL, code="STANDS_UNGUARDED",
                about="BTCUSDT", numbers={"seconds": "6.1"},
            )  # fmt: skip
            await transaction.append([AlertRaised(happened_at=datetime.now(UTC), alert=raised)])
    finally:
        await close_pool(journal.pool)
    said = "BTCUSDT: A posição está sem stop efetivo há mais tempo do que pode."
    await expect(page.locator(".toast.bad").last).to_contain_text(said)
    await expect(page.locator("#list")).to_contain_text(said)


@cache
def axe() -> str:
    """Read axe; `python hatch_build.py` brings it."""
    return AXE.read_text(encoding="utf-8")


async def faults_of(page: Page) -> list[Any]:
    """Give what keeps people from using the page as it is shown, as axe finds it: serious and critical faults."""
    await page.evaluate(axe())
    found: list[Any] = await page.evaluate(FAULTS)
    return found


expect.set_options(timeout=SECONDS_MAX * 1000)


class TestConsoleInChromium:
    async def test_f022_moves_with_the_desk_without_a_reload(self, database, tmp_path):
        """From nothing to the first fill, an alert, its orders as they fill, what was missed while offline, and the halt."""
        async with (
            running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk,
            browsing(desk) as page,
        ):
            await come_in(page)
            secret = await take_the_first_steps(page)
            await expect(page.locator("#step-alert")).to_contain_text("It works")
            await expect(page.locator("#step-account")).to_contain_text("ready")
            await page.reload()
            await expect(page.locator("#step-alert")).to_contain_text("It works")
            await expect(page.locator("#first-message")).to_contain_text("YOUR-SECRET")
            bots = (await desk.ask("GET", "/api/v1/bots"))["items"]
            bot = {**next(one for one in bots if one["name"] == "EMA cross"), "secret": secret}
            ended = (await desk.post(bot, CLOSE.replace("}", ', "alert_id": "first"}'))).json()
            await desk.receipt(ended["signal_id"])

            await page.get_by_role("link", name="Other messages").click()
            rules = page.locator("form[data-changes]")
            await rules.get_by_role("button", name="Add a target").click()
            await rules.get_by_label("Share of it").fill("2")
            await expect(rules.locator(".problem")).to_have_text("Between 0.01 and 1.")
            await rules.get_by_label("Share of it").fill("1")
            await rules.get_by_label("Most entries in a UTC day").fill("50")
            await expect(rules.locator(".problem")).to_have_count(0)
            await rules.get_by_role("button", name="Save").click()
            await expect(page.locator("#toasts")).to_contain_text("The rules are kept")
            kept = await desk.ask("GET", f"/api/v1/bots/{bot['bot_id']}")
            assert (kept["max_entries_per_day"], kept["default_leverage"]) == (50, 5)
            assert [one["share"] for one in kept["guard"]["targets"]] == ["1"]
            await page.get_by_role("button", name="New secret").click()
            await page.get_by_role("dialog").get_by_role("button", name="Make").click()
            await expect(page.locator("#message-1")).not_to_contain_text("YOUR-SECRET")
            bot["secret"] = json.loads(await page.locator("#message-1").text_content() or "")["secret"]
            assert bot["secret"] != secret

            await page.goto("/console/orders")
            await expect(page.locator("#live")).to_have_text("live")
            bought = (await desk.post(bot, BUY)).json()["signal_id"]
            await expect(page.locator("#list tbody tr")).to_have_count(3)
            await expect(page.locator("#list tbody")).to_contain_text("filled")

            await page.context.set_offline(True)
            await desk.receipt(bought)
            await desk.receipt((await desk.post(bot, CLOSE)).json()["signal_id"])
            await page.context.set_offline(False)
            await expect(page.locator("#list tbody tr")).to_have_count(4)
            await expect(page.locator("#live")).to_have_text("live")

            await page.keyboard.press("/")
            await page.keyboard.type("no such order")
            await expect(page.locator("#list")).to_contain_text("Nothing here is like that.")
            await expect(page).to_have_url(re.compile("q=no\\+such\\+order"))
            await page.get_by_role("link", name="Show all of it").click()
            await page.get_by_role("link", name="Fees").click()
            await expect(page.locator("th[aria-sort=descending]")).to_contain_text("Fees")
            await expect(page.locator("#list tbody tr")).to_have_count(4)
            await page.keyboard.press("?")
            await expect(page.get_by_role("dialog")).to_contain_text("Orders")
            await page.keyboard.press("Escape")

            await desk.receipt((await desk.post(bot, SELL)).json()["signal_id"])
            await page.goto("/console/positions")
            await page.get_by_role("link", name="short LTCUSDT").click()
            await expect(page.locator("[data-candles]")).to_have_attribute("data-drawn", re.compile("[1-9]"))
            await expect(page.locator("[data-candles] canvas").first).to_be_visible()
            await page.goto("/console/positions")
            await page.get_by_role("button", name="Close", exact=True).click()
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_contain_text("short LTCUSDT · Ana, paper")
            await dialog.get_by_label("Reason").fill("enough")
            await dialog.get_by_role("button", name="Close it").click()
            await expect(page.locator("#list")).to_contain_text("No position like that.")

            await page.goto("/console/screener")
            await page.get_by_role("button", name="New strategy").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Name", exact=True).fill("Three of them")
            await dialog.get_by_label("Tickers").fill("LTCUSDT, BTCUSDT\nETHUSDT")
            await dialog.get_by_role("button", name="Keep it").click()
            await expect(page.locator("#list")).to_contain_text("Three of them")
            await page.get_by_role("button", name="Change").click()
            await expect(dialog.get_by_label("Tickers")).to_have_value("LTCUSDT BTCUSDT ETHUSDT")
            await dialog.get_by_role("button", name="Close").click()

            await page.goto("/console/operations/backups")
            await expect(page.locator("#health")).to_contain_text("STILL")
            await page.get_by_role("button", name="Make a backup now").click()
            await expect(page.locator("#list")).to_contain_text(".backup")
            await page.get_by_role("link", name="The desk now").click()
            await page.get_by_role("button", name="Halt the desk").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Reason").fill("a look at the brakes")
            await dialog.get_by_label("Type HALT").fill("halt")
            await dialog.get_by_role("button", name="Halt", exact=True).click()
            await expect(page.locator(".toast.bad")).to_contain_text("Type HALT")
            assert (await desk.ask("GET", "/api/v1/trading-state"))["state"] == "active"
            await dialog.get_by_label("Type HALT").fill("HALT")
            await dialog.get_by_role("button", name="Halt", exact=True).click()
            await expect(page.locator("#health")).to_contain_text("Trading: halted")
            await page.get_by_role("button", name="Resume the desk").click()
            await expect(page.locator("#health")).to_contain_text("Trading: active")

    async def test_fits_a_phone_and_everybody_in_both_languages_and_themes(self, database, tmp_path):
        """No page scrolls sideways at 390 pixels, axe finds no serious fault, and none asks for what its policy forbids."""
        async with (
            running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk,
            browsing(desk, expected=("409",)) as page,
        ):
            account_id = await desk.open_account(
                "A name that is as long as names of accounts may well become here"
            )
            bot = await desk.create_bot("EMA cross", default_leverage=5)
            subscription = await desk.subscribe(bot, account_id)
            signal_id = (await desk.post(bot, BUY)).json()["signal_id"]
            await desk.receipt(signal_id)
            await come_in(page)

            wide, faults = [], []
            for choice, axe_at in (("Dark", PHONE), ("Português", DESK)):
                await page.get_by_role("button", name=choice).click()
                for path in (
                    *PAGES,
                    "/console/begin",
                    f"/console/signals/{signal_id}",
                    f"/console/accounts/{account_id}",
                    f"/console/bots/{bot['bot_id']}",
                    f"/console/subscriptions/{subscription['subscription_id']}",
                ):
                    await page.set_viewport_size(PHONE)
                    await page.goto(path)
                    width = await page.evaluate("document.documentElement.scrollWidth")
                    if width > PHONE["width"]:
                        wide.append((choice, path, width))
                    if axe_at is DESK:
                        await page.set_viewport_size(DESK)
                        await page.evaluate("document.documentElement.dataset.theme = 'light'")
                    faults += [(choice, path, fault) for fault in await faults_of(page)]

            assert (wide, faults) == ([], [])
            await page.goto("/admin")
            await expect(page.get_by_role("heading", name="Visão geral")).to_be_visible()
            shown = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert shown == "rgb(20, 22, 26)"
            await see_notices_in_portuguese(page, desk)

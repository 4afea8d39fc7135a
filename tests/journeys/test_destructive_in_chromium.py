"""What cannot be taken back, pressed in a real browser: the effect is told first, and a wrong word does nothing."""

from decimal import Decimal

from playwright.async_api import Page, expect

from pregao.bootstrap.process import close_pool
from pregao.domain.account import Venue
from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres import foreign
from pregao.edges.postgres.journal import open_journal
from tests.builders import NOON
from tests.edges.http.api.test_foreign_orders import resting
from tests.journeys.test_console_in_chromium import browsing, come_in, pytestmark
from tests.journeys.whole_desk import WholeDesk, running_desk

__all__ = ["pytestmark"]

BOTS, DRIFT = "/api/v1/bots", "/api/v1/drift"


class Asked:
    """What a page asks the desk to change."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        page.on("request", lambda one: self._note(one.method, one.url))

    def _note(self, method: str, url: str) -> None:
        if method not in ("GET", "HEAD") and not url.endswith("/check"):
            self.asked.append(f"{method} {url}")

    def taken(self) -> list[str]:
        taken, self.asked = self.asked, []
        return taken


async def seen_at_the_venue(database: str, account_id: int, quantity: str) -> None:
    """Have the venue hold what the books do not know."""
    journal = await open_journal(database, connections_max=1)
    try:
        async with journal.transaction() as transaction:
            seen = ForeignPositionSeen(
                happened_at=NOON, account_id=account_id, symbol="LTCUSDT", position_side=PositionSide.BOTH,
                quantity=Decimal(quantity),
            )  # fmt: skip
            await transaction.append([seen])
    finally:
        await close_pool(journal.pool)


async def order_seen(database: str, account_id: int) -> None:
    """Have an order that is not ours rest at the venue."""
    journal = await open_journal(database, connections_max=1)
    try:
        asked_at = await foreign.PostgresForeign(journal.pool, ring=lambda: None).ask(account_id)
        due = foreign.DueLook(account_id=account_id, venue=Venue.PAPER, asked_at=asked_at)
        await foreign.keep_look(journal.pool, due, [resting()], seconds=60)
    finally:
        await close_pool(journal.pool)


async def press(
    page: Page, asked: Asked, *, opens: str, word: str, does: str, tells: str, **fields: str
) -> None:
    """Open a dialog, read what it would do, type a wrong word, see that nothing was asked, then type the right one."""
    await page.get_by_role("button", name=opens, exact=True).first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(tells)
    for label, value in fields.items():
        await dialog.get_by_label(label.replace("_", " ")).fill(value)
    for wrong in ("", word.lower(), f"{word}!"):
        await dialog.get_by_label(f"Type {word}").fill(wrong)
        await dialog.get_by_role("button", name=does, exact=True).click()
        await expect(page.locator(".toast.bad").last).to_contain_text(f"Type {word}")
        await expect(dialog).to_be_visible()
    assert asked.taken() == []
    await dialog.get_by_label(f"Type {word}").fill(word)
    await dialog.get_by_role("button", name=does, exact=True).click()
    await expect(dialog).to_be_hidden()
    assert len(asked.taken()) == 1


async def in_the_books(desk: WholeDesk) -> list[str]:
    """Give what the books hold, as numbers."""
    lines = (await desk.ask("GET", "/api/v1/positions?live_only=true"))["items"]
    return [one["quantity"] for one in lines]


class TestDestructive:
    async def test_takes_the_whole_word_and_says_what_it_would_do(self, database, tmp_path):
        """Adopted, written off, stopped out, deleted, archived, cleared: each after a wrong word that did nothing."""
        async with (
            running_desk(database, tmp_path, paper=PaperSettings(still=True), is_traded=False) as desk,
            browsing(desk) as page,
        ):
            await come_in(page)
            asked = Asked(page)
            account_id = await desk.open_account("Ana, paper")
            bot = await desk.create_bot("Trend")
            joined = await desk.subscribe(bot, account_id)

            await seen_at_the_venue(database, account_id, "0.5")
            await page.goto("/console/operations/differences")
            why = {"Average_price": "80", "Reason": "bought by hand"}
            adopt = "Adopt what the venue holds"
            told = "LTCUSDT both · Ana, paper: 0 / 0.5"
            await press(page, asked, opens="Adopt", word="ADOPT", does=adopt, tells=told, **why)
            assert await in_the_books(desk) == ["0.5"]

            await seen_at_the_venue(database, account_id, "-0.5")
            await page.goto("/console/operations/differences")
            why = {"Average_price": "90", "Reason": "sold by hand"}
            write_off = "Write off what the venue does not hold"
            told = "LTCUSDT both · Ana, paper: 0.5 / 0"
            await press(page, asked, opens="Write off", word="WRITE OFF", does=write_off, tells=told, **why)
            assert await in_the_books(desk) == []
            await expect(page.locator("#list")).to_contain_text("The books and the venues agree.")

            await order_seen(database, account_id)
            await page.goto("/console/operations/orders")
            why, told = {"Reason": "left from May"}, "buy 0.01 BTCUSDT · Ana, paper · 8389700001"
            await press(
                page, asked, opens="Take back", word="TAKE BACK", does="Take it back", tells=told, **why
            )
            [cancel] = (await desk.ask("GET", f"{DRIFT}/cancels"))["items"]
            assert (cancel["reason"], cancel["exchange_order_id"]) == ("left from May", "8389700001")
            await expect(page.locator("#list")).to_contain_text("is being taken back")

            await page.goto(f"/console/subscriptions/{joined['subscription_id']}")
            told = "closed at the market now (0 positions)"
            await press(page, asked, opens="Stop out", word="CLOSE", does="Stop out", tells=told)
            path = f"/api/v1/bot-subscriptions/{joined['subscription_id']}"
            assert (await desk.ask("GET", path))["status"] == "paused"

            strategy = {"name": "Mine", "source": "static", "tickers": ["LTCUSDT"]}
            await desk.ask("POST", "/api/v1/screener/strategies", json=strategy)
            await desk.ask("POST", "/api/v1/screener/strategies", json={**strategy, "name": "Other"})
            await page.goto("/console/screener")
            told = "forgotten for good"
            await press(page, asked, opens="Delete", word="DELETE", does="Delete", tells=told)
            assert len((await desk.ask("GET", "/api/v1/screener/strategies"))["items"]) == 1

            await page.goto(f"/console/bots/{bot['bot_id']}")
            told = "its address is never given to another bot"
            await press(page, asked, opens="Archive", word="ARCHIVE", does="Archive", tells=told)
            assert (await desk.ask("GET", f"{BOTS}/{bot['bot_id']}"))["status"] == "archived"

            await page.goto("/console/operations/backups")
            told, why = "Nothing is held, and nothing is on its way.", {"Reason": "a fresh start"}
            name = "Clear the database"
            await press(page, asked, opens=name, word="CLEAR", does=name, tells=told, **why)
            assert (await desk.ask("GET", "/api/v1/signals"))["items"] == []
            assert (await desk.ask("GET", "/api/v1/positions"))["items"] == []
            assert (await desk.ask("GET", f"{BOTS}/{bot['bot_id']}"))["status"] == "archived"

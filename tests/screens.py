"""
Pictures of every page of the console, in both themes and both widths: `python -m tests.screens FOLDER`.

A desk of its own on the simulated paper exchange, with accounts, bots, trades, a refused alert and one that waits for an answer. Look
at all of them after a change of the frame or the styles; the tests say only that nothing is broken.
"""

import argparse
import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page, async_playwright

from pregao.domain.alert import AlertLevel
from pregao.domain.facts import AlertRaised
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from tests.builders import alert
from tests.edges.http.console.signed_in import PAGES
from tests.fresh_database import fresh_database, let_go
from tests.journeys.test_console_in_chromium import CHROMIUM, DESK, FLAGS, PHONE, come_in
from tests.journeys.test_foreign_orders import KEY, by_hand, looked, told
from tests.journeys.whole_desk import WholeDesk, running_desk
from tests.shared_database import ensure_template, shared_server

WIDTHS = {"desk": DESK, "phone": PHONE}
THEMES = ("light", "dark")
LANGUAGES = {"light": "en-US", "dark": "pt-BR"}  # so that both are seen


async def take_pictures(folder: Path) -> int:
    """Start a desk, trade a little, and write a picture of each page; give how many."""
    server = shared_server()
    template = await asyncio.to_thread(ensure_template, server)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pregao-screens-") as state:
        async with (
            fresh_database(server, template) as database,
            running_desk(
                database, Path(state), paper=PaperSettings(accounts=(f"{KEY.key}:{KEY.secret}:100000",))
            ) as desk,
        ):
            more = [*await trade_a_little(desk), *await run_a_little(desk)]
            taken = await picture_all(desk, folder, (*PAGES, *more))
        await let_go()
        return taken


async def trade_a_little(desk: WholeDesk) -> list[str]:
    """Do what fills the pages; give the pages of single things that came of it."""
    accounts = [await desk.open_account(name) for name in ("Ana, paper", "Bruno, paper")]
    trend = await desk.create_bot("Trend 15m", default_leverage=5)
    asked = await desk.create_bot("Breakouts, asked", default_leverage=3, approval="manual")
    for account_id in accounts:
        joined = await desk.subscribe(trend, account_id)
        await desk.subscribe(asked, account_id)
    for text in ("BTCUSDT buy", "ETHUSDT sell", "LTCUSDT buy", "LTCUSDT close", "BTCUSDT sell"):
        symbol, action = text.split()
        last = (await desk.post(trend, f'{{"symbol": "{symbol}", "action": "{action}"}}')).json()["signal_id"]
        await desk.receipt(last)
    await desk.post(trend, '{"symbol": "NOSUCHUSDT", "action": "buy"}')
    await desk.post(trend, "buy low, sell high")
    await desk.post(asked, '{"symbol": "TRXUSDT", "action": "buy"}')
    strategy = {"name": "Mine", "source": "static", "tickers": ["BTCUSDT", "ETHUSDT", "LTCUSDT"]}
    await desk.ask("POST", "/api/v1/screener/strategies", json=strategy)
    await desk.ask("POST", "/api/v1/backups")
    return [
        "/console/begin",
        f"/console/signals/{last}",
        f"/console/accounts/{accounts[0]}",
        f"/console/bots/{trend['bot_id']}",
        f"/console/subscriptions/{joined['subscription_id']}",
    ]


async def run_a_little(desk: WholeDesk) -> list[str]:
    """Do what fills the pages of those who look after the desk."""
    account_id = await desk.open_account("Clara, by hand", api_key=KEY.key, secret_key=KEY.secret)
    async with by_hand(desk) as (place, _):
        for price in ("80000", "81000"):
            number = await place(price)
    seen = await looked(desk, account_id)
    asked = {"symbol": "BTCUSDT", "exchange_order_id": number, "reason": "left from May"}
    await told(
        desk, (await desk.ask("POST", f"/api/v1/drift/{account_id}/orders/cancel", json=asked))["cancel_id"]
    )
    assert len(seen) == 2
    address = {"webhook_url": "https://discord.com/api/webhooks/1/nobody"}
    channel = await desk.ask(
        "POST", "/api/v1/alert-channels", json={"name": "Night", "kind": "discord", "address": address}
    )
    mute = {"kind": "drift_seen", "level_max": "ERROR", "seconds": 86_400, "reason": "known, from May"}
    await desk.ask("POST", "/api/v1/alert-mutes", json=mute)
    await tell_a_little(desk)
    job = await desk.ask(
        "POST", "/api/v1/flatten", json={"level": "account", "account_id": account_id, "reason": "a look"}
    )
    [held, *_] = (await desk.ask("GET", "/api/v1/positions?live_only=true"))["items"]
    return [
        f"/console/positions/{held['position_id']}",
        f"/console/sell-all/{job['flatten_id']}",
        f"/console/alerts/channels/{channel['channel_id']}",
    ]


async def tell_a_little(desk: WholeDesk) -> None:
    """Raise an alert of each level, as the process that watches would."""
    now = datetime.now(UTC)
    raised = (
        alert(
            1, level=AlertLevel.CRITICAL, code="STANDS_UNGUARDED", about="BTCUSDT", numbers={"seconds": "6.1"},
            title="BTCUSDT: a position is unguarded", text="It has had no effective stop for longer than it may.",
        ),
        alert(
            2, code="EXIT_HELD_UP", about="ETHUSDT", numbers={"guardrail": "KILL_SWITCH"},
            title="ETHUSDT: KILL_SWITCH holds an exit up", text="Release the exits, or close by hand.",
        ),
        alert(
            3, level=AlertLevel.WARNING, code="TRADING_STOPPED", about="Ana, paper",
            title="account Ana, paper: trading is halted", text="too wild", numbers={"set_by": "ana@desk.test"},
        ),
        alert(
            4, level=AlertLevel.INFO, code="TRADE_CLOSED", about="LTCUSDT", title="LTCUSDT: closed with 3.1",
            text="Trend 15m, 2 positions.", numbers={"positions": "2", "pnl": "3.1", "fees": "0.2"},
        ),
    )  # fmt: skip
    journal = await open_journal(desk.settings.database_url, connections_max=1)
    async with journal.transaction() as transaction:
        await transaction.append([AlertRaised(happened_at=now, alert=one) for one in raised])
    await journal.pool.close()


async def picture_all(desk: WholeDesk, folder: Path, pages: tuple[str, ...]) -> int:
    """Walk through the pages, and write what they look like."""
    taken = 0
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for theme in THEMES:
            context = await browser.new_context(
                base_url=str(desk.client.base_url), locale=LANGUAGES[theme], color_scheme=theme
            )
            page = await context.new_page()
            await _come_in(page, is_first=not taken)
            for path in pages:
                for name, size in WIDTHS.items():
                    await page.set_viewport_size(size)
                    await page.goto(path)
                    await page.wait_for_timeout(400)  # charts draw themselves a moment later
                    await page.screenshot(path=folder / f"{_name(path)}-{theme}-{name}.png", full_page=True)
                    taken += 1
            await context.close()
        await browser.close()
    return taken


async def _come_in(page: Page, *, is_first: bool) -> None:
    if is_first:
        await come_in(page)
        return
    await page.goto("/console/sign-in")
    await page.locator("input[name=email]").fill("ana@desk.test")
    await page.locator("input[name=password]").fill("correct horse battery")
    await page.locator("button.main").click()
    await page.wait_for_url("**/admin")


def _name(path: str) -> str:
    subject, _, rest = path.removeprefix("/console/").strip("/").partition("/")
    if path in PAGES:
        return f"{subject}-{rest}" if rest else subject
    return f"{subject}-{rest.partition('/')[0]}-one" if "/" in rest else f"{subject}-one"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder: Path = parser.parse_args().folder
    if CHROMIUM is None:
        parser.exit(2, "CHROMIUM_MISSING: install the system's package `chromium`.\n")
    print(f"{asyncio.run(take_pictures(folder))} pictures in {folder}")  # noqa: T201  # what was asked for


if __name__ == "__main__":
    main()

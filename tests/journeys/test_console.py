"""The console over a desk that trades: what people see of a signal, its orders, its position and what guards it."""

import re
from decimal import Decimal

import httpx

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import TOKEN, running_desk

FORM = {"token": TOKEN, "email": "ana@desk.test", "name": "Ana", "password": "correct horse battery"}


def text_of(page: httpx.Response) -> str:
    """Give what people read of a page."""
    assert page.status_code == 200, page.text
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


class TestConsole:
    async def test_shows_a_signal_from_its_bytes_to_its_guarded_position(self, database, tmp_path):
        async with running_desk(database, tmp_path, paper=PaperSettings(still=True)) as desk:
            account_id = await desk.open_account("Ana, paper")
            bot = await desk.create_bot("EMA cross", default_leverage=5, default_margin_usd=100)
            await desk.subscribe(bot, account_id)
            answer = await desk.post(bot, '{"symbol": "LTCUSDT", "action": "buy"}')
            signal_id = answer.json()["signal_id"]
            receipt = await desk.receipt(signal_id)
            [row] = receipt["rows"]

            async with httpx.AsyncClient(
                base_url=desk.client.base_url,
                headers={"Origin": str(desk.client.base_url).rstrip("/"), "Accept-Language": "en"},
                timeout=20,
            ) as browser:
                assert (await browser.post("/console/first-run", data=FORM)).status_code == 303
                overview = text_of(await browser.get("/admin"))
                signals = await browser.get("/console/signals")
                page = text_of(await browser.get(f"/console/signals/{signal_id}"))
                orders = text_of(await browser.get("/console/orders?status=filled"))
                none = text_of(await browser.get("/console/orders?status=rejected"))
                positions = text_of(await browser.get("/console/positions"))
                [held] = (await desk.ask("GET", "/api/v1/positions?live_only=true"))["items"]
                position = text_of(await browser.get(f"/console/positions/{held['position_id']}"))
                chart = await desk.ask("GET", f"/api/v1/positions/{held['position_id']}/chart")
                stops = text_of(await browser.get("/console/stops?symbol=ltc"))
                sold = text_of(await browser.get("/console/sell-all"))
                closed = await desk.post(bot, '{"symbol": "LTCUSDT", "action": "close"}')
                await desk.receipt(closed.json()["signal_id"])
                earned = text_of(await browser.get(f"/console/performance?of=bot.{bot['bot_id']}"))
                whole = text_of(await browser.get("/console/performance?symbol=ltcusdt"))
                other = text_of(await browser.get("/console/performance?symbol=ETHUSDT"))
                sums = (await desk.ask("GET", "/api/v1/performance"))["period"]
                gained = f"{Decimal(sums['pnl_usd']):+.2f}"

        assert "Open positions 1" in overview
        assert "Exposure by symbol LTCUSDT" in overview
        assert "Exposure by subscriber Ana, paper" in overview
        assert "Signals today, by what came of them executed 1" in overview
        assert f'href="/console/signals/{signal_id}"' in signals.text
        assert "entry buy LTCUSDT filled" in page
        assert row["filled_quantity"] in page
        assert "FillBooked" in page
        assert "Ana, paper paper EMA cross entry buy LTCUSDT filled" in orders
        assert "Nothing here is like that." in none
        assert "long LTCUSDT 5× open" in positions
        assert "Protection State armed" in position
        assert "stands at the venue" in position
        assert (chart["code"], len(chart["candles"]) > 2) == (None, True)
        assert [(one["leg"], one["quantity"]) for one in chart["fills"]] == [
            ("entry", row["filled_quantity"])
        ]
        assert len(chart["stops"]) == 1
        assert "long LTCUSDT Ana, paper armed stop 2.5 % from the entry" in stops
        assert "Close 1 positions" in sold
        assert "Positions closed 1" in earned
        assert "Orders Executed" in earned
        assert f"{gained} USD" in whole
        assert "By bot Bot PnL" in whole
        assert "Nothing to show yet" in other
        assert "By subscriber" in earned

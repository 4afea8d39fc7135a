"""System A's work by hand, on a running desk: each sale ends with closed positions, and the counts are right (F017, F018, F021)."""

import asyncio
import itertools

import httpx

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.whole_desk import DEMO_SECRET, running_desk

LIST = "/admin/sell-all-queue"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LTCUSDT")
SOON = 20.0
ACCOUNTS = "/api/v1/exchange-accounts"
numbers = itertools.count(1)


async def default_bot(desk):
    """Wait until the desk has made its bot behind `/webhook/in`."""
    async with asyncio.timeout(SOON):
        while True:
            for bot in (await desk.ask("GET", "/api/v1/bots"))["items"]:
                if bot["name"] == "default":
                    return bot
            await asyncio.sleep(0.05)


async def buy(desk, symbol, *, path="/webhook/in", secret=DEMO_SECRET):
    body = {"ticker": symbol, "action": "buy", "secret": secret, "alert_id": f"{symbol} {next(numbers)}"}
    taken = await desk.ask("POST", path, json=body)
    receipt = await desk.receipt(taken["signal_id"])
    assert [row["outcome"] for row in receipt["rows"]] == ["filled"], receipt["rows"]


async def listed(desk, tickers):
    """Wait until the list is these."""
    async with asyncio.timeout(SOON):
        while (await desk.ask("GET", LIST))["tickers"] != sorted(tickers):
            await asyncio.sleep(0.05)


async def positions(desk):
    shown = (await desk.ask("GET", "/api/v1/positions"))["items"]
    return {one["symbol"]: one for one in shown}


class TestByHand:
    async def test_sells_closes_and_sells_out_and_each_ends_closed(self, database, tmp_path):
        """F018, F021: sell one, close one, close one by its id with an exit, sell the rest: all are flat at the venue."""
        async with running_desk(
            database, tmp_path, paper=PaperSettings(still=True), is_watched=False
        ) as desk:
            await default_bot(desk)
            async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as paper:
                for symbol in SYMBOLS:
                    await paper.post("/paper/prices", json={"symbol": symbol, "price": "100"})
            for symbol in SYMBOLS:
                await buy(desk, symbol)
            assert (await desk.ask("GET", LIST))["tickers"] == sorted(SYMBOLS)

            sold = await desk.ask("POST", "/admin/order/sell-individual", json={"ticker": "btcusdt"})
            closed = await desk.ask("POST", "/admin/order/close-position", json={"ticker": "ETHUSDT"})
            number = (await positions(desk))["LTCUSDT"]["position_id"]
            path = f"/admin/orders/{number}/close"
            in_books = await desk.client.post(path, json={})
            sent = await desk.ask("POST", path, params={"forward": True}, json={})
            await listed(desk, [])
            for symbol in SYMBOLS[:2]:
                await buy(desk, symbol)
            rest = await desk.ask("POST", "/admin/order/sell-all", json={})
            await listed(desk, [])

            for told in (sold, closed, sent):
                [row] = (await desk.receipt(told["signal_id"]))["rows"]
                assert (row["leg"], row["outcome"]) == ("exit", "filled")
            assert (in_books.status_code, in_books.json()["error"]["code"]) == (409, "BOOKS_FOLLOW_FILLS")
            assert (rest["tickers_processed"], rest["total_requested"]) == (2, 2)
            shown = (await desk.ask("GET", "/api/v1/positions"))["items"]
            assert [one["status"] for one in shown] == ["closed"] * 5
            assert [len(books["orders"]) for books in (await desk.paper_books()).values()] == [10]
            journal = await open_journal(database)
            assert (await compare_with_journal(journal)).differences == ()
            await journal.pool.close()

    async def test_sells_at_a_destination_what_the_desk_never_bought(self, database, tmp_path):
        """F017, F018, F021: entered in the books it is sold by one post; what is closed in the books is not posted at all."""
        async with (
            scripted_destination() as site,
            running_desk(
                database,
                tmp_path,
                paper=PaperSettings(still=True),
                destinations_allowed=("127.0.0.1",),
                is_watched=False,
            ) as desk,
        ):
            bot = await default_bot(desk)
            account = {"name": "Destination", "venue": "webhook", "destination": {"url": site.url}}
            await desk.subscribe(bot, (await desk.ask("POST", ACCOUNTS, json=account))["account_id"])

            entered = [
                await desk.ask("POST", LIST, json={"ticker": ticker})
                for ticker in ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN")
            ]
            closed = await desk.ask("POST", f"/admin/orders/{entered[0]['position_id']}/close", json={})
            sold = await desk.ask("POST", "/admin/order/sell-individual", json={"ticker": "MSFT"})
            taken = await desk.ask(
                "POST", "/webhook/in", json={"ticker": "NVDA", "action": "sell", "secret": DEMO_SECRET}
            )
            await listed(desk, ["TSLA", "AMZN"])
            for signal_id in (sold["signal_id"], taken["signal_id"]):
                rows = {row["account"]: row for row in (await desk.receipt(signal_id))["rows"]}
                assert rows["Destination"]["outcome"] == "filled"
            posted = [(post["ticker"], post["side"]) for post in site.posts]
            rest = await desk.ask("POST", "/admin/order/sell-all", json={})
            await listed(desk, [])
            cleared = await desk.ask("POST", f"{LIST}/clear", json={})

            assert (closed["status"], closed["forwarded"]) == ("closed", False)
            assert sorted(posted) == [("MSFT", "sell"), ("NVDA", "sell")]
            assert (rest["tickers_processed"], rest["total_requested"]) == (2, 2)
            assert (cleared["cleared_count"], cleared["original_count"]) == (0, 0)
            assert len(site.posts) == 4
            shown = (await desk.ask("GET", "/api/v1/positions"))["items"]
            assert {one["symbol"]: one["status"] for one in shown} == dict.fromkeys(
                ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN"), "closed"
            )
            journal = await open_journal(database)
            assert (await compare_with_journal(journal)).differences == ()
            rows = await journal.pool.fetch(
                "SELECT signal_type, count(*)::int FROM public.signals GROUP BY 1"
            )
            assert dict(rows)["manual_sell_entry"] == 5
            assert dict(rows)["manual_sell"] == 1
            await journal.pool.close()

    async def test_f018_closes_what_is_listed_whichever_bot_holds_it(self, database, tmp_path):
        """F018: orders of every bot are listed, and each can be closed; which bot is asked for only where several hold it."""
        async with running_desk(
            database, tmp_path, paper=PaperSettings(still=True), is_watched=False
        ) as desk:
            await default_bot(desk)
            async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as paper:
                for symbol in SYMBOLS:
                    await paper.post("/paper/prices", json={"symbol": symbol, "price": "100"})
            other = await desk.ask("POST", "/api/v1/bots", json={"name": "second"})
            account = await desk.ask("POST", ACCOUNTS, json={"name": "another", "venue": "paper"})
            await desk.subscribe(other, account["account_id"])
            await buy(desk, "BTCUSDT")
            for symbol in SYMBOLS[:2]:
                await buy(
                    desk,
                    symbol,
                    path=f"/api/v1/bots/webhook/master/{other['webhook_path']}",
                    secret=other["secret"],
                )

            shown = {
                (one["bot"], one["ticker"]) for one in (await desk.ask("GET", "/admin/orders"))["orders"]
            }
            unclear = [
                await desk.client.post(f"/admin/order/{path}", json={"ticker": "BTCUSDT"})
                for path in ("close-position", "sell-individual")
            ]
            elsewhere = await desk.client.post(
                "/admin/order/close-position", json={"ticker": "ETHUSDT", "bot": "default"}
            )
            asked = [("ETHUSDT", {}), ("BTCUSDT", {"bot": "second"}), ("BTCUSDT", {})]
            receipts = [
                await desk.receipt(
                    (await desk.ask("POST", "/admin/order/close-position", json={"ticker": ticker, **more}))[
                        "signal_id"
                    ]
                )
                for ticker, more in asked
            ]

            assert shown == {("default", "BTCUSDT"), ("second", "BTCUSDT"), ("second", "ETHUSDT")}
            assert [one.status_code for one in (*unclear, elsewhere)] == [409, 409, 404]
            told = unclear[0].json()["error"]
            assert (told["code"], told["details"]["field"]) == ("TICKER_AMBIGUOUS", "bot")
            assert [one["bot"] for one in told["details"]["bots"]] == ["default", "second"]
            assert [one["bot_name"] for one in receipts] == ["second", "second", "default"]
            assert {row["outcome"] for one in receipts for row in one["rows"]} == {"filled"}
            left = await desk.ask("GET", "/admin/orders/stats")
            assert (left["stats"]["open"], left["stats"]["closed"]) == (0, 3)

"""A burst at `/webhook/in`: buys and sells of many tickers at once, each forwarded once to a real destination (F128)."""

import asyncio
from collections import Counter

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.whole_desk import running_desk

TICKERS = [f"T{number:02d}" for number in range(24)]
SETTLED = "SELECT count(*) = $1 FROM pregao.signals WHERE settled_at IS NOT NULL"
SETTLE_SECONDS_MAX = 60.0


async def send(desk, bot, action):
    """Send one signal for every ticker, all at once; give what each was answered."""
    path = f"/api/v1/bots/webhook/master/{bot['webhook_path']}"
    bodies = [
        {"ticker": ticker, "action": action, "secret": bot["secret"], "alert_id": f"{action} {ticker}"}
        for ticker in TICKERS
    ]
    return await asyncio.gather(*(desk.client.post(path, json=body, params={"wait": 0}) for body in bodies))


async def settled(journal, number):
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while not await journal.pool.fetchval(SETTLED, number):
            await asyncio.sleep(0.05)


async def test_f128_a_burst_loses_nothing_and_forwards_each_signal_once(database, tmp_path):
    """Closes are planned together there: each ticker is bought once, then sold once, whatever stands in one batch."""
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
        journal = await open_journal(database, connections_max=1)
        account = await desk.ask(
            "POST",
            "/api/v1/exchange-accounts",
            json={"name": "burst", "venue": "webhook", "destination": {"url": site.url}},
        )
        bot = await desk.create_bot("burst", allowed_directions="buy_only", signals_per_minute_max=10_000)
        await desk.subscribe(bot, account["account_id"])
        await desk.ask("POST", "/api/v1/destinations/limit/pause")

        answers = await send(desk, bot, "buy")
        await settled(journal, len(TICKERS))
        answers += await send(desk, bot, "sell")
        await settled(journal, 2 * len(TICKERS))

        assert {one.status_code for one in answers} <= {200, 202}
        sent = Counter((post["ticker"], post["side"]) for post in site.posts)
        assert sent == Counter((ticker, side) for ticker in TICKERS for side in ("buy", "sell"))
        assert set(site.taken.values()) == {1}
        assert len(set(site.keys)) == 2 * len(TICKERS)
        rows = await journal.pool.fetch("SELECT status, count(*)::int FROM pregao.positions GROUP BY 1")
        assert [tuple(row) for row in rows] == [("closed", len(TICKERS))]
        assert (await compare_with_journal(journal)).differences == ()
        await journal.pool.close()

"""System A over HTTP: what its bot lets through is forwarded to a destination that misbehaves (F005, F008 to F011, F015)."""

import itertools
import json

import pytest

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.whole_desk import running_desk

ORDER_OF_STATUS = ["received", "processing", "approved", "queued_forwarding", "forwarding"]
numbers = itertools.count(1)


@pytest.fixture
async def site():
    async with scripted_destination() as site:
        yield site


@pytest.fixture
async def desk(database, tmp_path, site):
    async with running_desk(
        database,
        tmp_path,
        paper=PaperSettings(still=True),
        destinations_allowed=("127.0.0.1",),
        is_watched=False,
    ) as running:
        yield running


async def forwarding_bot(desk, site, name="forwarder", **destination):
    account = await desk.ask(
        "POST",
        "/api/v1/exchange-accounts",
        json={"name": name, "venue": "webhook", "destination": {"url": site.url, **destination}},
    )
    bot = await desk.create_bot(name, allowed_directions="buy_only")
    await desk.subscribe(bot, account["account_id"])
    return bot, account


async def post(desk, bot, ticker, **words):
    body = {"ticker": ticker, "alert_id": f"alert {next(numbers)}", **words}
    answer = await desk.post(bot, json.dumps(body))
    assert answer.status_code < 300, answer.text
    return answer.json()["signal_id"]


async def forwarded(desk, bot, ticker, **words):
    """Post an alert and give its complete receipt."""
    return await desk.receipt(await post(desk, bot, ticker, **words))


@pytest.fixture
async def journal(database):
    journal = await open_journal(database, connections_max=1)
    yield journal
    await journal.pool.close()


async def position(journal, ticker):
    rows = await journal.pool.fetch(
        "SELECT status FROM pregao.positions WHERE symbol = $1 ORDER BY position_id DESC LIMIT 1", ticker
    )
    return rows[0]["status"] if rows else None


async def events(journal, signal_id):
    rows = await journal.pool.fetch(
        "SELECT status, worker_id, location FROM public.signal_events WHERE signal_id = $1 ORDER BY event_id",
        signal_id,
    )
    return [(row["status"], row["worker_id"], row["location"]) for row in rows]


async def status(journal, signal_id):
    return dict(
        await journal.pool.fetchrow(
            "SELECT status, location, http_status, answer FROM public.signals WHERE signal_id = $1", signal_id
        )
    )


class TestForwarding:
    async def test_f009_f015_each_sell_word_ends_in_closed_and_no_status_goes_backwards(
        self, desk, site, journal
    ):
        bot, account = await forwarding_bot(desk, site)
        words = [{"action": "sell"}, {"action": "exit"}, {"action": "close"}, {"side": "sell"}]

        told = []
        for number, word in enumerate(words):
            ticker = f"TIC{number}"
            await forwarded(desk, bot, ticker, action="buy", price=101.5)
            opened = await position(journal, ticker)
            sold = await forwarded(desk, bot, ticker, **word)
            told.append((opened, await position(journal, ticker), sold["signal_id"]))

        assert [(opened, closed) for opened, closed, _ in told] == [("open", "closed")] * len(words)
        assert [post["side"] for post in site.posts] == ["buy", "sell"] * len(words)
        assert site.posts[0]["price"] == 101.5
        assert "secret" not in json.dumps(site.posts)
        assert len(set(site.keys)) == 2 * len(words)
        seen = await events(journal, told[0][2])
        assert [one for one, _, _ in seen] == [*ORDER_OF_STATUS, "forwarded_success"]
        assert [worker.split("-")[0] for _, worker, _ in seen] == ["web", "web", *["trader"] * 4]
        assert seen[-1][2] == "completed"
        assert (await status(journal, told[0][2]))["http_status"] == 200
        shown = await desk.ask("GET", f"/api/v1/exchange-accounts/{account['account_id']}")
        assert (shown["destination"]["host"], shown["destination"]["timeout_seconds"]) == ("127.0.0.1", 5)
        assert "s3cr3t" not in json.dumps(shown)
        assert (await compare_with_journal(journal)).differences == ()

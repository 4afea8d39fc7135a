"""System A over HTTP: what its bot lets through is forwarded to a destination that misbehaves (F005, F008 to F011, F015)."""

import asyncio
import base64
import itertools
import json

import pytest

from pregao.bootstrap.jobs import serve_jobs
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.whole_desk import DEMO_SECRET, running_desk

SELL_WORDS, BUY_WORDS = ("sell", "exit", "close"), ("buy", "long", "enter")
PAIRS = [
    pair for pair in itertools.product((None, *SELL_WORDS, *BUY_WORDS), repeat=2) if pair != (None, None)
]
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

    async def test_f010_f011_what_fails_for_good_leaves_no_position_and_keeps_what_was_said(
        self, desk, site, journal
    ):
        """A refusal is final at once; 429 and 5xx are posted again under one key, with back-off, a bounded number of times."""
        bot, _ = await forwarding_bot(desk, site, "strict")
        site.by_ticker = {
            "REFUSED": 422,
            "MOVED": "redirect",
            "MUTE": "silence",
            "CUT": "reset",
            "NOISE": "garbage",
        }
        ends = {}

        async def buy(ticker):
            receipt = await forwarded(desk, bot, ticker, action="buy")
            ends[ticker] = (await status(journal, receipt["signal_id"])) | {
                "position": await position(journal, ticker), "code": receipt["rows"][0]["code"],
                "posts": len(site.of(ticker)), "keys": len(set(site.keys_of(ticker))),
            }  # fmt: skip

        site.troubles.extend([503, (429, {"Retry-After": "1"})])
        await buy("BUSY")
        await asyncio.gather(*(buy(ticker) for ticker in site.by_ticker))

        def told(ticker, *names):
            return tuple(ends[ticker][name] for name in names)

        how = ("status", "http_status", "position", "posts", "keys")
        assert told("BUSY", *how) == ("forwarded_success", 200, "open", 3, 1)
        assert told("REFUSED", *how) == ("forwarded_http_error", 422, "abandoned", 1, 1)
        assert told("MOVED", *how) == ("forwarded_http_error", 302, "abandoned", 1, 1)
        for ticker in ("MUTE", "CUT", "NOISE"):
            assert told(ticker, *how) == ("forwarded_timeout", None, "abandoned", 1, 1), ticker
        assert len(ends["REFUSED"]["answer"]) == 500
        assert ends["REFUSED"]["answer"].startswith("no: 422")

    async def test_f010_f011_where_the_key_is_honoured_a_lost_answer_is_asked_for_again(
        self, desk, site, journal
    ):
        bot, _ = await forwarding_bot(desk, site, "idempotent", honours_idempotency=True, timeout_seconds=1)
        site.troubles.extend(["silence", "reset"])

        bought = await forwarded(desk, bot, "LOST", action="buy")
        site.by_ticker = {"LOST": 400}
        refused = await forwarded(desk, bot, "LOST", action="sell")
        still = await position(journal, "LOST")
        site.by_ticker = {}
        sold = await forwarded(desk, bot, "LOST", action="exit")

        assert (await status(journal, bought["signal_id"]))["status"] == "forwarded_success"
        assert len(site.keys_of("LOST")) == 3 + 2
        assert len(set(site.keys_of("LOST")[:3])) == 1
        assert site.taken[bought["signal_id"]] == 1
        assert (refused["rows"][0]["code"], still) == ("FORWARD_HTTP_ERROR", "open")
        assert (await status(journal, sold["signal_id"]))["status"] == "forwarded_success"
        assert await position(journal, "LOST") == "closed"
        seen = [one for one, _, _ in await events(journal, bought["signal_id"])]
        assert seen == [*ORDER_OF_STATUS, "forwarded_success"]
        assert (await compare_with_journal(journal)).differences == ()

    async def test_f008_two_buys_at_once_make_one_position(self, desk, site, journal):
        bot, _ = await forwarding_bot(desk, site, "single")

        receipts = await asyncio.gather(*(forwarded(desk, bot, "TWICE", action="buy") for _ in range(2)))
        nothing = await forwarded(desk, bot, "NEVER", action="sell")

        codes = sorted(receipt["rows"][0]["code"] or "" for receipt in receipts)
        rows = await journal.pool.fetch("SELECT status FROM pregao.positions WHERE symbol = 'TWICE'")
        assert (codes, [row["status"] for row in rows]) == (["", "SAME_SIDE_OPEN"], ["open"])
        assert [post["ticker"] for post in site.posts] == ["TWICE"]
        assert (await status(journal, nothing["signal_id"]))["status"] == "rejected"


def said(side, action):
    """Give the words of a pair as a body has them."""
    return {name: word for name, word in (("side", side), ("action", action)) if word}


class TestTheSourcesDesk:
    """With DEST_WEBHOOK_URL set, what comes in at /webhook/in is what system A makes of it."""

    @pytest.fixture
    async def desk(self, database, tmp_path, site):
        async with running_desk(
            database, tmp_path, paper=PaperSettings(still=True), destinations_allowed=("127.0.0.1",),
            destination_url=site.url, destination_honours_idempotency=True, forward_limit_enabled=False,
            webhook_in_open=True, is_watched=False,
        ) as running:  # fmt: skip
            yield running

    async def come_in(self, desk, ticker, **words):
        body = {"ticker": ticker, "alert_id": f"alert {next(numbers)}", "secret": DEMO_SECRET, **words}
        answer = await desk.client.post("/webhook/in", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["signal_id"]

    async def receipt(self, desk, ticker, **words):
        return await desk.receipt(await self.come_in(desk, ticker, **words))

    async def test_f005_f006_f007_f015_filters_by_list_and_position_and_forwards(self, desk, site, journal):
        async with asyncio.timeout(20):
            while not (await desk.ask("GET", "/api/v1/exchange-accounts"))["items"]:
                await asyncio.sleep(0.05)
        unlisted = await self.receipt(desk, "T0", action="buy")
        listed = [f"T{number}" for number in range(len(PAIRS))]
        strategy = await desk.ask(
            "POST", "/api/v1/screener/strategies", json={"name": "all", "source": "static", "tickers": listed}
        )
        await desk.ask("POST", f"/api/v1/screener/strategies/{strategy['strategy_id']}/activate")
        jobs = asyncio.create_task(serve_jobs(desk.settings))
        async with asyncio.timeout(20):
            while not (await desk.ask("GET", "/api/v1/screener"))["size"]:
                await asyncio.sleep(0.05)
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)

        arrived = [
            await self.come_in(desk, ticker, **said(*pair))
            for ticker, pair in zip(listed, PAIRS, strict=True)
        ]
        receipts = [await desk.receipt(signal_id) for signal_id in arrived]
        unknown = [
            await desk.client.post("/webhook/in", json={"ticker": "T0", "secret": DEMO_SECRET, **said(*pair)})
            for pair in (("up", "up"), (None, "up"))
        ]
        open_desk = await desk.client.post("/webhook/in", json={"ticker": "T1", "action": "buy"})

        bought = {post["ticker"] for post in site.posts}
        assert [ticker in bought for ticker in listed] == [
            all(word in {None, *BUY_WORDS} for word in pair) for pair in PAIRS
        ]
        shown = [(await status(journal, receipt["signal_id"]))["status"] for receipt in receipts]
        assert shown == ["forwarded_success" if ticker in bought else "rejected" for ticker in listed]
        assert {post["side"] for post in site.posts} == {"buy"}
        assert (unlisted["code"], {one.status_code for one in unknown}) == ("SCREENER_DECLINED", {422})
        assert open_desk.status_code == 401
        held = next(iter(sorted(bought)))
        sold = await self.receipt(desk, held, side="buy", action="exit")
        assert (await status(journal, sold["signal_id"]))["status"] == "forwarded_success"
        assert await position(journal, held) == "closed"


class TestATurnThatHasNotCome:
    async def test_f014_is_left_behind_by_a_trader_that_ends_and_taken_by_the_next(
        self, database, tmp_path, site, journal
    ):
        """Who waits for the limiter keeps no trader from ending, has not left, and leaves once when it may."""
        how = {
            "paper": PaperSettings(still=True), "destinations_allowed": ("127.0.0.1",), "forwards_per_minute_max": 1,
            "master_key": base64.b64encode(bytes(32)).decode(), "is_watched": False, "signal_age_seconds_max": 600,
        }  # fmt: skip
        async with asyncio.timeout(50):  # the turn comes a minute after the first
            async with running_desk(database, tmp_path, **how) as desk:
                bot, _ = await forwarding_bot(desk, site)
                await forwarded(desk, bot, "FIRST", action="buy")
                waiting = await post(desk, bot, "SECOND", action="buy")
                while (before := (await status(journal, waiting))["status"]) != "queued_forwarding":
                    await asyncio.sleep(0.05)
        posted = [one["ticker"] for one in site.posts]
        async with running_desk(database, tmp_path, **how) as desk:
            limiter = "/admin/webhook-rate-limiter/pause"
            assert (await desk.client.post(limiter, json={})).status_code == 204
            await desk.receipt(waiting, seconds_max=60)

        assert (before, posted) == ("queued_forwarding", ["FIRST"])
        assert [one["ticker"] for one in site.posts] == ["FIRST", "SECOND"]
        assert (await status(journal, waiting))["status"] == "forwarded_success"

"""F115, F023, F025 on a whole desk: what it did is at `/metrics`, and every figure that is fed has moved."""

import asyncio
import contextlib
import json
import time

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from pregao.bootstrap.analyzer import serve_analyzer
from pregao.bootstrap.jobs import serve_jobs
from pregao.bootstrap.lab import serve_lab
from pregao.domain.figures import FIGURES, Kind, Told
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.processes.logs import counted
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.test_features_a_forwarding import forwarded, forwarding_bot
from tests.journeys.test_features_b_trading import PAPER, alert, bot_with, misbehave, say, set_price
from tests.journeys.test_lines import FAR
from tests.journeys.whole_desk import running_desk
from tests.rooms.research.made import walk

SCRAPER = "words-of-the-scraper"
SOON = 180.0  # the lab computes; the strategy is right once
WATCHED = "LTCUSDT"
LEG_SECONDS = 6.0  # several candles one way: a crossing that lags by one or two is right all the same
TROUBLE_ONLY = {
    "pregao_unguarded_total",  # nothing stands unguarded: tests/edges/postgres/test_figures.py
    "pregao_unguarded_seconds_total",
    "pregao_destination_waits_total",  # the limit is not reached: there too
    "pregao_breaker_state",  # nothing is open: tests/edges/http/api/test_breakers.py
    "pregao_weight_paused_seconds",  # no venue asks for silence: there too
    "pregao_screener_failures",  # the list is made: tests/edges/http/api/test_screener.py
    "pregao_queue_depth",  # nothing has to wait: tests/edges/http/api/test_health.py
    "pregao_journal_lag_seconds",  # all is counted by the scrape itself, unless somebody still writes
}
"""Shown by a desk that is well, and 0; that they move is shown where the trouble is made."""


@pytest.fixture
def _lines_are_counted():
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[counted, *before])
    yield
    structlog.configure(processors=before)


@contextlib.asynccontextmanager
async def beside(serve, desk):
    task = asyncio.create_task(serve(desk.settings))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def site():
    async with scripted_destination() as site:
        yield site


@pytest.fixture
async def desk(database, tmp_path, site, _lines_are_counted):
    async with (
        running_desk(
            database, tmp_path, paper=PAPER, metrics_token=SCRAPER, destinations_allowed=("127.0.0.1",)
        ) as running,
        beside(serve_jobs, running),
    ):
        yield running


async def strategy_deployed(desk):
    """Have a strategy that crosses every few seconds feed a bot of its own, which nobody follows."""
    bot = await desk.create_bot("Fed", takes_strategies=True)
    asked = {
        "strategy": "ema_cross",
        "parameters": {"fast": 2, "slow": 3},
        "symbol": WATCHED,
        "timeframe": "1s",
    }
    body = {**asked, "bot_id": bot["bot_id"], "with_history": False}
    await desk.ask("POST", "/api/v1/strategies/deployments", json=body)


def zigzag():
    """Go up for a while, then down for as long, whatever the machine's pace."""
    within = time.monotonic() % (2 * LEG_SECONDS)
    return f"{100 + 5 * min(within, 2 * LEG_SECONDS - within):.2f}"


async def scraped(desk):
    answer = await desk.client.get("/metrics", headers={"Authorization": f"Bearer {SCRAPER}"})
    assert answer.status_code == 200, answer.text
    return list(text_string_to_metric_families(answer.text))


def names_of(families):
    return {
        f"{family.name}_total"
        if family.type == "counter"
        else f"{family.name}_info"
        if family.type == "info"
        else family.name
        for family in families
    }


def moved(families):
    """Give the names with a sample that is not 0."""
    told = {sample.name for family in families for sample in family.samples if sample.value != 0}
    return {
        name
        for name, figure in FIGURES.items()
        if (f"{name}_count" if figure.kind is Kind.HISTOGRAM else name) in told
    }


def value(families, name, **labels):
    samples = [one for family in families for one in family.samples if one.name == name]
    return sum(one.value for one in samples if labels.items() <= one.labels.items())


class TestMetrics:
    @pytest.mark.long  # a strategy must have been right, and that takes two turns of the price
    async def test_f115_f023_f025_each_figure_that_is_fed_moves_with_what_a_desk_does(self, desk, site):
        first = await scraped(desk)
        most_traded = {"name": "mine", "source": "most_traded", "address": "paper", "refresh_seconds": 5}
        await desk.ask("POST", "/api/v1/screener/strategies", json=most_traded)
        kept = desk.settings.state_dir / "candles"
        kept.mkdir()
        write_parquet(walk(400, seed=1), kept / "TESTUSDT_1h.parquet")
        await desk.ask("POST", "/api/backtest/TESTUSDT/start", json={"timeframe": "1h"})
        bot, [follower] = await bot_with(desk, **FAR)
        await say(desk, bot, "buy")
        await set_price(desk, "ETHUSDT", "3100")  # it wins, whatever it cost
        await say(desk, bot, "close")
        await follower.until_closed(reason="signal")
        await say(desk, bot, "buy")  # is held, so that its price is watched
        forwarder, _ = await forwarding_bot(desk, site)
        await forwarded(desk, forwarder, "AAPL", action="buy", price=101.5)
        await strategy_deployed(desk)
        traded = await scraped(desk)
        counters = (await desk.ask("GET", "/api/v1/metrics"))["counters"]
        assert (counters["signals_received"], counters["signals_forwarded_success"]) == (4, 4)
        await misbehave(desk, {"kind": "throttle", "status": 429, "count": 1})
        await desk.post(bot, alert("close"))  # meets it, and the log says so

        wanted = {name for name, figure in FIGURES.items() if figure.told is not Told.NOBODY} - TROUBLE_ONLY
        missing, price = wanted - moved(traded), 3100
        async with beside(serve_analyzer, desk), beside(serve_lab, desk):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SOON):
                    while missing:
                        await asyncio.sleep(0.2)
                        price += 1
                        await set_price(desk, "ETHUSDT", str(price))
                        await set_price(desk, WATCHED, zigzag())
                        families = await scraped(desk)
                        missing -= moved(families)
        assert missing == set()

        unfed = {name for name, figure in FIGURES.items() if figure.told is Told.NOBODY}
        for seen in (first, families):
            samples = {sample.name for family in seen for sample in family.samples}
            assert not [name for name in unfed if any(sample.startswith(name) for sample in samples)]
        assert {
            "deriv_bot_trades_total",
            "deriv_bot_win_rate",
            "deriv_bot_signals_generated_total",
            "deriv_bot_backtest_duration_seconds_count",
            "pregao_unguarded_seconds_total",
        } <= {sample.name for family in first for sample in family.samples if sample.value == 0}
        assert value(traded, "deriv_bot_trades_total", signal_type="buy") == 1
        assert value(traded, "pregao_signals_total", outcome="approved") == 4
        assert value(traded, "pregao_orders_total", venue="webhook", outcome="filled") == 1
        assert value(traded, "pregao_destination_slots_left") == 59
        assert value(families, "deriv_bot_backtest_duration_seconds_count", method="run") == 1
        assert value(families, "deriv_bot_backtest_max_drawdown", strategy="ema_cross") > 0
        told = (await desk.ask("GET", "/api/v1/signals", params={"limit": 1_000}))["items"]
        own = [one for one in told if one["source"] == "strategy"]
        reset = await desk.client.post("/admin/metrics/reset", json={})
        after = await desk.ask("GET", "/api/v1/metrics")
        assert (reset.status_code, reset.content) == (204, b"")
        assert after["counters"]["signals_received"] == after["counters"]["signals_approved"] == 0
        assert value(await scraped(desk), "pregao_signals_total", outcome="received") == 5 + len(own)
        assert json.dumps(after["gauges"]).count("webhook_") == 3

    async def test_f115_names_are_those_of_the_table_and_the_sources_22_and_somebody_feeds_each(self, desk):
        families = [one for one in await scraped(desk) if not one.name.startswith(("process_", "python_"))]

        assert names_of(families) == set(FIGURES)
        of_the_source = [name for name in FIGURES if name.startswith("deriv_bot_")]
        assert len(of_the_source) == 22
        assert not [name for name in of_the_source if FIGURES[name].told is Told.NOBODY]
        assert not TROUBLE_ONLY & set(of_the_source), "each of them moves on a desk that is well"

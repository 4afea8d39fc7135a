"""System E's lab over HTTP: what is asked is kept, computed by a process of its own, and the same however often that is killed."""

import asyncio
import contextlib
import os
import re
import signal
import sys

import httpx
import numpy as np
import pytest

from pregao.edges.candle_files.rates import FundingFolder
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.model_files.store import ModelFolder
from pregao.edges.paper.serve import PaperSettings
from pregao.research.analysis.voters import analyze
from pregao.research.backtests.funding import funding_by_candle, one_rate
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import try_out
from pregao.research.indicators import batch
from pregao.research.strategies.shipped import get_strategy
from tests.fake_redis import serving
from tests.fresh_database import fresh_database
from tests.journeys.test_console import FORM
from tests.journeys.whole_desk import running_desk
from tests.rooms.research.made import candles_of, walk

RUNS = "/api/v1/lab/runs"
CANDLES = walk(6_000, seed=3)
ONE = {
    "symbol": "TESTUSDT",
    "timeframe": "1h",
    "contenders": [{"strategy": "ema_cross", "values": {"fast": 5}}],
}
TURNS = np.arange(4_000)
WAVE = candles_of(  # what a model can foretell
    (100 + 5 * np.sin(TURNS / 8) + np.random.default_rng(5).normal(0, 0.3, len(TURNS))).tolist(),
    symbol="WAVEUSDT",
)
TEACHING = {
    "name": "wave", "symbol": "WAVEUSDT", "timeframe": "1h", "horizon": 8, "barrier": 3, "folds": 2, "rounds": 20,
}  # fmt: skip
DUE_AT_MS = CANDLES.opened_at_ms[::8]
RATES = np.tile([0.0001, 0.0003, -0.0002], len(DUE_AT_MS) // 3 + 1)[: len(DUE_AT_MS)]
SWEEP = {
    **ONE, "kind": "sweep", "contenders": [{"strategy": "rsi_reversal"}], "folds": 2,
    "ranges": {"period": list(range(5, 35)), "stop_pct": [1, 2, 3]},
}  # fmt: skip
SOON = 240.0  # the first run of a lab compiles, the first model loads its libraries, and the machine may do much else


@pytest.fixture(scope="module")
async def desk(database_server, database_template, tmp_path_factory):
    """A desk on which nobody trades; its lab is started by hand."""
    state_dir = tmp_path_factory.mktemp("state")
    (state_dir / "candles").mkdir()
    write_parquet(CANDLES, state_dir / "candles" / "TESTUSDT_1h.parquet")
    write_parquet(WAVE, state_dir / "candles" / "WAVEUSDT_1h.parquet")
    FundingFolder(state_dir / "candles").keep("TESTUSDT", due_at_ms=DUE_AT_MS, rates=RATES)
    paper = PaperSettings(port=0, state_dir=state_dir / "paper", still=True)
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, state_dir, paper=paper, is_traded=False) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def redis():
    """What the lab shares its cache with."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
async def history(desk, redis):
    """What happened before: a run called off, and a sweep whose lab was killed. The lab that begins it again stays."""
    off = await asked(desk, SWEEP)
    canceled = await desk.ask("POST", f"{RUNS}/{off}/cancel")
    twice = await desk.client.post(f"{RUNS}/{off}/cancel")
    swept = await asked(desk, SWEEP)
    async with lab(desk) as first:
        await until(desk, swept, lambda run: run["is_running"])
        first.kill()
        await first.wait()
    killed = await desk.ask("GET", f"{RUNS}/{swept}")
    async with lab(desk, PREGAO_LAB_CACHE_URL=redis.address):
        yield {"off": off, "canceled": canceled, "twice": twice, "swept": swept, "killed": killed}


@contextlib.asynccontextmanager
async def lab(desk, **settings):
    """Run the lab's process."""
    environment = {
        **os.environ, "DATABASE_URL": desk.settings.database_url, "PREGAO_STATE_DIR": str(desk.settings.state_dir),
        **settings,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pregao", "serve", "lab", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def asked(desk, body):
    return (await desk.ask("POST", RUNS, json=body))["run_id"]


async def until(desk, run_id, is_so):
    """Give a run once it is so."""
    async with asyncio.timeout(SOON):
        while not is_so(run := await desk.ask("GET", f"{RUNS}/{run_id}")):
            await asyncio.sleep(0.05)
    return run


async def ended(desk, run_id):
    return await until(desk, run_id, lambda run: run["status"] != "waiting")


async def said(desk, method, path, **options):
    """Ask the lab something that it answers at once, until it does: a machine that does much else loads its models slowly."""
    async with asyncio.timeout(SOON):
        while True:
            answer = await desk.client.request(method, path, **options)
            if answer.status_code != 503:
                assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
                return answer.json()
            await asyncio.sleep(0.5)


async def result_of(desk, run_id):
    await ended(desk, run_id)
    return (await desk.ask("GET", f"{RUNS}/{run_id}/result"))["result"]


@pytest.mark.usefixtures("history")
class TestLab:
    async def test_f113_a_run_is_kept_and_says_what_the_same_run_says_here(self, desk):
        run_id = await asked(desk, ONE)
        await ended(desk, run_id)  # what is compiled for the first time may take longer than anybody waits
        source = await desk.ask(
            "POST", "/api/backtest/testusdt", json={"timeframe": "1h", "values": {"fast": 5}}
        )
        run, result = await ended(desk, run_id), await result_of(desk, run_id)
        trial, outcome = try_out(CANDLES, get_strategy("ema_cross"), {"fast": 5}, Terms(fee_bps=5.0))
        report = await desk.client.get(f"{RUNS}/{run_id}/files/report")
        trades = await desk.client.get(f"{RUNS}/{run_id}/files/trades")
        none = await desk.client.get(f"{RUNS}/{run_id}/files/sweep")

        assert (run["status"], run["done"], run["total"], run["starts"]) == ("done", 1, 1, 1)
        assert result["best"]["figures"]["sharpe"] == trial.figures.sharpe
        assert result["best"]["figures"]["drawdown_max_pct"] == trial.figures.drawdown_max_pct
        assert (result["at_ms"][-1], result["equity"][-1]) == (CANDLES.opened_at_ms[-1], outcome.equity[-1])
        assert len(result["equity"]) == len(result["drawdown_pct"]) == 500
        assert result["trades"][-1]["profit"] == list(outcome.trades)[-1].profit
        assert (source["status"], source["progress"], source["figures"]) == ("done", 1.0, run["figures"])
        assert (await desk.ask("GET", f"/api/backtest/status/{source['task_id']}"))["status"] == "done"
        assert b"ema_cross" in report.content
        assert "attachment" in report.headers["content-disposition"]
        assert trades.content.startswith(b"PAR1")
        assert (none.status_code, none.json()["error"]["code"]) == (404, "LAB_FILE_UNKNOWN")

    async def test_funding_is_paid_as_it_was_recorded_or_at_one_rate(self, desk):
        recorded = await asked(desk, {**ONE, "has_funding": True})
        source = await desk.ask(
            "POST", "/api/backtest/testusdt/start",
            json={"timeframe": "1h", "values": {"fast": 5}, "terms": {"funding_bps": 2}},
        )  # fmt: skip
        swept = await asked(desk, {**SWEEP, "folds": 0, "ranges": {"period": [14]}, "has_funding": True})
        both = await desk.client.post(RUNS, json={**ONE, "has_funding": True, "terms": {"funding_bps": 2}})
        missing = await desk.client.post(RUNS, json={**ONE, "symbol": "ELSEUSDT", "has_funding": True})

        told = {
            "recorded": funding_by_candle(CANDLES, due_at_ms=DUE_AT_MS, rates=RATES),
            "one": one_rate(CANDLES, rate=0.0002, every_ms=8 * 3_600_000),
        }
        paid = {
            name: try_out(CANDLES, get_strategy("ema_cross"), {"fast": 5}, Terms(fee_bps=5.0), funding=rates)[
                0
            ].figures.funding
            for name, rates in told.items()
        }
        assert len({0.0, *paid.values()}) == 3
        result = await result_of(desk, recorded)
        assert result["best"]["figures"]["funding"] == paid["recorded"]
        one = await ended(desk, source["task_id"])
        assert float(one["figures"]["funding"]) == pytest.approx(paid["one"], rel=1e-5)
        assert (await result_of(desk, swept))["best"]["figures"]["funding"] != 0
        assert (both.status_code, both.json()["error"]["code"]) == (422, "LAB_FUNDING")
        assert missing.json()["error"]["code"] == "CANDLES_MISSING"

    async def test_f114_a_comparison_is_ranked(self, desk):
        known = [one["name"] for one in (await desk.ask("GET", "/api/v1/lab/strategies"))["strategies"]][:4]
        contenders = [{"strategy": name} for name in known]

        result = await result_of(
            desk, await asked(desk, {**ONE, "kind": "compare", "contenders": contenders})
        )

        sharpes = [one["sharpe"] for one in result["trials"]]
        assert sorted(one["strategy"] for one in result["trials"]) == sorted(known)
        assert sharpes == sorted(sharpes, reverse=True)

    async def test_f131_the_last_candles_are_judged_and_none_is_made_up(self, desk):
        hourly = {"timeframe": "1h"}
        told = await said(desk, "GET", "/api/indicators/TESTUSDT", params={**hourly, "limit": 3})
        voted = await said(desk, "GET", "/api/signals/TESTUSDT", params=hourly)
        several = await said(
            desk, "GET", "/api/signals/multi", params={**hourly, "symbols": "TESTUSDT,MOONUSDT"}
        )
        patterns = await said(desk, "GET", "/api/patterns/TESTUSDT", params={**hourly, "limit": 300})
        missing = [
            await desk.client.get(f"/api/{topic}/MOONUSDT", params=hourly)
            for topic in ("indicators", "signals", "patterns")
        ]
        missing.append(await desk.client.post("/api/backtest/MOONUSDT/start", json=hourly))

        assert told["answer"]["indicators"]["rsi_14"] == pytest.approx(batch.rsi(CANDLES.close)[-3:].tolist())
        assert told["answer"]["at_ms"] == CANDLES.opened_at_ms[-3:].tolist()
        assert voted["answer"]["signal"] == analyze(CANDLES.part(4_000, 6_000)).signal
        assert len(voted["answer"]["votes"]) == 8
        assert several["symbols"]["TESTUSDT"]["signal"] == voted["answer"]["signal"]
        assert several["symbols"]["MOONUSDT"]["error"]["code"] == "CANDLES_MISSING"
        assert patterns["answer"]["patterns"]
        assert {one["kind"] for one in patterns["answer"]["patterns"]} <= {"candlestick", "formation"}
        for answer in missing:
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "CANDLES_MISSING")
            assert "pregao data import" in answer.json()["error"]["message"]

    async def test_f127_a_model_is_taught_by_the_lab_and_asked(self, desk):
        task = await desk.ask("POST", "/api/ml/train", json=TEACHING)
        run = await ended(desk, task["task_id"])
        over = await desk.ask("GET", f"/api/ml/train/{task['task_id']}")
        told = (await result_of(desk, task["task_id"]))["model"]
        known = await desk.ask("GET", "/api/ml/models/wave")
        prediction = await said(desk, "GET", "/api/ml/predict/waveusdt", params={"timeframe": "1h"})
        voted = await said(desk, "GET", "/api/signals/WAVEUSDT", params={"timeframe": "1h"})

        assert (run["status"], run["done"], run["total"], over["progress"]) == ("done", 3, 3, 1.0)
        assert run["request"]["teaching"]["name"] == "wave"
        assert (known["is_better"], known["sha256"]) == (True, told["sha256"])
        own = ModelFolder(desk.settings.state_dir / "models").get("wave").predict(WAVE)
        assert (prediction["model"], prediction["confidence"]) == (own.model, own.confidence)
        assert voted["answer"]["ml_prediction"]["confidence"] == own.confidence

    async def test_f110_what_it_computed_lies_where_others_find_it(self, desk, redis):
        voters = {**ONE, "contenders": [{"strategy": "technical_analysis"}]}
        await ended(desk, await asked(desk, voters))
        await said(desk, "GET", "/api/signals/TESTUSDT", params={"timeframe": "1h"})

        # A run looks at all candles in the lab's process, a question at the last ones in one of those that compute for it.
        keys = [key.split(b":") for key in redis.kept]
        assert {key[6] for key in keys if key[1] == b"decide"} >= {b"6000", b"2000"}

    async def test_a_sweep_whose_lab_was_killed_is_begun_again_and_gives_the_same(self, desk, history):
        again, run = await result_of(desk, history["swept"]), await ended(desk, history["swept"])
        undisturbed = await result_of(desk, await asked(desk, SWEEP))

        assert history["killed"]["status"] in ("waiting", "done")  # done: it was faster than the kill
        assert run["starts"] == (2 if history["killed"]["status"] == "waiting" else 1)
        assert again == undisturbed
        assert (again["luck"]["tried"], run["total"]) == (90, 270)
        assert (again["heat"]["across"], again["heat"]["down"]) == ("period", "stop_pct")
        assert [len(row) for row in again["heat"]["cells"]] == [30] * 3
        assert len(again["walk_forward"]["folds"]) == 2

    async def test_what_is_called_off_stays_off_and_what_cannot_be_says_why(self, desk, history):
        failed = await ended(desk, await asked(desk, {**ONE, "since": "2100-01-01T00:00:00Z"}))
        listed = await desk.ask("GET", RUNS, params={"limit": 1})
        older = await desk.ask("GET", RUNS, params={"cursor": listed["next_cursor"]})

        assert (history["canceled"]["status"], history["canceled"]["figures"]) == ("canceled", {})
        assert (history["twice"].status_code, history["twice"].json()["error"]["code"]) == (
            409,
            "LAB_RUN_OVER",
        )
        assert (failed["status"], failed["code"]) == ("failed", "CANDLES_TOO_FEW")
        assert (await desk.ask("GET", f"{RUNS}/{history['off']}"))["status"] == "canceled"
        assert [one["run_id"] for one in listed["items"]] == [failed["run_id"]]
        assert history["off"] in [one["run_id"] for one in older["items"]]
        assert failed["run_id"] not in [one["run_id"] for one in older["items"]]

    async def test_pages_show_the_runs_the_curves_and_the_heat_map(self, desk, history):
        run_id = await asked(desk, ONE)
        await ended(desk, run_id)
        await ended(desk, history["swept"])
        taught = (await desk.ask("POST", "/api/v1/models", json={**TEACHING, "name": "shown"}))["run_id"]
        await ended(desk, taught)
        origin = str(desk.client.base_url).rstrip("/")
        async with httpx.AsyncClient(
            base_url=origin, headers={"Origin": origin, "Accept-Language": "en"}, timeout=20
        ) as browser:
            assert (await browser.post("/console/first-run", data=FORM)).status_code == 303
            listed = await browser.get("/console/lab")
            run = await browser.get(f"/console/lab/{run_id}")
            sweep = await browser.get(f"/console/lab/{history['swept']}")
            model = await browser.get(f"/console/lab/{taught}")
            models = await browser.get("/console/models")

        assert f'href="/console/lab/{run_id}"' in listed.text
        assert "called off" in listed.text
        assert "Pay recorded funding rates (TESTUSDT)" in listed.text
        assert len(re.findall(r"data-chart=", run.text)) == 2
        assert "Months, %" in run.text
        assert "Best Sharpe ratio by stop_pct and period" in sweep.text
        assert re.search(r'class="n (up|down)-4"', sweep.text)
        assert "Ranked by Sharpe ratio" in sweep.text
        assert re.search(r"<code>shown@[0-9a-f]{12}</code>", model.text)
        assert "Gain over the base rate" in model.text
        assert 'id="model-shown"' in models.text
        assert 'data-api="POST /api/v1/models"' in models.text

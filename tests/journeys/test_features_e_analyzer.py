"""System E's analyzer over HTTP: several symbols at once, what voters and a model say together, and backtests of two engines."""

import asyncio
import contextlib
from functools import cache

import numpy as np
import pytest
from aiohttp import web

from pregao.edges.candle_files.store import write_parquet
from pregao.edges.model_files.store import ModelFolder
from pregao.edges.paper.serve import PaperSettings
from pregao.research.analysis.voters import analyze, count, decide
from pregao.research.backtests import plain
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import figures_of_outcome
from pregao.research.models.labels import Question
from pregao.research.models.teaching import Recipe
from pregao.research.models.trained import train
from pregao.research.strategies.shipped import STRATEGIES
from tests.edges.model_files.test_store import NOON
from tests.fresh_database import fresh_database
from tests.journeys.test_features_e_lab import RUNS, asked, ended, lab, result_of
from tests.journeys.whole_desk import running_desk
from tests.ports import free_port
from tests.rooms.research.made import candles_of, walk

HOURLY = {"timeframe": "1h"}
WALK = walk(3_000, seed=51)
ANSWER_SECONDS = 60.0  # a lab that starts on a busy machine
AT_ONCE = 10


class Venue:
    """Tells candles, but not before ten ask for them at the same time: whoever asks one by one is never answered."""

    def __init__(self):
        self.asked = []
        self.waiting = self.most = 0
        self._ten_are_there = asyncio.Event()

    async def klines(self, request):
        symbol = request.query["symbol"]
        self.asked.append(symbol)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == AT_ONCE:
            self._ten_are_there.set()
        await self._ten_are_there.wait()
        self.waiting -= 1
        if symbol == "MOONUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        part = WALK.part(0, int(request.query["limit"]))
        columns = (part.opened_at_ms, part.open, part.high, part.low, part.close, part.volume)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return web.json_response([[at, *map(repr, told), at + 3_599_999] for at, *told in rows])


@contextlib.asynccontextmanager
async def told_by(venue):
    app = web.Application()
    app.router.add_get("/fapi/v1/klines", venue.klines)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def venue():
    return Venue()


@pytest.fixture(scope="module")
async def desk(database_server, database_template, tmp_path_factory, venue):
    """A desk on which nobody trades, and a lab whose venue `paper` is another one."""
    state_dir = tmp_path_factory.mktemp("state")
    (state_dir / "candles").mkdir()
    paper = PaperSettings(port=0, state_dir=state_dir / "paper", still=True)
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, state_dir, paper=paper, is_traded=False) as running,
        told_by(venue) as address,
        lab(running, PREGAO_PAPER_URL=address),
    ):
        running.client.timeout = ANSWER_SECONDS
        yield running


def keep(desk, candles, symbol):
    """Keep candles as a symbol's own."""
    write_parquet(candles, desk.settings.state_dir / "candles" / f"{symbol}_1h.parquet")


async def signal_of(desk, symbol):
    """Ask until the lab has started."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while True:
            answer = await desk.client.get(f"/api/signals/{symbol}", params=HOURLY)
            if answer.status_code != 503:
                return answer.json()["answer"]


@cache
def wave():
    """A tide with a little noise: a model learns it at once, and technical analysis follows it late."""
    chance = np.random.default_rng(4)
    tide = 0.1 * np.sin(np.arange(4_000) * 2 * np.pi / 40)
    closes = 100 * np.exp(tide + chance.normal(0, 0.002, 4_000))
    return candles_of(closes, symbol="WAVE", volumes=chance.integers(1, 100, 4_000))


async def until_lab_answers(desk):
    keep(desk, WALK, "ANYUSDT")
    await signal_of(desk, "ANYUSDT")


class TestSeveralSymbols:
    async def test_f116_ten_symbols_are_asked_for_at_once_and_one_that_fails_is_its_own(self, desk, venue):
        await until_lab_answers(desk)
        symbols = [f"S{number}USDT" for number in range(AT_ONCE + 1)] + ["MOONUSDT"]
        symbols[3], symbols[-1] = symbols[-1], symbols[3]  # the failing one is among the first ten

        told = await desk.ask(
            "GET", "/api/signals/multi", params={**HOURLY, "symbols": ",".join(symbols), "venue": "paper"}
        )

        said = told["symbols"]
        failed = said.pop("MOONUSDT")
        expected = analyze(WALK.part(0, 1_000))
        assert venue.most == AT_ONCE
        assert sorted(venue.asked) == sorted(symbols)
        assert sorted([*said, "MOONUSDT"]) == sorted(symbols)
        assert {one["signal"] for one in said.values()} == {expected.signal}
        assert {one["final_signal"] for one in said.values()} == {expected.signal}
        assert {one["candles"]["rows"] for one in said.values()} == {1_000}
        assert {one["candles"]["is_simulated"] for one in said.values()} == {True}  # F131: paper is no market
        assert all(one["latency_ms"] > 0 for one in said.values())
        assert failed["error"]["code"] == "CANDLES_UNAVAILABLE"
        assert (failed["final_signal"], failed["signal_source"]) == ("neutral", "error")

    async def test_f116_no_symbols_are_no_answers(self, desk):
        told = await desk.ask("GET", "/api/signals/multi", params={**HOURLY, "symbols": ""})

        assert told["symbols"] == {}


class TestTechnicalAnalysis:
    async def test_f118_three_stronger_votes_decide_and_nothing_does_on_fewer_than_200_candles(self, desk):
        decided = decide(WALK)
        votes = np.array([voter.votes for voter in decided.voters.values()])
        buys, sells = (votes == 1).sum(axis=0), (votes == -1).sum(axis=0)
        late = np.arange(len(WALK)) > 500
        buy, sell = (int(np.flatnonzero(late & (decided.decided == side))[0]) + 1 for side in (1, -1))
        two = int(np.flatnonzero(late & (buys == 2) & (sells == 0))[0]) + 1
        strengths = np.array([voter.strengths for voter in decided.voters.values()])
        weaker = late & (buys >= 3) & (count(votes, strengths)[0] == 0)
        outvoted = int(np.flatnonzero(weaker)[0]) + 1
        told = {}
        for symbol, end in (("BUY", buy), ("SELL", sell), ("TWO", two), ("OUTVOTED", outvoted)):
            keep(desk, WALK.part(0, end), symbol)
            told[symbol] = await signal_of(desk, symbol)
        keep(desk, WALK.part(buy - 199, buy), "SHORT")
        told["SHORT"] = await signal_of(desk, "SHORT")

        signals = {symbol: one["signal"] for symbol, one in told.items()}
        cast = {symbol: sorted(one["votes"].values(), reverse=True) for symbol, one in told.items()}
        assert signals == {
            "BUY": "buy", "SELL": "sell", "TWO": "neutral", "OUTVOTED": "neutral", "SHORT": "neutral",
        }  # fmt: skip
        assert cast["BUY"].count(1) >= 3
        assert cast["SELL"].count(-1) >= 3
        assert (cast["TWO"].count(1), cast["TWO"].count(-1)) == (2, 0)
        assert cast["OUTVOTED"].count(1) >= 3
        assert cast["SHORT"] == []
        assert told["BUY"]["stop_price"] < WALK.close[buy - 1] < told["BUY"]["target_price"]


class TestWithModel:
    async def test_f117_a_sure_model_has_the_word_else_technical_analysis_also_when_it_fails(self, desk):
        """The borders 0.70 and 0.69 are `tests/rooms/research/test_combine.py`'s."""
        recipe = Recipe(question=Question(horizon=8, barrier=3.0), rounds=20, leaves=7)
        taught = train(wave().part(0, 3_400), recipe, folds=2, confidence_min=0.4, terms=Terms(fee_bps=5))
        folder = ModelFolder(desk.settings.state_dir / "models")
        kept = folder.keep("wave_1h", taught, now=NOON)
        predictor, parts = folder.get("wave_1h"), [wave().part(0, end) for end in range(3_510, 3_530)]
        said = [(part, predictor.predict(part), analyze(part)) for part in parts]
        sure = next(
            part for part, model, voters in said
            if (model.signal, voters.signal) == ("buy", "sell") and model.confidence >= 0.7
        )  # fmt: skip
        unsure = next(
            part for part, model, voters in said
            if voters.signal not in (model.signal, "neutral") and model.confidence < 0.7
        )  # fmt: skip

        told = []
        for part in (sure, unsure):
            keep(desk, part, "WAVE")
            told.append(await signal_of(desk, "WAVE"))
        model_file = desk.settings.state_dir / "models" / kept.file
        content = model_file.read_bytes()
        model_file.write_bytes(content[:-1])
        told.append(await signal_of(desk, "WAVE"))
        (desk.settings.state_dir / "models" / "wave_1h.json").unlink()
        told.append(await signal_of(desk, "WAVE"))

        with_model, without_word, with_failure, alone = told
        assert (with_model["signal"], with_model["final_signal"]) == ("sell", "buy")
        assert with_model["signal_source"] == "ml_high_confidence"
        assert with_model["final_confidence"] == pytest.approx(
            with_model["ml_prediction"]["confidence"] * 100
        )
        assert (without_word["signal_source"], without_word["warning"]) == ("technical_analysis", "")
        assert without_word["ml_prediction"]["confidence"] < 0.7
        assert with_failure["signal_source"] == "technical_analysis"
        assert "MODEL_CHECKSUM_DIFFERS" in with_failure["warning"]
        assert (alone["signal_source"], alone["ml_prediction"]) == ("technical_analysis_only", None)
        for one in (without_word, with_failure, alone):
            assert (one["final_signal"], one["final_confidence"]) == (one["signal"], one["confidence"])


class TestBacktests:
    async def test_f112_a_short_that_is_stopped_costs_what_it_costs_by_hand(self, desk):
        """E2.1: short from 100, next close 103, stop 2 %, size 10 %: -0.2 % of equity."""
        keep(desk, candles_of([96, 98, 100, 102, 104, 101, 100, 103]), "GOLDEN")
        contender = {
            "strategy": "sma_cross",
            "values": {"fast": 2, "slow": 3, "stop_pct": 2, "target_pct": 4},
        }
        body = {
            **HOURLY, "symbol": "GOLDEN", "contenders": [contender],
            "terms": {"start": 1_000, "size": 0.1, "fee_bps": 0},
        }  # fmt: skip

        result = await result_of(desk, await asked(desk, body))

        (trade,) = result["trades"]
        assert (trade["side"], trade["ending"], trade["exit_price"]) == ("short", "stop", 102)
        assert result["equity"][-1] / 1_000 - 1 == pytest.approx(-0.002, abs=1e-12)

    async def test_f112_what_the_lab_says_is_what_the_event_driven_engine_says(self, desk):
        keep(desk, WALK, "WALKUSDT")
        contenders = [{"strategy": name} for name in STRATEGIES]
        body = {**HOURLY, "symbol": "WALKUSDT", "kind": "compare", "contenders": contenders}

        run_id = await asked(desk, body)
        run, result = await ended(desk, run_id), await result_of(desk, run_id)

        assert run["status"] == "done"
        assert sorted(one["strategy"] for one in result["trials"]) == sorted(STRATEGIES)
        for trial in result["trials"]:
            strategy = STRATEGIES[trial["strategy"]]
            judge = figures_of_outcome(
                plain.replay(WALK, strategy.plan(WALK, strategy.filled({})), Terms(fee_bps=5.0))
            )
            assert trial["trades"] == judge.trades > 0
            for name in ("final_equity", "sharpe", "drawdown_max_pct", "win_rate_pct"):
                assert trial[name] == pytest.approx(getattr(judge, name), rel=1e-9, abs=1e-9), name
        assert (await desk.ask("GET", f"{RUNS}/{run_id}"))["done"] == len(STRATEGIES)

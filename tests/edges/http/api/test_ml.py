"""System E's paths to models: what there is, what one says, new ones, and a trade by what one says."""

import time
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

import numpy as np
import pytest

from pregao.domain.breaker import Breakers
from pregao.domain.lab import LabKind, Topic
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.lab.answer import Answering, code_and_message
from pregao.edges.lab.carry_out import CannotError, carry_out
from pregao.edges.model_files.store import ModelFolder
from pregao.edges.postgres.lab import PostgresLabRuns
from pregao.research.backtests.terms import Terms
from pregao.research.indicators import batch
from pregao.research.models.labels import Question
from pregao.research.models.teaching import Recipe
from pregao.research.models.trained import train
from pregao.views.lab import LabAnswer
from tests.builders import NOON
from tests.edges.http.api.own_desk import code_of, own_desk
from tests.edges.http.console.signed_in import signed_in
from tests.rooms.research.made import candles_of

SYMBOL = "WAVEUSDT"
ASKED = {
    "name": "wave", "symbol": SYMBOL, "timeframe": "1h", "horizon": 8, "barrier": 3, "folds": 2, "rounds": 20,
}  # fmt: skip
RECIPE = Recipe(question=Question(horizon=8, barrier=3.0), rounds=20)
OF = {"timeframe": "1h"}


@cache
def wave():
    """What a model can foretell."""
    turns = np.arange(4_000)
    noise = np.random.default_rng(5).normal(0, 0.3, len(turns))
    return candles_of((100 + 5 * np.sin(turns / 8) + noise).tolist(), symbol=SYMBOL)


@cache
def taught():
    return train(wave(), RECIPE, folds=2, confidence_min=0.5, terms=Terms(fee_bps=5.0))


class LabAtHand:
    """The lab without its process: what is asked is answered where it is asked, as the lab would."""

    def __init__(self, state_dir):
        async def compute(function, *asked):
            return function(*asked)

        models = state_dir / "models"
        self.answering = Answering(
            compute,
            candle_folder=state_dir / "candles",
            model_folder=models,
            find_predictors=lambda: ModelFolder(models),
            breaker=Breakers(monotonic=time.monotonic, clock=lambda: NOON).get("ml_predictor"),
            ask_venue=None,
            monotonic=time.monotonic,
        )

    async def answer(self, topic: Topic, question, *, seconds):  # the port's
        try:
            return LabAnswer(answer=await self.answering.answer(topic, question), code=None, reason=None)
        except (LookupError, ValueError) as problem:
            code, reason = code_and_message(problem)
            return LabAnswer(answer={}, code=code, reason=reason)

    def __getattr__(self, name):
        return getattr(self.runs, name)


@pytest.fixture
async def desk(database, tmp_path):
    """A desk whose lab has candles, and the model `wave` of them."""
    (tmp_path / "candles").mkdir()
    write_parquet(wave(), tmp_path / "candles" / f"{SYMBOL}_1h.parquet")
    ModelFolder(tmp_path / "models").keep("wave", taught(), now=NOON)
    lab = LabAtHand(tmp_path)
    async with own_desk(database, state_dir=tmp_path, lab_runs=lab) as desk:
        lab.runs = PostgresLabRuns(desk.journal.pool)
        yield desk


class TestTraining:
    async def test_f127_is_kept_carried_out_and_gives_the_model_that_the_command_makes(self, desk, tmp_path):
        made = await desk.client.post("/api/ml/train", json=ASKED)
        task_id = made.json()["task_id"]
        run = (await desk.ports.lab_runs.find_run(UUID(task_id), owner=None)).run
        steps = []
        told = carry_out(
            run,
            candle_folder=tmp_path / "candles",
            model_folder=tmp_path / "taught",
            run_folder=tmp_path / "lab",
            on_step=lambda done, total: steps.append((done, total)),
            clock=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        )
        waiting = await desk.client.get(f"/api/ml/train/{task_id}")

        model = told.result["model"]
        assert (made.status_code, run.kind, waiting.json()["status"]) == (202, LabKind.TRAIN, "waiting")
        assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
        assert model["score"]["gain"] == taught().score.gain
        assert model["score"]["is_better"] is True
        assert told.figures["trades"] == str(taught().traded.trades)
        kept = ModelFolder(tmp_path / "taught").get("wave").predict(wave())
        assert (kept.direction, kept.confidence) == (
            (mine := ModelFolder(tmp_path / "models").get("wave").predict(wave())).direction,
            mine.confidence,
        )

    async def test_says_why_candles_cannot_teach(self, desk, tmp_path):
        made = await desk.client.post("/api/v1/models", json={**ASKED, "until": "1970-01-20T00:00:00Z"})
        run = (await desk.ports.lab_runs.find_run(UUID(made.json()["run_id"]), owner=None)).run

        with pytest.raises(CannotError, match="LESSONS_TOO_FEW"):
            carry_out(
                run,
                candle_folder=tmp_path / "candles",
                model_folder=tmp_path / "taught",
                run_folder=tmp_path / "lab",
                on_step=lambda _done, _total: None,
                clock=lambda: NOON,
            )

        assert ModelFolder(tmp_path / "taught").names() == []

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"symbol": "MOONUSDT"}, 404, "CANDLES_MISSING"),
            ({"name": "../wave"}, 422, None),
            ({"barrier": 0}, 422, None),
            ({"folds": 1}, 422, None),
            ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, 422, "LAB_SPAN"),
        ],
    )
    async def test_refuses_what_cannot_be_asked(self, desk, changes, status, code):
        answer = await desk.client.post("/api/ml/train", json={**ASKED, **changes})

        assert answer.status_code == status
        assert code is None or code_of(answer) == code  # FastAPI names the field itself

    async def test_is_for_those_who_set_bots_up(self, desk):
        bruno = await signed_in(desk, "bruno", "trader")
        stranger = await desk.coming_with("nobody")

        assert code_of(await bruno.post("/api/ml/train", json=ASKED)) == "ROLE_FORBIDDEN"
        assert code_of(await bruno.get("/api/ml/models")) == "ROLE_FORBIDDEN"
        assert (await bruno.get("/api/ml/info")).status_code == 200
        assert (await stranger.get("/api/ml/info")).status_code == 401

    async def test_no_backtest_is_found_among_trainings(self, desk):
        backtest = await desk.client.post(f"/api/backtest/{SYMBOL}/start", json=OF)

        answer = await desk.client.get(f"/api/ml/train/{backtest.json()['task_id']}")

        assert (answer.status_code, code_of(answer)) == (404, "LAB_RUN_UNKNOWN")


class TestModels:
    async def test_are_told_by_name(self, desk):
        info = (await desk.client.get("/api/ml/info")).json()
        listed = (await desk.client.get("/api/ml/models")).json()["items"]
        one = (await desk.client.get("/api/ml/models/wave")).json()
        none = await desk.client.get("/api/ml/models/none")

        assert info["models"] == [{"name": "wave", "symbol": SYMBOL, "timeframe": "1h", "is_better": True}]
        assert (info["sure_from"], info["execute_from"]) == (0.7, 0.6)
        assert listed == [one]
        assert one["gain"] == taught().score.gain
        assert (none.status_code, code_of(none)) == (404, "MODEL_MISSING")


class TestPredictions:
    async def test_f127_are_the_models_own_with_the_levels_of_its_question(self, desk, tmp_path):
        answers = [
            await desk.client.get(f"/api/ml/predict/{SYMBOL.lower()}", params=OF),
            await desk.client.get("/api/ml/predict", params={**OF, "symbol": SYMBOL, "model": "wave"}),
            await desk.client.post("/api/ml/predict", json={**OF, "symbol": SYMBOL}),
        ]

        own = ModelFolder(tmp_path / "models").get("wave").predict(wave())
        close, reach = float(wave().close[-1]), 3 * float(batch.atr(wave())[-1])
        way = 1 if own.direction == "PRICE_UP" else -1
        for answer in answers:
            said = answer.json()
            assert (said["direction"], said["confidence"], said["model"]) == (
                own.direction, own.confidence, own.model,
            )  # fmt: skip
            assert (said["is_sure"], float(said["close"])) == (True, close)
            assert (float(said["stop_price"]), float(said["target_price"])) == (
                pytest.approx(close - way * reach), pytest.approx(close + way * reach),
            )  # fmt: skip

    async def test_says_what_is_missing(self, desk):
        no_model = await desk.client.get(f"/api/ml/predict/{SYMBOL}", params={**OF, "model": "none"})
        no_candles = await desk.client.get("/api/ml/predict/MOONUSDT", params=OF)
        (desk.ports.state_dir / "models" / "wave.json").unlink()
        none_fits = await desk.client.get(f"/api/ml/predict/{SYMBOL}", params=OF)

        assert (no_model.status_code, code_of(no_model)) == (404, "MODEL_MISSING")
        assert (no_candles.status_code, code_of(no_candles)) == (404, "CANDLES_MISSING")
        assert (none_fits.status_code, code_of(none_fits)) == (404, "MODEL_MISSING")
        assert "POST /api/ml/train" in none_fits.json()["error"]["message"]


class TestExecution:
    async def test_is_a_trade_by_hand_whose_stop_is_the_models_barrier(self, desk):
        account = await desk.make_account()
        wish = {**OF, "symbol": SYMBOL, "capital": 10_000, "max_risk_percent": 1}

        tried = await desk.client.post("/api/ml/execute", json={**wish, "account_id": account["account_id"]})
        unsure = await desk.client.post(
            "/api/ml/execute", json={**wish, "account_id": account["account_id"], "confidence_min": 1}
        )
        too_low = await desk.client.post("/api/ml/execute", json={**wish, "confidence_min": 0.5})

        assert tried.status_code == 200, tried.text
        said, made = tried.json()["prediction"], tried.json()["trade"]
        assert (made["mode"], made["executed"], made["signal_id"]) == ("dry-run", False, None)
        assert made["size"]["side"] == ("BUY" if said["direction"] == "PRICE_UP" else "SELL")
        assert float(made["size"]["stop_price"]) == pytest.approx(float(said["stop_price"]))
        assert 0 < float(made["size"]["risk_amount"]) <= 100  # half of the capital may be reached first
        assert (unsure.status_code, code_of(unsure)) == (409, "PREDICTION_UNSURE")
        assert too_low.status_code == 422

"""Models on a page: what each is worth, what it was made of, whose entries it filters, and what that was worth."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pregao.domain.facts import DecisionDeclined, Verdict
from pregao.domain.lab import Topic
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.lab.topics import scoreboard
from pregao.edges.model_files.store import ModelFolder
from pregao.views.lab import LabAnswer
from tests.builders import NOON, arrival, instruction
from tests.edges.http.api.own_desk import BOTS, code_of, own_desk
from tests.edges.http.console.conftest import admin, browser  # noqa: F401  # of this desk
from tests.edges.http.console.signed_in import signed_in
from tests.edges.model_files.test_store import trained
from tests.rooms.research.made import candles_of

MODELS = "/api/v1/models"


class LabAtHand:
    """The lab without its process: what is asked is computed where it is asked, as the lab would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def answer(self, topic, question, *, seconds):  # the port's
        assert topic is Topic.SCOREBOARD
        return LabAnswer(answer=scoreboard(self.folder, question), code=None, reason=None)


@pytest.fixture
async def desk(database, tmp_path):
    """A desk whose lab has the model btc_1h."""
    ModelFolder(tmp_path / "models").keep("btc_1h", trained(), now=NOON)
    (tmp_path / "candles").mkdir()
    async with own_desk(database, state_dir=tmp_path, lab_runs=LabAtHand(tmp_path / "candles")) as desk:
        yield desk


async def a_denied_entry(desk, bot) -> None:
    """Give an entry that the model was against, and nothing else was."""
    against = Verdict(check="MODEL", passed=False, numbers={"foretold": "PRICE_DOWN"})
    wanted = instruction(now=NOON)
    bot_id = bot["bot_id"]
    facts = arrival(wanted, bot_id=bot_id, now=NOON)
    declined = DecisionDeclined(
        happened_at=NOON, signal_id=facts[0].signal_id, bot_id=bot_id, verdicts=(against,),
        code="MODEL_DECLINED", reason="foretold=PRICE_DOWN",
    )  # fmt: skip
    await desk.append(*facts, declined)


def told(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


class TestModels:
    async def test_says_what_each_is_worth_and_who_asks_it(self, desk, admin):  # noqa: F811
        bot = await desk.make_bot("Trend", model_filter={"model": "btc_1h"})
        await desk.make_bot("Lost", model_filter={"model": "never_made"})

        found = {one["name"]: one for one in (await desk.client.get(MODELS)).json()["items"]}
        page = (await admin.get("/console/models")).text

        manifest = ModelFolder(desk.ports.state_dir / "models").get_manifest("btc_1h")
        model = found["btc_1h"]
        assert {name: model[name] for name in ("symbol", "timeframe", "sha256", "is_better", "gain")} == {
            "symbol": manifest.symbol,
            "timeframe": manifest.timeframe,
            "sha256": manifest.sha256,
            "is_better": manifest.score.is_better,
            "gain": manifest.score.gain,
        }
        assert model["features"] == list(manifest.features)
        assert model["bots"] == [{"bot_id": bot["bot_id"], "name": "Trend", "status": "active"}]
        assert (found["never_made"]["code"], found["never_made"]["sha256"]) == ("MODEL_MISSING", None)
        assert manifest.sha256[:12] in page
        assert f'href="/console/models/scoreboard/{bot["bot_id"]}"' in page
        assert "MODEL_MISSING" in page

    async def test_a_manifest_that_cannot_be_read_hides_no_other(self, desk):
        (desk.ports.state_dir / "models" / "broken.json").write_text("{")

        found = {one["name"]: one["code"] for one in (await desk.client.get(MODELS)).json()["items"]}

        assert found == {"broken": "MODEL_MANIFEST_UNREADABLE", "btc_1h": None}

    async def test_is_for_those_who_set_bots_up(self, desk):
        bruno = await signed_in(desk, "bruno", "trader")

        assert (await bruno.get("/console/models")).status_code == 403
        assert code_of(await bruno.get(MODELS)) == "ROLE_FORBIDDEN"


class TestScoreboard:
    async def test_compares_what_it_denied_with_no_filter(self, desk, admin):  # noqa: F811
        bot = await desk.make_bot("Trend", model_filter={"model": "btc_1h"})
        await a_denied_entry(desk, bot)
        start = int((NOON - timedelta(hours=4)).timestamp() * 1_000)
        manifest = ModelFolder(desk.ports.state_dir / "models").get_manifest("btc_1h")
        rising = candles_of(
            [float(price) for price in range(100, 140)], symbol=manifest.symbol, start_ms=start
        )
        name = f"{manifest.symbol}_{manifest.timeframe}.parquet"
        write_parquet(rising, desk.ports.state_dir / "candles" / name)

        answer = await desk.client.get(f"{BOTS}/{bot['bot_id']}/model-filter/scoreboard", params={"bars": 2})
        page = told((await admin.get(f"/console/models/scoreboard/{bot['bot_id']}")).text)

        lines = {one["fate"]: one for one in answer.json()["lines"]}
        assert {fate: one["entries"] for fate, one in lines.items()} == {
            "passed": 0, "unfiltered": 0, "denied": 1, "no filter": 1,
        }  # fmt: skip
        assert lines["denied"]["judged"] == (1 if manifest.symbol == "BTCUSDT" else 0)
        assert Decimal(str(lines["no filter"]["sum_pct"])) == Decimal(str(lines["denied"]["sum_pct"]))
        assert "all: without a filter 1" in page

    async def test_says_what_is_missing(self, desk, admin):  # noqa: F811
        without = await desk.make_bot("Plain")
        bot = await desk.make_bot("Trend", model_filter={"model": "btc_1h"})

        none = await desk.client.get(f"{BOTS}/{without['bot_id']}/model-filter/scoreboard")
        no_candles = await desk.client.get(f"{BOTS}/{bot['bot_id']}/model-filter/scoreboard")
        page = await admin.get(f"/console/models/scoreboard/{bot['bot_id']}")
        (desk.ports.state_dir / "models" / "btc_1h.json").write_text("{")
        unreadable = await desk.client.get(f"{BOTS}/{bot['bot_id']}/model-filter/scoreboard")
        (desk.ports.state_dir / "models" / "btc_1h.json").unlink()
        missing = await desk.client.get(f"{BOTS}/{bot['bot_id']}/model-filter/scoreboard")

        assert (unreadable.status_code, code_of(unreadable)) == (404, "MODEL_MANIFEST_UNREADABLE")
        assert (missing.status_code, code_of(missing)) == (404, "MODEL_MISSING")
        assert (none.status_code, code_of(none)) == (409, "MODEL_FILTER_NONE")
        assert (no_candles.status_code, code_of(no_candles)) == (404, "CANDLES_MISSING")
        assert (page.status_code, "CANDLES_MISSING" in page.text) == (200, True)

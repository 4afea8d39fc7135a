"""`pregao model` as a person types it."""

import json

import pytest
from typer.testing import CliRunner

from pregao.edges.cli import models
from tests.rooms.research.made import CANDLE_FILES

PERP = str(CANDLE_FILES / "perp_BTCUSDT_5m_2023.csv.gz")
pytestmark = pytest.mark.skipif(not CANDLE_FILES.exists(), reason="the real series lie beside the repository")


@pytest.fixture
def typed(tmp_path):
    def run(*words):
        return CliRunner().invoke(models.app, words, env={"PREGAO_STATE_DIR": str(tmp_path)})

    return run


def read(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_model_from_its_training_to_its_end(typed, tmp_path):
    trained = read(
        typed(
            "train", "btc_5m", "--data", PERP, "--symbol", "BINANCE:BTCUSDT.P", "--until", "2023-02-04", "--rounds", "2", "--folds", "2",
            "--barrier", "3", "--seed", "7", "--json",
        )
    )  # fmt: skip
    assert trained["recipe"]["seed"] == 7
    assert trained["symbol"] == "BTCUSDT"  # as the venue spells it, and as bots' signals name it
    assert "base rate" in trained["score"]["verdict"]

    [listed] = read(typed("list", "--json"))
    assert listed["model"] == trained["model"] == read(typed("show", "btc_5m", "--json"))["model"]

    (tmp_path / "models" / "broken.json").write_text("{")  # one that cannot be read hides no other
    broken, well = read(typed("list", "--json"))
    assert (broken["name"], broken["code"], broken["model"]) == ("broken", "MODEL_MANIFEST_UNREADABLE", None)
    assert well == listed
    table = typed("list")
    assert "MODEL_MANIFEST_UNREADABLE" in table.stdout
    assert "BTCUSDT 5m" in table.stdout
    assert table.stderr.startswith("MODEL_MANIFEST_UNREADABLE: model=broken")
    assert typed("remove", "broken").exit_code == 0

    shown = typed("show", "btc_5m").stdout
    assert trained["score"]["verdict"] in shown
    assert "3 ATR up or down within 24 candles" in shown

    judged = read(typed("evaluate", "btc_5m", "--data", PERP, "--symbol", "BTC/USDT:USDT", "--json"))
    assert judged["score"]["rows"] > 1_000

    said = read(typed("predict", "btc_5m", "--data", PERP, "--symbol", "btcusdt", "--json"))
    assert said["model"] == trained["model"]
    assert said["signal"] in {"buy", "sell", "neutral"}

    assert typed("remove", "btc_5m").exit_code == 0
    assert read(typed("list", "--json")) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "none"), "MODEL_MISSING"),
        (("remove", "none"), "MODEL_MISSING"),
        (("train", "Upper Case", "--data", PERP), "MODEL_NAME_UNUSABLE"),
        (("train", "a", "--data", PERP), "MODEL_SYMBOL_UNUSABLE"),
        (("train", "a", "--data", PERP, "--symbol", "BTC"), "MODEL_SYMBOL_UNUSABLE"),
        (("train", "a", "--data", PERP, "--horizon", "0"), "LABELS_OUT_OF_RANGE"),
        (("train", "a", "--data", PERP, "--calibration", "none"), "RECIPE_OUT_OF_RANGE"),
        (("train", "a", "--data", PERP, "--since", "2023-02-07", "--symbol", "BTCUSDT"), "LESSONS_TOO_FEW"),
        (("train", "a", "--data", "none_1h"), "CANDLES_MISSING"),
    ],
)
def test_what_a_person_can_correct_is_said_in_one_line(typed, words, code):
    refused = typed(*words)

    assert refused.exit_code == 1
    [told] = refused.stderr.strip().splitlines()
    assert told.startswith(f"{code}: ")

"""Models on disk: what is read is what was made, or nothing."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest

from pregao.edges.model_files.store import BrokenModel, ModelFolder, ModelMissingError
from pregao.research.backtests.terms import Terms
from pregao.research.models.features import BARS_SEEN, figures
from pregao.research.models.labels import Question
from pregao.research.models.predictor import ModelUnusableError, PredictionImpossibleError
from pregao.research.models.teaching import Recipe, TeachingImpossibleError, probabilities
from pregao.research.models.trained import evaluate, train
from tests.rooms.research.made import candles_of, walk

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECIPE = Recipe(question=Question(horizon=8, barrier=1.7), rounds=3, leaves=7)


@cache
def candles():
    return walk(3_600, seed=2).part(0, 3_000)


@cache
def trained():
    return train(candles(), RECIPE, folds=2, confidence_min=0.4, terms=Terms(fee_bps=5))


@pytest.fixture
def folder(tmp_path):
    return ModelFolder(tmp_path / "models")


@pytest.fixture
def kept(folder):
    return folder.keep("btc_1h", trained(), now=NOON)


def rewrite(tmp_path, **changes):
    path = tmp_path / "models" / "btc_1h.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class TestModelFolder:
    def test_gives_what_was_kept(self, folder, kept):
        read = folder.get("btc_1h")

        assert read.manifest == kept
        assert read.model == f"btc_1h@{kept.sha256[:12]}"
        seen = trained().lessons.figures[-100:]
        np.testing.assert_array_equal(
            probabilities(read.classifier, seen), probabilities(trained().classifier, seen)
        )

    def test_says_of_what_a_model_was_made(self, kept):
        opened = candles().opened_at_ms

        assert (kept.symbol, kept.timeframe, kept.is_simulated) == ("TEST", "1h", False)
        assert kept.taught_since_ms == opened[120]
        assert opened[-20] < kept.looked_at_until_ms <= opened[-1]
        assert kept.score == trained().score
        assert set(kept.versions) == {"pregao", "python", "scikit-learn", "skops", "numpy"}
        assert kept.made_at == "2026-11-22T12:00:00+00:00"

    @pytest.mark.parametrize("name", ["none", "btc_4h"])
    def test_has_no_such_model(self, folder, name):
        with pytest.raises(ModelMissingError, match=f"MODEL_MISSING: model={name}"):
            folder.get(name)

    @pytest.mark.parametrize("name", ["", "../btc", "BTC", "a" * 65, "btc@1", "a/b"])
    def test_takes_no_name_that_is_no_file_name(self, folder, name):
        with pytest.raises(ModelUnusableError, match="MODEL_NAME_UNUSABLE"):
            folder.get_manifest(name)

    def test_refuses_a_file_of_which_one_byte_is_another(self, folder, kept, tmp_path):
        path = tmp_path / "models" / kept.file
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

        with pytest.raises(ModelUnusableError, match="MODEL_CHECKSUM_DIFFERS"):
            folder.get("btc_1h")

    def test_refuses_a_manifest_whose_file_is_not_there(self, folder, kept, tmp_path):
        (tmp_path / "models" / kept.file).unlink()

        with pytest.raises(ModelUnusableError, match="MODEL_CHECKSUM_DIFFERS"):
            folder.get("btc_1h")

    def test_reads_no_file_outside_its_folder(self, folder, kept, tmp_path):
        (tmp_path / kept.file).write_bytes((tmp_path / "models" / kept.file).read_bytes())
        rewrite(tmp_path, file=f"../{kept.file}")

        with pytest.raises(ModelUnusableError, match="MODEL_CHECKSUM_DIFFERS"):
            folder.get("btc_1h")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"format": 2}, "MODEL_MANIFEST_UNREADABLE"),
            ({"name": "eth_1h"}, "MODEL_MANIFEST_UNREADABLE"),
            ({"recipe": {"question": {"horizon": 0}}}, "MODEL_MANIFEST_UNREADABLE"),
            ({"sha256": 7}, "MODEL_MANIFEST_UNREADABLE"),
            ({"features_version": 99}, "MODEL_FEATURES_DIFFER"),
            ({"features": ["range"]}, "MODEL_FEATURES_DIFFER"),
            ({"versions": {"scikit-learn": "0.1.0"}}, "MODEL_VERSIONS_DIFFER"),
        ],
    )
    def test_refuses_a_manifest_that_cannot_be(self, folder, kept, tmp_path, changes, code):
        rewrite(tmp_path, **changes)

        with pytest.raises(ModelUnusableError, match=code):
            folder.get("btc_1h")

    def test_replaces_a_model_and_leaves_no_file_behind(self, folder, kept, tmp_path):
        again = folder.keep("btc_1h", trained(), now=NOON + timedelta(hours=1))

        assert folder.get("btc_1h").manifest.made_at == "2026-11-22T13:00:00+00:00"
        assert {path.name for path in (tmp_path / "models").iterdir()} == {"btc_1h.json", again.file}

    def test_removes_a_model_even_an_unusable_one(self, folder, kept, tmp_path):
        rewrite(tmp_path, format=2)

        folder.remove("btc_1h")

        assert list((tmp_path / "models").iterdir()) == []
        with pytest.raises(ModelMissingError, match="MODEL_MISSING"):
            folder.remove("btc_1h")

    def test_finds_the_newest_of_a_symbol_and_timeframe(self, folder, kept):
        folder.keep("btc_old", trained(), now=NOON - timedelta(days=1))

        assert folder.find(symbol="TEST", timeframe="1h").model == kept.model

    def test_a_broken_one_hides_no_other(self, folder, kept, tmp_path):
        models = tmp_path / "models"
        (models / "half.json").write_text("{")
        (models / "folder.json").mkdir()
        (models / "Copy of btc.json").write_text("{}")
        folder.keep("eth_1h", trained(), now=NOON)
        other = json.loads((models / "eth_1h.json").read_text()) | {"symbol": "ETHUSDT", "format": 2}
        (models / "eth_1h.json").write_text(json.dumps(other))

        listed = {one.name: one for one in folder.list()}

        assert listed.pop("btc_1h") == kept
        assert {name: (one.code, one.symbol) for name, one in listed.items()} == {
            "Copy of btc": ("MODEL_NAME_UNUSABLE", None),
            "eth_1h": ("MODEL_MANIFEST_UNREADABLE", "ETHUSDT"),
            "folder": ("MODEL_MANIFEST_UNREADABLE", None),
            "half": ("MODEL_MANIFEST_UNREADABLE", None),
        }
        assert all(isinstance(one, BrokenModel) for one in listed.values())
        assert folder.find(symbol="TEST", timeframe="1h").model == kept.model
        with pytest.raises(ModelUnusableError, match="MODEL_MANIFEST_UNREADABLE: model=eth_1h"):
            folder.find(symbol="ETHUSDT", timeframe="1h")  # technical analysis alone, and it is said why

    def test_without_a_model_nothing_is_found_and_that_is_no_failure(self, folder, kept):
        assert folder.find(symbol="TEST", timeframe="4h") is None
        assert folder.find(symbol="OTHER", timeframe="1h") is None


class TestTrainedPredictor:
    def test_says_what_the_model_says_of_the_last_candle(self, folder, kept):
        said = folder.get("btc_1h").predict(candles())

        expected = probabilities(trained().classifier, figures(candles())[-1:])[0]
        assert said.confidence == pytest.approx(float(expected.max()))
        assert said.model == kept.model
        assert said.bar_opened_at_ms == candles().opened_at_ms[-1]

    def test_says_nothing_of_other_candles_or_too_few(self, folder, kept):
        read = folder.get("btc_1h")

        with pytest.raises(PredictionImpossibleError, match=f"minimum={BARS_SEEN}"):
            read.predict(candles().part(0, BARS_SEEN - 1))
        with pytest.raises(PredictionImpossibleError, match="of=TEST 1h candles=TEST 4h"):
            read.predict(walk(700, seed=1, timeframe="4h"))
        with pytest.raises(PredictionImpossibleError, match="taught with volumes"):
            read.predict(candles_of(candles().close))

    def test_is_judged_by_new_candles_only(self, folder, kept):
        read = folder.get("btc_1h")
        longer = walk(3_600, seed=2)

        score, traded = evaluate(longer, read, confidence_min=0.4, terms=Terms())

        new = longer.opened_at_ms > kept.looked_at_until_ms
        assert score.rows == new.sum() - 8
        assert traded.confidence_min == 0.4
        with pytest.raises(TeachingImpossibleError, match="CANDLES_NOT_NEW"):
            evaluate(candles(), read, confidence_min=0.4, terms=Terms())

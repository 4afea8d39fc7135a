"""A bot's model over HTTP (F127): the rule, what the model says, and what became of the entries."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.domain.facts import DecisionApproved, DecisionDeclined, Verdict
from pregao.domain.prediction import Direction, Foretold
from pregao.edges.postgres.predictions import keep_foretold
from tests.builders import BOT_ID, NOON, arrival, configured, instruction
from tests.edges.http.api.own_desk import BOTS, code_of

ASKED = {"model": "btc_1h", "confidence_min": "0.55", "when_unknown": "deny"}


def met(*, passed, foretold, code=None, at=NOON):
    """Give a signal that met the filter."""
    asked = instruction(now=at)
    facts = arrival(asked, now=at)
    verdict = Verdict(check="MODEL", passed=passed, numbers={"foretold": foretold, "side": "buy"})
    about = {"happened_at": at, "signal_id": facts[0].signal_id, "bot_id": BOT_ID, "verdicts": (verdict,)}
    if code is None:
        return [*facts, DecisionApproved(instruction=asked, **about)]
    return [*facts, DecisionDeclined(code=code, reason="", **about)]


class TestModelFilter:
    async def test_f127_is_set_shown_and_taken_away(self, desk):
        await desk.append(*configured())

        set_to = await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"model_filter": ASKED})
        short = await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"model_filter": {"model": "eth_1h"}})
        gone = await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"model_filter": None})

        assert set_to.json()["model_filter"] == ASKED
        assert short.json()["model_filter"] == {
            "model": "eth_1h", "confidence_min": "0.5", "when_unknown": "pass",
        }  # fmt: skip
        assert gone.json()["model_filter"] is None

    @pytest.mark.parametrize(
        ("changes", "code"),
        [({"model": "../btc"}, "MODEL_NAME_UNUSABLE"), ({"confidence_min": "1.1"}, "SETTING_OUT_OF_RANGE")],
    )
    async def test_takes_nothing_that_cannot_be(self, desk, changes, code):
        await desk.append(*configured())

        answer = await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"model_filter": ASKED | changes})

        assert code_of(answer) == code

    async def test_f127_says_what_the_model_says_and_what_became_of_entries(self, desk):
        await desk.append(*configured())
        await desk.client.patch(f"{BOTS}/{BOT_ID}", json={"model_filter": ASKED})
        said = Foretold(
            model="btc_1h",
            model_id="btc_1h@3f9a01c2d4e5",
            symbol="BTCUSDT",
            timeframe="1h",
            direction=Direction.PRICE_UP,
            confidence=Decimal("0.6"),
            bar_at=NOON - timedelta(hours=1),
            expires_at=NOON + timedelta(days=36_500),
        )
        await keep_foretold(desk.journal.pool, said)
        await keep_foretold(
            desk.journal.pool, replace(said, symbol="ETHUSDT", expires_at=NOON - timedelta(hours=1))
        )
        await desk.append(
            *met(passed=True, foretold="PRICE_UP"),
            *met(passed=True, foretold="unknown"),
            *met(passed=False, foretold="PRICE_DOWN", code="MODEL_DECLINED"),
            *met(passed=False, foretold="PRICE_DOWN", code="MODEL_DECLINED"),
            *met(passed=False, foretold="PRICE_DOWN", code="COOLDOWN_DECLINED"),
            *met(passed=False, foretold="PRICE_DOWN", code="MODEL_DECLINED", at=NOON - timedelta(days=60)),
        )

        board = (await desk.client.get(f"{BOTS}/{BOT_ID}/model-filter")).json()
        nobody = await desk.client.get(f"{BOTS}/{str(BOT_ID)[:-1]}f/model-filter")

        assert board["model_filter"] == ASKED
        assert [(one["symbol"], one["direction"], one["is_fresh"]) for one in board["said"]] == [
            ("BTCUSDT", "PRICE_UP", True), ("ETHUSDT", "PRICE_UP", False),
        ]  # fmt: skip
        assert [(one["fate"], one["entries"], one["earned_usd"]) for one in board["fates"]] == [
            ("passed", 1, "0"), ("unfiltered", 1, "0"), ("denied", 2, "0"),
        ]  # fmt: skip
        assert code_of(nobody) == "BOT_UNKNOWN"

"""
The whole API, asked what its document allows and what it does not: no mistake of ours, no answer the document lacks.

In the suite each operation is asked a few times; CONTRIBUTING.md has the command that asks each some hundred times.
"""

import asyncio
import copy
import os
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import TOKEN, running_desk

TIMES = int(os.environ.get("PREGAO_API_TIMES", "1"))
EXAMPLES = {GenerationMode.POSITIVE: 2 * TIMES, GenerationMode.NEGATIVE: TIMES}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
AWAY = 503
NEVER = "00000000-0000-7000-8000-00000000dead"


@pytest.fixture
async def desk(database, tmp_path):
    paper = PaperSettings(port=0, state_dir=tmp_path / "paper", simulate_seed=7)
    # Nobody trades: what the API answers does not hang on it, and a trader that is kept waiting ends.
    async with running_desk(database, tmp_path, paper=paper, is_traded=False) as desk:
        yield desk


async def used(desk) -> dict[str, list]:
    """Use the desk a little, and give the ids of what is there then."""
    account_id = await desk.open_account("main")
    bot = await desk.create_bot(trading_symbol="BTCUSDT")
    subscription = await desk.subscribe(bot, account_id)
    answer = await desk.post(bot, "buy BTCUSDT")
    signal_id = answer.json()["signal_id"]
    return {
        "account_id": [account_id, 404],
        "bot_id": [bot["bot_id"], NEVER],
        "subscription_id": [subscription["subscription_id"], NEVER],
        "signal_id": [signal_id, NEVER],
        "symbol": ["BTCUSDT", "NEVERUSDT"],
        "webhook_path": [bot["webhook_path"], "never"],
    }


def opened(document: dict, *, known: dict[str, list]) -> dict:
    """Give the document as who has come in reads it: no request is to lose its token, and paths name what is there."""
    asked = copy.deepcopy(document)
    asked["paths"] = {path: item for path, item in asked["paths"].items() if not _is_endless(item)}
    asked["components"].pop("securitySchemes", None)
    if "Venue" in asked["components"]["schemas"]:
        asked["components"]["schemas"]["Venue"]["enum"] = ["paper"]  # the others are the world's
    for item in asked["paths"].values():
        for operation in list(item.values()):
            operation.pop("security", None)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"enum": known[parameter["name"]]}
    return asked


def _is_endless(item: dict) -> bool:
    return "text/event-stream" in item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})


class Asking:
    """Asks operations, and keeps what came back and what is wrong with it."""

    def __init__(self, base_url: str) -> None:
        self.statuses: Counter = Counter()
        self.wrong: list[str] = []
        self._base_url = base_url

    def ask_all(self, document: dict) -> None:
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            for mode in GenerationMode:
                self._ask(result.ok(), mode)

    def _ask(self, operation, mode: GenerationMode) -> None:
        @settings(
            max_examples=EXAMPLES[mode],
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case) -> None:
            self._look_at(case)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, f"{operation.label} allows nothing"

    def _look_at(self, case) -> None:
        answer = case.call(base_url=self._base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
        self.statuses[answer.status_code] += 1
        # A database that is too slow under load says so in the document's words: that is no mistake.
        checks = CHECKS[1:] if answer.status_code == AWAY else CHECKS
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as found:
            why = " | ".join(type(one).__name__ + " " + str(one)[:300] for one in found.exceptions)
            asked = f"{case.method} {case.formatted_path} query={case.query} body={case.body!r:.300}"
            self.wrong.append(f"{answer.status_code} {asked}: {why} {answer.text[:300]}")


@pytest.mark.long
class TestEveryOperation:
    async def test_answers_what_its_document_says(self, desk):
        document = opened(await desk.ask("GET", "/openapi.json"), known=await used(desk))
        asking = Asking(f"http://127.0.0.1:{desk.settings.server_port}")

        await asyncio.to_thread(asking.ask_all, document)

        assert asking.wrong == []
        assert asking.statuses[200] > len(document["paths"]) / 2, "what is asked is mostly there"

"""Strategies on pages: which feed bots, what another can be, and what one traded beside its backtest."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from playwright.async_api import expect

from pregao.domain.clock import from_ms
from pregao.domain.deployment import ParameterValue
from pregao.domain.lab import Topic
from pregao.edges.candle_files.seen import SeenCandles
from pregao.edges.lab.answer import code_and_message
from pregao.edges.lab.beside import compare_deployment
from pregao.edges.postgres.rows import encode_json
from pregao.research.ticks import Candle
from pregao.views.deployments import DeploymentLine
from pregao.views.lab import LabAnswer
from tests.builders import NOON, deployment
from tests.edges.cli.own_shell import listening
from tests.edges.http.api.own_desk import TOKEN, own_desk
from tests.edges.http.console.conftest import admin, browser  # noqa: F401  # of this desk
from tests.edges.http.console.signed_in import EMAIL, PASSWORD, signed_in
from tests.journeys.test_console_in_chromium import CHROMIUM, PHONE, browsing, faults_of
from tests.rooms.research.test_comparison import (
    CANDLES,
    VALUES,
    backtested,
    planned,
    traded_as,
    whole_run,
    without,
)

RUN = whole_run()
TRADED = traded_as(RUN, backtested(RUN, planned(CANDLES)))
DEPLOYED = deployment(
    parameters=tuple(ParameterValue(name=name, value=value) for name, value in VALUES.items()),
    with_history=False,
)
HERE = f"/console/strategies/{DEPLOYED.deployment_id}"


class Deployed:
    """One deployment, and what it traded."""

    def __init__(self):
        self.told = replace(TRADED, deployment=DEPLOYED)
        self.line = DeploymentLine(
            deployment=DEPLOYED, bot_name="Trend", bar_at=self.told.bar_at, bars=self.told.bars, wanted="long", code="",
            reason="", signals=len(self.told.signals), created_at=NOON, updated_at=NOON,
        )  # fmt: skip

    async def deployments(self, *, bot_id, with_removed, after, limit):
        return [self.line] if self.line is not None else []

    async def find_deployment(self, deployment_id):
        return self.line if deployment_id == DEPLOYED.deployment_id else None

    async def traded(self, deployment_id, *, owner, since, limit):
        return self.told


class LabAtHand:
    """The lab without its process: it compares where it is asked, as the lab would."""

    def __init__(self, folder):
        self.folder = folder

    async def answer(self, topic, question, *, seconds):  # the port's
        assert topic is Topic.DEPLOYMENT
        try:
            asked = json.loads(encode_json(question))
            found = compare_deployment(asked, self.folder / "candles", self.folder / "models")
        except (LookupError, ValueError) as problem:
            code, reason = code_and_message(problem)
            return LabAnswer(answer={}, code=code, reason=reason)
        return LabAnswer(answer=found, code=None, reason=None)


@pytest.fixture
def deployed():
    return Deployed()


@pytest.fixture
async def desk(database, tmp_path, deployed):
    """A desk on which one strategy has traded, and whose analyzer has kept what it saw."""
    seen = SeenCandles(tmp_path / "candles" / "seen")
    for at in range(len(CANDLES)):
        names = ("open", "high", "low", "close", "volume")
        prices = {name: float(getattr(CANDLES, name)[at]) for name in names}
        candle = Candle(opened_at_ms=int(CANDLES.opened_at_ms[at]), **prices)
        seen.keep(f"{DEPLOYED.venue}_{DEPLOYED.symbol}_1m", candle)
    async with own_desk(
        database, state_dir=tmp_path, deployments=deployed, lab_runs=LabAtHand(tmp_path)
    ) as desk:
        yield desk


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


class TestStrategies:
    async def test_shows_what_feeds_which_bot_and_leads_to_its_backtest(self, desk, admin):  # noqa: F811
        await desk.make_bot("Takes them", takes_strategies=True)
        await desk.make_bot("Takes none")

        page = await admin.get("/console/strategies")

        assert f'href="{HERE}"' in page.text
        assert "ema_cross" in page.text
        assert "fast=2" in text_of(page)
        assert 'data-api="POST /api/v1/strategies/deployments"' in page.text
        assert ">Takes them</option>" in page.text
        assert ">Takes none</option>" not in page.text

    async def test_only_operators_have_one_trade(self, desk):
        bruno = await signed_in(desk, "bruno", "trader")

        page = await bruno.get("/console/strategies")

        assert f'href="{HERE}"' in page.text
        assert "data-api" not in page.text[page.text.index("<main") : page.text.index("</main")]

    async def test_says_what_to_do_while_there_is_none(self, desk, admin, deployed):  # noqa: F811
        deployed.line = None

        page = await admin.get("/console/strategies", headers={"Accept-Language": "pt-BR"})

        assert "Nenhuma estratégia alimenta um bot ainda." in text_of(page)
        assert "Nenhum bot aceita estratégias." in text_of(page)


class TestComparison:
    async def test_pairs_each_trade_with_the_backtests_and_names_each_cause(self, desk, admin):  # noqa: F811
        api = (
            await desk.client.get(f"/api/v1/strategies/deployments/{DEPLOYED.deployment_id}/comparison")
        ).json()

        page = await admin.get(HERE, headers={"Accept-Language": "pt-BR"})

        (account,) = api["accounts"]
        assert api["unexplained"] == 0
        assert len(account["trades"]) == len(re.findall(r"<tr>\s*<td data-label=", page.text)) > 8
        causes = {one["cause"] for pair in account["trades"] for one in pair["differences"]}
        assert causes == {
            "filled_later", "prices_ran", "sized_by_its_price", "fee_rate", "added_up", "last_candle",
        }  # fmt: skip
        said = text_of(page)
        assert "executada depois do fechamento do candle; o backtest usa a abertura seguinte" in said
        assert "o preço andou entre o fechamento e a execução" in said
        assert 'class="state bad">sem' not in page.text

    async def test_shows_what_nothing_explains_first_and_open(self, desk, admin, deployed):  # noqa: F811
        less, _ = without(deployed.told, 2)
        deployed.told = less

        page = await admin.get(HERE, headers={"Accept-Language": "en"})

        assert len(re.findall(r"<details open>", page.text)) == 1
        assert "Only in the backtest" in text_of(page)
        assert "nothing that was recorded explains it" in text_of(page)

    async def test_takes_the_terms_that_are_chosen(self, desk, admin):  # noqa: F811
        half = RUN.closed_at_ms[40]
        api = await desk.client.get(
            f"/api/v1/strategies/deployments/{DEPLOYED.deployment_id}/comparison",
            params={"since": from_ms(int(half)).isoformat()},
        )
        page = await admin.get(HERE, params={"fee_bps": "4", "since": "2200-01-01T00:00", "candles": "../x"})
        dear = await admin.get(HERE, params={"fee_bps": "0.5", "slippage_bps": "none"})

        assert 'name="fee_bps" type="number" step="any" min="0" max="1000" value="4"' in page.text
        assert 'value="2200-01-01T00:00"' in page.text
        assert "CANDLES_NOT_SEEN" in page.text
        assert dear.status_code == page.status_code == 200
        assert (api.json()["began_at_ms"], api.json()["bars"]) == (half, len(RUN) - 40)

    async def test_says_what_is_missing(self, desk, admin, deployed):  # noqa: F811
        named = await admin.get(HERE, params={"candles": "NONE_1m"})
        deployed.told = None
        not_begun = await admin.get(HERE)
        unknown = await admin.get("/console/strategies/00000000-0000-7000-8000-00000000dead")

        assert "CANDLES_MISSING" in named.text
        assert "DEPLOYMENT_NOT_BEGUN" in not_begun.text
        assert unknown.status_code == 404


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install the system's package `chromium`")
class TestForEverybody:
    async def test_the_comparison_fits_a_phone_and_axe_finds_nothing(self, desk, deployed):
        deployed.told, _ = without(deployed.told, 2)
        async with listening(desk.app) as port:
            where = SimpleNamespace(client=SimpleNamespace(base_url=f"http://127.0.0.1:{port}"))
            async with browsing(where) as page:
                await page.set_viewport_size(PHONE)
                await page.goto("/admin")
                await page.get_by_role("link", name="first one").click()
                await page.get_by_label("Admin token").fill(TOKEN)
                await page.get_by_label("E-mail").fill(EMAIL)
                await page.get_by_label("Name").fill("Ana")
                await page.get_by_label("Password").fill(PASSWORD)
                await page.get_by_role("button", name="Make the user").click()
                await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
                await page.goto(HERE)
                await page.get_by_role("button", name="Português").click()
                await expect(page.get_by_text("Só no backtest", exact=True)).to_be_visible()
                width = await page.evaluate("document.documentElement.scrollWidth")
                faults = await faults_of(page)

        assert (width, faults) == (PHONE["width"], [])

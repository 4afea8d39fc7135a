"""A bot asks a model of the lab before it enters; what it says is in a table that expires."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from typer.testing import CliRunner

from pregao.bootstrap.models import ask_models
from pregao.domain.order import Side
from pregao.domain.prediction import Direction, Foretold, ModelFilter, WhenUnknown
from pregao.domain.signal import Action
from pregao.edges.candle_files.store import write_parquet
from pregao.edges.cli import models
from pregao.edges.model_files.foretell import Foretelling
from pregao.edges.model_files.store import ModelFolder
from pregao.edges.postgres.predictions import entries_filtered, find_foretold, keep_foretold, models_wanted
from tests.builders import bot, configured, instruction
from tests.edges.model_files.test_foretell import Venue
from tests.edges.model_files.test_store import trained
from tests.journeys.conftest import now
from tests.journeys.test_limits_of_decisions import decide_apart
from tests.rooms.research.made import candles_of


def foretold(**changes) -> Foretold:
    said = {
        "model": "btc_1h",
        "model_id": "btc_1h@3f9a01c2d4e5",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "direction": Direction.PRICE_UP,
        "confidence": Decimal("0.6"),
        "bar_at": now() - timedelta(minutes=61),
        "expires_at": now() + timedelta(minutes=60),
    }
    return Foretold(**(said | changes))


class TestModelFilter:
    async def test_lets_through_what_the_model_foretells_and_declines_the_other_way(self, desk):
        await desk.put(
            configured(
                bots=[bot(model_filter=ModelFilter(model="btc_1h", when_unknown=WhenUnknown.DENY))], now=now()
            )
        )
        unknown = await desk.signal(instruction(now=now()))
        await decide_apart(desk, [unknown])
        await keep_foretold(desk.journal.pool, foretold())
        sell = await desk.signal(instruction(now=now(), side=Side.SELL))
        await decide_apart(desk, [sell])
        buy = await desk.signal(instruction(now=now()))
        await decide_apart(desk, [buy])
        close = await desk.signal(instruction(Action.CLOSE, now=now()))
        await decide_apart(desk, [close])

        filtered = await entries_filtered(desk.journal.pool, bot().bot_id, since=now() - timedelta(hours=1))
        assert [(one.side, one.has_passed, one.is_known, one.symbol) for one in filtered] == [
            ("buy", False, False, "BTCUSDT"), ("sell", False, True, "BTCUSDT"), ("buy", True, True, "BTCUSDT"),
        ]  # fmt: skip

        rows = {
            row["signal_id"]: row for row in await desk.rows("SELECT signal_id, code, reason FROM signals")
        }
        codes = [rows[one]["code"] for one in (unknown, sell, buy, close)]
        assert codes == ["MODEL_DECLINED", "MODEL_DECLINED", None, None]
        assert "foretold=unknown when_unknown=deny" in rows[unknown]["reason"]
        assert "foretold=PRICE_UP confidence=0.6 model_id=btc_1h@3f9a01c2d4e5" in rows[sell]["reason"]
        assert len(desk.exchange.submitted) == 2


class TestCommands:
    """`pregao model` beside a desk: it reads the database, and nothing of the desk loads it."""

    async def typed(self, desk, tmp_path, *words):
        environment = {"DATABASE_URL": desk.dsn, "PREGAO_STATE_DIR": str(tmp_path)}
        return await asyncio.to_thread(CliRunner().invoke, models.app, words, env=environment)

    async def test_shows_what_the_filter_let_through_and_denied(self, desk, tmp_path):
        await desk.put(configured(bots=[bot(model_filter=ModelFilter(model="btc_1h"))], now=now()))
        await keep_foretold(desk.journal.pool, foretold(direction=Direction.PRICE_DOWN))
        await decide_apart(desk, [await desk.signal(instruction(now=now()))])
        start = int((now() - timedelta(hours=4)).timestamp() * 1_000)
        hours = candles_of(
            [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0], symbol="BTCUSDT", start_ms=start
        )
        write_parquet(hours, tmp_path / "hours.parquet")

        options = ("--data", str(tmp_path / "hours.parquet"), "--bars", "2", "--fee-bps", "0")
        shown = await self.typed(desk, tmp_path, "scoreboard", bot().name, *options, "--json")
        nobody = await self.typed(desk, tmp_path, "scoreboard", "nobody", *options)

        assert shown.exit_code == 0, shown.stderr
        lines = {line["fate"]: line for line in json.loads(shown.stdout)["lines"]}
        assert {fate: (line["entries"], line["judged"]) for fate, line in lines.items()} == {
            "passed": (0, 0), "unfiltered": (0, 0), "denied": (1, 1), "no filter": (1, 1),
        }  # fmt: skip
        assert lines["denied"]["won_pct"] == 100.0
        assert nobody.stderr.startswith("BOT_UNKNOWN: bot=nobody")

    async def test_has_what_its_model_said_when_the_process_of_models_has_asked(self, desk, tmp_path):
        venue, folder = Venue(), ModelFolder(tmp_path / "models")
        folder.keep("btc_1h", trained(), now=now())
        await desk.put(configured(bots=[bot(model_filter=ModelFilter(model="btc_1h"))], now=now()))
        heard = []

        with httpx.Client(transport=venue, base_url="http://venue") as client:
            foretelling = Foretelling(
                folder=folder, client=client, sleep=lambda seconds: None, now=lambda: venue.now
            )
            told = await ask_models(foretelling, database_url=desk.dsn, heard=heard.append)
            again = await ask_models(foretelling, database_url=desk.dsn, heard=heard.append)

        [said] = told
        found = await find_foretold(
            desk.journal.pool, "btc_1h", said.foretold.symbol, now=said.foretold.bar_at
        )
        assert (again, heard) == ([], [said])
        assert (found.direction, found.bar_at) == (said.foretold.direction, said.foretold.bar_at)

    async def test_says_which_wanted_model_is_missing(self, desk, tmp_path):
        await desk.put(configured(bots=[bot(model_filter=ModelFilter(model="btc_1h"))], now=now()))

        watched = await self.typed(desk, tmp_path, "watch", "--once", "--url", "http://127.0.0.1:9")

        assert watched.exit_code == 1
        assert watched.stderr.startswith("MODEL_MISSING: model=btc_1h")


class TestPredictions:
    async def test_are_wanted_by_active_bots_with_a_filter(self, desk):
        filtered = [
            bot(bot_id=bot().bot_id, model_filter=ModelFilter(model="btc_1h")),
        ]
        await desk.put(configured(bots=filtered, now=now()))

        assert await models_wanted(desk.journal.pool) == ["btc_1h"]

    @pytest.mark.parametrize(
        ("changes", "direction"),
        [
            ({"bar_at": timedelta(hours=1)}, Direction.PRICE_DOWN),
            ({"bar_at": timedelta(hours=-1)}, Direction.PRICE_UP),
            ({"bar_at": timedelta(hours=-1), "model_id": "btc_1h@aaaaaaaaaaaa"}, Direction.PRICE_DOWN),
        ],
    )
    async def test_of_an_older_candle_take_no_newer_ones_place_unless_the_model_is_another(
        self, desk, changes, direction
    ):
        first = foretold()
        later = foretold(
            **(changes | {"direction": Direction.PRICE_DOWN, "bar_at": first.bar_at + changes["bar_at"]})
        )

        for said in (first, later):
            await keep_foretold(desk.journal.pool, said)

        found = await find_foretold(desk.journal.pool, "btc_1h", "BTCUSDT", now=now())
        assert found.direction is direction

    async def test_are_of_one_symbol_and_expire(self, desk):
        await keep_foretold(desk.journal.pool, foretold())
        pool, later = desk.journal.pool, now() + timedelta(minutes=61)

        assert await find_foretold(pool, "btc_1h", "BTCUSDT", now=now()) is not None
        assert await find_foretold(pool, "btc_1h", "ETHUSDT", now=now()) is None
        assert await find_foretold(pool, "btc_1h", None, now=now()) is None
        assert await find_foretold(pool, "btc_1h", "BTCUSDT", now=later) is None

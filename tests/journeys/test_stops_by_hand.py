"""`pregao stops` on a desk that nobody watches: the backstop that a person or cron runs."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fresh_database import fresh_database
from tests.journeys.test_features_b_trading import PAPER, bot_with, misbehave, say, set_price
from tests.journeys.test_lines import PRICE, until_standing
from tests.journeys.whole_desk import WholeDesk, running_desk


@pytest.fixture(scope="module")
async def desk(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeDesk]:
    async with (
        fresh_database(database_server, database_template) as database,
        running_desk(database, tmp_path_factory.mktemp("state"), paper=PAPER, is_watched=False) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
async def as_it_was(desk: WholeDesk) -> AsyncIterator[None]:
    yield
    await misbehave(desk)
    for symbol, price in PRICE.items():
        await set_price(desk, symbol, price)


async def run(desk: WholeDesk, *words: str) -> tuple[int, str]:
    """Give the exit code and what was told."""
    settings = desk.settings
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pregao", "stops", *words,
        env={
            **os.environ,
            "DATABASE_URL": settings.database_url,
            "PREGAO_STATE_DIR": str(settings.state_dir),
            "PREGAO_MASTER_KEY": settings.master_key.reveal(),
            "PREGAO_PAPER_URL": settings.paper_url,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, troubles = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in troubles, troubles.decode()
    return process.returncode, told.decode()


def lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines()]


class TestMonitor:
    """F086, F095: dry run, JSON, the words of the source system, and a projection that equals its events."""

    async def test_a_dry_run_tells_and_changes_nothing_and_then_the_exit_is_told(self, desk):
        bot, [follower] = await bot_with(desk, default_stop_loss_pct="2", default_take_profit_pct="3")
        await say(desk, bot, "buy")
        await until_standing(follower, ("2940", "both"))

        await set_price(desk, "ETHUSDT", "3095")
        code, told = await run(desk, "monitor", "--dry-run", "--json")
        [trigger] = lines(told)
        held = await follower.held()
        assert (code, trigger["type"], trigger["trigger_type"], trigger["symbol"]) == (
            0, "trigger", "target", "ETHUSDT",
        )  # fmt: skip
        assert trigger["trigger_price"] == "3090"
        assert held != {}

        code, told = await run(desk, "monitor", "--json")
        seen, done = lines(told)
        assert code == 0
        assert seen == trigger
        assert (done["type"], done["success"], done["error"]) == ("execution", True, None)
        position = await follower.until_closed(reason="take_profit")
        assert Decimal(done["pnl"]) == Decimal(position["realized_pnl"]) == await follower.earned()

        code, told = await run(desk, "rebuild", "--json")
        assert (code, json.loads(told)["differences"]) == (0, [])

"""The how-to pages as somebody pastes them: each block of shell runs on a fresh desk, and does what the page says."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.whole_desk import WholeDesk, running_desk

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto"
ADDRESS = "127.0.0.1:8000"  # what the pages say
PASTE_SECONDS_MAX = 240.0


@pytest.fixture
async def desk(database, tmp_path):
    """Give a desk whose state folder and virtual environment lie where the pages look for them."""
    state_dir = tmp_path / ".pregao"
    state_dir.mkdir()
    async with running_desk(database, state_dir, paper=PaperSettings(still=True)) as running:
        settings = running.settings
        (state_dir / "env").write_text(
            f"SERVER_PORT={settings.server_port}\n"
            f"PREGAO_ADMIN_TOKEN={settings.admin_token.reveal()}\n"
            f"PREGAO_MASTER_KEY={settings.master_key.reveal()}\n"
            f"DATABASE_URL={settings.database_dsn.reveal()}\n"
        )
        commands = tmp_path / ".venv" / "bin"
        commands.mkdir(parents=True)
        for name, arguments in (("pregao", "-m pregao"), ("python", "")):
            (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (commands / name).chmod(0o755)
        yield running


def blocks_of(page: str) -> list[str]:
    text = (HOWTO / page).read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


async def paste(desk: WholeDesk, page: str, *, instead: tuple[str, str] = ("", "")) -> str:
    """Run all blocks of a page in one shell that ends at the first mistake; give what it printed."""
    script = "set -euo pipefail\n" + "\n".join(blocks_of(page))
    assert instead[0] in script
    script = script.replace(*instead) if instead[0] else script
    folder = desk.settings.state_dir.parent
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script.replace(ADDRESS, f"127.0.0.1:{desk.settings.server_port}"),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "PREGAO_STATE_DIR": str(desk.settings.state_dir),
            "COLUMNS": "200",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PASTE_SECONDS_MAX):
        output, _ = await process.communicate()
    printed = output.decode()
    assert process.returncode == 0, printed[-4_000:]
    return printed


@pytest.mark.extra
class TestRunASignalService:
    async def test_ends_with_subscribers_that_have_traded(self, desk):
        """Four stand for the twenty: each costs three commands."""
        printed = await paste(
            desk, "run-a-signal-service.md", instead=("seq -f %02g 1 20", "seq -f %02g 1 4")
        )

        signals = (await desk.ask("GET", "/api/v1/signals"))["items"]
        users = (await desk.ask("GET", "/api/v1/admin/users"))["items"]
        bot = {"bot_id": signals[0]["bot_id"]}
        followed = (await desk.ask("GET", "/api/v1/bot-subscriptions/my-subscriptions", params=bot))["items"]
        assert [(one["accounts"], one["orders"], one["orders_live"]) for one in signals] == [(4, 4, 0)] * 2
        assert "'total_subscribers': 4, 'successful_executions': 4" in printed
        assert [(user["role"], user["accounts"]) for user in users] == [("trader", 1)] * 4
        assert sorted(one["status"] for one in followed) == ["active", "active", "canceled", "paused"]


@pytest.mark.extra
class TestGiveABotItsRules:
    async def test_ends_with_one_entry_declined_by_a_person_and_one_traded_and_closed(self, desk):
        await paste(desk, "give-a-bot-its-rules.md")

        signals = (await desk.ask("GET", "/api/v1/signals"))["items"]
        positions = (await desk.ask("GET", "/api/v1/positions"))["items"]
        assert [(one["source"], one["status"]) for one in signals] == [
            ("desk", "settled"),
            ("webhook", "settled"),
            ("webhook", "declined"),
        ]
        assert [(one["symbol"], one["status"]) for one in positions] == [("BTCUSDT", "closed")]

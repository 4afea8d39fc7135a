"""System E's alerts on a running desk: what happens is told, once, also when the process that carries it is killed (F107, F121 to F124)."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from pregao.bootstrap.alerting import take_environment
from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from tests.builders import told, unguarded
from tests.edges.notifications.scripted_channels import BOT_TOKEN, CHAT, scripted_service
from tests.journeys.whole_desk import running_desk

HISTORY = "/api/alerts/history"
SOON = 45.0
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
async def service():
    async with scripted_service() as service:
        yield service


@pytest.fixture
async def desk(database, tmp_path, service):
    async with running_desk(
        database,
        tmp_path,
        paper=PaperSettings(still=True),
        discord_hosts=(service.host,),
        discord_webhook_url=service.webhook,
        telegram_bot_token=BOT_TOKEN,
        telegram_chat_id=CHAT,
        telegram_url=service.address,
    ) as running:
        yield running


class Jobs:
    """The role `jobs` as a process of its own, as the supervisor starts it."""

    def __init__(self, settings, folder):
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "PREGAO_STATE_DIR": str(folder),
            "DATABASE_URL": settings.database_url,
            "PREGAO_MASTER_KEY": settings.master_key.reveal(),
            "PREGAO_DISCORD_HOSTS": ",".join(settings.discord_hosts),
            "DISCORD_WEBHOOK_URL": settings.discord_webhook_url.reveal(),
            "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token.reveal(),
            "TELEGRAM_CHAT_ID": settings.telegram_chat_id,
            "PREGAO_TELEGRAM_URL": settings.telegram_url,
        }
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pregao", "serve", "jobs"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log(self):
        return (self.folder / "logs" / "jobs.log").read_text()


@pytest.fixture
def jobs(desk, tmp_path):
    one = Jobs(desk.settings, tmp_path)
    one.start()
    yield one
    one.kill()


async def until(desk, is_true):
    async with asyncio.timeout(SOON):
        while not is_true(shown := (await desk.ask("GET", HISTORY))["alerts"]):
            await asyncio.sleep(0.05)
    return shown


def open_positions(shown):
    return [one for one in shown if "unguarded" in one["title"]]


async def put(desk, *facts):
    journal = await open_journal(desk.settings.database_url, connections_max=1)
    async with journal.transaction() as transaction:
        await transaction.append(facts)
    await journal.pool.close()


async def test_f107_f121_a_halt_is_told_on_every_channel_of_the_environment(desk, jobs, service):
    """One story, on one running desk: the kill between sending and writing it down, and what people see."""
    config = await desk.ask("GET", "/api/alerts/config")
    async with asyncio.timeout(SOON):
        while not config["discord"]["enabled"]:
            await asyncio.sleep(0.05)
            config = await desk.ask("GET", "/api/alerts/config")
    assert config["telegram"]["enabled"]

    await desk.ask(
        "POST", "/api/v1/trading-state", json={"level": "desk", "state": "halted", "reason": "too wild"}
    )
    [told] = await until(desk, lambda shown: shown and set(shown[0]["channels"].values()) == {"sent"})
    assert told["channels"] == {"discord": "sent", "telegram": "sent"}
    assert (told["level"], told["message"]) == ("WARNING", "too wild")

    # F107: killed between sending and writing it down, the message is sent once more, and by one channel only.
    kills, killed = iter([jobs.kill]), asyncio.Event()

    async def kill(_told):
        for one in kills:
            await asyncio.to_thread(one)
            killed.set()

    service.on_message = kill
    before = len(service.taken)
    await put(desk, unguarded(1))
    async with asyncio.timeout(SOON):
        await killed.wait()
    jobs.start()
    await until(
        desk, lambda shown: all(set(one["channels"].values()) == {"sent"} for one in open_positions(shown))
    )
    again = sum("unguarded" in str(told) for told in service.taken[before:])
    assert 2 <= again <= 4  # each of two channels once, or twice where it was not written down

    # F123: the process that was killed is itself told of, when its lease has run out.
    shown = await until(desk, lambda shown: any("ended without a word" in one["title"] for one in shown))
    assert len(open_positions(shown)) == 1

    # F143: no secret in the log.
    secrets = (BOT_TOKEN, "a-token-nobody-may-see")
    assert not any(secret in jobs.log() for secret in secrets)


async def test_f121_a_channel_of_the_environment_that_cannot_be_used_silences_no_other(database, tmp_path):
    settings = told(
        database_dsn=database,
        state_dir=tmp_path,
        admin_token="admin-token-for-tests",
        master_key=base64.b64encode(bytes(32)).decode(),
        discord_webhook_url="http://discord.example/api/webhooks/1/s3cr3t",
        telegram_bot_token=BOT_TOKEN,
        telegram_chat_id=CHAT,
    )
    journal = await open_journal(database, connections_max=2)

    with structlog.testing.capture_logs() as said:
        await take_environment(settings, journal=journal, clock=lambda: datetime.now(UTC))

    rows = await journal.pool.fetch("SELECT name, kind FROM pregao.alert_channels")
    await journal.pool.close()
    assert [tuple(row) for row in rows] == [("telegram", "telegram")]
    [told_of] = [one for one in said if one["event"] == "alerts.environment.unusable"]
    assert (told_of["channel"], told_of["code"]) == ("discord", "CHANNEL_ADDRESS_UNUSABLE")
    assert "s3cr3t" not in str(said)

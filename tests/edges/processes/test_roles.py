"""A role's process: its log, its signals, its exit code."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import asyncpg

ROLE = """
import asyncio, logging, os, sys
import structlog
from pathlib import Path
from pregao.environment import Secret
from pregao.edges.processes.roles import run_role
from pregao.settings import Settings

async def main(settings):
    log = structlog.get_logger()
    log.info("orders.send.accepted", signal="s1", api_key="k", quantity=3)
    log.debug("too.quiet")
    logging.getLogger("a.library").warning("uses %s", settings.admin_token.reveal())
    {body}

settings = Settings(
    state_dir=Path(sys.argv[1]), admin_token=Secret("hush-hush-hush"), database_dsn=Secret(sys.argv[2])
)
sys.exit(run_role("trader", settings, main=main, stop_seconds={stop_seconds}))
"""


IS_DEAF = """
    from pregao.edges.processes.ending import Together

    async def is_deaf():
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                pass
"""


def start(state_dir, body: str, *, dsn: str = "", stop_seconds: float = 0.3) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", ROLE.format(body=body, stop_seconds=stop_seconds), str(state_dir), dsn],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def events(state_dir) -> list[dict]:
    return [json.loads(line) for line in (state_dir / "logs/trader.log").read_text().splitlines()]


class TestRunRole:
    def test_ends_with_0_when_told_to(self, state_dir):
        process = start(state_dir, "await asyncio.sleep(100)")
        log = state_dir / "logs/trader.log"
        while not (log.exists() and "a.library" in log.read_text()):
            time.sleep(0.05)

        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
        assert events(state_dir)[-1] | {"told_to": True} == events(state_dir)[-1]

    def test_ends_with_1_and_the_reason_when_it_fails(self, state_dir):
        process = start(state_dir, "raise ValueError('the token hush-hush-hush is wrong')")

        assert process.wait(20) == 1

        [last] = [one for one in events(state_dir) if one["event"] == "processes.role.failed"]
        assert "ValueError: the token *** is wrong" in last["exception"]

    def test_ends_with_1_when_it_ends_by_itself(self, state_dir):
        assert start(state_dir, "return").wait(20) == 1

    def test_is_cut_off_when_it_hangs_while_stopping(self, state_dir):
        process = start(state_dir, "await asyncio.to_thread(__import__('time').sleep, 100)")
        log = state_dir / "logs/trader.log"
        while not (log.exists() and "a.library" in log.read_text()):
            time.sleep(0.05)

        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 1
        assert events(state_dir)[-1]["event"] in ("processes.role.hung", "processes.role.stopped")

    def test_that_has_lost_its_lease_is_cut_off_when_something_holds_it_up(self, state_dir):
        body = """
    from pregao.edges.processes.ending import end_soon
    end_soon()
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
    """
        process = start(state_dir, body)

        assert process.wait(20) == 1
        [hung] = [one for one in events(state_dir) if one["event"] == "processes.role.hung"]
        assert any("sleep" in one for one in hung["tasks"])  # what it waited for

    def test_one_of_whose_tasks_has_failed_ends_though_another_never_hears_of_it(self, state_dir):
        """A library between them may lose the one cancellation that a task group sends."""
        body = (
            IS_DEAF
            + """
    async def fails():
        raise ValueError("the database was put back")

    async with Together() as tasks:
        tasks.create_task(is_deaf())
        tasks.create_task(fails())
    """
        )
        process = start(state_dir, body)

        assert process.wait(20) == 1
        [hung] = [one for one in events(state_dir) if one["event"] == "processes.role.hung"]
        assert any("is_deaf" in one for one in hung["tasks"])

    def test_that_fails_beside_its_tasks_ends_though_one_never_hears_of_it(self, state_dir):
        body = (
            IS_DEAF
            + """
    async with Together() as tasks:
        tasks.create_task(is_deaf())
        await asyncio.sleep(0)
        raise ValueError("the database was put back")
    """
        )
        assert start(state_dir, body).wait(20) == 1


HANGS = """
    import asyncpg
    from pregao.bootstrap.process import entered
    from pregao.edges.postgres.workers import Workers
    async with asyncpg.create_pool(settings.database_url, server_settings={"search_path": "pregao"}) as pool:
        async with entered(Workers(pool), role="trader"):
            log.info("trader.entered")
            while True:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    log.info("trader.hangs")
"""


class TestStopping:
    async def test_is_noted_of_a_worker_that_hangs_and_is_cut_off(self, state_dir, database):
        """It cannot give its lease up any more: whoever looks for dead workers must know that somebody stopped it."""
        process = start(state_dir, HANGS, dsn=database, stop_seconds=120)
        log = state_dir / "logs/trader.log"
        while not (log.exists() and "trader.entered" in log.read_text()):
            await asyncio.sleep(0.05)
        connection = await asyncpg.connect(database)

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            while not await connection.fetchval("SELECT stopping_since FROM pregao.workers"):
                await asyncio.sleep(0.05)

        assert await connection.fetchval("SELECT count(*) FROM pregao.workers") == 1
        await connection.close()
        process.kill()
        process.wait()


class TestLog:
    def test_is_json_with_the_role_and_without_secrets(self, state_dir):
        start(state_dir, "return").wait(20)

        sent, foreign = events(state_dir)[1:3]
        assert (
            sent
            | {
                "role": "trader",
                "level": "info",
                "event": "orders.send.accepted",
                "signal": "s1",
                "quantity": 3,
                "api_key": "***",
            }
            == sent
        )
        assert foreign["event"] == "uses ***"
        assert foreign["logger"] == "a.library"
        assert "too.quiet" not in [event["event"] for event in events(state_dir)]

    def test_is_turned_over_and_kept_small(self, tmp_path):
        from pregao.edges.processes.lines import FILE_BYTES_MAX, JsonLines

        log = JsonLines(tmp_path / "small.log", role="supervisor")
        for _ in range(45):
            log.say("a.long.line", text="x" * 1024 * 1024)
        log.close()

        files = sorted(tmp_path.glob("small.log*"))
        assert [file.name for file in files] == ["small.log", "small.log.1", "small.log.2"]
        assert all(file.stat().st_size <= FILE_BYTES_MAX for file in files)
        assert files[0].stat().st_mode & 0o077 == 0


FAILS_TWICE = """
    try:
        {}["a fact"]
    except KeyError:
        log.exception("trader.fact.unwritten")
    try:
        raise ConnectionError("the database is away")
    except ConnectionError:
        log.exception("trader.database.gone")
    await asyncio.sleep(1.5)  # the first is told while the role goes on
    raise ExceptionGroup("of its loops", [ValueError("hush-hush-hush")])
"""
TOLD = """
SELECT kind, level, title, numbers ->> 'event' AS event, text NOT LIKE '%hush%' AS is_silent FROM alerts ORDER BY raised_at
"""


class TestFailures:
    async def test_f123_are_told_whether_or_not_they_end_the_role(self, state_dir, database):
        process = start(state_dir, FAILS_TWICE, dsn=database)
        assert await asyncio.to_thread(process.wait, 60) == 1

        connection = await asyncpg.connect(database)
        told = [tuple(row) for row in await connection.fetch(TOLD)]
        await connection.close()

        assert told == [
            ("system_error", "CRITICAL", "trader: KeyError", "trader.fact.unwritten", True),
            ("system_error", "CRITICAL", "trader: ValueError", "processes.role.failed", True),
        ]

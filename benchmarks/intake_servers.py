"""The servers that are compared, each in a process of its own on the same settings: `serve` starts one."""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from pregao.bootstrap.process import calm_collector
from pregao.domain.bot import Bot
from pregao.domain.facts import BotConfigured
from pregao.edges.http.answers import MASTER_PATH
from pregao.edges.http.intake import UVICORN_OPTIONS, Intake
from pregao.edges.postgres.bot_book import PostgresBotBook
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.intake import WRITERS, PostgresIntake
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.views import PostgresReceipts
from pregao.signals.ports import StoreAway

SECRET = "n3Zk0qvHhY2mX8w5sT1uLr7pBd4cGf6a"
WEBHOOK_PATH = "bench-of-the-intake-1"
PATHS = {"ours": f"{MASTER_PATH}{WEBHOOK_PATH}?wait=0", "echo": "/echo", "insert": "/insert"}
STATUS = {"ours": 202, "echo": 200, "insert": 200}


class Alert(BaseModel):
    ticker: str
    action: str
    price: str
    contracts: str
    timenow: datetime
    order_id: str
    secret: str


class Answer(BaseModel):
    success: bool
    bot_name: str
    signal_id: str
    ticker: str
    action: str
    price: str
    timestamp: datetime


def _answer(alert: Alert) -> Answer:
    return Answer(
        success=True,
        bot_name="bench",
        signal_id=alert.order_id,
        ticker=alert.ticker,
        action=alert.action,
        price=alert.price,
        timestamp=alert.timenow,
    )


def echo() -> FastAPI:
    """What FastAPI alone does: a validated body in, a validated body out."""
    app = FastAPI()

    @app.post("/echo")
    async def echo_alert(alert: Alert) -> Answer:
        return _answer(alert)

    return app


async def insert(dsn: str) -> FastAPI:
    """What most people write: the echo, with one INSERT for each request."""
    app = FastAPI()
    pool = await asyncpg.create_pool(dsn, min_size=16, max_size=16)

    @app.post("/insert")
    async def insert_alert(alert: Alert) -> Answer:
        await pool.execute("INSERT INTO bench_rows (body) VALUES ($1)", alert.model_dump_json())
        return _answer(alert)

    return app


async def ours(dsn: str) -> Intake:
    """The intake as the desk composes it, without a trader behind it."""
    journal = await open_journal(dsn)
    bell = Doorbell(dsn)
    book = PostgresBotBook(journal.pool)
    arrivals = PostgresIntake(journal)
    intake = Intake(
        FastAPI(),
        book=book,
        record=GroupCommit(arrivals.record, writers=WRITERS, fails_all=(StoreAway,)).submit,
        arrivals=arrivals,
        receipts=PostgresReceipts(journal.pool),
        ring=lambda: bell.ring("signals"),
        clock=lambda: datetime.now(UTC),
        queue_signals_max=1_000_000,
    )
    bell.listen("bots", book.rung)
    bell.listen("receipts", intake.rung)
    await bell.start()
    await book.start()
    await intake.start()
    return intake


async def add_bot(dsn: str) -> None:
    """Set up the bot all posts go to."""
    journal = await open_journal(dsn)
    bot = Bot(
        bot_id=UUID(int=1),
        name="bench",
        webhook_path=WEBHOOK_PATH,
        secret_sha256=hashlib.sha256(SECRET.encode()).hexdigest(),
        signals_per_minute_max=1_000_000_000,
    )
    async with journal.transaction() as transaction:
        await transaction.append([BotConfigured(happened_at=datetime.now(UTC), bot=bot)])
        await transaction.connection.execute(
            "CREATE TABLE IF NOT EXISTS bench_rows (id bigserial PRIMARY KEY, body text)"
        )
    await journal.pool.close()


def serve(name: str, dsn: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server; give its process and port once it answers."""
    environment = {**os.environ, "BENCH_DSN": dsn}
    command = [sys.executable, "-m", "benchmarks.intake_servers", name]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"The server {name} did not start.")
    return process, int(line)


async def _main(name: str, dsn: str) -> None:
    app = echo() if name == "echo" else await (ours if name == "ours" else insert)(f"{dsn}")
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", **UVICORN_OPTIONS)
    server = uvicorn.Server(config)
    calm_collector()  # all three alike
    print(listening.getsockname()[1], flush=True)
    await server.serve(sockets=[listening])


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1], os.environ["BENCH_DSN"]))

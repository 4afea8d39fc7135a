"""A desk that takes alerts in: the real application and database, a clock that moves when told."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import uvicorn

from pregao.domain.bot import Bot
from pregao.domain.facts import BotConfigured
from pregao.edges.http.intake import UVICORN_OPTIONS, Intake
from pregao.edges.postgres.bot_book import PostgresBotBook
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.intake import WRITERS, PostgresIntake
from pregao.edges.postgres.journal import Journal
from pregao.signals.ports import StoreAway
from pregao.views.receipts import Receipt, ReceiptRow

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = 'cofre-"aspas"-çã/7+b'  # every spelling JSON and forms know has something to do here
PATH = "bot-ema-cross-15m"


def bot(**changes) -> Bot:
    values = {
        "name": "ema",
        "webhook_path": PATH,
        "secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest(),
    }
    return Bot(bot_id=uuid4(), **{**values, **changes})


@dataclass
class Receipts:
    """Receipts that say what the test put in."""

    kept: dict[UUID, Receipt] = field(default_factory=dict)

    async def find_receipt(self, signal_id: UUID, *, owner: UUID | None) -> Receipt | None:
        assert owner is None, "a webhook speaks for the whole bot"
        return self.kept.get(signal_id)


@dataclass
class Desk:
    client: httpx.AsyncClient
    intake: Intake
    pool: asyncpg.Pool
    journal: Journal
    book: PostgresBotBook
    receipts: Receipts
    rings: list[str]
    now: datetime = NOON

    def later(self, **duration) -> None:
        self.now += timedelta(**duration)

    async def add_bot(self, **changes) -> Bot:
        made = bot(**changes)
        await self.change_bot(made)
        return made

    async def change_bot(self, made: Bot) -> None:
        async with self.journal.transaction() as transaction:
            await transaction.append([BotConfigured(happened_at=datetime.now(UTC), bot=made)])

    async def post(self, text: str | bytes, *, path: str = PATH, **options) -> httpx.Response:
        url = f"/api/v1/bots/webhook/master/{path}"
        return await self.client.post(url, content=text, **options)

    async def rows(
        self, query: str = "SELECT * FROM signals ORDER BY received_at, signal_id"
    ) -> list[asyncpg.Record]:
        return await self.pool.fetch(query)

    async def everything_stored(self) -> str:
        """All that any table holds, as one text."""
        tables = await self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'pregao'")
        texts = []
        for table in tables:
            for row in await self.rows(f"SELECT * FROM {table['tablename']}"):
                texts += [
                    value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                    for value in row
                ]
        return "\n".join(texts)


def alert(action: str = "buy", **more) -> str:
    return json.dumps({"ticker": "BTCUSDT", "action": action, "secret": SECRET, **more})


async def passed_through(scope, receive, send) -> None:
    """Stands where the API stands."""
    await send({"type": "http.response.start", "status": 299, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def open_desk(dsn: str, **options):
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4, server_settings={"search_path": "pregao"})
    journal = Journal(pool)
    book = PostgresBotBook(pool)
    arrivals = PostgresIntake(journal)
    commits = GroupCommit(arrivals.record, writers=WRITERS, fails_all=(StoreAway,))
    receipts = Receipts()
    rings: list[str] = []
    intake = Intake(
        passed_through,
        **{
            "book": book,
            "record": commits.submit,
            "arrivals": arrivals,
            "receipts": receipts,
            "ring": lambda: rings.append("signals"),
            "clock": lambda: desk.now,
            "webhook_wait_seconds": 0,
            **options,
        },
    )
    await book.start()
    await intake.start()
    async with served(intake) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        desk = Desk(client, intake, pool, journal, book, receipts, rings)
        yield desk
    await intake.close()
    await commits.close()
    if not pool.is_closing():
        await arrivals.close()
    await book.close()
    await asyncio.wait_for(pool.close(), 5)


@asynccontextmanager
async def served(app):
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", lifespan="off", **UVICORN_OPTIONS
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


def receipt(signal_id: UUID, bot_id: UUID, *rows: ReceiptRow, is_complete: bool = True) -> Receipt:
    return Receipt(
        signal_id=signal_id,
        bot_id=bot_id,
        bot_name="ema",
        status="settled" if is_complete else "planned",
        is_complete=is_complete,
        action="enter",
        symbol="BTCUSDT",
        side="buy",
        code=None,
        reason=None,
        not_used=(),
        verdicts=(),
        deliveries=1,
        received_at=NOON,
        settled_at=NOON if is_complete else None,
        rows=rows,
    )

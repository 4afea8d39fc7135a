"""The bots by their webhook path, in memory, so that a webhook needs no query to know its bot."""

import asyncio
import contextlib
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from pregao.domain.bot import Bot, BotStatus
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.rows import to_value
from pregao.signals.ports import StoreAway

LOOK_SECONDS = 1.0  # behind the bell `bots`, which may be lost
LOOK_PAUSE_SECONDS = 0.05  # strangers trying paths cost at most twenty looks a second, whatever they send
WHOLE_SECONDS = 60.0  # how often everything is read again: bots that a clear or a restore took away
OVERLAP = timedelta(seconds=60)  # a transaction may commit that much later than its clock says

COLUMNS = ", ".join(field.name for field in fields(Bot))
CHANGED = (
    f"SELECT {COLUMNS}, created_at, updated_at FROM bots WHERE $1::timestamptz IS NULL OR updated_at > $1"
)

log = structlog.get_logger()


class PostgresBotBook:
    """The bots as last read; `start` keeps them fresh until `close`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool
        self._bots: dict[UUID, tuple[datetime, Bot]] = {}
        self._by_path: dict[str, Bot] = {}
        self._by_name: dict[str, Bot] = {}
        self._latest: datetime | None = None
        self._read_whole_at = 0.0
        self._wanted = asyncio.Event()
        self._askers: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def find_bot_by_path(self, webhook_path: str) -> Bot | None:
        return self._by_path.get(webhook_path)

    def find_bot_by_name(self, name: str) -> Bot | None:
        return self._by_name.get(name)

    async def look_again(self) -> None:
        asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._askers.append(asker)
        self._wanted.set()
        await asker

    def rung(self, _words: str = "") -> None:
        """Look soon: the bell `bots` rang."""
        self._wanted.set()

    async def start(self) -> None:
        """Read everything once if the database can be asked, then follow."""
        with contextlib.suppress(StoreAway):
            await self._look()
        self._task = asyncio.create_task(self._follow(), name="bot book")

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._answer(self._askers, StoreAway("BOT_BOOK_CLOSED"))

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), LOOK_SECONDS)
            self._wanted.clear()
            askers, self._askers = self._askers, []
            try:
                await self._look()
            except StoreAway as away:
                self._answer(askers, away)
            else:
                self._answer(askers, None)
            await asyncio.sleep(LOOK_PAUSE_SECONDS)

    @staticmethod
    def _answer(askers: list[asyncio.Future[None]], away: StoreAway | None) -> None:
        for asker in askers:
            if asker.done():
                continue
            if away is None:
                asker.set_result(None)
            else:
                asker.set_exception(away)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        whole = self._latest is None or now - self._read_whole_at >= WHOLE_SECONDS
        since = None if whole or self._latest is None else self._latest - OVERLAP
        try:
            rows = await self._pool.fetch(CHANGED, since)
        except AWAY as away:
            log.warning("postgres.bot_book.away", error=type(away).__name__)
            raise StoreAway("DATABASE_AWAY") from away
        if whole:
            self._bots.clear()
            self._read_whole_at = now
        for row in rows:
            self._bots[row["bot_id"]] = (row["created_at"], _to_bot(row))
            self._latest = max(self._latest or row["updated_at"], row["updated_at"])
        if rows or whole:
            self._index()

    def _index(self) -> None:
        self._by_path = {bot.webhook_path: bot for _, bot in self._bots.values()}
        # The first made stands last and so wins its name; an archived one only where no other has it.
        ranked = sorted(
            self._bots.values(),
            key=lambda made: (made[1].status is not BotStatus.ARCHIVED, -made[0].timestamp()),
        )
        self._by_name = {bot.name: bot for _, bot in ranked}


def _to_bot(row: Any) -> Bot:
    # asyncpg has a kind of UUID of its own, which is slower to write as JSON.
    return to_value({**row, "bot_id": UUID(int=row["bot_id"].int)}, Bot)

"""A whole trader on a real PostgreSQL, at an exchange that keeps the rules."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import Fact
from pregao.domain.signal import Instruction
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.work import Workers, settled_signals
from pregao.orders.ports import Desk
from pregao.trading import Trading
from tests.builders import arrival
from tests.fake_exchange import FakeExchange

SETTLE_SECONDS_MAX = 20.0


def now() -> datetime:
    return datetime.now(UTC)


class RunningDesk:
    """What a story needs: put facts in, wait, look at rows and at the exchange."""

    def __init__(self, journal: Journal, exchange: FakeExchange, dsn: str) -> None:
        self.journal = journal
        self.exchange = exchange
        self.dsn = dsn
        self._tasks: list[asyncio.Task] = []
        self._doorbells: list[Doorbell] = []

    async def start_trader(self, name: str = "trader-1", *, orders_in_flight_max: int = 64) -> Trading:
        lease = await Workers(self.journal.pool).enter(worker_id=name, role="trader")
        doorbell = Doorbell(self.dsn)
        desk = Desk(desk_id=await desk_id(self.journal), owner=name, lease_epoch=lease.lease_epoch)
        trading = Trading(
            self.journal,
            exchanges={Venue.PAPER: self.exchange},
            doorbell=doorbell,
            clock=self.exchange.clock,
            desk=desk,
            orders_in_flight_max=orders_in_flight_max,
        )
        self.exchange.tell = trading.take
        await doorbell.start()
        self._doorbells.append(doorbell)
        self._tasks.append(asyncio.create_task(trading.run()))
        return trading

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for doorbell in self._doorbells:
            await doorbell.close()
        self._tasks, self._doorbells = [], []

    async def put(self, facts: list[Fact]) -> None:
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def signal(self, asked: Instruction, **changes) -> UUID:
        """Let a signal arrive as intake would commit it."""
        facts = arrival(asked, now=now(), **changes)
        await self.put(facts)
        for doorbell in self._doorbells:
            doorbell.ring("signals")
        return facts[0].signal_id

    async def settled(self, *signal_ids: UUID, seconds_max: float = SETTLE_SECONDS_MAX) -> None:
        async with asyncio.timeout(seconds_max):
            while len(await settled_signals(self.journal.pool, signal_ids)) < len(signal_ids):
                await asyncio.sleep(0.02)

    async def rows(self, query: str, *arguments):
        return await self.journal.pool.fetch(query, *arguments)

    async def orders(self, signal_id: UUID):
        return await self.rows("SELECT * FROM orders WHERE signal_id = $1 ORDER BY account_id", signal_id)


@pytest.fixture
async def desk(database: str) -> AsyncIterator[RunningDesk]:
    journal = await open_journal(database)
    running = RunningDesk(journal, FakeExchange(clock=now), database)
    yield running
    await running.stop()
    await journal.pool.close()


Builder = Callable[..., list[Fact]]

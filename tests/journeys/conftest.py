"""A whole trader on a real PostgreSQL, at an exchange that keeps the rules."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.breaker import Breakers
from pregao.domain.desk import Desk
from pregao.domain.facts import Fact
from pregao.domain.protection import Protections
from pregao.domain.signal import Instruction
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.store import PostgresStore
from pregao.edges.postgres.waiting import settled_signals
from pregao.edges.postgres.workers import Workers
from pregao.trading.flattening import Flattening
from pregao.trading.trader import Trader
from tests.builders import arrival
from tests.fake_exchange import FakeExchange

SETTLE_SECONDS_MAX = 20.0
FIRST_PART = 3  # accounts: most stories of several are planned in parts


def now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The real time, moved by so many seconds: what takes ten seconds of waiting takes none."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> datetime:
        return now() + timedelta(seconds=self.ahead_seconds)

    def forward(self, seconds: float) -> None:
        self.ahead_seconds += seconds


class RunningDesk:
    """What a story needs: put facts in, wait, look at rows and at the exchange."""

    def __init__(self, journal: Journal, exchange: FakeExchange, dsn: str) -> None:
        self.journal = journal
        self.exchange = exchange
        self.dsn = dsn
        self.breakers: Breakers | None = None
        self.protections: dict[Venue, Protections] = {}  # no venue keeps lines unless a story says so
        self.traders: list[Trader] = []
        self._tasks: list[asyncio.Task] = []
        self._doorbells: list[Doorbell] = []

    async def start_trader(self, name: str = "trader-1", *, orders_in_flight_max: int = 64) -> Trader:
        trader, doorbell = await self.make_trader(name, orders_in_flight_max=orders_in_flight_max)
        await doorbell.start()
        self._doorbells.append(doorbell)
        self._tasks.append(asyncio.create_task(trader.run()))
        return trader

    async def make_trader(
        self, name: str = "trader-1", *, orders_in_flight_max: int = 64
    ) -> tuple[Trader, Doorbell]:
        """Give a trader that hears the exchange and does nothing by itself yet."""
        lease = await Workers(self.journal.pool).enter(worker_id=name, role="trader")
        doorbell = Doorbell(self.dsn)
        desk = Desk(desk_id=await desk_id(self.journal), owner=name, lease_epoch=lease.lease_epoch)
        trader = Trader(
            PostgresStore(self.journal),
            exchanges={Venue.PAPER: self.exchange},
            doorbell=doorbell,
            clock=self.exchange.clock,
            desk=desk,
            orders_in_flight_max=orders_in_flight_max,
            first_part=FIRST_PART,
            protections=self.protections,
            breakers=self.breakers,
        )
        trader.join(Flattening(self.journal, trader.floor, trader.comparison, desk=desk).follow)
        self.exchange.tell = trader.take
        self.traders.append(trader)
        return trader, doorbell

    async def kill(self) -> None:
        """End every trader as a power cut would: whatever it is doing, nothing more of it is written."""
        running = [*self._tasks]
        for trader in self.traders:
            running += [*trader.floor._tasks, *trader.floor._outcomes._tasks]
        for _ in range(3):  # what ends waits for what it started: that must not finish its work either
            for task in running:
                task.cancel()
            await asyncio.sleep(0)
        if running:
            await asyncio.wait(running, timeout=5)
        self.exchange.tell = None
        self.traders, self._tasks = [], []
        await self.stop()

    async def stop(self) -> None:
        for held in self.exchange.held:
            held.set()
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
        facts = arrival(asked, **{"now": now(), **changes})
        await self.put(facts)
        self.ring()
        return facts[0].signal_id

    def ring(self) -> None:
        """Say that signals wait, as intake would."""
        for doorbell in self._doorbells:
            doorbell.ring("signals")

    async def settled(self, *signal_ids: UUID, seconds_max: float = SETTLE_SECONDS_MAX) -> None:
        async with asyncio.timeout(seconds_max):
            while len(await settled_signals(self.journal.pool, signal_ids)) < len(signal_ids):
                await asyncio.sleep(0.02)

    async def rows(self, query: str, *arguments):
        return await self.journal.pool.fetch(query, *arguments)

    async def facts(self, *kinds: str) -> list[str]:
        """Give the kinds of the journal's facts in their order, of these kinds or all."""
        rows = await self.rows("SELECT kind FROM journal ORDER BY seq")
        return [row["kind"] for row in rows if not kinds or row["kind"] in kinds]

    async def state(self) -> dict[str, list]:
        """Give every row that facts change; leases and questions apart, which time changes too."""
        tables = {
            "signals": "signal_id", "orders": "order_id", "attempts": "client_order_id", "positions": "position_id",
            "fills": "account_id, symbol, trade_id",
        }  # fmt: skip
        state = {}
        for table, key in tables.items():
            rows = await self.rows(f"SELECT * FROM {table} ORDER BY {key}")
            state[table] = [
                {name: value for name, value in row.items() if name not in ("check_at", "checks")}
                for row in rows
            ]
        return state

    async def until(self, query: str, *arguments, seconds_max: float = SETTLE_SECONDS_MAX) -> None:
        """Wait until the query's one value is true."""
        async with asyncio.timeout(seconds_max):
            while not await self.journal.pool.fetchval(query, *arguments):
                await asyncio.sleep(0.02)

    async def orders(self, signal_id: UUID):
        return await self.rows("SELECT * FROM orders WHERE signal_id = $1 ORDER BY account_id", signal_id)


@pytest.fixture
async def desk(database: str) -> AsyncIterator[RunningDesk]:
    journal = await open_journal(database)
    running = RunningDesk(journal, FakeExchange(clock=Clock()), database)
    yield running
    await running.stop()
    await journal.pool.close()


Builder = Callable[..., list[Fact]]

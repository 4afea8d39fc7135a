"""The software line on a real PostgreSQL: prices come, levels are reached, exits are claimed once and sent."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from pregao.bootstrap.exits import watch_exits
from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    AccountConfigured,
    ProtectionAccepted,
    StopArmed,
    StopChanged,
    TradingStateSet,
    UserConfigured,
)
from pregao.domain.level import TriggerKind
from pregao.domain.signal import Action
from pregao.domain.stop import DUPLICATE, Lost, Source, StopChange, moved
from pregao.domain.stop_rule import Trailing, TrailingMode
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.domain.venue import TradeReport
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.folds.orders import INSERT_ORDERS
from pregao.edges.postgres.guards import to_armed
from pregao.edges.postgres.journal import Journal, desk_id, open_journal
from pregao.edges.postgres.nobody import Nobody, taken_back
from pregao.edges.postgres.readiness import (
    LOOKS_AFTER_SWEEP,
    StayReady,
    get_ready_to_exit,
    get_ready_to_plan,
    stay_ready,
)
from pregao.edges.postgres.store import PostgresStore
from pregao.edges.postgres.watches import PostgresWatches
from pregao.edges.postgres.workers import Workers
from pregao.stops.book import Fired
from pregao.trading.claims import Claims, Reached, Taken
from pregao.trading.floor import Floor
from pregao.trading.memory_exits import MemoryExits
from pregao.trading.monitor import Monitor
from tests.builders import bot, configured, instruction, line_planned, user
from tests.fake_prices import FakePrices
from tests.journeys.conftest import SETTLE_SECONDS_MAX

TICK = Decimal("0.1")
ENTRY = Decimal(95200)  # what the exchange fills at
STOP = Decimal(92344)  # three percent below
TARGET = Decimal(99960)  # five percent above
SLOW_CLAIMS = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
CREATE TRIGGER slowly BEFORE INSERT ON stop_claims FOR EACH ROW EXECUTE FUNCTION slowly();
"""
GUARDED = {"default_stop_loss_pct": Decimal(3), "default_take_profit_pct": Decimal(5)}


class Breakable:
    """What stands before it, while it may be reached."""

    def __init__(self, real) -> None:
        self._real = real
        self.is_away = False

    def __getattr__(self, name: str):
        if self.is_away:
            raise ConnectionRefusedError(name)
        return getattr(self._real, name)


class Died(Exception):
    """The process is gone."""


class Monotonic:
    """Seconds that a story moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def changed(armed, stop, *, now) -> StopChanged:
    return StopChanged(
        happened_at=now,
        stop=stop,
        account_id=armed.account_id,
        signal_id=armed.signal_id,
        code=StopChange.BY_HAND,
        changed_by="ana",
        reason="",
    )


def _owned(fact):
    """Give the fact with its account in the hands of one user."""
    if not isinstance(fact, AccountConfigured):
        return fact
    return replace(fact, account=replace(fact.account, user_id=user().user_id))


class Guarded:
    """A desk that holds one position, watched by as many monitors as the story wants."""

    def __init__(self, desk) -> None:
        self.desk = desk
        self.exchange = desk.exchange
        self.prices = FakePrices()
        self.monitors: list[Monitor] = []
        self._tasks: list[asyncio.Task] = []
        self._doorbells: list[Doorbell] = []

    async def hold(self, *, accounts: int = 1, is_of_one_user: bool = False, **bot_changes) -> None:
        """Enter with every account."""
        now = self.exchange.clock()
        facts = configured(bots=[bot(**{**GUARDED, **bot_changes})], accounts=accounts, now=now)
        if is_of_one_user:
            facts = [UserConfigured(happened_at=now, user=user()), *(_owned(fact) for fact in facts)]
        await self.desk.put(facts)
        self.trader = await self.desk.start_trader()
        signal_id = await self.desk.signal(instruction(Action.ENTER, now=now), now=now)
        await self.desk.settled(signal_id)
        await self.desk.until(
            "SELECT count(*) = $1 FROM stops WHERE status = 'armed' AND is_anchor_final", accounts
        )
        self.prices.move("BTCUSDT", ENTRY)

    async def make_floor(self, name: str, *, role: str = "monitor", journal: Journal | None = None):
        lease = await Workers(self.desk.journal.pool).enter(worker_id=name, role=role)
        doorbell = Doorbell(self.desk.dsn)
        self.store = Breakable(PostgresStore(journal or self.desk.journal))
        floor = Floor(
            self.store,
            exchanges={Venue.PAPER: self.exchange},
            doorbell=doorbell,
            clock=self.exchange.clock,
            desk=Desk(desk_id=await desk_id(self.desk.journal), owner=name, lease_epoch=lease.lease_epoch),
            orders_in_flight_max=64,
            first_part=3,
        )
        return floor, lease, doorbell

    async def put_line(self) -> None:
        """Let the venue have its own order where the stop is."""
        [row] = await self.desk.rows("SELECT * FROM stops")
        now = self.exchange.clock()
        planned = line_planned(to_armed(row), now=now)
        accepted = ProtectionAccepted(
            happened_at=now,
            protection_id=planned.protection_id,
            position_id=planned.position_id,
            account_id=planned.account_id,
            signal_id=planned.signal_id,
            exchange_protection_id="77",
            sent_at=now,
            acknowledged_at=now,
        )
        await self.desk.put([planned, accepted])

    async def let_follow(self, percent: Decimal) -> None:
        """Let the stop follow the price from now on."""
        [row] = await self.desk.rows("SELECT * FROM stops")
        armed, now = to_armed(row), self.exchange.clock()
        trailing = Trailing(mode=TrailingMode.PERCENT, percent=percent)
        stop = replace(armed.stop, rule=replace(armed.stop.rule, trailing=trailing))
        names = (
            "account_id", "bot_id", "subscription_id", "signal_id", "venue", "symbol", "position_side", "held_since",
            "is_anchor_final", "is_required",
        )  # fmt: skip
        await self.desk.rows("DELETE FROM stops")
        kept = {name: getattr(armed, name) for name in names}
        await self.desk.put([StopArmed(happened_at=now, stop=stop, **kept)])

    async def set_state(self, state: TradingState, *, block_exits: bool = False, version: int = 1) -> None:
        told = TradingStateSet(
            happened_at=self.exchange.clock(),
            version=version,
            level=ScopeLevel.DESK,
            subject="",
            name="desk",
            state=state,
            block_exits=block_exits,
            reason="looking into it",
            set_by="ana",
            user_id=None,
            is_by_staff=True,
            source_address="",
        )
        await self.desk.put([told])

    async def watch(
        self,
        name: str = "monitor-1",
        *,
        prices: FakePrices | None = None,
        monotonic: Monotonic | None = None,
        kept: Path | None = None,
    ) -> Monitor:
        """Start a monitor; give it when it watches."""
        floor, lease, doorbell = await self.make_floor(name)
        self.watches = Breakable(PostgresWatches(self.desk.journal.pool, lease))
        memory = None if kept is None else MemoryExits(floor, claimed_by=name, folder=kept)
        monitor = Monitor(
            floor,
            watches=self.watches,
            memory=memory,
            prices={Venue.PAPER: prices or self.prices},
            claimed_by=name,
            monotonic=monotonic or Monotonic(),
        )
        watch_exits(floor, self.desk.journal, join=monitor.join)
        await doorbell.start()
        self._doorbells.append(doorbell)
        self._tasks.append(asyncio.create_task(monitor.run()))
        self.monitors.append(monitor)
        return monitor

    async def watched(self) -> None:
        """Wait until a monitor has a price."""
        await self.desk.until("SELECT count(*) > 0 FROM watches WHERE price_at IS NOT NULL")

    async def closed(self, count: int = 1, *, seconds_max: float = SETTLE_SECONDS_MAX) -> None:
        closed = "SELECT count(*) = $1 FROM positions WHERE status = 'closed'"
        await self.desk.until(closed, count, seconds_max=seconds_max)

    async def heard(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds of the prices."""
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.02)

    def move(self, price: Decimal) -> None:
        """Let the market go there; a jump is believed with its second tick."""
        self.exchange.prices["BTCUSDT"] = price
        self.prices.move("BTCUSDT", price)
        self.prices.move("BTCUSDT", price)

    def exits(self) -> list:
        return [one for one in self.exchange.submitted if one.reduce_only]

    async def tell_last_fill(self) -> None:
        """Let the venue tell the last trade after all."""
        account_id, told = self.exchange.trades[-1]
        await self.trader.take(TradeReport(account_id=account_id, trade=told))

    def break_off(self, *, is_away: bool = True) -> None:
        """Let the monitor's database be away, or back."""
        self.store.is_away = self.watches.is_away = is_away

    async def stop_traders(self) -> None:
        await self.desk.kill()

    async def kill_monitors(self) -> None:
        """End every monitor as a power cut would; its symbols stay its own until the lease runs out."""
        running = [*self._tasks]
        for one in self.monitors:
            floor = one._floor
            running += [*floor._tasks, *floor._outbox._senders, *floor._outcomes._tasks]
        for _ in range(3):  # what ends waits for what it started: that must not finish its work either
            for task in running:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait(running, timeout=5)
        self._tasks, self.monitors = [], []

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for doorbell in self._doorbells:
            await doorbell.close()


@pytest.fixture
async def guarded(desk):
    story = Guarded(desk)
    yield story
    await story.close()


class TestStream:
    """F084, F095."""

    async def test_f084_where_nothing_is_set_nothing_is_watched(self, guarded):
        await guarded.hold(default_stop_loss_pct=Decimal(0), default_take_profit_pct=Decimal(0))
        await guarded.watch()
        await guarded.watched()

        guarded.move(Decimal(50))
        await asyncio.sleep(0.3)

        assert await guarded.desk.facts("StopTriggered") == []

    async def test_a_stop_that_is_reached_is_exited_once(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP)
        await guarded.closed()

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert (claim["status"], claim["source"], claim["level"]) == ("executed", "ws", STOP)
        assert len(guarded.exits()) == 1
        [position] = await guarded.desk.rows("SELECT * FROM positions")
        assert position["close_reason"] == "stop_loss"

    async def test_one_tick_above_its_stop_nothing_happens(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP + TICK)
        await asyncio.sleep(0.3)

        assert await guarded.desk.facts("StopTriggered") == []

    async def test_a_target_is_taken(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(TARGET)
        await guarded.closed()

        [position] = await guarded.desk.rows("SELECT * FROM positions")
        assert position["close_reason"] == "take_profit"

    async def test_an_outlier_fires_nothing(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.prices.move("BTCUSDT", STOP - 5_000)
        guarded.prices.move("BTCUSDT", ENTRY)
        await asyncio.sleep(0.3)

        assert await guarded.desk.facts("StopTriggered") == []

    async def test_success_gives_exactly_three_events_with_one_token(self, guarded):
        """F085: TRIGGERED, SUBMITTED, EXECUTED, with one token and increasing numbers."""
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP)
        await guarded.closed()

        events = await guarded.desk.rows("SELECT * FROM public.stop_events ORDER BY event_seq")
        assert [event["event_type"] for event in events] == [
            "STOP_TRIGGERED",
            "EXECUTION_SUBMITTED",
            "EXECUTED",
        ]
        assert len({event["execution_token"] for event in events}) == 1


def reached(position_id: int, *, source: Source, now, price: Decimal = STOP) -> Reached:
    level, at = int(STOP / TICK), int(price / TICK)
    return Reached(
        pair=(Venue.PAPER, "BTCUSDT"),
        event=Fired(position_id, TriggerKind.STOP, 0, level, at, 1),
        price_tick=TICK,
        source=source,
        seen_at=now,
        price_at=now,
        bid=at,
        ask=at,
    )


class TestMany:
    """One tick reaches the stops of many."""

    async def test_a_few_leave_before_the_others_are_claimed(self, guarded):
        await guarded.hold(accounts=20)
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP)
        await guarded.closed(20)

        claimed = await guarded.desk.rows(
            "SELECT count(*) AS stops FROM journal WHERE kind = 'StopTriggered' GROUP BY xid ORDER BY xid"
        )
        assert [one["stops"] for one in claimed] == [8, 12]
        assert len(guarded.exits()) == 20

    @pytest.mark.long
    async def test_a_database_too_slow_for_all_at_once_is_given_half_as_many(self, guarded):
        await guarded.hold(accounts=100)
        await guarded.watch()
        await guarded.watched()
        await guarded.desk.journal.pool.execute(SLOW_CLAIMS)  # 92 take longer than a claim may

        guarded.move(STOP)
        await guarded.closed(100, seconds_max=60)

        claimed = await guarded.desk.rows(
            "SELECT count(*) AS stops FROM journal WHERE kind = 'StopTriggered' GROUP BY xid"
        )
        together = [one["stops"] for one in claimed]
        assert sum(together) == len(guarded.exits()) == 100
        assert together.count(8) <= 3, "and not eight at a time"


class TestClaims:
    """F087: one of any number of claims wins, whoever saw the level."""

    async def test_fifty_at_once_give_one_order(self, guarded):
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        now = guarded.exchange.clock()
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        sources = [Source.STREAM, Source.POLL, Source.MANUAL]
        guarded.exchange.prices["BTCUSDT"] = STOP

        taken = await asyncio.gather(
            *(
                Claims(floor, claimed_by=f"claimer-{number}").take(
                    [reached(row["position_id"], source=sources[number % 3], now=now)]
                )
                for number in range(50)
            )
        )

        assert sum(len(one.claimed) for one in taken) == 1
        lost = [why for one in taken for _, why in one.lost]
        assert len(lost) == 49
        # On a busy machine the exit may have filled before the last of them came.
        assert DUPLICATE in lost
        assert set(lost) <= {DUPLICATE, "Operation is not active"}
        await guarded.closed()
        await floor.close()
        assert len(guarded.exits()) == 1

    async def test_the_loser_after_the_end_hears_that_nothing_is_active(self, guarded):
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        claims = Claims(floor, claimed_by="claimer")
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        now = guarded.exchange.clock()
        await claims.take([reached(row["position_id"], source=Source.POLL, now=now)])
        await guarded.closed()

        taken = await claims.take([reached(row["position_id"], source=Source.STREAM, now=now)])

        assert [why for _, why in taken.lost] == ["Operation is not active"]
        await floor.close()

    async def test_a_stop_that_was_moved_is_tested_again_where_it_is(self, guarded):
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        [row] = await guarded.desk.rows("SELECT * FROM stops")
        armed = to_armed(row)
        lower = moved(armed.stop, stop_price=STOP - 100)
        await guarded.desk.put([changed(armed, lower, now=guarded.exchange.clock())])

        taken = await Claims(floor, claimed_by="claimer").take(
            [reached(row["position_id"], source=Source.STREAM, now=guarded.exchange.clock())]
        )

        assert [why for _, why in taken.lost] == [Lost.SUPERSEDED]
        await floor.close()


class TestReadiness:
    """A stop fires seldom: what its exit asks of the database is prepared and planned before."""

    async def test_a_claim_asks_nothing_that_its_connection_has_not_been_asked_before(self, guarded):
        await guarded.hold()
        journal = await open_journal(
            guarded.desk.dsn,
            connections_max=1,
            on_connect=get_ready_to_exit,
            connections_ready=1,
            is_planned_once=True,
        )
        floor, lease, _ = await guarded.make_floor("claimer", journal=journal)
        watches = PostgresWatches(journal.pool, lease, leases=guarded.desk.journal.pool)
        await watches.take_turns([Venue.PAPER], seconds=60)
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        guarded.exchange.prices["BTCUSDT"] = STOP
        asked = "SELECT statement FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared%'"
        before = {one["statement"] for one in await journal.pool.fetch(asked)}
        after = asyncio.get_running_loop().create_future()

        async def look() -> None:
            after.set_result({one["statement"] for one in await journal.pool.fetch(asked)})

        floor.listen_to_commits(lambda _facts: None if after.done() else floor.spawn(look()))
        now = guarded.exchange.clock()
        await Claims(floor, claimed_by="claimer").take(
            [reached(row["position_id"], source=Source.STREAM, now=now)], lock_ours=watches.lock_positions
        )

        assert len(before) >= 12
        assert await after - before == set()
        await guarded.closed()
        await floor.close()
        await journal.pool.close()

    async def test_what_was_analyzed_since_is_planned_again_before_a_claim_asks(self, guarded):
        await guarded.hold()
        journal = await open_journal(
            guarded.desk.dsn, on_connect=get_ready_to_exit, connections_ready=3, is_planned_once=True
        )
        asked = """
            SELECT sum(generic_plans) FROM pg_prepared_statements
            WHERE statement NOT LIKE '%pg_prepared%' AND statement NOT LIKE '%pg_stat%'
        """

        async def plans() -> list[int]:
            async with contextlib.AsyncExitStack() as stack:
                all_three = [await stack.enter_async_context(journal.pool.acquire()) for _ in range(3)]
                return [await one.fetchval(asked) for one in all_three]

        async def grown_by_a_look() -> list[bool]:
            before = await plans()
            await ready.look()
            return [now > then for now, then in zip(await plans(), before, strict=True)]

        ready = StayReady(journal.pool)
        for _ in range(LOOKS_AFTER_SWEEP):
            assert all(await grown_by_a_look())
        assert not any(await grown_by_a_look())

        await guarded.desk.rows("ANALYZE orders")

        for _ in range(LOOKS_AFTER_SWEEP):
            assert all(await grown_by_a_look())
        assert not any(await grown_by_a_look())
        assert journal.pool.get_idle_size() == journal.pool.get_size() == 3
        await journal.pool.close()

    async def test_a_trader_has_asked_for_the_types_of_an_orders_columns_before_the_first_order(
        self, guarded
    ):
        journal = await open_journal(guarded.desk.dsn, on_connect=get_ready_to_plan, connections_ready=1)

        async with journal.pool.acquire() as connection:
            statements = await connection.fetch("SELECT statement FROM pg_prepared_statements")

        assert INSERT_ORDERS in {row["statement"] for row in statements}
        await journal.pool.close()

    async def test_getting_ready_leaves_no_trace(self, guarded):
        await guarded.hold()
        tables = ("journal", "stops", "stop_claims", "orders", "positions", "signals")

        async def all_rows() -> dict[str, list]:
            return {one: await guarded.desk.rows(f"SELECT t::text FROM {one} AS t") for one in tables}

        before = await all_rows()

        async with guarded.desk.journal.pool.acquire() as connection:
            await get_ready_to_exit(connection)
            await get_ready_to_plan(connection)
        await stay_ready(guarded.desk.journal.pool)

        assert await all_rows() == before

    async def test_a_monitor_that_ends_meanwhile_gives_every_connection_back(self, guarded):
        journal = await open_journal(guarded.desk.dsn, on_connect=get_ready_to_exit, connections_ready=3)
        staying = asyncio.create_task(stay_ready(journal.pool))
        while journal.pool.get_idle_size():
            await asyncio.sleep(0)

        staying.cancel()  # the last one is taken, the others are on their way back

        with pytest.raises(asyncio.CancelledError):
            await staying
        async with asyncio.timeout(5):
            await journal.pool.close()

    async def test_no_connection_waits_for_another_that_is_getting_ready(self, guarded):
        pool = guarded.desk.journal.pool
        async with pool.acquire() as one, pool.acquire() as other, taken_back(one) as transaction:
            nobody = Nobody(one)
            await transaction.append([nobody.enters(), *nobody.holds(), nobody.is_stopped()])
            async with asyncio.timeout(5):
                await get_ready_to_exit(other)
                await get_ready_to_plan(other)


class TestHandOver:
    """F088, F095: whoever dies, freezes or is silent, the exit happens once."""

    async def test_killed_between_claim_and_wire_the_exit_happens_once(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()
        guarded.exchange.hold_next()  # what was sent never arrives

        guarded.move(STOP)
        await guarded.desk.until("SELECT count(*) = 1 FROM stop_claims WHERE status = 'submitted'")
        await guarded.kill_monitors()
        guarded.exchange.clock.forward(10)
        await guarded.closed()

        assert len(guarded.exchange.orders) == 2  # the entry and one exit
        assert await guarded.desk.facts("StopTriggered") == ["StopTriggered"]

    async def test_one_that_lost_its_lease_claims_nothing(self, guarded):
        await guarded.hold()
        monitor = await guarded.watch()
        await guarded.watched()
        await guarded.desk.rows(
            "UPDATE leases SET worker_id = 'another', lease_until = clock_timestamp() + interval '1 hour' "
            "WHERE name LIKE 'watch:%'"
        )

        guarded.move(STOP)
        await asyncio.sleep(1.5)

        assert await guarded.desk.facts("StopTriggered") == []
        assert not monitor.watched

    async def test_one_whose_clock_has_run_past_its_lease_does_not_even_ask(self, guarded):
        await guarded.hold()
        monotonic = Monotonic()
        await guarded.watch(monotonic=monotonic)
        await guarded.watched()

        monotonic.ahead = 3.0
        guarded.move(STOP)
        monotonic.ahead = 0.0
        await asyncio.sleep(0.2)

        assert await guarded.desk.facts("StopTriggered") == []

    async def test_another_takes_over_what_a_dead_one_watched(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()
        await guarded.kill_monitors()
        guarded.exchange.prices["BTCUSDT"] = STOP
        guarded.prices.move("BTCUSDT", STOP)

        await guarded.watch("monitor-2")
        await guarded.closed()

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert (claim["claimed_by"], len(guarded.exits())) == ("monitor-2", 1)

    async def test_where_the_stream_is_silent_asking_takes_over(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()
        guarded.move(ENTRY)
        await asyncio.sleep(0.3)
        asked = guarded.prices.asked
        guarded.prices.silence()
        guarded.move(ENTRY + 10)
        guarded.exchange.clock.forward(21)
        await guarded.heard(lambda: guarded.prices.asked > asked)
        guarded.exchange.clock.forward(3)  # the price has moved, and the stream goes on saying nothing
        await guarded.heard(lambda: guarded.prices.renewed == ["BTCUSDT"])
        guarded.move(STOP)

        guarded.exchange.clock.forward(10)
        await guarded.closed()
        guarded.prices.silence(silent=False)
        guarded.move(STOP)
        await asyncio.sleep(0.2)

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert claim["source"] == "cron"
        assert len(guarded.exits()) == 1

    async def test_two_share_the_symbols_and_none_is_watched_twice(self, guarded):
        await guarded.hold()
        await guarded.watch("monitor-1")
        await guarded.watched()
        await guarded.watch("monitor-2", prices=FakePrices())
        await asyncio.sleep(1.5)

        assert [len(one.watched) for one in guarded.monitors] == [1, 0]


class TestVenueFirst:
    async def test_the_venues_line_has_a_second_and_a_half(self, guarded):
        await guarded.hold()
        await guarded.put_line()
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP)
        await asyncio.sleep(0.7)
        before = await guarded.desk.facts("StopTriggered")
        await guarded.closed()

        assert before == []
        assert len(guarded.exits()) == 1


class TestTrailing:
    """F096 to F099: the stop goes with the price, each step once."""

    async def test_a_stop_that_follows_is_written_and_fires_where_it_is_then(self, guarded):
        await guarded.hold(default_take_profit_pct=Decimal(0))
        await guarded.let_follow(Decimal(2))
        await guarded.watch()
        await guarded.watched()

        guarded.move(Decimal(96150))
        guarded.move(Decimal(97100))
        await guarded.desk.until("SELECT stop_price >= 95150 FROM stops")
        guarded.move(Decimal(95160))
        guarded.move(Decimal(95100))
        await guarded.closed()

        moves = await guarded.desk.rows("SELECT * FROM stop_moves ORDER BY version")
        [position] = await guarded.desk.rows("SELECT * FROM positions")
        assert moves[-1]["new_stop"] == Decimal(95158)
        assert position["close_reason"] == "trailing_stop"


class TestGuardrails:
    async def test_f089_a_venue_that_refuses_is_tried_again_and_then_slowly(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()
        for _ in range(5):
            guarded.exchange.refuse_next("-2013")

        guarded.move(STOP)
        for attempts, wait in ((1, 2), (2, 4), (3, 8), (4, 16)):
            await guarded.desk.until(
                "SELECT count(*) = 1 FROM stop_claims WHERE status = 'failed' AND attempts = $1", attempts
            )
            guarded.exchange.clock.forward(wait)
        await guarded.desk.until(
            "SELECT count(*) = 1 FROM stop_claims WHERE status = 'blocked' AND attempts = 5"
        )
        guarded.exchange.clock.forward(60)
        await guarded.closed()

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert (claim["status"], claim["attempts"]) == ("executed", 6)

    async def test_f090_an_exit_that_slips_is_bounded_first_and_goes_to_the_market_then(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(Decimal(87700))  # 5.03 percent below the stop
        await guarded.closed()

        bounds = [one.limit_price for one in guarded.exits()]
        assert bounds == [Decimal("87726.8"), None]
        told = await guarded.desk.rows(
            "SELECT * FROM public.stop_events WHERE event_type = 'SLIPPAGE_BREACH'"
        )
        assert len(told) == 2  # with each try

    async def test_f090_one_that_slips_by_more_than_ten_percent_pauses_entries(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()

        guarded.move(Decimal(83000))
        await guarded.closed()
        await guarded.desk.until("SELECT count(*) = 1 FROM trading_states WHERE state = 'reducing'")

        [state] = await guarded.desk.rows("SELECT * FROM trading_states")
        assert (state["level"], state["subject"], state["set_by"]) == ("account", "1", "desk")
        assert state["reason"].startswith("SLIPPAGE_BREACH")

    async def test_f090_a_process_that_died_before_it_paused_leaves_it_to_the_next(self, guarded):
        """What an exit has slipped by is found in the state, until somebody has said something of the tenant."""
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        guarded.exchange.prices["BTCUSDT"] = Decimal(83000)
        now = guarded.exchange.clock()
        await Claims(floor, claimed_by="claimer").take(
            [reached(row["position_id"], source=Source.STREAM, now=now, price=Decimal(92000))]
        )
        await guarded.closed()
        assert await guarded.desk.rows("SELECT * FROM trading_states") == []

        for name in ("second", "third"):
            next_floor, _, _ = await guarded.make_floor(name)
            looks = []
            watch_exits(next_floor, guarded.desk.journal, join=looks.append)
            await looks[0]()
            states = await guarded.desk.rows("SELECT level, subject, state FROM trading_states")
            assert [tuple(one.values()) for one in states] == [("account", "1", "reducing")]
            await next_floor.close()

        assert await guarded.desk.facts("TradingStateSet") == ["TradingStateSet"]
        await floor.close()

    async def test_f092_whoever_blocks_exits_keeps_them_until_he_lets_go(self, guarded):
        await guarded.hold()
        await guarded.watch()
        await guarded.watched()
        await guarded.set_state(TradingState.HALTED, block_exits=True)

        guarded.move(STOP)
        await guarded.desk.until("SELECT count(*) = 1 FROM stop_claims WHERE status = 'blocked'")
        await asyncio.sleep(2.5)
        told = await guarded.desk.facts("GuardrailBlocked")
        await guarded.set_state(TradingState.ACTIVE, version=2)
        await guarded.closed()

        assert told == ["GuardrailBlocked"]  # once, however often it was looked at
        assert len(guarded.exits()) == 1

    async def test_f093_a_claim_by_an_old_price_is_looked_at_again_and_let_go(self, guarded):
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        old = guarded.exchange.clock() - timedelta(seconds=31)

        await Claims(floor, claimed_by="claimer").take(
            [reached(row["position_id"], source=Source.STREAM, now=old)]
        )
        await guarded.desk.until("SELECT count(*) = 1 FROM stops WHERE status = 'armed' AND version > 1")

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert (claim["status"], claim["code"], claim["again_at"]) == ("failed", "PRICE_NOT_THERE", None)
        assert guarded.exits() == []
        await floor.close()

    async def test_f093_where_the_venue_is_silent_the_exit_leaves_blind(self, guarded):
        await guarded.hold()
        floor, _, _ = await guarded.make_floor("claimer")
        [row] = await guarded.desk.rows("SELECT position_id FROM stops")
        guarded.exchange.stay_silent()
        guarded.exchange.clock.forward(3)  # what was asked for the entry is too old by now
        old = guarded.exchange.clock() - timedelta(seconds=31)

        await Claims(floor, claimed_by="claimer").take(
            [reached(row["position_id"], source=Source.STREAM, now=old)]
        )
        await guarded.desk.until("SELECT count(*) = 1 FROM stop_claims WHERE attempts = 1", seconds_max=30)

        assert (await guarded.desk.facts("GuardrailBlocked")) == ["GuardrailBlocked"] * 4
        await floor.close()

    async def test_f094_the_eleventh_in_a_minute_waits_and_leaves_within_five_seconds(self, guarded):
        await guarded.hold(accounts=11, is_of_one_user=True)
        await guarded.watch()
        await guarded.watched()

        guarded.move(STOP)
        await guarded.closed(10)
        await asyncio.sleep(0.5)
        waiting = await guarded.desk.rows("SELECT code FROM stop_claims WHERE status = 'blocked'")
        guarded.exchange.clock.forward(5)
        await guarded.closed(11)

        assert [one["code"] for one in waiting] == ["EXECUTION_RATE"]
        assert len(guarded.exits()) == 11


class TestJudgeTrigger:
    """The quartet of `stops.exit.judge_trigger`."""

    async def arrange(self, guarded):
        """Claim a stop with nobody there to send what follows; give how the claim is committed."""
        await guarded.hold()
        await guarded.stop_traders()
        floor, _, _ = await guarded.make_floor("claimer")
        await floor.market.read({(Venue.PAPER, "BTCUSDT")})
        [row] = await guarded.desk.rows("SELECT * FROM stops")
        now = guarded.exchange.clock()
        claims = Claims(floor, claimed_by="claimer")
        positions = await floor.store.books().lock_positions([row["position_id"]])
        guards = await floor.store.books().guards(list(positions.values()))
        one = reached(row["position_id"], source=Source.STREAM, now=now)
        facts = claims._facts([one], positions, guards, Taken())

        async def run(*, dies: bool = False):
            async with floor.store.transaction() as transaction:
                done = await floor.runner.advance_in(transaction, facts)
                if dies:
                    raise Died
                return done

        return run

    async def test_gives_the_exit(self, guarded):
        run = await self.arrange(guarded)

        done = [type(fact).__name__ for fact in await run()]

        assert done == ["StopTriggered", "ExitRequested", "OrderPlanned"]

    async def test_run_twice_gives_one_exit(self, guarded):
        run = await self.arrange(guarded)
        await run()

        with pytest.raises(asyncpg.UniqueViolationError):
            await run()

        assert await guarded.desk.facts("StopTriggered", "ExitRequested") == [
            "StopTriggered",
            "ExitRequested",
        ]

    async def test_failing_leaves_no_trace(self, guarded):
        run = await self.arrange(guarded)
        before = await guarded.desk.facts()

        with pytest.raises(Died):
            await run(dies=True)

        assert await guarded.desk.facts() == before

    async def test_killed_after_its_effect_the_exit_happens_once(self, guarded):
        run = await self.arrange(guarded)
        await run()

        guarded.exchange.clock.forward(10)  # what nobody sent is dead by now
        await guarded.desk.start_trader("trader-2")
        await guarded.closed()

        assert len(guarded.exchange.orders) == 2  # the entry and one exit


class TestDatabaseAway:
    """After two seconds the exit leaves from memory, under its own id, and is written down later."""

    async def test_a_reached_stop_is_exited_without_it_and_written_down_once(self, guarded, tmp_path):
        await guarded.hold()
        await guarded.watch(kept=tmp_path)
        await guarded.watched()
        guarded.exchange.stream_is_down = True  # the trader's database is the same one
        guarded.break_off()
        began = time.monotonic()

        guarded.move(STOP)
        async with asyncio.timeout(10):
            while not guarded.exits():
                await asyncio.sleep(0.02)
        waited = time.monotonic() - began
        left = (tmp_path / "memory_exits.monitor-1.jsonl").read_text()
        guarded.break_off(is_away=False)
        await guarded.desk.until("SELECT count(*) = 1 FROM stop_claims WHERE status = 'submitted'")
        await guarded.desk.until("SELECT count(*) = 1 FROM orders WHERE leg = 'exit' AND status = 'accepted'")
        await guarded.tell_last_fill()
        await guarded.closed()

        [claim] = await guarded.desk.rows("SELECT * FROM stop_claims")
        assert waited >= 2
        assert claim["token"] in left
        assert (claim["status"], claim["is_from_memory"]) == ("executed", True)
        assert len(guarded.exchange.orders) == 2  # the entry and one exit
        assert (tmp_path / "memory_exits.monitor-1.jsonl").read_text() == ""

    async def test_one_that_dies_before_it_is_back_leaves_a_word_of_it(self, guarded, tmp_path):
        await guarded.hold()
        await guarded.watch(kept=tmp_path)
        await guarded.watched()
        guarded.exchange.stream_is_down = True
        guarded.break_off()
        guarded.move(STOP)
        async with asyncio.timeout(10):
            while not guarded.exits():
                await asyncio.sleep(0.02)
        await guarded.kill_monitors()

        await guarded.watch("monitor-2", kept=tmp_path)
        await guarded.desk.until("SELECT count(*) = 1 FROM stop_claims WHERE is_from_memory")
        guarded.exchange.clock.forward(10)  # nobody heard the venue's answer: it is asked
        await guarded.closed()

        assert len(guarded.exchange.orders) == 2
        assert [one.name for one in tmp_path.iterdir()] == ["memory_exits.monitor-2.jsonl"]

    async def test_two_monitors_of_one_folder_keep_theirs_apart(self, guarded, tmp_path):
        """What one has kept is nobody else's while it lives; once it is gone, the next to start has it."""
        floor, _, _ = await guarded.make_floor("monitor-1")
        first = MemoryExits(floor, claimed_by="monitor-1", folder=tmp_path)
        second = MemoryExits(floor, claimed_by="monitor-2", folder=tmp_path)

        apart = sorted(one.name for one in tmp_path.iterdir())
        first.close()
        second.close()
        (tmp_path / "memory_exits.jsonl").write_text("cut off")
        third = MemoryExits(floor, claimed_by="monitor-3", folder=tmp_path)

        assert apart == ["memory_exits.monitor-1.jsonl", "memory_exits.monitor-2.jsonl"]
        assert [one.name for one in tmp_path.iterdir()] == ["memory_exits.monitor-3.jsonl"]
        third.close()
        await floor.close()

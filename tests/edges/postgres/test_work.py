"""Who acts is settled by leases, and what is to be done is found in the state by one trader at a time."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from pregao.domain.facts import OrderAccepted, SignalRepeated
from pregao.domain.order import Leg
from pregao.domain.signal import Action
from pregao.edges.postgres import work
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.work import (
    FROZEN_SECONDS,
    RENEW_SECONDS,
    Lease,
    Workers,
    claim_due_orders,
    claim_waiting_signals,
    explain_trades,
    peek_waiting_signals,
)
from pregao.views.health import LEASE_SECONDS
from tests.builders import BOT_ID, arrival, bot, configured, instruction, trade
from tests.rooms.orders.test_send import order


def now() -> datetime:
    return datetime.now(UTC)


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def expire(journal, table: str) -> None:
    await journal.pool.execute(f"UPDATE {table} SET lease_until = clock_timestamp() - interval '1 ms'")


async def waiting(journal, *, limit: int = 16) -> list[UUID]:
    return [one.signal_id for one in await peek_waiting_signals(journal.pool, limit=limit)]


class TestWorkers:
    async def test_renew_a_lease_that_stands(self, journal):
        workers = Workers(journal.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")

        assert await workers.renew(lease) is True

    async def test_refuse_to_renew_what_has_run_out(self, journal):
        """Whoever was frozen beyond his lease must stop acting, even if nobody took his place."""
        workers = Workers(journal.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")
        await expire(journal, "workers")

        assert await workers.renew(lease) is False

    async def test_tell_who_was_frozen_that_his_lease_is_lost_though_his_pool_hangs(self, journal, database):
        """Asked over the pool he would wait for connections that are not given back, and act on meanwhile."""
        own = await open_journal(database, connections_max=1)
        workers = Workers(own.pool)
        lease = await workers.enter(worker_id="trader-1", role="trader")
        held = await own.pool.acquire()
        await expire(journal, "workers")

        async with asyncio.timeout(30):
            await workers.renew_until_lost(lease)

        await own.pool.release(held)
        await own.pool.close()

    async def test_tell_who_was_frozen_that_his_lease_is_lost_though_nobody_answers(self, journal):
        """A step that took as long as no step takes: its lease has run out, whatever the database would say."""
        workers = Workers(journal.pool, monotonic=itertools.count(step=LEASE_SECONDS).__next__)
        lease = await workers.enter(worker_id="trader-1", role="trader")

        async with asyncio.timeout(30):
            await workers.renew_until_lost(lease)

        assert await workers.renew(lease) is True  # nobody was asked

    async def test_let_nobody_go_because_the_database_is_away(self):
        """Whoever guards from memory meanwhile stays on duty: each step took no longer than it may."""
        asked = []

        class Away:
            async def connect_alone(self):
                asked.append(1)
                raise ConnectionRefusedError

        workers = Workers(Away(), monotonic=itertools.count(step=FROZEN_SECONDS).__next__)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS + 2.0):
                await workers.renew_until_lost(Lease(worker_id="monitor-1", lease_epoch=1))
        assert len(asked) * 2 * FROZEN_SECONDS > LEASE_SECONDS

    async def test_refuse_to_renew_an_older_life_of_the_same_name(self, journal):
        workers = Workers(journal.pool)
        first = await workers.enter(worker_id="trader-1", role="trader")
        second = await workers.enter(worker_id="trader-1", role="trader")

        assert (await workers.renew(first), await workers.renew(second)) == (False, True)
        assert second.lease_epoch > first.lease_epoch

    async def test_pass_a_named_lease_on_only_when_it_has_run_out(self, journal):
        workers = Workers(journal.pool)
        one = await workers.enter(worker_id="trader-1", role="trader")
        other = await workers.enter(worker_id="trader-2", role="trader")

        held_by_one = [await workers.hold("stream-1", one), await workers.hold("stream-1", other)]
        await expire(journal, "leases")
        taken_over = [await workers.hold("stream-1", other), await workers.hold("stream-1", one)]

        assert held_by_one == [True, False]
        assert taken_over == [True, False]

    async def test_give_everything_up_on_the_way_out(self, journal):
        workers = Workers(journal.pool)
        one = await workers.enter(worker_id="trader-1", role="trader")
        other = await workers.enter(worker_id="trader-2", role="trader")
        await workers.hold("stream-1", one)

        await workers.leave(one)

        assert await workers.hold("stream-1", other) is True
        assert await workers.renew(one) is False


class TestClaimWaitingSignals:
    async def test_never_gives_two_traders_the_same_signal(self, journal):
        await put(journal, configured())
        for _ in range(6):
            await put(journal, arrival(instruction(), now=now()))

        async with journal.transaction() as one, journal.transaction() as other:
            seen = await waiting(journal)
            first, second = await asyncio.gather(
                claim_waiting_signals(one.connection, seen), claim_waiting_signals(other.connection, seen)
            )

        claimed = [fact.signal_id for fact in (*first, *second)]
        assert len(claimed) == len(set(claimed)) == 6

    async def test_gives_the_oldest_first(self, journal):
        await put(journal, configured())
        ids = [UUID(int=9 - number) for number in range(3)]
        for age, signal_id in enumerate(ids):
            await put(
                journal, arrival(instruction(), signal_id=signal_id, now=now() - timedelta(seconds=9 - age))
            )

        async with journal.transaction() as transaction:
            claimed = await claim_waiting_signals(transaction.connection, await waiting(journal, limit=2))

        assert [fact.signal_id for fact in claimed] == ids[:2]

    @pytest.mark.parametrize("held_by", ["another trader", "its own resend"])
    async def test_lets_no_signal_of_a_bot_overtake_another(self, journal, held_by):
        """A close that was planned before the entry it means would find nothing, and the entry would stay."""
        other_bot = bot(bot_id=UUID(int=8), webhook_path="another-bot-of-mine")
        await put(journal, configured(bots=[bot(), other_bot]))
        entry, close, elsewhere = (
            arrival(instruction(action), now=now() + timedelta(seconds=number), bot_id=bot_id)
            for number, (action, bot_id) in enumerate(
                [(Action.ENTER, BOT_ID), (Action.CLOSE, BOT_ID), (Action.ENTER, other_bot.bot_id)]
            )
        )
        for facts in (entry, close, elsewhere):
            await put(journal, facts)
        seen = await waiting(journal)

        async with journal.transaction() as one, journal.transaction() as other:
            if held_by == "another trader":
                await claim_waiting_signals(one.connection, seen[:1])
            else:
                await one.append([SignalRepeated(happened_at=now(), signal_id=seen[0], source_address="")])
            passed_on = await claim_waiting_signals(other.connection, seen)

        assert [fact.signal_id for fact in passed_on] == [elsewhere[0].signal_id]

    async def test_gives_a_signal_again_when_its_trader_died(self, journal):
        await put(journal, configured())
        await put(journal, arrival(instruction(), now=now()))

        async def claim_and_die() -> None:
            async with journal.transaction() as dying:
                assert len(await claim_waiting_signals(dying.connection, await waiting(journal))) == 1
                await journal.pool.execute(
                    "SELECT pg_terminate_backend($1)", dying.connection.get_server_pid()
                )
                await dying.connection.execute("SELECT 1")

        with pytest.raises(AWAY):
            await claim_and_die()

        async with journal.transaction() as transaction:
            assert len(await claim_waiting_signals(transaction.connection, await waiting(journal))) == 1


class TestClaimDueOrders:
    async def test_gives_an_order_to_one_trader_and_puts_its_next_question_off(self, journal):
        await put(journal, [*configured(), order(happened_at=now() - timedelta(seconds=8))])

        async with journal.transaction() as one, journal.transaction() as other:
            first, second = await asyncio.gather(
                claim_due_orders(one.connection, limit=5), claim_due_orders(other.connection, limit=5)
            )
        again = await claim_due_orders(journal.pool, limit=5)

        assert [len(first) + len(second), len(again)] == [1, 0]

    async def test_leaves_an_order_that_is_being_sent_to_its_sender(self, journal):
        """Nobody asks before the venue must have answered: the receive window and a margin."""
        await put(journal, [*configured(), order(happened_at=now() - timedelta(seconds=5))])

        assert await claim_due_orders(journal.pool, limit=5) == []

    @pytest.mark.parametrize(("leg", "is_asked_sooner"), [(Leg.ENTRY, True), (Leg.EXIT, False)])
    async def test_asks_about_what_a_silent_sender_may_have_sent_before_its_answer_is_due(
        self, journal, leg, is_asked_sooner
    ):
        """It may have filled, and nothing guards it; that an exit never left is known no sooner for that."""
        planned = order(leg=leg, happened_at=now() - timedelta(seconds=2))
        await put(journal, [*configured(), planned])
        workers = work.Workers(journal.pool)
        lease = await workers.enter(worker_id=planned.owner, role="trader")
        assert await claim_due_orders(journal.pool, limit=5) == []
        due_at = await journal.pool.fetchval("SELECT check_at FROM orders")

        await journal.pool.execute(
            "UPDATE workers SET lease_until = clock_timestamp() + interval '6.5 seconds' WHERE worker_id = $1",
            lease.worker_id,
        )

        assert [one.order_id for one in await claim_due_orders(journal.pool, limit=5)] == [planned.order_id]
        assert await claim_due_orders(journal.pool, limit=5) == []
        asked_at = await journal.pool.fetchval("SELECT check_at FROM orders")
        assert (asked_at < due_at) is is_asked_sooner

    @pytest.mark.parametrize(
        ("leg", "pauses"),
        [(Leg.ENTRY, (1, 2, 4, 8, 15, 30, 30)), (Leg.EXIT, (1.5, 4, 2, 2, 2, 4, 8, 15, 30, 30))],
    )
    async def test_asks_ever_more_slowly_about_an_exit_as_soon_as_its_window_has_closed(
        self, journal, leg, pauses
    ):
        """What an exit was to close stands open meanwhile: one second, and six and a half, after it left."""
        await put(journal, [*configured(), order(leg=leg, happened_at=now() - timedelta(hours=1))])

        for seconds in pauses:
            before = await journal.pool.fetchval(
                "UPDATE orders SET check_at = clock_timestamp() RETURNING check_at"
            )
            [claimed] = await claim_due_orders(journal.pool, limit=5)
            due_at, after = await journal.pool.fetchrow("SELECT check_at, clock_timestamp() FROM orders")

            assert claimed.leg is leg
            assert before <= due_at - timedelta(seconds=seconds) <= after

    @pytest.mark.parametrize("news", ["another attempt", "it was accepted"])
    async def test_asks_quickly_again_when_there_is_something_new_to_ask(self, journal, news):
        """A venue's read that lags would else be followed by half a minute in which nobody knows what filled."""
        long_ago = now() - timedelta(hours=1)
        planned = order(happened_at=long_ago)
        await put(journal, [*configured(), planned])
        for _ in range(6):
            await journal.pool.execute("UPDATE orders SET check_at = clock_timestamp()")
            await claim_due_orders(journal.pool, limit=5)

        again = replace(planned, attempt=2, client_order_id=planned.order_id + "2")
        accepted = OrderAccepted(
            happened_at=long_ago,
            order_id=planned.order_id,
            attempt=1,
            exchange_order_id="77",
            sent_at=long_ago,
            acknowledged_at=long_ago,
        )
        await put(journal, [again if news == "another attempt" else accepted])
        [claimed] = await claim_due_orders(journal.pool, limit=5)

        assert claimed.checks == 0
        pause = await journal.pool.fetchval("SELECT check_at - clock_timestamp() FROM orders")
        assert pause <= timedelta(seconds=1)

    async def test_asks_every_second_at_first_whether_an_accepted_entry_has_filled(self, journal):
        """A market order fills at once; it stands open until a read that lags no more shows it."""
        await put(journal, [*configured(), order(happened_at=now() - timedelta(hours=1))])
        await journal.pool.execute("UPDATE orders SET status = 'accepted'")

        pauses = []
        for _ in range(4):
            await journal.pool.execute("UPDATE orders SET check_at = clock_timestamp()")
            await claim_due_orders(journal.pool, limit=5)
            pauses.append(
                await journal.pool.fetchval(
                    "SELECT round(extract(epoch FROM check_at - now()))::int FROM orders"
                )
            )

        assert pauses == [1, 1, 1, 2]


class TestPositionsLive:
    async def test_allow_one_live_position_per_account_symbol_and_side(self, journal):
        """F052: whatever the code thinks, the database has room for one."""
        await put(journal, [*configured(), order()])
        second = replace(
            order(), order_id="p" + "b" * 26, client_order_id="p" + "b" * 26 + "1", position_id=10
        )

        with pytest.raises(asyncpg.UniqueViolationError, match="positions_live"):
            await put(journal, [second])


class TestOpenAttempts:
    async def test_say_where_an_order_stands_while_it_may_be_tried_again(self, journal):
        await put(journal, [*configured(), order()])

        async with journal.transaction() as transaction:
            books = PostgresBooks(transaction.connection)
            standing = await books.open_attempts([order().order_id, "p" + "z" * 26])
            await transaction.connection.execute("UPDATE orders SET status = 'rejected'")
            ended = await books.open_attempts([order().order_id])

        assert standing == {order().order_id: 1}
        assert ended == {order().order_id: None}


class TestExplainTrades:
    async def explained(self, journal, **changes):
        told = trade(client_order_id="", exchange_order_id="77")
        await put(journal, [*configured(), order()])
        if changes:
            names = ", ".join(f"{name} = ${place}" for place, name in enumerate(changes, 1))
            await journal.pool.execute(f"UPDATE orders SET {names}", *changes.values())
        found, may_be_ours = await explain_trades(journal.pool, account_id=1, symbol="BTCUSDT", trades=[told])
        return [one.client_order_id for one in found], may_be_ours

    async def test_names_the_order_that_the_venue_s_id_belongs_to(self, journal):
        told = await self.explained(journal, exchange_order_id="77", status="accepted")

        assert told == ([order().client_order_id], False)

    async def test_leaves_out_what_may_belong_to_an_order_not_acknowledged_yet(self, journal):
        """Booked as foreign it would be wrong for ever; asked about, the order tells it itself."""
        assert await self.explained(journal) == ([], True)

    async def test_says_what_is_certainly_not_ours(self, journal):
        assert await self.explained(journal, exchange_order_id="5", status="filled") == ([], False)


class TestHeldQuantity:
    async def test_is_nothing_while_the_entry_is_on_its_way(self, journal):
        await put(journal, [*configured(), order()])

        assert await PostgresBooks(journal.pool).held_quantity(account_id=1, symbol="BTCUSDT") == Decimal(0)

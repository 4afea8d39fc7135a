"""
The contract of whoever keeps the desk's books: after the same facts, the same rows and the same answers.

PostgreSQL keeps them, and so does memory, with folds and answers of its own: what one of the two gets wrong shows.
"""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from pregao.domain import facts
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.checks import mark_forgotten
from pregao.edges.postgres.store import PostgresStore
from pregao.simulation.desk.books import MemoryBooks
from pregao.simulation.desk.folds.registry import FOLDS
from pregao.simulation.desk.journal import MemoryJournal
from pregao.simulation.desk.state import BrokenRuleError
from pregao.simulation.desk.store import MemoryStore
from tests.builders import BOT_ID, NOON, closed, configured, held
from tests.contracts.book_stories import (
    Story,
    answers,
    comparable,
    desk,
    found_work,
    rows_in_memory,
    rows_in_postgres,
)
from tests.rooms.orders.test_send import order

BATCHES = 200
COMPARED_EVERY = 20
FORGOTTEN_AFTER, KNOWN_AFTER = 90, 150
OLDER, NEWER = UUID(int=500), UUID(int=501)
NOT_FOLDED = {
    "DeliveryTurnedAway", "ActionTaken", "ForwardBegun", "ForwardAnswered", "ForwardLimitSet", "HistoryImported", "ForeignCancelAsked", "ForeignCancelTold", "FlattenStarted", "FlattenAccountSeen", "FlattenEnded",
    "FillReported", "ExitRequested", "EntryRequested", "ProtectionReported", "StopUnusable", "PositionUnguarded",
    "PositionGuarded",
    "StrategyConfigured", "StrategyDeployed", "StrategyForgotten", "ScreenerPaused", "BuyReprocessed",
    "RetentionSet", "SecondFactorDemanded", "PastForgotten", "HealthAlarmed", "MetricsReset", "DatabaseCleared", "BookedByHand", "SellListConfigured",
    "LabRunAsked", "LabRunEnded",
    "AlertRaised", "AlertAcknowledged", "AlertsMuted", "AlertsUnmuted", "ChannelConfigured", "ChannelForgotten", "AlertLevelSet",
}  # fmt: skip
"""Memory knows no people and what they are told, no jobs that sell out, no strategies that feed bots, and of the screener only its list; others change no state in PostgreSQL either."""


async def put(journal, batch) -> bool:
    """Say whether the facts were taken."""
    try:
        async with journal.transaction() as transaction:
            await transaction.append(batch)
    except (asyncpg.IntegrityConstraintViolationError, BrokenRuleError):
        return False
    return True


def ended(order_id: str, *, signal_id: UUID) -> facts.OrderEnded:
    return facts.OrderEnded(
        happened_at=NOON,
        order_id=order_id,
        signal_id=signal_id,
        position_id=1,
        status=OrderStatus.EXPIRED,
        ended_at=NOON,
    )


def store_over(journal, memory, *, kept_by: str):
    """Give what keeps the facts, and the store that answers from them."""
    if kept_by == "PostgreSQL":
        return journal, PostgresStore(journal)
    return memory, MemoryStore(memory, clock=lambda: datetime.now(UTC))


async def compare(journal, memory, *, now) -> None:
    there = rows_in_memory(memory.state)
    kept = comparable(await rows_in_postgres(journal.pool, there))
    for table, rows in comparable(there).items():
        assert [row for row in kept[table] if row not in rows] == [
            row for row in rows if row not in kept[table]
        ]
        assert len(kept[table]) == len(rows)
    books = MemoryBooks(lambda: memory.state, take_ids=range)
    async with journal.transaction() as transaction:
        told = await answers(PostgresBooks(transaction.connection), now=now)
    known = await answers(books, now=now)
    told |= await found_work(PostgresStore(journal), now=now)
    known |= await found_work(MemoryStore(memory, clock=lambda: datetime.now(UTC)), now=now)
    assert {name: told[name] for name in told if told[name] != known[name]} == {
        name: known[name] for name in known if told[name] != known[name]
    }


class TestBooks:
    @pytest.mark.parametrize("seed", range(8))
    async def test_hold_the_same_rows_and_give_the_same_answers_after_the_same_facts(self, journal, seed):
        memory = MemoryJournal()
        story = Story(seed, read=lambda: memory.state)
        for one in (journal, memory):
            await put(one, desk())

        taken = 0
        for number in range(BATCHES):
            batch = story.batch()
            is_taken = await put(journal, batch)
            assert await put(memory, batch) is is_taken, batch
            taken += is_taken
            if seed % 2 and number == FORGOTTEN_AFTER:
                await mark_forgotten(journal.pool)
                await MemoryStore(memory, clock=lambda: datetime.now(UTC)).mark_forgotten()
            if seed % 2 and number == KNOWN_AFTER:
                for store in (PostgresStore(journal), MemoryStore(memory, clock=lambda: datetime.now(UTC))):
                    assert not await store.mark_reconciled(1), "entries wait until it was compared, too"
            if number % COMPARED_EVERY == COMPARED_EVERY - 1:
                await compare(journal, memory, now=story.now)

        assert taken > BATCHES / 2

    def test_fold_every_fact_that_the_loops_ask_about(self):
        assert {kind.__name__ for kind in FOLDS} | NOT_FOLDED == set(facts.FACTS)

    async def test_leave_no_trace_of_a_transaction_that_fails(self):
        memory = MemoryJournal()
        with contextlib.suppress(LookupError):
            async with memory.transaction() as transaction:
                await transaction.append(desk())
                raise LookupError

        assert memory.state.bots == {}
        assert memory.state.journal == []

    async def test_leave_no_trace_of_a_savepoint_that_fails(self):
        memory = MemoryJournal()
        async with memory.transaction() as transaction:
            await transaction.append(desk()[:1])
            with contextlib.suppress(LookupError):
                async with transaction.savepoint():
                    await transaction.append(desk()[1:])
                    raise LookupError

        assert len(memory.state.journal) == 1


class TestAnExitThatAStopHasOvertaken:
    """
    Design 4: no entry while an exit may still trade.

    A venue's own stop may close a position while an exit of it is late at that venue: reduce-only, it would sell out of
    the position that comes next.
    """

    def facts(self):
        """An exit is planned, and an entry waits for it; then the position is closed by something else."""
        opened = replace(held(), signal_id=OLDER)
        out = {
            "position_id": 1,
            "leg": Leg.EXIT,
            "side": Side.SELL,
            "reduce_only": True,
            "margin_usd": None,
            "send_before": None,
        }
        return [
            *configured(),
            order(signal_id=OLDER, order_id="in", position_id=1),
            facts.PositionChanged(happened_at=NOON, position=opened),
            ended("in", signal_id=OLDER),
            order(signal_id=NEWER, order_id="out", client_order_id="out1", **out),
            facts.OrderDeferred(
                happened_at=NOON, order_id="next", signal_id=NEWER, bot_id=BOT_ID,
                subscription_id=opened.subscription_id, account_id=1, symbol="BTCUSDT", position_id=1, leg=Leg.ENTRY,
                side=Side.SELL, send_before=datetime.now(UTC) + timedelta(hours=1), reason="",
            ),
            facts.PositionChanged(happened_at=NOON, position=closed(opened)),
        ]  # fmt: skip

    async def look(self, books, store):
        met = await books.obstacles({NEWER: "BTCUSDT", OLDER: "ETHUSDT"}, account_ids=[1])
        turns = await store.peek_waiting_entries(limit=10)
        return met[NEWER].leaving, met[OLDER].leaving, [one.order_id for _, one in turns]

    @pytest.mark.parametrize("kept_by", ["PostgreSQL", "memory"])
    async def test_keeps_entries_waiting_until_it_ends(self, journal, kept_by):
        where, store = store_over(journal, MemoryJournal(), kept_by=kept_by)
        assert await put(where, self.facts())

        before = await self.look(store.books(), store)
        await put(where, [ended("out", signal_id=NEWER)])

        assert before == ({(1, PositionSide.BOTH): 1}, {}, [])
        assert await self.look(store.books(), store) == ({}, {}, ["next"])


class TestAnAddThatAStopHasOvertaken:
    """
    Design 4 and F055: nothing else takes the place of what an order that is in doubt may open again.

    A position is added to, nobody knows whether the venue took it, and its stop closes what it held before.
    """

    def facts(self):
        opened = replace(held(), signal_id=OLDER)
        return [
            *configured(),
            order(signal_id=OLDER, order_id="in", position_id=1),
            facts.PositionChanged(happened_at=NOON, position=opened),
            ended("in", signal_id=OLDER),
            order(signal_id=NEWER, order_id="add", client_order_id="add1", position_id=1),
            facts.OrderDeferred(
                happened_at=NOON, order_id="next", signal_id=NEWER, bot_id=BOT_ID,
                subscription_id=opened.subscription_id, account_id=1, symbol="BTCUSDT", position_id=1, leg=Leg.ENTRY,
                side=Side.BUY, send_before=datetime.now(UTC) + timedelta(hours=1), reason="",
            ),
            facts.PositionChanged(happened_at=NOON, position=closed(opened)),
        ]  # fmt: skip

    async def look(self, books, store):
        one = held().subscription_id
        met = await books.obstacles({NEWER: "BTCUSDT"}, account_ids=[1])
        used = await books.usage(
            BOT_ID, subscription_ids=[one], symbols=["BTCUSDT"], day=NOON.date(), is_counted=True
        )
        places = {
            used.of_bot.positions,
            used.of_bot_on["BTCUSDT"].positions if used.of_bot_on else 0,
            used.of_subscriptions[one].positions if used.of_subscriptions else 0,
            used.of_subscriptions_on[one, "BTCUSDT"].positions if used.of_subscriptions_on else 0,
        }
        turns = await store.peek_waiting_entries(limit=10)
        asked = [
            symbol for _, symbol, _ in await store.held_symbols(1)
        ]  # whose trades tell what became of it
        return met[NEWER].leaving, places, [one.order_id for _, one in turns], asked

    @pytest.mark.parametrize("kept_by", ["PostgreSQL", "memory"])
    async def test_keeps_its_place_until_it_is_known(self, journal, kept_by):
        where, store = store_over(journal, MemoryJournal(), kept_by=kept_by)
        assert await put(where, self.facts())

        before = await self.look(store.books(), store)
        await put(where, [ended("add", signal_id=NEWER)])

        assert before == ({(1, PositionSide.BOTH): 1}, {1}, [], ["BTCUSDT"])
        assert await self.look(store.books(), store) == ({}, {0}, ["next"], [])

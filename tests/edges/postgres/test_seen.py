"""What a transaction has read it reads again only when it may have changed: by its own facts, or with its locks gone."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from pregao.domain.facts import (
    BotConfigured,
    BotForgotten,
    DatabaseCleared,
    ExitRequested,
    FillBooked,
    GuardrailBlocked,
    OrderPlanned,
    PositionChanged,
    SignalPlanned,
    StopRaised,
    StopTriggered,
    TradingStateSet,
)
from pregao.domain.level import TriggerKind
from pregao.domain.stop import Source, Trigger, claim
from pregao.domain.trading_state import TradingStates
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.seen import LEAVES_IT, Seen
from pregao.stops.claims import triggered
from tests.builders import (
    BOT_ID,
    NOON,
    account,
    armed,
    bot,
    configured,
    held,
    line_planned,
    stop_armed,
)
from tests.rooms.orders.test_send import order


def filled() -> Seen:
    return Seen(locked={1: held()}, accounts={1: account(1)}, bots={BOT_ID: bot()}, states=TradingStates([]))


def fact(kind):
    return kind.__new__(kind)  # only its kind counts


class TestSeen:
    @pytest.mark.parametrize("kind", sorted(LEAVES_IT, key=str))
    def test_is_kept_from_the_claim_of_a_level_to_its_exit(self, kind):
        seen = filled()

        seen.after([fact(kind)])

        assert (set(seen.locked), set(seen.accounts), seen.states is not None) == ({1}, {1}, True)

    @pytest.mark.parametrize("kind", [FillBooked, PositionChanged, OrderPlanned])
    def test_rows_are_forgotten_with_what_may_change_them(self, kind):
        seen = filled()

        seen.after([fact(ExitRequested), fact(kind)])

        assert (seen.locked, seen.accounts) == ({}, {})
        assert (set(seen.bots), seen.states is not None) == ({BOT_ID}, True)  # no order changes these

    @pytest.mark.parametrize("kind", [TradingStateSet, BotConfigured, BotForgotten, DatabaseCleared])
    def test_all_is_forgotten_when_the_desk_is_set_up_otherwise(self, kind):
        seen = filled()

        seen.after([fact(OrderPlanned), fact(kind)])

        assert (seen.locked, seen.accounts, seen.bots, seen.states) == ({}, {}, {}, None)

    def test_a_signal_is_begun_with_its_first_part(self):
        signal_id = uuid4()
        seen = Seen(unplanned={signal_id})

        seen.after(
            [SignalPlanned(happened_at=NOON, signal_id=signal_id, bot_id=BOT_ID, accounts=1, orders=1)]
        )

        assert seen.unplanned == set()


def claim_of(armed, *, kind=TriggerKind.STOP, number=0, level="93296") -> StopTriggered:
    trigger = Trigger(
        kind=kind, number=number, level=Decimal(level), price=Decimal(level), version=armed.stop.version
    )
    claimed = claim(armed.stop, trigger)
    return triggered(
        replace(armed, stop=claimed.stop),
        claimed.trigger,
        token=claimed.token,
        source=Source.STREAM,
        claimed_by="monitor-1",
        now=NOON,
    )


class TestScene:
    """What exits are judged by is read once, before the claim; it must stand as the database has it after."""

    async def test_stands_after_a_claim_as_it_would_be_read(self, journal):
        entry = order(subscription_id=UUID(int=11), position_id=1)
        one = armed(1)
        async with journal.transaction() as transaction:
            await transaction.append([*configured(), entry, stop_armed(one), line_planned(one)])

        async with journal.transaction() as transaction:
            books = PostgresBooks(transaction.connection, transaction=transaction)
            held = [*(await books.lock_positions([1])).values()]
            before = await books.exit_scene(held, since=NOON)
            target = claim_of(one, kind=TriggerKind.TARGET, number=1, level="99960")
            await transaction.append([target])
            await transaction.append([claim_of(replace(one, stop=target.stop))])

            after = await books.exit_scene(held, since=NOON)
            read = await PostgresBooks(transaction.connection).exit_scene(held, since=NOON)

        assert len(before.guards[1].claims) == 0
        assert len(after.guards[1].claims) == 2
        assert after.guards == read.guards

    @pytest.mark.parametrize("kind", [StopRaised, GuardrailBlocked, OrderPlanned, FillBooked])
    async def test_is_read_anew_after_anything_else(self, kind):
        seen = Seen(scene=object(), staged=frozenset({1}))

        seen.after([fact(ExitRequested)])
        assert seen.scene is not None
        seen.after([fact(kind)])

        assert seen.scene is None

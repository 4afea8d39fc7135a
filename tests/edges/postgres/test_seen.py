"""What a transaction has read it reads again only when it may have changed: by its own facts, or with its locks gone."""

from uuid import uuid4

import pytest

from pregao.domain.facts import (
    BotConfigured,
    BotForgotten,
    DatabaseCleared,
    ExitRequested,
    FillBooked,
    OrderPlanned,
    PositionChanged,
    SignalPlanned,
    TradingStateSet,
)
from pregao.domain.trading_state import TradingStates
from pregao.edges.postgres.seen import LEAVES_IT, Seen
from tests.builders import BOT_ID, NOON, account, bot, held


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

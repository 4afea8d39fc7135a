"""What a transaction has read it reads again only when it may have changed: by its own facts, or with its locks gone."""

import pytest

from pregao.domain.facts import ExitRequested, FillBooked, OrderPlanned, PositionChanged, TradingStateSet
from pregao.domain.trading_state import TradingStates
from pregao.edges.postgres.seen import LEAVES_IT, Seen
from tests.builders import account, held


def filled() -> Seen:
    return Seen(locked={1: held()}, accounts={1: account(1)}, states=TradingStates([]))


def fact(kind):
    return kind.__new__(kind)  # only its kind counts


class TestSeen:
    @pytest.mark.parametrize("kind", sorted(LEAVES_IT, key=str))
    def test_is_kept_from_the_claim_of_a_level_to_its_exit(self, kind):
        seen = filled()

        seen.after([fact(kind)])

        assert (set(seen.locked), set(seen.accounts), seen.states is not None) == ({1}, {1}, True)

    @pytest.mark.parametrize("kind", [FillBooked, PositionChanged, OrderPlanned, TradingStateSet])
    def test_is_forgotten_with_what_may_change_it(self, kind):
        seen = filled()

        seen.after([fact(ExitRequested), fact(kind)])

        assert (seen.locked, seen.accounts, seen.states) == ({}, {}, None)

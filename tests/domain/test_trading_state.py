"""The strictest state of all that apply counts."""

from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.trading_state import (
    ALL_ACTIVE,
    DESK,
    TradingState,
    TradingStates,
    scope_of_account,
    scope_of_bot,
    scope_of_symbol,
    scope_of_user,
    scopes_of,
)
from tests.builders import BOT_ID, scope_state

USER = UUID(int=7)
HERE = {"user_id": USER, "account_id": 1, "bot_id": BOT_ID, "venue": Venue.PAPER, "symbol": "BTCUSDT"}
LEVELS = [
    DESK,
    scope_of_user(USER),
    scope_of_account(1),
    scope_of_bot(BOT_ID),
    scope_of_symbol(Venue.PAPER, "BTCUSDT"),
]
ELSEWHERE = [
    scope_of_user(UUID(int=8)), scope_of_account(2), scope_of_bot(UUID(int=9)),
    scope_of_symbol(Venue.PAPER, "ETHUSDT"), scope_of_symbol(Venue.BINANCE, "BTCUSDT"),
]  # fmt: skip


class TestTradingStates:
    def test_are_active_until_one_is_set(self):
        assert not ALL_ACTIVE
        assert ALL_ACTIVE.strictest(scopes_of(**HERE)) is None

    @pytest.mark.parametrize("scope", LEVELS, ids=lambda scope: scope.level)
    def test_f092_apply_at_every_level(self, scope):
        states = TradingStates([scope_state(scope)])

        assert states.strictest(scopes_of(**HERE)).scope == scope

    @pytest.mark.parametrize("scope", ELSEWHERE, ids=lambda scope: f"{scope.level}-{scope.subject}")
    def test_f092_do_not_apply_elsewhere(self, scope):
        states = TradingStates([scope_state(scope)])

        assert states.strictest(scopes_of(**HERE)) is None

    @pytest.mark.parametrize("strict", LEVELS, ids=lambda scope: scope.level)
    def test_the_strictest_counts_wherever_it_stands(self, strict):
        others = [scope_state(scope, state=TradingState.REDUCING) for scope in LEVELS if scope != strict]
        states = TradingStates([*others, scope_state(strict)])

        assert states.strictest(scopes_of(**HERE)).scope == strict

    def test_what_was_resumed_is_nothing(self):
        assert not TradingStates([scope_state(DESK, state=TradingState.ACTIVE)])

    def test_exits_are_blocked_where_any_that_applies_says_so(self):
        desk = scope_state(DESK)
        blocking = scope_state(scope_of_account(1), block_exits=True)
        states = TradingStates([desk, blocking])

        assert states.blocking_exits(scopes_of(**HERE)) == blocking
        assert states.blocking_exits(scopes_of(**{**HERE, "account_id": 2})) is None

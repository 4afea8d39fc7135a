"""Checks bind entries only, and say what they looked at."""

from decimal import Decimal
from uuid import UUID

import pytest

from pregao.decisions.checks import ENTRY_CHECKS
from pregao.decisions.decide import decide
from pregao.domain.bot import BotStatus, Directions
from pregao.domain.facts import DecisionApproved, DecisionDeclined, SignalAccepted
from pregao.domain.order import Side
from pregao.domain.signal import Action
from tests.builders import BOT_ID, NOON, bot, instruction
from tests.rooms.fakes import books


async def decided(asked, **bot_changes):
    accepted = SignalAccepted(happened_at=NOON, signal_id=UUID(int=500), bot_id=BOT_ID, instruction=asked)
    [fact] = await decide([accepted], bots=books(bots=[bot(**bot_changes)]), now=NOON)
    return fact


class TestDecide:
    async def test_approves_with_the_verdict_of_every_check(self):
        fact = await decided(instruction())

        assert isinstance(fact, DecisionApproved)
        assert len(fact.verdicts) == len(ENTRY_CHECKS)
        assert all(verdict.passed for verdict in fact.verdicts)

    @pytest.mark.parametrize(
        ("changes", "side", "code", "reason"),
        [
            ({"status": BotStatus.PAUSED}, Side.BUY, "BOT_STATUS_DECLINED", "status=paused"),
            ({"status": BotStatus.ARCHIVED}, Side.BUY, "BOT_STATUS_DECLINED", "status=archived"),
            (
                {"allowed_directions": Directions.SELL_ONLY}, Side.BUY,
                "DIRECTION_DECLINED", "side=buy allowed_directions=sell_only",
            ),
            (
                {"allowed_directions": Directions.BUY_ONLY}, Side.SELL,
                "DIRECTION_DECLINED", "side=sell allowed_directions=buy_only",
            ),
            (
                {"trading_symbol": "ETHUSDT"}, Side.BUY,
                "SYMBOL_DECLINED", "symbol=BTCUSDT trading_symbol=ETHUSDT",
            ),
        ],
    )  # fmt: skip
    async def test_declines_with_the_numbers_of_the_check_that_failed(self, changes, side, code, reason):
        fact = await decided(instruction(side=side), **changes)

        assert isinstance(fact, DecisionDeclined)
        assert (fact.code, fact.reason) == (code, reason)
        assert [verdict.passed for verdict in fact.verdicts].count(False) >= 1

    @pytest.mark.parametrize("action", [Action.CLOSE, Action.CLOSE_ALL])
    async def test_never_checks_a_close(self, action):
        """A limit must not keep anybody in a position (B2.3 of the source systems did)."""
        fact = await decided(
            instruction(action, share=Decimal("0.5")),
            status=BotStatus.PAUSED, allowed_directions=Directions.BUY_ONLY, trading_symbol="ETHUSDT",
        )  # fmt: skip

        assert (type(fact), fact.verdicts) == (DecisionApproved, ())

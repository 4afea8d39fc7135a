"""A yes is settled in time, by every check once more, at about the same price; or it is no yes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.decisions.approve import SEND_SECONDS, price_about_the_same, settle_approval
from pregao.decisions.checks import ENTRY_CHECKS
from pregao.decisions.ports import NOTHING_DONE, NewerSignal, Record
from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus, Directions
from pregao.domain.facts import DecisionApproved, DecisionDeclined, Verdict
from pregao.domain.market import Market
from pregao.domain.order import Side
from pregao.domain.signal import Action
from tests.builders import BOT_ID, NOON, answered, bot, instruction
from tests.properties import quick
from tests.rooms.fakes import books, market

FOUR_MINUTES = NOON + timedelta(minutes=4)
BEFORE = (Verdict(check="SYMBOL", passed=True, numbers={"symbol": "BTCUSDT"}),)


async def settled(
    answer, *, record=NOTHING_DONE, newer=None, now=FOUR_MINUTES, seen=None, price="95200", **bot_changes
):
    desk = books()
    desk.bots, desk.record = {BOT_ID: bot(**bot_changes)}, record
    desk.newer_against = {answer.signal_id: newer} if newer else {}
    seen = seen or market(price=Decimal(price), now=now)
    [fact] = await settle_approval([answer], bots=desk, market=seen, now=now)
    return fact


def said(**changes):
    """Give what a person said four minutes later to a signal of noon."""
    return answered(changes.pop("asked", None) or instruction(), at=FOUR_MINUTES, **changes)


class TestSettleApproval:
    async def test_approves_with_every_check_once_more_and_the_price(self):
        fact = await settled(said(), price="95700")

        assert isinstance(fact, DecisionApproved)
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 3
        assert fact.verdicts[-2] == Verdict(
            check="NEWER_SIGNAL", passed=True, numbers={"newer_signal": "none"}
        )
        assert fact.verdicts[-1] == Verdict(
            check="PRICE_MOVE",
            passed=True,
            numbers={
                "price_then": "95200",
                "price_now": "95700",
                "approval_price_move_pct": "1",
                "moved_pct": "0.5252",
            },
        )

    async def test_counts_the_entrys_age_from_the_yes(self):
        """The signal is four minutes old; that a person took them is no reason against it."""
        fact = await settled(said())

        assert fact.instruction.send_before == FOUR_MINUTES + timedelta(seconds=SEND_SECONDS)

    async def test_declines_a_yes_that_lay_too_long_itself(self):
        """No trader ran: what a person wanted ten minutes ago he may not want now."""
        fact = await settled(said(), now=FOUR_MINUTES + timedelta(seconds=SEND_SECONDS))

        assert (fact.code, fact.verdicts[-1].passed) == ("AGE_DECLINED", True)

    async def test_declines_what_nobody_answered_in_time(self):
        late = answered(
            instruction(),
            at=NOON + timedelta(minutes=5),
            is_approved=False,
            answered_by="clock",
            verdicts=BEFORE,
        )

        fact = await settled(late, now=NOON + timedelta(minutes=5))

        assert isinstance(fact, DecisionDeclined)
        assert (fact.code, fact.verdicts) == ("APPROVAL_EXPIRED", BEFORE)
        assert fact.reason == "expires_at=2026-11-21T12:05:00+00:00. Nobody answered in time."

    async def test_takes_a_late_yes_for_none(self):
        late = answered(instruction(), at=NOON + timedelta(minutes=5))

        assert (await settled(late, now=NOON + timedelta(minutes=5))).code == "APPROVAL_EXPIRED"

    @pytest.mark.parametrize(
        ("reason", "told"),
        [("news at two", "answered_by=ana reason=news at two"), ("", "answered_by=ana reason=none")],
    )
    async def test_declines_what_a_person_declined_and_says_who_and_why(self, reason, told):
        fact = await settled(said(is_approved=False, reason=reason, verdicts=BEFORE))

        assert (fact.code, fact.reason, fact.verdicts) == ("DECLINED_BY_PERSON", told, BEFORE)

    @pytest.mark.parametrize(
        ("changes", "record", "code"),
        [
            ({"status": BotStatus.PAUSED}, {}, "BOT_STATUS_DECLINED"),
            ({"trading_symbol": "ETHUSDT"}, {}, "SYMBOL_DECLINED"),
            ({"max_entries_per_day": 1}, {"entries_today": 1}, "DAILY_ENTRIES_DECLINED"),
            ({"global_max_positions": 1}, {"live_positions": 1}, "GLOBAL_POSITIONS_DECLINED"),
            ({"allowed_directions": Directions.SELL_ONLY}, {}, "DIRECTION_DECLINED"),
        ],
    )
    async def test_declines_what_a_check_says_no_to_meanwhile(self, changes, record, code):
        fact = await settled(said(), record=Record(**record), **changes)

        assert (type(fact), fact.code) == (DecisionDeclined, code)
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 1

    @pytest.mark.parametrize(
        ("price", "code"),
        [
            ("96152", None),  # 1 % to the last digit
            ("96152.01", "PRICE_MOVED"),
            ("94248", None),
            ("94247.99", "PRICE_MOVED"),
        ],
    )
    async def test_declines_when_the_price_has_gone_too_far_either_way(self, price, code):
        fact = await settled(said(), price=price)

        assert getattr(fact, "code", None) == code
        assert fact.verdicts[-1].passed is (code is None)

    async def test_says_both_prices_and_the_limit(self):
        fact = await settled(said(), price="97104", approval_price_move_pct=Decimal("0.50"))

        assert fact.reason == ("price_then=95200 price_now=97104 approval_price_move_pct=0.5 moved_pct=2")

    @pytest.mark.parametrize(
        ("changes", "seen", "reason"),
        [
            ({"price": None}, None, "price_then=unknown price_now=95200 approval_price_move_pct=1"),
            (
                {}, Market(views={}, venue_now_ms={}),
                "price_then=95200 price_now=unknown approval_price_move_pct=1",
            ),
            (
                {"venue": None, "price": None}, None,
                "price_then=unknown price_now=unknown approval_price_move_pct=1",
            ),
        ],
    )  # fmt: skip
    async def test_declines_when_a_price_is_not_known(self, changes, seen, reason):
        fact = await settled(said(**changes), seen=seen)

        assert (fact.code, fact.reason) == ("PRICE_UNKNOWN", reason)

    async def test_compares_the_prices_of_one_venue(self):
        """Another venue may trade somewhere else entirely: a simulated market does."""
        elsewhere = market(price=Decimal(1), now=FOUR_MINUTES, venues=(Venue.BINANCE_DEMO,))
        here = market(now=FOUR_MINUTES, venues=(Venue.PAPER,))
        both = replace(here, views={**elsewhere.views, **here.views})

        fact = await settled(said(), seen=both)

        assert isinstance(fact, DecisionApproved)

    async def test_declines_when_the_bot_went_the_other_way_meanwhile(self):
        close = NewerSignal(
            signal_id=UUID(int=9), action=Action.CLOSE, received_at=NOON + timedelta(minutes=2)
        )

        fact = await settled(said(), newer=close)

        assert (fact.code, fact.reason) == (
            "NEWER_SIGNAL_DECLINED",
            f"newer_signal={UUID(int=9)} action=close received_at=2026-11-21T12:02:00+00:00",
        )
        assert len(fact.verdicts) == len(ENTRY_CHECKS) + 2

    async def test_names_the_check_that_failed_before_it(self):
        close = NewerSignal(signal_id=UUID(int=9), action=Action.CLOSE, received_at=NOON)

        fact = await settled(said(), newer=close, status=BotStatus.PAUSED)

        assert fact.code == "BOT_STATUS_DECLINED"

    async def test_closes_at_any_price_when_the_bot_may_not_go_that_way_any_more(self):
        """It was told to buy only since: the sell is a close now, and closes are not stopped by a price."""
        fact = await settled(
            said(asked=instruction(side=Side.SELL)),
            record=Record(positions_against=1),
            price="50000",
            allowed_directions=Directions.BUY_ONLY,
        )

        assert (type(fact), fact.instruction.action) == (DecisionApproved, Action.CLOSE)

    async def test_closes_nothing_that_the_bot_has_entered_since(self):
        """The check stops the sell because of the buy after it; the yes to the sell is not about that position."""
        bought = NewerSignal(
            signal_id=UUID(int=9), action=Action.ENTER, received_at=NOON + timedelta(minutes=2)
        )

        fact = await settled(
            said(asked=instruction(side=Side.SELL)),
            record=Record(positions_against=1, last_entry_at=FOUR_MINUTES),
            newer=bought,
            cooldown_seconds=300,
        )

        assert fact.code == "NEWER_SIGNAL_DECLINED"


class TestPrice:
    @quick
    @given(
        then=st.decimals(min_value="0.0001", max_value=200_000, places=4),
        now=st.decimals(min_value="0.0001", max_value=200_000, places=4),
        limit=st.decimals(min_value="0.01", max_value=50, places=2),
    )
    def test_is_about_the_same_within_the_limit_and_not_beyond(self, then, now, limit):
        passed = price_about_the_same(then, now, move_pct_max=limit).passed

        assert passed is (then * (100 - limit) <= now * 100 <= then * (100 + limit))

"""A signal that is sent again reaches those it failed on, once, and a replay reaches paper alone."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.bot import OppositeSide, SameSide
from pregao.domain.facts import OrderDenied, OrderPlanned
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.domain.position import Direction
from pregao.domain.signal import Action, AgainKind, SentAgain
from pregao.orders.chances import (
    LASTING,
    LASTING_AT_VENUES,
    PASSING,
    Chance,
    candidates_of,
    may_pass,
)
from pregao.orders.ports import SentLeg, WaitingEntry
from tests.builders import BOT_ID, NOON, held, instruction
from tests.rooms.fakes import books
from tests.rooms.orders.test_plan import SIGNAL, planned

FIRST, OWN = UUID(int=400), UUID(int=1)
PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
CODE = r"`([A-Z]+(?:_[A-Z]+)+)`"


def again(kind=AgainKind.RETRY, *, accounts=(1,), action=Action.ENTER, **changes):
    repeated = SentAgain(
        kind=kind,
        before=(FIRST,),
        first_at=NOON - timedelta(minutes=5),
        subscription_ids=tuple(UUID(int=one) for one in accounts),
    )
    return instruction(action, again=repeated, **changes)


def leg(**changes):
    given = {
        "order_id": "p1",
        "subscription_id": OWN,
        "account_id": 1,
        "account": "account 1",
        "leg": Leg.ENTRY,
        "symbol": "BTCUSDT",
        "status": OrderStatus.DENIED,
        "code": "POSITIONS_AT_LIMIT",
        "filled_quantity": Decimal(0),
        "is_canceled": False,
        "position_id": None,
        "opened_at": None,
    }
    return SentLeg(**{**given, **changes})


def chances(*legs, action=Action.ENTER):
    return [one.chance for one in candidates_of(legs, action=action, first_at=NOON)]


class TestReasons:
    def test_every_code_of_a_denial_is_said_to_pass_or_to_last(self):
        page = PAGE.read_text(encoding="utf-8")
        section = page.partition("## Orders: denied\n")[2].partition("\n## ")[0]
        told = set(re.findall(rf"^\| {CODE}", section, re.MULTILINE))
        told |= set(re.findall(CODE, section.partition("Codes of [pre-flight]")[2]))

        assert told - PASSING - LASTING == set()
        assert frozenset() == PASSING & LASTING

    @pytest.mark.parametrize(
        ("code", "passes"),
        [("-2019", True), ("-2015", True), ("-2022", False), ("-4164", False), ("NEVER_HEARD_OF", False), (None, False)],
    )  # fmt: skip
    def test_what_a_venue_refused_may_pass_unless_its_rules_forbid_it(self, code, passes):
        """What nobody has thought about is not sent again."""
        assert may_pass(code) is passes
        assert (code in LASTING_AT_VENUES) is (code in ("-2022", "-4164"))


class TestCandidates:
    @pytest.mark.parametrize(
        ("changes", "chance"),
        [
            ({}, Chance.RECOVERABLE),
            ({"status": OrderStatus.REJECTED, "code": "-2019"}, Chance.RECOVERABLE),
            ({"code": "SAME_SIDE_OPEN"}, Chance.LASTS),
            ({"code": "SIGNAL_BEFORE_RESTORE"}, Chance.LASTS),
            ({"status": OrderStatus.FILLED, "filled_quantity": Decimal(1), "code": None}, Chance.TRADED),
            ({"status": OrderStatus.UNRESOLVED, "code": "ANSWER_LOST"}, Chance.TRADED),
            ({"status": OrderStatus.REJECTED, "code": "-2019", "filled_quantity": Decimal(1)}, Chance.TRADED),
            ({"status": OrderStatus.EXPIRED, "code": None}, Chance.LASTS),
            ({"position_id": 7}, Chance.HELD),
            ({"is_canceled": True}, Chance.ENDED),
        ],
    )
    def test_of_an_entry_are_flat_and_failed_for_a_moment(self, changes, chance):
        assert chances(leg(**changes)) == [chance]

    def test_of_a_reverse_are_in_where_the_old_position_was_closed_and_the_new_one_denied(self):
        exit_leg = leg(order_id="p2", leg=Leg.EXIT, status=OrderStatus.FILLED, filled_quantity=Decimal(1))

        assert chances(exit_leg, leg(code="PRICE_UNAVAILABLE")) == [Chance.RECOVERABLE]

    @pytest.mark.parametrize(
        ("opened_at", "chance"),
        [
            (NOON - timedelta(hours=1), Chance.RECOVERABLE),
            (NOON + timedelta(seconds=1), Chance.NOTHING_HELD),
            (None, Chance.NOTHING_HELD),
        ],
    )
    def test_of_a_close_hold_what_it_meant(self, opened_at, chance):
        asked = leg(leg=Leg.EXIT, code="EXITS_BLOCKED", position_id=opened_at and 7, opened_at=opened_at)

        assert chances(asked, action=Action.CLOSE) == [chance]


class TestRetry:
    async def test_enters_for_those_it_is_meant_for_alone(self):
        rows = await planned(again(accounts=(1, 3)), on=books(accounts=3))

        assert [(row.account_id, type(row)) for row in rows] == [(1, OrderPlanned), (3, OrderPlanned)]

    async def test_enters_nothing_where_the_first_signal_has_traded_meanwhile(self):
        """A venue may tell late of what it had refused: what traded once is not traded twice."""
        desk = books(accounts=2)
        desk.entered = {(FIRST, OWN)}

        denied, row = sorted(await planned(again(accounts=(1, 2)), on=desk), key=lambda one: one.account_id)

        assert (denied.code, row.account_id) == ("ENTERED_BEFORE", 2)

    @pytest.mark.parametrize("rule", [SameSide.ADD, SameSide.REPLACE, SameSide.IGNORE])
    async def test_adds_to_nothing_that_was_opened_meanwhile(self, rule):
        [row] = await planned(again(), on=books(custom_same_side=rule).take(held()))

        assert isinstance(row, OrderDenied)
        assert row.code == "SAME_SIDE_OPEN"

    async def test_reverses_nothing_that_was_opened_meanwhile(self):
        desk = books(custom_opposite_side=OppositeSide.REVERSE).take(held(direction=Direction.SHORT))

        [row] = await planned(again(), on=desk)

        assert isinstance(row, OrderDenied)
        assert row.code == "OPPOSITE_SIDE_OPEN"

    async def test_takes_the_place_of_no_newer_entry_that_waits(self):
        desk = books()
        desk.leaving = {(1, PositionSide.BOTH): 9}
        desk.waiting = [
            WaitingEntry(
                order_id="p9", signal_id=UUID(int=9), bot_id=BOT_ID, subscription_id=OWN, account_id=1, symbol="BTCUSDT",
                side=Side.SELL, position_id=9, send_before=NOON + timedelta(seconds=30),
            )
        ]  # fmt: skip

        [row] = await planned(again(), on=desk)

        assert (type(row), row.signal_id, row.code) == (OrderDenied, SIGNAL, "ORDER_IN_FLIGHT")

    async def test_enters_nothing_that_a_restored_database_may_have_forgotten_of_the_first_signal(self):
        desk = books()
        desk.forgotten = {(1, FIRST)}

        [row] = await planned(again(), on=desk)

        assert row.code == "SIGNAL_BEFORE_RESTORE"

    async def test_closes_what_was_held_then_and_nothing_newer(self):
        old, new = (
            held(position_id=number, account_id=number, subscription_id=UUID(int=number), opened_at=opened_at)
            for number, opened_at in ((1, NOON - timedelta(hours=1)), (2, NOON - timedelta(minutes=1)))
        )
        desk = books(accounts=2).take(old).take(new)

        rows = await planned(again(action=Action.CLOSE, accounts=(1, 2)), on=desk)

        assert [(row.account_id, type(row)) for row in rows] == [(1, OrderPlanned), (2, OrderDenied)]
        assert rows[1].code == "NOTHING_OPEN"


class TestReplay:
    @pytest.mark.parametrize("action", [Action.ENTER, Action.CLOSE])
    @pytest.mark.parametrize("venue", [one for one in Venue if one is not Venue.PAPER])
    async def test_never_reaches_a_real_venue_whoever_was_chosen(self, venue, action):
        """Whatever chose the accounts was wrong: the plan looks at each once more, under its lock."""
        desk = books(accounts=2).take(
            held(position_id=1), held(position_id=2, account_id=2, subscription_id=UUID(int=2))
        )
        if action is Action.ENTER:
            desk = books(accounts=2)
        desk.accounts_by_id[2] = replace(desk.accounts_by_id[2], venue=venue)

        rows = await planned(again(AgainKind.REPLAY, action=action, accounts=(1, 2)), on=desk)

        assert [(row.account_id, type(row)) for row in sorted(rows, key=lambda one: one.account_id)] == [
            (1, OrderPlanned),
            (2, OrderDenied),
        ]
        assert {row.code for row in rows if isinstance(row, OrderDenied)} == {"REPLAY_ON_PAPER_ONLY"}

"""What is halted or reducing enters nothing, on every road to an entry; exits go on unless they are blocked too."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.bot import OppositeSide, SameSide
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    ExitRequested,
    OrderDenied,
    OrderPlanned,
    OrderUnresolved,
    SignalPlanned,
)
from pregao.domain.order import Leg, Side
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.signal import Action
from pregao.domain.trading_state import (
    DESK as WHOLE_DESK,
)
from pregao.domain.trading_state import (
    TradingState,
    TradingStates,
    scope_of_account,
    scope_of_bot,
    scope_of_symbol,
    scope_of_user,
)
from pregao.orders.close import plan_exit
from pregao.orders.denial import Denial
from pregao.orders.enter import plan_entry_again, request_waiting
from pregao.orders.plan import plan_orders
from pregao.orders.ports import WaitingEntry
from pregao.orders.send import send_order
from pregao.orders.states import denial_of_sending
from tests.builders import BOT_ID, NOON, held, instruction, position, scope_state
from tests.fake_exchange import FakeExchange
from tests.rooms.fakes import DESK, MovingClock, books, market
from tests.rooms.orders.test_plan import exit_id
from tests.rooms.orders.test_send import order

SIGNAL, OLDER = UUID(int=500), UUID(int=400)
USER = UUID(int=7)
SCOPES = [
    WHOLE_DESK, scope_of_user(USER), scope_of_account(1), scope_of_bot(BOT_ID),
    scope_of_symbol(Venue.PAPER, "BTCUSDT"),
]  # fmt: skip
HALTED, REDUCING = TradingState.HALTED, TradingState.REDUCING
CODES = {HALTED: "TRADING_HALTED", REDUCING: "TRADING_REDUCING"}
SHORT = {"direction": Direction.SHORT}


def stopped(scope=WHOLE_DESK, *, state=HALTED, on=None, **changes):
    """Give a desk of one user's account with one state set."""
    desk = on or books()
    desk.accounts_by_id = {
        number: replace(one, user_id=USER if number == 1 else None)
        for number, one in desk.accounts_by_id.items()
    }
    desk.states = TradingStates([scope_state(scope, state=state, **changes)])
    return desk


async def planned(desk, asked=None):
    decision = DecisionApproved(
        happened_at=NOON, signal_id=SIGNAL, bot_id=BOT_ID, instruction=asked or instruction(), verdicts=()
    )
    turns = plan_orders([decision], books=desk, market=market(), desk=DESK, now=NOON, part_sizes=(100,))
    *rows, summary = [fact async for some in turns for fact in some]
    assert isinstance(summary, SignalPlanned)
    return rows


def told(rows):
    return [(row.leg, type(row), getattr(row, "code", None)) for row in rows]


def waiting(**changes) -> WaitingEntry:
    given = {
        "order_id": "waiting", "signal_id": OLDER, "bot_id": BOT_ID, "subscription_id": UUID(int=1), "account_id": 1,
        "symbol": "BTCUSDT", "side": Side.BUY, "position_id": 1, "send_before": NOON + timedelta(seconds=60),
    }  # fmt: skip
    return WaitingEntry(**{**given, **changes})


class TestEntries:
    @pytest.mark.parametrize("state", [HALTED, REDUCING])
    @pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.level)
    async def test_f092_are_denied_with_level_name_and_reason(self, scope, state):
        [row] = await planned(stopped(scope, state=state))

        assert told([row]) == [(Leg.ENTRY, OrderDenied, CODES[state])]
        name = scope.subject or "desk"
        assert row.reason.startswith(f"level={scope.level} name={name} reason=the venue is mad version=1.")

    async def test_f092_of_others_go_on(self):
        rows = await planned(stopped(scope_of_account(1), on=books(accounts=3)))

        assert sorted((row.account_id, type(row)) for row in rows) == [
            (1, OrderDenied), (2, OrderPlanned), (3, OrderPlanned),
        ]  # fmt: skip

    async def test_are_looked_at_together(self):
        """One question for a thousand accounts: the fan-out has no time for more."""
        desk = books(accounts=50)

        assert len(await planned(desk)) == 50
        assert desk.states_read == 1

    async def test_that_waited_are_denied_when_their_turn_comes(self):
        desk = stopped()
        desk.waiting = [waiting()]

        requests = await request_waiting(desk.waiting, now=NOON)
        [row] = await plan_entry_again(requests, books=desk, market=market(), desk=DESK, now=NOON)

        assert told([row]) == [(Leg.ENTRY, OrderDenied, "TRADING_HALTED")]

    @pytest.mark.parametrize("state", [HALTED, REDUCING])
    async def test_whose_attempt_died_are_denied_and_give_their_position_back(self, state):
        desk = books()
        [first] = await planned(desk)
        desk.reserve(first)
        stopped(on=desk, state=state)
        again = EntryRequested(
            happened_at=NOON, signal_id=SIGNAL, order_id=first.order_id, attempt=2, reason="it died"
        )

        [row] = await plan_entry_again([again], books=desk, market=market(), desk=DESK, now=NOON)

        assert (type(row), row.code, row.position_id) == (OrderDenied, CODES[state], first.position_id)

    async def test_that_add_are_denied(self):
        desk = stopped(on=books(custom_same_side=SameSide.ADD).take(held()))

        assert told(await planned(desk)) == [(Leg.ENTRY, OrderDenied, "TRADING_HALTED")]

    async def test_that_replace_are_denied_and_what_stands_stays(self):
        desk = stopped(on=books(custom_same_side=SameSide.REPLACE).take(held()))

        assert told(await planned(desk)) == [(Leg.ENTRY, OrderDenied, "TRADING_HALTED")]

    @pytest.mark.parametrize("state", [HALTED, REDUCING])
    async def test_that_reverse_are_denied_and_their_exit_goes_on(self, state):
        rows = await planned(stopped(on=books().take(held(**SHORT)), state=state))

        assert told(rows) == [(Leg.EXIT, OrderPlanned, None), (Leg.ENTRY, OrderDenied, CODES[state])]


class TestExits:
    @pytest.mark.parametrize("state", [HALTED, REDUCING])
    @pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.level)
    async def test_x11_go_on(self, scope, state):
        desk = stopped(scope, state=state, on=books().take(held()))

        rows = await planned(desk, instruction(Action.CLOSE))

        assert told(rows) == [(Leg.EXIT, OrderPlanned, None)]

    @pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.level)
    async def test_x11_are_denied_where_an_operator_blocks_them(self, scope):
        desk = stopped(scope, block_exits=True, on=books().take(held()))

        [row] = await planned(desk, instruction(Action.CLOSE))

        assert (type(row), row.code, row.position_id) == (OrderDenied, "EXITS_BLOCKED", None)
        assert "reason=the venue is mad" in row.reason

    async def test_blocked_are_not_deferred_either(self):
        desk = stopped(block_exits=True, on=books().take(position(status=PositionStatus.PENDING)))
        desk.entering = {1}

        rows = await planned(desk, instruction(Action.CLOSE))

        assert told(rows) == [(Leg.EXIT, OrderDenied, "EXITS_BLOCKED")]

    async def test_a_reverse_that_is_blocked_does_neither(self):
        desk = stopped(
            block_exits=True,
            on=books(custom_opposite_side=OppositeSide.REVERSE).take(held(**SHORT)),
        )

        assert told(await planned(desk)) == [
            (Leg.EXIT, OrderDenied, "EXITS_BLOCKED"), (Leg.ENTRY, OrderDenied, "TRADING_HALTED"),
        ]  # fmt: skip

    @pytest.mark.parametrize(("attempt", "given_back"), [(1, None), (2, 1)])
    async def test_that_died_while_blocked_give_their_position_back(self, attempt, given_back):
        """Closing with no exit on its way, it would deny every later exit as in flight."""
        closing = replace(held(), status=PositionStatus.CLOSING, exit_signal_id=SIGNAL)
        desk = stopped(block_exits=True, on=books().take(closing if attempt > 1 else held()))
        desk.attempts = {exit_id(held()): attempt - 1} if attempt > 1 else {}
        asked = ExitRequested(
            happened_at=NOON, signal_id=SIGNAL, position_id=1, attempt=attempt, reason="again"
        )

        [row] = await plan_exit([asked], books=desk, market=market(), desk=DESK, now=NOON)

        assert (type(row), row.code, row.position_id) == (OrderDenied, "EXITS_BLOCKED", given_back)


class TestSending:
    """What was planned before a halt and has not left stays here; reducing lets it go."""

    def states(self, scope=WHOLE_DESK, **changes):
        return TradingStates([scope_state(scope, **changes)])

    @pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.level)
    def test_f092_is_stopped_at_every_level(self, scope):
        denial = denial_of_sending(self.states(scope), order=order(), user_id=USER)

        assert denial.code == "TRADING_HALTED"

    @pytest.mark.parametrize(
        ("leg", "changes", "code"),
        [
            (Leg.ENTRY, {"state": REDUCING}, None),
            (Leg.EXIT, {}, None),
            (Leg.EXIT, {"block_exits": True}, "EXITS_BLOCKED"),
            (Leg.ENTRY, {"block_exits": True}, "TRADING_HALTED"),
        ],
    )
    def test_knows_entries_from_exits(self, leg, changes, code):
        denial = denial_of_sending(self.states(**changes), order=order(leg=leg), user_id=None)

        assert (denial and denial.code) == code

    async def test_an_order_that_is_stopped_is_dead_and_never_reaches_the_venue(self):
        exchange = FakeExchange(clock=MovingClock())
        why = Denial(code="TRADING_HALTED", reason="level=desk name=desk reason=mad version=1.")

        [outcome] = await send_order(
            order(), exchange=exchange, clock=exchange.clock, stopped=lambda _order: why
        )

        assert isinstance(outcome, OrderUnresolved)
        assert (outcome.code, outcome.is_dead, outcome.sent_at, outcome.ask_at) == (
            "TRADING_HALTED",
            True,
            None,
            NOON,
        )
        assert outcome.reason == f"not sent: {why.reason}"
        assert exchange.submitted == []

    async def test_a_halt_during_the_leverage_still_stops_the_order(self):
        exchange = FakeExchange(clock=MovingClock())
        answers = iter([None, Denial(code="TRADING_HALTED", reason="just now")])

        [outcome] = await send_order(
            order(), exchange=exchange, clock=exchange.clock, stopped=lambda _order: next(answers)
        )

        assert (outcome.code, outcome.is_dead) == ("TRADING_HALTED", True)
        assert exchange.submitted == []

"""F123: each fact that matters becomes its alert, with its level, its numbers and whom it concerns."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.alerts.conditions import CONDITIONS, Condition, say_condition, say_over
from pregao.alerts.ports import WinRate
from pregao.alerts.table import TABLE, AccountName, Names, PositionName, say
from pregao.alerts.tell import desk_trades, say_win_rate
from pregao.domain.alert import AlertKind, AlertLevel
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import (
    ActionTaken,
    DatabaseCleared,
    DecisionPending,
    ExecutionMoved,
    FlattenEnded,
    ForeignPositionSeen,
    GuardrailBlocked,
    HealthAlarmed,
    OrderDenied,
    PositionChanged,
    PositionGuarded,
    StopUnusable,
)
from pregao.domain.level import TriggerKind
from pregao.domain.order import Leg, PositionSide
from pregao.domain.trading_state import ScopeLevel, TradingState, scope_of_account, scope_of_user
from pregao.domain.upkeep import AlarmName, Severity
from tests.builders import (
    BOT_ID,
    NOON,
    closed,
    flatten_started,
    held,
    instruction,
    state_set,
    unguarded,
)

ANA = UUID(int=1_001)
NAMES = Names(
    accounts={1: AccountName(name="main", user_id=ANA), 2: AccountName(name="desk's", user_id=None)},
    positions={1: PositionName(symbol="BTCUSDT", bot_id=BOT_ID)},
    bots={BOT_ID: "EMA cross"},
)
OF_POSITION = {"happened_at": NOON, "position_id": 1, "account_id": 1, "signal_id": UUID(int=1)}


def changed(position) -> PositionChanged:
    return PositionChanged(happened_at=NOON, position=position)


def blocked(**changes) -> GuardrailBlocked:
    given = {
        **OF_POSITION, "token": "1:94000:1", "kind": TriggerKind.STOP, "number": 0, "guardrail": "STALE_PRICE",
        "numbers": {"age_seconds": "40"}, "remedy": "See whether prices come.", "instead": "It is tried again.",
        "again_at": NOON, "is_critical": False, "pauses_entries": False,
    }  # fmt: skip
    return GuardrailBlocked(**{**given, **changes})


def moved(status: ExecutionStatus) -> ExecutionMoved:
    return ExecutionMoved(
        **OF_POSITION, token="1:94000:1", kind=TriggerKind.STOP, number=0, status=status, attempts=5,
        order_id=None, code="ATTEMPTS_EXHAUSTED", reason="Five tries failed.", price=None, slippage_percent=None,
        again_at=None,
    )  # fmt: skip


def denied(code: str) -> OrderDenied:
    return OrderDenied(
        happened_at=NOON, order_id="p1", signal_id=UUID(int=1), bot_id=BOT_ID, subscription_id=UUID(int=1),
        account_id=1, leg=Leg.ENTRY, symbol="BTCUSDT", side=None, position_id=None, code=code,
        reason="level=subscription loss_usd=120 maximum=100. Daily loss limit reached.",
    )  # fmt: skip


def foreign(quantity: str) -> ForeignPositionSeen:
    return ForeignPositionSeen(
        happened_at=NOON, account_id=1, symbol="ETHUSDT", position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
    )  # fmt: skip


def health(**changes) -> HealthAlarmed:
    given = {
        "happened_at": NOON, "name": AlarmName.WORKERS_STUCK, "severity": Severity.CRITICAL, "is_on": True,
        "numbers": {},
    }  # fmt: skip
    return HealthAlarmed(**{**given, **changes})


def pending() -> DecisionPending:
    return DecisionPending(
        happened_at=NOON, signal_id=UUID(int=1), bot_id=BOT_ID, instruction=instruction(), verdicts=(), venue=None,
        price=None, expires_at=NOON + timedelta(minutes=5),
    )  # fmt: skip


def acted(action: str = "delete_second_factor", **changes) -> ActionTaken:
    given = {
        "action_id": UUID(int=9), "user_id": UUID(int=2), "principal": "session", "source_address": "192.0.2.7",
        "user_agent": "", "method": "DELETE", "path": "/api/v1/admin/users/x/second-factor", "status": 200,
        "targets": {"user_id": str(ANA), "email": "ana@desk.test", "reset_by": "olga@desk.test, session"},
        "error_code": None, "duration_ms": 3,
    }  # fmt: skip
    return ActionTaken(happened_at=NOON, action=action, **{**given, **changes})


LOSS, WIN = closed(held(), pnl="-12.5"), closed(held(), pnl="3")
SAID = {
    "unguarded": (unguarded(), "position_unguarded", "CRITICAL", ANA),
    "guarded": (
        PositionGuarded(**OF_POSITION, since=NOON, seconds=Decimal(7)), "position_guarded", "INFO", ANA,
    ),
    "stop unusable": (
        StopUnusable(**OF_POSITION, code="STOP_BEYOND_LIQUIDATION", reason="It cannot stand."),
        "stop_unusable", "CRITICAL", ANA,
    ),
    "blocked": (blocked(), "guardrail_blocked", "ERROR", ANA),
    "blocked badly": (blocked(is_critical=True), "guardrail_blocked", "CRITICAL", ANA),
    "exit stuck": (moved(ExecutionStatus.BLOCKED), "exit_stuck", "CRITICAL", ANA),
    "drift": (foreign("0.5"), "drift_seen", "ERROR", ANA),
    "daily loss": (denied("DAILY_LOSS_AT_LIMIT"), "loss_limit", "WARNING", ANA),
    "halted": (state_set(), "trading_state", "WARNING", None),
    "resumed": (state_set(state=TradingState.ACTIVE), "trading_state", "INFO", None),
    "an account halted": (state_set(scope_of_account(1)), "trading_state", "WARNING", ANA),
    "drawdown": (
        state_set(scope_of_user(ANA), state=TradingState.REDUCING, reason="MONTHLY_DRAWDOWN: loss=900"),
        "loss_limit", "WARNING", ANA,
    ),
    "sell-out begun": (flatten_started(), "sell_out", "WARNING", None),
    "sell-out done": (
        FlattenEnded(happened_at=NOON, flatten_id=UUID(int=600), is_done=True, ended_by="trader-1", reason=""),
        "sell_out", "INFO", None,
    ),
    "sell-out stopped": (
        FlattenEnded(happened_at=NOON, flatten_id=UUID(int=600), is_done=False, ended_by="ana", reason="enough"),
        "sell_out", "WARNING", None,
    ),
    "approval": (pending(), "approval_waiting", "WARNING", None),
    "cleared": (
        DatabaseCleared(
            happened_at=NOON, events=9, positions=1, signals=2, orders=3, fills=4, is_forced=False, reason="",
            cleared_by="ana", user_id=None, source_address="127.0.0.1",
        ),
        "database_cleared", "WARNING", None,
    ),
    "second factor reset": (acted(), "second_factor_reset", "WARNING", ANA),
    "not well": (health(), "health", "CRITICAL", None),
    "a little unwell": (health(severity=Severity.WARNING), "health", "WARNING", None),
    "well again": (health(is_on=False), "health", "INFO", None),
    "lost": (changed(LOSS), "trade_executed", "WARNING", ANA),
    "won": (changed(WIN), "trade_executed", "INFO", ANA),
    "even": (changed(closed(held())), "trade_executed", "INFO", ANA),
}  # fmt: skip


class TestSay:
    @pytest.mark.parametrize("name", SAID)
    def test_f123_gives_each_its_kind_level_and_owner(self, name):
        fact, kind, level, owner = SAID[name]

        saying = say(fact, NAMES)

        assert (saying.kind, saying.level, saying.user_id) == (kind, level, owner)
        assert saying.title
        assert saying.key
        assert saying.code
        assert saying.about in saying.title

    def test_has_a_test_for_each_line_of_the_table(self):
        assert {type(fact) for fact, *_ in SAID.values()} == set(TABLE)

    @pytest.mark.parametrize(
        "fact",
        [
            foreign("0"),
            denied("SYMBOL_OWNED"),
            moved(ExecutionStatus.EXECUTED),
            changed(held()),
            acted("post_bot"),
            acted(status=409, error_code="SECOND_FACTOR_OFF"),
        ],
        ids=lambda fact: type(fact).__name__,
    )
    def test_says_nothing_of_what_is_no_news(self, fact):
        assert say(fact, NAMES) is None

    def test_tells_the_numbers(self):
        saying = say(unguarded(), NAMES)

        assert saying.numbers == {"position": "1", "account": "main (account 1)", "seconds": "6.1"}
        assert (saying.account_id, saying.bot_id) == (1, BOT_ID)

    def test_gets_along_without_names(self):
        """A fact may be older than what it names."""
        for fact, *_ in SAID.values():
            assert say(fact, Names()).title


class TestDeskTrades:
    def test_are_one_line_for_each_bot_symbol_and_sign(self):
        losses = [changed(replace(LOSS, position_id=number)) for number in range(1, 1_001)]

        lost, won = desk_trades([*losses, changed(WIN)], NAMES)

        assert (lost.level, won.level) == (AlertLevel.WARNING, AlertLevel.INFO)
        assert (lost.numbers["positions"], lost.numbers["pnl"]) == ("1000", "-12500")
        assert "EMA cross, 1000 positions" in lost.text
        assert lost.user_id is None


class TestWinRate:
    @pytest.mark.parametrize(
        ("wins", "losses", "is_told"),
        [(14, 6, True), (13, 7, False), (19, 0, False), (20, 0, True), (0, 0, False)],
    )
    def test_f123_is_told_from_seventy_percent_of_twenty_trades_on(self, wins, losses, is_told):
        saying = say_win_rate(WinRate(bot_id=BOT_ID, wins=wins, losses=losses), NAMES, now=NOON)

        assert (saying is not None) is is_told
        if saying:
            assert (saying.kind, saying.level) == (AlertKind.WIN_RATE_HIGH, AlertLevel.INFO)


class TestConditions:
    @pytest.mark.parametrize("kind", CONDITIONS)
    def test_f123_are_told_when_they_begin_and_when_they_are_over(self, kind):
        begun = say_condition(Condition(kind=kind, about="paper BTCUSDT", numbers={"failures": "3"}))
        over = say_over(Condition(kind=kind, about="paper BTCUSDT").key)

        assert begun.level.reaches(AlertLevel.WARNING)
        assert begun.code != over.code
        assert begun.about == over.about
        assert (over.kind, over.level, over.subject) == (kind, AlertLevel.INFO, begun.subject)

    def test_f120_f123_an_open_breaker_is_an_error(self):
        saying = say_condition(Condition(kind=AlertKind.BREAKER_OPEN, about="service paper"))

        assert saying.level is AlertLevel.ERROR

    def test_a_dead_worker_is_worse_when_it_was_the_only_one(self):
        levels = [
            say_condition(Condition(kind=AlertKind.WORKER_DEAD, about="trader-1", is_worse=is_worse)).level
            for is_worse in (True, False)
        ]

        assert levels == [AlertLevel.CRITICAL, AlertLevel.ERROR]


def test_levels_are_reached_by_themselves_and_what_is_worse():
    assert [one for one in AlertLevel if one.reaches(AlertLevel.ERROR)] == ["ERROR", "CRITICAL"]


def test_a_scope_of_an_account_is_read_as_its_number():
    assert say(state_set(scope_of_account(1)), NAMES).account_id == 1
    assert ScopeLevel.ACCOUNT == "account"

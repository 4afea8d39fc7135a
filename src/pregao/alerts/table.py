"""
Which fact is an alert, how bad it is, and what it says: the whole table.

| Fact                         | Alert               | Level                                  | Who hears it        |
| ---------------------------- | ------------------- | -------------------------------------- | ------------------- |
| PositionUnguarded            | position_unguarded  | CRITICAL                               | the desk, the owner |
| PositionGuarded              | position_guarded    | INFO                                   | the desk, the owner |
| StopUnusable                 | stop_unusable       | CRITICAL                               | the desk, the owner |
| ExecutionMoved to blocked    | exit_stuck          | CRITICAL                               | the desk, the owner |
| GuardrailBlocked             | guardrail_blocked   | CRITICAL when it says so, else ERROR   | the desk, the owner |
| ForeignPositionSeen          | drift_seen          | ERROR                                  | the desk, the owner |
| OrderDenied for a day's loss | loss_limit          | WARNING                                | the desk, the owner |
| TradingStateSet              | trading_state       | WARNING, resumed INFO                  | the desk, the owner |
| … by the monthly drawdown    | loss_limit          | WARNING                                | the desk, the owner |
| FlattenStarted, FlattenEnded | sell_out            | WARNING, done INFO                     | the desk            |
| DecisionPending              | approval_waiting    | WARNING                                | the desk            |
| HealthAlarmed                | health              | as it says; over INFO                  | the desk            |
| DatabaseCleared              | database_cleared    | WARNING                                | the desk            |
| ActionTaken, a reset         | second_factor_reset | WARNING                                | the desk, the user  |
| PositionChanged to closed    | trade_executed      | INFO when nothing is lost, else WARNING | the desk, the owner |

What is no fact but stands in the state for a while is in `conditions.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from pregao.domain.alert import AlertKind, AlertLevel
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import (
    ActionTaken,
    DatabaseCleared,
    DecisionPending,
    ExecutionMoved,
    Fact,
    FlattenEnded,
    FlattenStarted,
    ForeignPositionSeen,
    GuardrailBlocked,
    HealthAlarmed,
    OrderDenied,
    PositionChanged,
    PositionGuarded,
    PositionUnguarded,
    StopUnusable,
    TradingStateSet,
)
from pregao.domain.money import ZERO, to_text
from pregao.domain.position import PositionStatus
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.domain.upkeep import AlarmName, Severity

LOSS_CODES = frozenset({"DAILY_LOSS_AT_LIMIT"})
"""Denials that are told; the others stand in the receipt of their signal."""
DRAWDOWN = "MONTHLY_DRAWDOWN"
SECOND_FACTOR_RESET = "delete_second_factor"  # the API's name for what an admin does for somebody else


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountName:
    """What an account is called, and whose it is."""

    name: str
    user_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionName:
    """Where a position is, and whose signals it follows."""

    symbol: str
    bot_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the ids in facts are called."""

    accounts: Mapping[int, AccountName] = field(default_factory=dict)
    positions: Mapping[int, PositionName] = field(default_factory=dict)
    bots: Mapping[UUID, str] = field(default_factory=dict)

    def account(self, account_id: int) -> str:
        """Give the account's name and number."""
        found = self.accounts.get(account_id)
        return f"{found.name} (account {account_id})" if found else f"account {account_id}"

    def bot(self, bot_id: UUID | None) -> str:
        """Give the bot's name, or what is known of it."""
        return "no bot" if bot_id is None else self.bots.get(bot_id) or str(bot_id)

    def symbol(self, position_id: int) -> str:
        """Give where the position is."""
        found = self.positions.get(position_id)
        return found.symbol if found else f"position {position_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is to be told, before anybody asks who wants to hear it."""

    kind: AlertKind
    level: AlertLevel
    title: str
    text: str
    key: str
    subject: str
    code: str  # what is said, for other languages
    about: str = ""  # what the title begins with
    numbers: dict[str, str] = field(default_factory=dict)
    user_id: UUID | None = None  # whose it is, besides the desk's
    account_id: int | None = None
    bot_id: UUID | None = None
    once: bool = False  # the key is of this one event: no window, it is told once for ever


Says: TypeAlias = Callable[[Any, Names], Saying | None]


def say(fact: Fact, names: Names) -> Saying | None:
    """Give what is told of a fact; None where nobody needs to hear of it."""
    says = TABLE.get(type(fact))
    return None if says is None else says(fact, names)


def _of_position(fact: Any, names: Names, **said: Any) -> Saying:
    account = names.accounts.get(fact.account_id)
    position = names.positions.get(fact.position_id)
    numbers = {
        "position": str(fact.position_id),
        "account": names.account(fact.account_id),
        **said.pop("numbers", {}),
    }
    return Saying(
        numbers=numbers,
        subject=f"position:{fact.position_id}",
        user_id=account.user_id if account else None,
        account_id=fact.account_id,
        bot_id=position.bot_id if position else None,
        about=names.symbol(fact.position_id),
        **said,
    )


def _unguarded(fact: PositionUnguarded, names: Names) -> Saying:
    return _of_position(
        fact,
        names,
        kind=AlertKind.POSITION_UNGUARDED,
        code="STANDS_UNGUARDED",
        level=AlertLevel.CRITICAL,
        title=f"{names.symbol(fact.position_id)}: a position is unguarded",
        text="It has had no effective stop for longer than it may. Look at the position, and close it if in doubt.",
        key=f"position_unguarded:{fact.position_id}:{fact.since.isoformat()}",
        numbers={"seconds": to_text(fact.seconds)},
        once=True,
    )


def _guarded(fact: PositionGuarded, names: Names) -> Saying:
    return _of_position(
        fact,
        names,
        kind=AlertKind.POSITION_GUARDED,
        code="GUARDED_AGAIN",
        level=AlertLevel.INFO,
        title=f"{names.symbol(fact.position_id)}: the position is guarded again",
        text="The time without a stop is over.",
        key=f"position_guarded:{fact.position_id}:{fact.since.isoformat()}",
        numbers={"seconds": to_text(fact.seconds)},
        once=True,
    )


def _stop_unusable(fact: StopUnusable, names: Names) -> Saying:
    return _of_position(
        fact,
        names,
        kind=AlertKind.STOP_UNUSABLE,
        code="STOP_CANNOT_STAND",
        level=AlertLevel.CRITICAL,
        title=f"{names.symbol(fact.position_id)}: a stop cannot stand",
        text=f"{fact.reason} The position is closed for it.",
        key=f"stop_unusable:{fact.position_id}:{fact.code}",
        numbers={"code": fact.code},
    )


def _blocked(fact: GuardrailBlocked, names: Names) -> Saying:
    return _of_position(
        fact,
        names,
        kind=AlertKind.GUARDRAIL_BLOCKED,
        code="EXIT_HELD_UP",
        level=AlertLevel.CRITICAL if fact.is_critical else AlertLevel.ERROR,
        title=f"{names.symbol(fact.position_id)}: {fact.guardrail} holds an exit up",
        text=f"{fact.remedy} Meanwhile: {fact.instead}",
        key=f"guardrail:{fact.position_id}:{fact.guardrail}",
        numbers={"guardrail": fact.guardrail, **fact.numbers},
    )


def _execution(fact: ExecutionMoved, names: Names) -> Saying | None:
    if fact.status is not ExecutionStatus.BLOCKED:
        return None
    return _of_position(
        fact,
        names,
        kind=AlertKind.EXIT_STUCK,
        code="EXIT_WAITS",
        level=AlertLevel.CRITICAL,
        title=f"{names.symbol(fact.position_id)}: an exit waits for a person",
        text=f"{fact.reason or 'It could not be executed.'} Close the position by hand if it is not what you want.",
        key=f"exit_stuck:{fact.token}:{fact.kind}:{fact.number}",
        numbers={"code": fact.code or "", "attempts": str(fact.attempts)},
    )


def _of_account(fact: Any, names: Names, **said: Any) -> Saying:
    account = names.accounts.get(fact.account_id)
    return Saying(
        subject=f"account:{fact.account_id}",
        user_id=account.user_id if account else None,
        account_id=fact.account_id,
        **said,
    )


def _foreign(fact: ForeignPositionSeen, names: Names) -> Saying | None:
    if fact.quantity == ZERO:
        return None
    return _of_account(
        fact,
        names,
        kind=AlertKind.DRIFT_SEEN,
        code="VENUE_HOLDS_MORE",
        about=fact.symbol,
        level=AlertLevel.ERROR,
        title=f"{fact.symbol}: the venue holds what the books do not",
        text="Nothing is entered there until it is gone, adopted or written off.",
        key=f"drift:{fact.account_id}:{fact.symbol}:{fact.position_side}",
        numbers={"account": names.account(fact.account_id), "difference": to_text(fact.quantity)},
    )


def _denied(fact: OrderDenied, names: Names) -> Saying | None:
    if fact.code not in LOSS_CODES:
        return None
    return _of_account(
        fact,
        names,
        kind=AlertKind.LOSS_LIMIT,
        code="DAILY_LOSS_REACHED",
        level=AlertLevel.WARNING,
        title="A daily loss limit is reached",
        text=f"{fact.reason} Exits go on; nothing is entered.",
        key=f"daily_loss:{fact.subscription_id}:{fact.happened_at:%Y-%m-%d}",
        numbers={
            "account": names.account(fact.account_id),
            "bot": names.bot(fact.bot_id),
            "symbol": fact.symbol,
        },
        bot_id=fact.bot_id,
        once=True,
    )


def _state(fact: TradingStateSet, names: Names) -> Saying:
    is_drawdown = fact.reason.startswith(DRAWDOWN)
    owner, account_id = None, None
    if fact.level is ScopeLevel.USER:
        owner = UUID(fact.subject)
    elif fact.level is ScopeLevel.ACCOUNT:
        account_id = int(fact.subject)
        account = names.accounts.get(account_id)
        owner = account.user_id if account else None
    return Saying(
        kind=AlertKind.LOSS_LIMIT if is_drawdown else AlertKind.TRADING_STATE,
        code="DRAWDOWN_REACHED" if is_drawdown else STATE_CODES[fact.state],
        about="" if fact.level is ScopeLevel.DESK else fact.name or fact.subject,
        level=AlertLevel.INFO if fact.state is TradingState.ACTIVE else AlertLevel.WARNING,
        title=f"{fact.level} {fact.name or fact.subject}: trading is {fact.state}",
        text=fact.reason,
        key=f"trading_state:{fact.version}",
        subject=f"{fact.level}:{fact.subject}",
        numbers={"level": fact.level, "set_by": fact.set_by, "version": str(fact.version)},
        user_id=owner,
        account_id=account_id,
        once=True,
    )


def _sell_out_begun(fact: FlattenStarted, _names: Names) -> Saying:
    return Saying(
        kind=AlertKind.SELL_OUT,
        code="SELL_OUT_BEGUN",
        about="" if fact.level is ScopeLevel.DESK else fact.name or fact.subject,
        level=AlertLevel.WARNING,
        title=f"{fact.level} {fact.name or fact.subject}: everything is closed",
        text=fact.reason,
        key=f"sell_out:{fact.flatten_id}:started",
        subject=f"sell_out:{fact.flatten_id}",
        numbers={"level": fact.level, "asked_by": fact.asked_by, "accounts": str(len(fact.account_ids))},
        once=True,
    )


def _sell_out_ended(fact: FlattenEnded, _names: Names) -> Saying:
    return Saying(
        kind=AlertKind.SELL_OUT,
        code="SELL_OUT_DONE" if fact.is_done else "SELL_OUT_STOPPED",
        level=AlertLevel.INFO if fact.is_done else AlertLevel.WARNING,
        title="Everything is closed" if fact.is_done else "Closing everything was stopped",
        text=fact.reason or "Every account was proven flat.",
        key=f"sell_out:{fact.flatten_id}:ended",
        subject=f"sell_out:{fact.flatten_id}",
        numbers={"ended_by": fact.ended_by},
        once=True,
    )


def _pending(fact: DecisionPending, names: Names) -> Saying:
    asked = fact.instruction
    return Saying(
        kind=AlertKind.APPROVAL_WAITING,
        code="ANSWER_WANTED",
        about=asked.symbol or "",
        level=AlertLevel.WARNING,
        title=f"{asked.symbol}: an entry waits for your answer",
        text=f"{names.bot(fact.bot_id)} wants to enter. Nobody's answer is a no.",
        key=f"approval:{fact.signal_id}",
        subject=f"bot:{fact.bot_id}",
        numbers={
            "bot": names.bot(fact.bot_id),
            "signal": str(fact.signal_id),
            "until": fact.expires_at.isoformat(timespec="seconds"),
        },
        bot_id=fact.bot_id,
        once=True,
    )


def _health(fact: HealthAlarmed, _names: Names) -> Saying:
    what, told = fact.name.replace("_", " "), HEALTH[fact.name]
    level = AlertLevel.CRITICAL if fact.severity is Severity.CRITICAL else AlertLevel.WARNING
    return Saying(
        kind=AlertKind.HEALTH,
        code=told.code if fact.is_on else told.over,
        level=level if fact.is_on else AlertLevel.INFO,
        title=f"The desk is not well: {what}" if fact.is_on else f"The desk is well again: {what}",
        text=told.text,
        key=f"health:{fact.name}:{fact.is_on}",
        subject=f"health:{fact.name}",
        numbers=dict(fact.numbers),
    )


def _cleared(fact: DatabaseCleared, _names: Names) -> Saying:
    return Saying(
        kind=AlertKind.DATABASE_CLEARED,
        code="CLEARED_BY_SOMEBODY",
        level=AlertLevel.WARNING,
        title="The database was cleared",
        text=fact.reason or "Signals, positions and what came of them were deleted.",
        key=f"cleared:{fact.happened_at.isoformat()}",
        subject="database",
        numbers={
            "cleared_by": fact.cleared_by,
            "signals": str(fact.signals),
            "positions": str(fact.positions),
            "is_forced": "yes" if fact.is_forced else "no",
        },
        once=True,
    )


def _acted(fact: ActionTaken, _names: Names) -> Saying | None:
    if fact.action != SECOND_FACTOR_RESET or fact.status >= 400:
        return None
    user_id, email = fact.targets.get("user_id"), fact.targets.get("email", "")
    return Saying(
        kind=AlertKind.SECOND_FACTOR_RESET,
        code="SECOND_FACTOR_TURNED_OFF",
        about=email,
        level=AlertLevel.WARNING,
        title=f"The second factor of {email} was turned off",
        text="An admin did it, and ended the user's sessions. If nobody asked for it, change both passwords.",
        key=f"second_factor_reset:{fact.action_id}",
        subject=f"user:{user_id}",
        numbers={"reset_by": fact.targets.get("reset_by", ""), "source_address": fact.source_address},
        user_id=None if user_id is None else UUID(user_id),
        once=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSaying:
    """What is said of an alarm."""

    text: str
    code: str
    over: str


HEALTH = {
    AlarmName.ERROR_RATE_HIGH: HealthSaying(
        text="Venues and destinations refuse too much of what is sent.",
        code="MUCH_IS_REFUSED",
        over="LITTLE_IS_REFUSED",
    ),
    AlarmName.WORKERS_STUCK: HealthSaying(
        text="Signals come, and nobody works.", code="NOBODY_WORKS", over="SOMEBODY_WORKS"
    ),
}
STATE_CODES = {
    TradingState.ACTIVE: "TRADING_ACTIVE",
    TradingState.REDUCING: "TRADING_ONLY_REDUCES",
    TradingState.HALTED: "TRADING_STOPPED",
}


def _closed(fact: PositionChanged, names: Names) -> Saying | None:
    position = fact.position
    if position.status is not PositionStatus.CLOSED:
        return None
    account = names.accounts.get(position.account_id)
    return Saying(
        kind=AlertKind.TRADE_EXECUTED,
        code="TRADE_CLOSED",
        about=position.symbol,
        level=trade_level(position.realized_pnl < ZERO),
        title=f"{position.symbol}: {position.direction} closed with {to_text(position.realized_pnl)}",
        text=f"{names.bot(position.bot_id)} on {names.account(position.account_id)}.",
        key=f"trade:{position.position_id}:{position.closed_at and position.closed_at.isoformat()}",
        subject=f"position:{position.position_id}",
        numbers={
            "bot": names.bot(position.bot_id),
            "account": names.account(position.account_id),
            "pnl": to_text(position.realized_pnl),
            "fees": to_text(position.fees),
            "reason": position.close_reason or "",
        },
        user_id=account.user_id if account else None,
        account_id=position.account_id,
        bot_id=position.bot_id,
        once=True,
    )


def trade_level(is_loss: bool) -> AlertLevel:  # noqa: FBT001  # it is the whole question
    """Give how bad the result of a trade is: nothing won and nothing lost is no loss."""
    return AlertLevel.WARNING if is_loss else AlertLevel.INFO


TABLE: Mapping[type[Fact], Says] = {
    PositionUnguarded: _unguarded,
    PositionGuarded: _guarded,
    StopUnusable: _stop_unusable,
    ExecutionMoved: _execution,
    GuardrailBlocked: _blocked,
    ForeignPositionSeen: _foreign,
    OrderDenied: _denied,
    TradingStateSet: _state,
    FlattenStarted: _sell_out_begun,
    FlattenEnded: _sell_out_ended,
    DecisionPending: _pending,
    HealthAlarmed: _health,
    DatabaseCleared: _cleared,
    ActionTaken: _acted,
    PositionChanged: _closed,
}

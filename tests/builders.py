"""Values and facts with one line of difference."""

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from pregao.domain.account import Account, Venue
from pregao.domain.alert import Alert, AlertKind, AlertLevel, Channel, ChannelKind
from pregao.domain.bot import Bot, Subscription
from pregao.domain.deployment import Deployment
from pregao.domain.facts import (
    AccountConfigured,
    ApprovalAnswered,
    BotConfigured,
    FillBooked,
    FillReported,
    FlattenStarted,
    PositionUnguarded,
    ProtectionPlanned,
    SignalAccepted,
    SignalReceived,
    StopArmed,
    SubscriptionConfigured,
    TickersListed,
    TradingStateSet,
)
from pregao.domain.level import Level, Method, TriggerKind
from pregao.domain.order import PositionSide, Side
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.screener import Source, Strategy
from pregao.domain.signal import Action, Instruction
from pregao.domain.stop import arm
from pregao.domain.stop_rule import StopRule, TargetRule
from pregao.domain.trading_state import DESK, Scope, ScopeState, TradingState
from pregao.domain.user import Role, User
from pregao.domain.venue import VenueTrade
from pregao.environment import Secret
from pregao.settings import Settings
from pregao.stops.ports import ArmedStop

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BOT_ID = UUID("01930000-0000-7000-8000-000000000001")


def bot(**changes) -> Bot:
    given = {
        "bot_id": BOT_ID,
        "name": "EMA cross",
        "webhook_path": "bot-ema-cross-15m",
        "secret_sha256": "0" * 64,
    }
    return Bot(**{**given, **changes})


def account(account_id: int = 1, **changes) -> Account:
    return Account(
        **{"account_id": account_id, "name": f"account {account_id}", "venue": Venue.PAPER, **changes}
    )


def user(number: int = 1, **changes) -> User:
    given = {
        "user_id": UUID(int=1_000 + number),
        "email": f"user{number}@desk.test",
        "name": f"User {number}",
        "role": Role.TRADER,
    }
    return User(**{**given, **changes})


def scope_state(scope: Scope = DESK, **changes) -> ScopeState:
    given = {
        "level": scope.level,
        "subject": scope.subject,
        "name": scope.subject or "desk",
        "state": TradingState.HALTED,
        "block_exits": False,
        "reason": "the venue is mad",
        "version": 1,
    }
    return ScopeState(**{**given, **changes})


def state_set(scope: Scope = DESK, *, now: datetime = NOON, **changes) -> TradingStateSet:
    given = {
        "happened_at": now,
        "level": scope.level,
        "subject": scope.subject,
        "name": scope.subject or "desk",
        "state": TradingState.HALTED,
        "block_exits": False,
        "reason": "the venue is mad",
        "version": 1,
        "set_by": "admin token",
        "user_id": None,
        "is_by_staff": True,
        "source_address": "127.0.0.1",
    }
    return TradingStateSet(**{**given, **changes})


def flatten_started(scope: Scope = DESK, *, now: datetime = NOON, **changes) -> FlattenStarted:
    given = {
        "happened_at": now,
        "flatten_id": UUID(int=600),
        "level": scope.level,
        "subject": scope.subject,
        "name": scope.subject or "desk",
        "keep_trading": True,
        "reason": "enough",
        "asked_by": "admin token",
        "user_id": None,
        "is_by_staff": False,
        "source_address": "127.0.0.1",
        "account_ids": (),
    }
    return FlattenStarted(**{**given, **changes})


def subscription(account_id: int = 1, **changes) -> Subscription:
    given = {"subscription_id": UUID(int=account_id), "bot_id": BOT_ID, "account_id": account_id}
    return Subscription(**{**given, **changes})


def strategy(number: int = 1, **changes) -> Strategy:
    """Give a list of one's own, of the two best known tickers."""
    given = {
        "strategy_id": UUID(int=700 + number),
        "name": f"strategy {number}",
        "source": Source.STATIC,
        "changed_at": NOON,
    }
    return Strategy(**{**given, **changes})


def deployment(number: int = 1, **changes) -> Deployment:
    given = {
        "deployment_id": UUID(int=700 + number),
        "bot_id": BOT_ID,
        "strategy": "ema_cross",
        "parameters": (),
        "venue": Venue.PAPER,
        "symbol": "LTCUSDT",
        "timeframe": "1m",
        "changed_by": "admin token",
    }
    return Deployment(**{**given, **changes})


def listed(tickers, *, before=(), now: datetime = NOON, **changes) -> TickersListed:
    """Give a list that took the place of another."""
    given = {
        "happened_at": now,
        "strategy_id": UUID(int=701),
        "strategy": "strategy 1",
        "tickers": tuple(tickers),
        "entered": tuple(one for one in tickers if one not in before),
        "left": tuple(one for one in before if one not in tickers),
        "is_baseline": not before,
    }
    return TickersListed(**{**given, **changes})


def configured(*, bots=None, accounts: int = 1, now: datetime = NOON, **subscription_changes) -> list:
    """Give the facts of a desk with one bot and so many subscribed paper accounts."""
    facts = [BotConfigured(happened_at=now, bot=one) for one in bots or [bot()]]
    for number in range(1, accounts + 1):
        facts.append(AccountConfigured(happened_at=now, account=account(number)))
        facts.append(
            SubscriptionConfigured(
                happened_at=now, subscription=subscription(number, **subscription_changes)
            ),
        )
    return facts


def instruction(
    action: Action = Action.ENTER, *, side: Side | None = Side.BUY, now: datetime = NOON, **changes
):
    given = {
        "action": action,
        "symbol": "BTCUSDT",
        "side": side if action is Action.ENTER else None,
        "share": None,
        "price": Decimal(95000),
        "send_before": now + timedelta(seconds=60),
    }
    return Instruction(**{**given, **changes})


def arrival(
    asked: Instruction, *, signal_id: UUID | None = None, now: datetime = NOON, bot_id: UUID = BOT_ID
) -> list:
    """Give the facts that intake commits for a signal that could be read."""
    signal_id = signal_id or uuid4()
    return [
        SignalReceived(
            happened_at=now,
            signal_id=signal_id,
            bot_id=bot_id,
            body=b"{}",
            content_type="application/json",
            source="test",
            source_address="127.0.0.1",
            dedupe_key=str(signal_id),
            is_explicit_id=True,
        ),
        SignalAccepted(happened_at=now, signal_id=signal_id, bot_id=bot_id, instruction=asked),
    ]


def answered(asked: Instruction, *, at: datetime = NOON, **changes) -> ApprovalAnswered:
    """Give a yes to an entry that was put to a person at noon, for five minutes."""
    given = {
        "happened_at": at,
        "signal_id": UUID(int=500),
        "bot_id": BOT_ID,
        "instruction": asked,
        "verdicts": (),
        "venue": Venue.PAPER,
        "price": Decimal(95200),
        "expires_at": NOON + timedelta(minutes=5),
        "is_approved": True,
        "answered_by": "ana",
        "reason": "",
    }
    return ApprovalAnswered(**{**given, **changes})


def position(position_id: int = 1, **changes) -> Position:
    given = {
        "position_id": position_id,
        "account_id": 1,
        "bot_id": BOT_ID,
        "subscription_id": UUID(int=1),
        "signal_id": UUID(int=100),
        "symbol": "BTCUSDT",
        "position_side": PositionSide.BOTH,
        "direction": Direction.LONG,
        "status": PositionStatus.PENDING,
        "leverage": 10,
    }
    return Position(**{**given, **changes})


def held(quantity: str = "0.005", *, price: str = "95200", position_id: int = 1, **changes) -> Position:
    """Give an open position that holds so much."""
    given = {
        "status": PositionStatus.OPEN,
        "entered_quantity": Decimal(quantity),
        "entry_notional": Decimal(quantity) * Decimal(price),
        "opened_at": NOON,
    }
    return position(position_id, **{**given, **changes})


def accepted(asked: Instruction, *, signal_id: UUID, bot_id: UUID = BOT_ID) -> SignalAccepted:
    """Give a signal that was read and waits for its decision."""
    return SignalAccepted(happened_at=NOON, signal_id=signal_id, bot_id=bot_id, instruction=asked)


def closed(position: Position, *, at: datetime = NOON, pnl: str = "0", fees: str = "0") -> Position:
    """Give the position closed with such a result after fees."""
    earned = Decimal(pnl) + Decimal(fees)
    return replace(
        position,
        status=PositionStatus.CLOSED,
        exited_quantity=position.entered_quantity,
        exit_notional=position.entry_notional + (earned if position.direction is Direction.LONG else -earned),
        fees=Decimal(fees),
        closed_at=at,
        close_reason="signal",
    )


def trade(trade_id: str = "1", **changes) -> VenueTrade:
    """Give a fill as a venue tells it; a taker's fee of 5 bps in USDT unless said otherwise."""
    price, quantity = Decimal(changes.pop("price", "95200")), Decimal(changes.pop("quantity", "0.005"))
    given = {
        "trade_id": trade_id,
        "exchange_order_id": "1",
        "client_order_id": "by-hand",
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "price": price,
        "quantity": quantity,
        "commission": Decimal(changes.pop("commission", price * quantity * Decimal("0.0005"))),
        "commission_asset": "USDT",
        "is_maker": False,
        "realized_pnl": Decimal(0),
        "traded_at": NOON,
    }
    return VenueTrade(**{**given, **changes})


def reported(trade_id: str = "1", *, account_id: int = 1, **changes) -> FillReported:
    return FillReported(happened_at=NOON, account_id=account_id, trade=trade(trade_id, **changes))


def booked(
    trade_id: str = "1", *, order_is_filled: bool = True, order_id: str | None = "p", **changes
) -> FillBooked:
    """Give a booked fill of one of our orders on position 1."""
    position_id = changes.pop("position_id", 1)
    told = trade(trade_id, **changes)
    return FillBooked(
        happened_at=NOON,
        account_id=1,
        trade=told,
        fee=told.commission,
        fee_rate=Decimal(1),
        order_id=order_id,
        order_is_filled=order_is_filled,
        signal_id=UUID(int=500) if order_id else None,
        position_id=position_id,
    )


def armed(position_id: int = 1, **changes) -> ArmedStop:
    """Give a stop 2 % below an entry at 95,200, and a target 5 % above it."""
    rule = StopRule(
        stop=Level(method=Method.PERCENT, value=Decimal(2)),
        targets=(TargetRule(level=Level(method=Method.PERCENT, value=Decimal(5))),),
    )
    stop = arm(
        rule,
        position_id=position_id,
        direction=Direction.LONG,
        entry_price=Decimal(95_200),
        price_tick=Decimal("0.1"),
    )
    given = {
        "stop": replace(stop, **changes.pop("stop", {})),
        "account_id": 1,
        "bot_id": BOT_ID,
        "subscription_id": UUID(int=11),
        "signal_id": UUID(int=500),
        "venue": Venue.PAPER,
        "symbol": "BTCUSDT",
        "position_side": PositionSide.BOTH,
        "held_since": NOON,
        "is_anchor_final": True,
        "is_required": True,
    }
    return ArmedStop(**{**given, **changes})


ARMED_NAMES = (
    "stop", "account_id", "bot_id", "subscription_id", "signal_id", "venue", "symbol", "position_side", "held_since",
    "is_anchor_final", "is_required",
)  # fmt: skip


def stop_armed(one: ArmedStop, *, now: datetime = NOON) -> StopArmed:
    return StopArmed(happened_at=now, **{name: getattr(one, name) for name in ARMED_NAMES})


def line_planned(one: ArmedStop, *, version: int = 1, now: datetime = NOON, **changes) -> ProtectionPlanned:
    """Give the venue's line of a stop, where it stands."""
    given = {
        "happened_at": now,
        "protection_id": f"s-{one.stop.position_id}-{version}",
        "version": version,
        "stop_version": one.stop.version,
        "position_id": one.stop.position_id,
        "account_id": one.account_id,
        "signal_id": one.signal_id,
        "venue": one.venue,
        "symbol": one.symbol,
        "kind": TriggerKind.STOP,
        "number": 0,
        "side": Side.SELL,
        "position_side": one.position_side,
        "trigger_price": one.stop.stop_price,
        "quantity": None,
        "signed_at_ms": 1_000,
        "recv_window_ms": 5_000,
        "owner": "trader-1",
        "lease_epoch": 1,
    }
    return ProtectionPlanned(**{**given, **changes})


def unguarded(
    position_id: int = 1, *, account_id: int = 1, now: datetime = NOON, **changes
) -> PositionUnguarded:
    given = {
        "happened_at": now,
        "position_id": position_id,
        "account_id": account_id,
        "signal_id": UUID(int=position_id),
        "since": now - timedelta(seconds=6),
        "seconds": Decimal("6.1"),
    }
    return PositionUnguarded(**{**given, **changes})


def channel(channel_id: int = 1, **changes) -> Channel:
    given = {
        "channel_id": channel_id,
        "name": f"channel {channel_id}",
        "kind": ChannelKind.DISCORD,
        "shown": {},
        "place": channel_id,
    }
    return Channel(**{**given, **changes})


def alert(number: int = 1, **changes) -> Alert:
    given = {
        "alert_id": UUID(int=number),
        "kind": AlertKind.SYSTEM_ERROR,
        "level": AlertLevel.ERROR,
        "title": f"alert {number}",
        "text": "Look at it.",
        "numbers": {},
        "dedupe_key": f"key {number}",
        "subject": f"subject {number}",
    }
    return Alert(**{**given, **changes})


def told(**given: Any) -> Settings:
    """Give settings of which secrets may be written as plain text."""
    secret = {field.name for field in dataclasses.fields(Settings) if isinstance(field.default, Secret)}
    return Settings(
        **{
            name: Secret(value) if name in secret and isinstance(value, str) else value
            for name, value in given.items()
        }
    )

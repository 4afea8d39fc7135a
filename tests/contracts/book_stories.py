"""
Seeded stories of facts over a small desk, and every row and every answer of whoever keeps its books.

The facts need not make sense together: a fold meets what is late, repeated, out of order or about nothing it knows.
"""

import contextlib
import random
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any
from uuid import UUID

import msgspec

from pregao.domain import facts
from pregao.domain.account import Venue
from pregao.domain.bot import Directions, GuardSettings, StopSettings, SubscriptionStatus
from pregao.domain.candle import Timeframe
from pregao.domain.execution import Execution, ExecutionStatus
from pregao.domain.facts import Fact, Verdict
from pregao.domain.level import TriggerKind
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.domain.position import Position, PositionStatus
from pregao.domain.protection import ProtectionStatus, RefusalCause
from pregao.domain.risk_rules import RiskRules
from pregao.domain.signal import Action, AgainKind, SentAgain
from pregao.domain.stop import Source, StopChange, StopStatus, Trigger
from pregao.domain.trading_state import DESK, TradingState, scope_of_account
from pregao.domain.trailing import Adjustment, Reason
from pregao.domain.venue import MarginMode
from pregao.orders.ports import NOT_BEGUN, Part
from pregao.simulation.desk.state import State
from pregao.stops.claims import triggered
from tests.builders import (
    NOON,
    account,
    answered,
    armed,
    arrival,
    bot,
    held,
    instruction,
    line_planned,
    listed,
    position,
    state_set,
    stop_armed,
    subscription,
    trade,
    user,
)

BOTS = (UUID(int=1), UUID(int=2))
ACCOUNTS = (1, 2, 3)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SIGNALS = tuple(UUID(int=500 + number) for number in range(6))
ORDERS = tuple(f"p{number:026d}" for number in range(6))  # each of the signal with its number
POSITIONS = tuple(range(1, 9))
USER = user(1, max_positions=2, max_daily_loss_usd=Decimal(100), risk_capital_usd=Decimal(100))
DAY = date(2026, 11, 21)
REPLAYED = SentAgain(
    kind=AgainKind.REPLAY,
    before=SIGNALS[:2],
    first_at=datetime(2026, 11, 21, tzinfo=UTC),
    subscription_ids=(UUID(int=12),),
)
RULES = (
    RiskRules(consecutive_losses_max=1),
    RiskRules(consecutive_losses_max=1, since=datetime(2026, 11, 21, 11, 30, tzinfo=UTC)),
    RiskRules(consecutive_losses_max=1, since=datetime(2026, 11, 22, tzinfo=UTC)),
)
LIMITED = {
    "cooldown_seconds": 3_000,
    "max_entries_per_day": 5,
    "global_max_positions": 3,
    "global_max_daily_loss_usd": Decimal(50),
    "allowed_directions": Directions.BUY_ONLY,
    "guard": GuardSettings(stop=StopSettings()),
}
OWN_GUARD = GuardSettings(
    stop=StopSettings(period=20, timeframe=Timeframe.HOUR)
)  # of one subscription of each bot


def desk() -> list[Fact]:
    """Give two bots, three accounts that follow both, and one user with limits."""
    bots = [bot(bot_id=one, name=f"bot {one.int}", webhook_path=f"path-{one.int}", **LIMITED) for one in BOTS]
    accounts = [account(number, user_id=USER.user_id if number < 3 else None) for number in ACCOUNTS]
    return [
        facts.UserConfigured(happened_at=NOON, user=USER),
        listed(["ETHUSDT", "SOLUSDT"]),
        listed(["SOLUSDT", "BTCUSDT"], before=["ETHUSDT", "SOLUSDT"]),
        *(facts.BotConfigured(happened_at=NOON, bot=one) for one in bots),
        *(facts.AccountConfigured(happened_at=NOON, account=one) for one in accounts),
        *(
            facts.SubscriptionConfigured(
                happened_at=NOON,
                subscription=subscription(
                    number, subscription_id=subscription_of(one, number), bot_id=one, status=status,
                    custom_guard=OWN_GUARD if number == 2 else None,
                ),
            )
            for one in BOTS
            for number, status in zip(
                ACCOUNTS, (SubscriptionStatus.ACTIVE, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED),
                strict=True,
            )
        ),
    ]  # fmt: skip


def subscription_of(bot_id: UUID, account_id: int) -> UUID:
    return UUID(int=bot_id.int * 10 + account_id)


class Story:
    """Batches of facts, each of one instant."""

    def __init__(self, seed: int, *, read: Callable[[], State]) -> None:
        self.read = read  # a position is changed from what it is
        self.chance = random.Random(seed)
        self.now = NOON
        self.trades = 0
        self.planned: dict[int, facts.OrderPlanned] = {}  # the last attempt of each order

    def batch(self) -> list[Fact]:
        """Give what happens next: mostly one fact, at times several of a kind about different things."""
        self.now += timedelta(seconds=self.chance.choice((1, 60, 40_000)))
        kind = self.chance.choice(KINDS)
        # Of two changes of one position in a batch the database writes the last: a step gives one.
        subjects = self.chance.sample(range(6), 1 if kind is _position else self.chance.choice((1, 1, 2, 3)))
        batch = [fact for number in subjects for fact in kind(self, number)]
        # A step gives no position two exits at once, and none has two ends.
        return list({getattr(fact, "position_id", None) or id(fact): fact for fact in batch}.values())

    def one_of(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def quantity(self) -> Decimal:
        return Decimal(self.one_of("0.001", "0.002", "0.004"))


def _signal(story: Story, number: int) -> list[Fact]:
    again = story.one_of(None, None, REPLAYED)
    asked = instruction(
        story.one_of(*Action),
        side=story.one_of(*Side),
        now=story.now,
        symbol=story.one_of(*SYMBOLS),
        again=again,
    )
    signal_id = UUID(int=story.chance.getrandbits(100)) if story.one_of(0, 1) else SIGNALS[number]
    received, accepted = arrival(asked, signal_id=signal_id, now=story.now, bot_id=story.one_of(*BOTS))
    return [received if again is None else replace(received, source=again.kind.value), accepted]


def _accepted(story: Story, number: int) -> list[Fact]:
    asked = instruction(now=story.now, share=story.one_of(None, Decimal("0.5")), not_used=("stop_loss",))
    accepted = facts.SignalAccepted(
        happened_at=story.now, signal_id=SIGNALS[number], bot_id=BOTS[0], instruction=asked
    )
    return [accepted]


def _refused(story: Story, number: int) -> list[Fact]:
    given = {"happened_at": story.now, "signal_id": SIGNALS[number], "bot_id": BOTS[0]}
    return [
        story.one_of(
            facts.SignalRefused(**given, code="STALE", reason="too old"),
            facts.SignalRepeated(
                happened_at=story.now, signal_id=SIGNALS[number], source_address="127.0.0.1"
            ),
            facts.DecisionDeclined(**given, code="COOLDOWN", reason="too soon", verdicts=VERDICTS),
        )
    ]


VERDICTS = (Verdict(check="COOLDOWN", passed=False, numbers={"seconds": "5"}),)


def _decided(story: Story, number: int) -> list[Fact]:
    side = story.one_of(*Side)
    share, again = story.one_of(None, None, Decimal("0.5")), story.one_of(None, None, None, REPLAYED)
    asked = instruction(story.one_of(*Action), side=side, share=share, again=again)
    given = {"signal_id": SIGNALS[number], "bot_id": story.one_of(*BOTS)}
    approved = facts.DecisionApproved(happened_at=story.now, **given, instruction=asked, verdicts=VERDICTS)
    pending = facts.DecisionPending(
        happened_at=story.now,
        **given,
        instruction=asked,
        verdicts=(),
        venue=Venue.PAPER,
        price=Decimal("95200.5"),
        expires_at=story.now + timedelta(minutes=5),
    )
    answer = answered(asked, at=story.now, **given)
    return [story.one_of(approved, approved, pending, answer)]


def _signal_planned(story: Story, number: int) -> list[Fact]:
    """Plan one part after the other, or all at once."""
    return [
        facts.SignalPlanned(
            happened_at=story.now,
            signal_id=SIGNALS[number],
            bot_id=BOTS[0],
            accounts=3,
            orders=story.one_of(0, 1, 3),
            part=part,
            first_account_id=story.one_of(None, 1, 2),
            last_account_id=story.one_of(None, 1, 3),
            is_whole=story.one_of(True, True, False),
        )
        for part in story.one_of((1,), (1,), (2,), (1, 2), (2, 3))
    ]


def _planned(story: Story, number: int) -> list[Fact]:
    if number in story.planned and story.chance.random() < 0.2:
        return [story.planned[number]]  # the same attempt again
    attempt = story.planned[number].attempt + 1 if number in story.planned else 1
    bot_id, account_id, leg = story.one_of(*BOTS), story.one_of(*ACCOUNTS), story.one_of(*Leg)
    story.planned[number] = facts.OrderPlanned(
        happened_at=story.now,
        order_id=ORDERS[number],
        attempt=attempt,
        client_order_id=f"{ORDERS[number]}{attempt}",
        signal_id=SIGNALS[number],
        bot_id=bot_id,
        subscription_id=subscription_of(bot_id, account_id),
        account_id=account_id,
        venue=Venue.PAPER,
        leg=leg,
        position_id=story.one_of(*POSITIONS),
        symbol=story.one_of(*SYMBOLS),
        side=story.one_of(*Side),
        position_side=PositionSide.BOTH,
        quantity=story.quantity(),
        reduce_only=leg is Leg.EXIT,
        leverage=10,
        margin_mode=MarginMode.CROSSED,
        margin_usd=None if leg is Leg.EXIT else Decimal(50),
        decision_price=Decimal(95200),
        send_before=None if leg is Leg.EXIT else story.now + timedelta(seconds=60),
        signed_at_ms=1_000,
        recv_window_ms=5_000,
        owner="trader-1",
        lease_epoch=1,
        execution=_execution(story, number) if leg is Leg.EXIT else None,
    )
    return [story.planned[number]]


def _execution(story: Story, number: int) -> Execution | None:
    token = f"{number + 1}:93296:1"
    execution = Execution(
        token=token,
        kind=TriggerKind.STOP,
        number=0,
        attempt=story.one_of(1, 2),
        limit_price=story.one_of(None, Decimal(93_000)),
    )
    return story.one_of(None, execution)


def _unsent(story: Story, number: int) -> list[Fact]:
    leg, bot_id, account_id = story.one_of(*Leg), story.one_of(*BOTS), story.one_of(*ACCOUNTS)
    given = {
        "happened_at": story.now,
        "order_id": ORDERS[number],
        "signal_id": SIGNALS[number],
        "bot_id": bot_id,
        "subscription_id": subscription_of(bot_id, account_id),
        "account_id": account_id,
        "symbol": story.one_of(*SYMBOLS),
        "leg": leg,
        "position_id": story.one_of(*POSITIONS),
        "side": story.one_of(*Side) if leg is Leg.ENTRY else None,
    }
    if story.one_of(0, 1):
        return [facts.OrderDenied(**given, code="POSITION_LIMIT", reason="enough")]
    is_entry = leg is Leg.ENTRY
    return [
        facts.OrderDeferred(
            **given,
            send_before=story.now + timedelta(seconds=60) if is_entry else None,
            share=None if is_entry else story.one_of(None, Decimal("0.5")),
            reason="waits",
        )
    ]


def _answer(story: Story, number: int) -> list[Fact]:
    given = {
        "happened_at": story.now,
        "order_id": ORDERS[number],
        "attempt": story.planned[number].attempt if number in story.planned else 1,
    }
    sent_at = story.one_of(None, story.now - timedelta(seconds=1))
    accepted = facts.OrderAccepted(
        **given, exchange_order_id=f"{number}", sent_at=sent_at, acknowledged_at=story.now
    )
    unresolved = facts.OrderUnresolved(
        **given,
        code="TIMEOUT",
        reason="no answer",
        is_dead=story.one_of(True, False),
        sent_at=sent_at,
        ask_at=story.now + timedelta(seconds=1),
    )
    rejected = facts.OrderRejected(
        **given, signal_id=SIGNALS[number], position_id=1, code="-2019", reason="margin"
    )
    return [story.one_of(accepted, unresolved, rejected)]


def _ended(story: Story, number: int) -> list[Fact]:
    return [
        facts.OrderEnded(
            happened_at=story.now,
            order_id=ORDERS[number],
            signal_id=SIGNALS[number],
            position_id=1,
            status=story.one_of(OrderStatus.CANCELED, OrderStatus.EXPIRED),
            ended_at=story.now,
        )
    ]


def _filled(story: Story, number: int) -> list[Fact]:
    story.trades += story.one_of(1, 1, 1, 1, 0)  # at times the same trade again
    told = trade(
        f"{story.trades}",
        exchange_order_id=f"{number}",
        quantity=story.quantity(),
        side=story.one_of(*Side),
        symbol=story.one_of(*SYMBOLS),
        traded_at=story.now - timedelta(seconds=story.one_of(0, 50_000)),
    )
    sent = story.read().orders.get(ORDERS[number])
    order_id = ORDERS[number] if sent is not None and sent.attempt and story.one_of(0, 1, 1) else None
    return [
        facts.FillBooked(
            happened_at=story.now,
            account_id=story.one_of(*ACCOUNTS),
            trade=told,
            fee=told.commission,
            fee_rate=Decimal(1),
            order_id=order_id,
            order_is_filled=True,
            signal_id=SIGNALS[number] if order_id else None,
            position_id=story.one_of(*POSITIONS, None),
            foreign_quantity=story.one_of(Decimal(0), Decimal("0.001")),
        )
    ]


def _position(story: Story, _number: int) -> list[Fact]:
    entered, exited = story.quantity() * 2, story.one_of(Decimal(0), story.quantity())
    status = story.one_of(*PositionStatus)
    is_over = status in (PositionStatus.CLOSED, PositionStatus.ABANDONED)
    position_id = story.one_of(*(story.read().positions or POSITIONS))
    known = story.read().positions.get(position_id)
    told = replace(
        position(position_id) if known is None else known.position,
        status=status,
        entered_quantity=entered,
        exited_quantity=exited,
        entry_notional=entered * Decimal(story.one_of("95200", "94000.5")),
        exit_notional=exited * Decimal(story.one_of("95100", "94900")),
        fees=Decimal("0.02"),
        opened_at=story.now,
        closed_at=story.now if is_over else None,
        exit_signal_id=story.one_of(None, SIGNALS[1]),
        close_reason="signal" if is_over else None,
    )
    return [facts.PositionChanged(happened_at=story.now, position=told)]


def _beside(story: Story, _number: int) -> list[Fact]:
    return [
        story.one_of(
            facts.ForeignPositionSeen(
                happened_at=story.now,
                account_id=story.one_of(*ACCOUNTS),
                symbol=story.one_of(*SYMBOLS),
                position_side=PositionSide.BOTH,
                quantity=story.one_of(Decimal(0), story.quantity()),
            ),
            facts.DriftSettled(
                happened_at=story.now,
                position=held("0.004", position_id=story.one_of(*POSITIONS), account_id=3, bot_id=BOTS[0]),
                trade=trade("adopted"),
                foreign_left=Decimal(0),
                settled_by="ana",
                reason="bought by hand",
            ),
            facts.DailyLossForgiven(
                happened_at=story.now,
                subscription_id=subscription_of(BOTS[0], 1),
                day=DAY,
                symbol=SYMBOLS[0],
                amount_usd=Decimal(3),
                forgiven_by="ana",
                reason="a bad day",
            ),
            state_set(
                story.one_of(DESK, scope_of_account(1)),
                now=story.now,
                state=story.one_of(*TradingState),
                version=int((story.now - NOON).total_seconds()),
            ),
        )
    ]


def _guarded(story: Story, number: int) -> list[Fact]:
    """A stop is armed, moved, changed, left; each of one position."""
    row = story.read().stops.get(number + 1)
    known = (
        row.armed
        if row is not None and story.one_of(0, 1, 1)
        else armed(number + 1, account_id=story.one_of(*ACCOUNTS))
    )
    stop = replace(
        known.stop,
        version=known.stop.version + 1,
        status=story.one_of(*StopStatus),
        stop_price=story.one_of(known.stop.stop_price, Decimal(94_000), None),
    )
    at = {"happened_at": story.now, "account_id": known.account_id, "signal_id": known.signal_id}
    place = {"venue": known.venue, "symbol": known.symbol, "position_side": known.position_side}
    move = Adjustment(
        position_id=number + 1,
        old_stop=Decimal(93_296),
        new_stop=Decimal(95_300),
        reason=Reason.TRAILING,
        current_price=Decimal(97_000),
        spans_crossed=2,
        step_index=2,
        span=Decimal(1_904),
        adjustment_token=f"{number + 1}:{story.one_of(1, 2, 3)}",
    )
    return [
        story.one_of(
            stop_armed(replace(known, is_anchor_final=story.one_of(True, False)), now=story.now),
            stop_armed(replace(known, stop=stop), now=story.now),
            facts.StopRaised(
                **at, stop=stop, adjustment=move, venue=known.venue, symbol=known.symbol, source=Source.STREAM
            ),
            facts.StopChanged(**at, stop=stop, code=StopChange.BY_HAND, changed_by="ana", reason="closer"),
            facts.StopDisarmed(**at, position_id=number + 1, **place),
            facts.PositionLeft(**at, position_id=number + 1),
        )
    ]


def _claimed(story: Story, number: int) -> list[Fact]:
    """A level is claimed; a claim of a position is kept here, exited, and ends."""
    known = armed(number + 1)
    kind = story.one_of(*TriggerKind)
    target = 1 if kind is TriggerKind.TARGET else 0
    token = f"{number + 1}:93296:{story.one_of(1, 2)}"
    of_claim = {"token": token, "kind": kind, "number": target, "position_id": number + 1}
    at = {"happened_at": story.now, "account_id": known.account_id, "signal_id": SIGNALS[number]}
    again_at = story.one_of(None, story.now + timedelta(seconds=2))
    return [
        story.one_of(
            triggered(
                replace(known, signal_id=SIGNALS[number]),
                Trigger(kind=kind, number=target, level=Decimal(93_296), price=Decimal(93_290), version=1),
                token=token,
                source=story.one_of(*Source),
                claimed_by="monitor-1",
                now=story.now,
            ),
            facts.GuardrailBlocked(
                **at,
                **of_claim,
                guardrail=story.one_of("STALE_PRICE", "EXECUTION_RATE"),
                numbers={"age_seconds": "31.0"},
                remedy="ask",
                instead="recheck",
                again_at=again_at,
                is_critical=False,
                pauses_entries=False,
            ),
            facts.ExecutionMoved(
                **at,
                **of_claim,
                status=story.one_of(
                    ExecutionStatus.EXECUTED, ExecutionStatus.FAILED, ExecutionStatus.BLOCKED
                ),
                attempts=1,
                order_id=None,
                code=story.one_of(None, "EXIT_FAILED"),
                reason=story.one_of(None, "attempts=5/5"),
                price=story.one_of(None, Decimal(93_200)),
                slippage_percent=story.one_of(None, Decimal("0.1029")),
                again_at=again_at,
            ),
        )
    ]


def _line(story: Story, number: int) -> list[Fact]:
    """The venue's line of a stop is planned, answered, moves on."""
    known, version = armed(number + 1), story.one_of(1, 2, 3)
    planned = line_planned(
        known, version=version, now=story.now, quantity=story.one_of(None, Decimal("0.004"))
    )
    of_line = {
        "happened_at": story.now,
        "protection_id": planned.protection_id,
        "position_id": number + 1,
        "account_id": known.account_id,
        "signal_id": known.signal_id,
    }
    accepted = facts.ProtectionAccepted(
        **of_line, exchange_protection_id="77", sent_at=None, acknowledged_at=story.now
    )
    rejected = facts.ProtectionRejected(
        **of_line, code="-2021", reason="would trigger", cause=RefusalCause.PRICE_PASSED
    )
    unresolved = facts.ProtectionUnresolved(
        **of_line,
        code="TIMEOUT",
        reason="no answer",
        is_dead=story.one_of(True, False),
        ask_at=story.now + timedelta(seconds=1),
    )
    moved = facts.ProtectionMoved(
        **of_line,
        status=story.one_of(*(one for one in ProtectionStatus if one is not ProtectionStatus.ACCEPTED)),
        triggered_order_id=story.one_of(None, "88"),
        reason=story.one_of("", "margin"),
        reported_at=story.now,
    )
    return [story.one_of(planned, planned, accepted, rejected, unresolved, moved)]


KINDS: tuple[Callable[[Story, int], list[Fact]], ...] = (
    _signal, _accepted, _refused, _decided, _decided, _signal_planned, _planned, _planned, _planned, _unsent,
    _answer, _answer, _answer, _ended, _filled, _filled, _position, _position, _position, _beside,
    _guarded, _guarded, _claimed, _claimed, _line, _line,
)  # fmt: skip


# --- rows -------------------------------------------------------------------------------------------------

POSITION_COLUMNS = [one.name for one in fields(Position)]


def rows_in_memory(state: State) -> dict[str, list[dict[str, Any]]]:
    """Give the rows that PostgreSQL would have, by table."""
    return {
        "signals": [asdict(row) for row in state.signals.values()],
        "orders": [asdict(row) for row in state.orders.values()],
        "positions": [
            {
                **{name: getattr(row.position, name) for name in POSITION_COLUMNS},
                "realized_pnl": row.position.realized_pnl,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
            for row in state.positions.values()
        ],
        "fills": [
            {
                "account_id": fact.account_id,
                "symbol": fact.trade.symbol,
                "trade_id": fact.trade.trade_id,
                "exchange_order_id": fact.trade.exchange_order_id,
                "order_id": fact.order_id,
                "signal_id": fact.signal_id,
                "position_id": fact.position_id,
                "price": fact.trade.price,
                "quantity": fact.trade.quantity,
                "fee": fact.fee,
                "traded_at": fact.trade.traded_at,
                "booked_at": fact.happened_at,
                "foreign_quantity": fact.foreign_quantity,
            }
            for fact in state.fills.values()
        ],
        "foreign_positions": [
            {"account_id": number, "symbol": symbol, "position_side": side, **asdict(row)}
            for (number, symbol, side), row in state.foreign_positions.items()
        ],
        "daily_results": [
            {**asdict(row), "counted_loss_usd": row.counted_loss_usd} for row in state.daily_results.values()
        ],
        "trading_states": [
            {
                "level": fact.level,
                "subject": fact.subject,
                "state": fact.state,
                "version": fact.version,
                "set_at": fact.happened_at,
            }
            for fact in state.trading_states.values()
        ],
        "stops": [
            {
                **_flat(row.armed, but="stop"),
                **{
                    name: getattr(row.armed.stop, name)
                    for name in (
                        "position_id",
                        "direction",
                        "status",
                        "version",
                        "entry_price",
                        "initial_stop",
                        "stop_price",
                    )
                },
                **{
                    name: getattr(row, name)
                    for name in (
                        "armed_at",
                        "updated_at",
                        "line_id",
                        "line_status",
                        "line_price",
                        "line_quantity",
                    )
                },
            }
            for row in state.stops.values()
        ],
        "stop_moves": [
            {"token": token, "position_id": fact.adjustment.position_id, "moved_at": fact.happened_at}
            for token, fact in state.stop_moves.items()
        ],
        "stop_claims": [
            {
                **{
                    name: value
                    for name, value in asdict(row.claimed).items()
                    if name not in ("order_status", "filled_quantity", "filled_notional")
                },
                **_flat(row, but="claimed"),
            }
            for row in state.stop_claims.values()
        ],
        "protections": [{**asdict(row.line), **_flat(row, but="line")} for row in state.protections.values()],
    }


def _flat(row: Any, *, but: str) -> dict[str, Any]:
    return {one.name: getattr(row, one.name) for one in fields(row) if one.name != but}


async def rows_in_postgres(connection: Any, tables: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Give the rows of the same tables, with the columns that memory has of them."""
    return {
        table: [
            {name: row[name] for name in (rows[0] if rows else ())}
            for row in await connection.fetch(f"SELECT * FROM {table}")
        ]
        for table, rows in tables.items()
    }


def comparable(tables: dict[str, list[dict]]) -> dict[str, list[str]]:
    """Give rows as sorted text, in which equal numbers and equal times look alike."""
    return {
        table: sorted(str({name: _plain(name, value) for name, value in sorted(row.items())}) for row in rows)
        for table, rows in tables.items()
    }


def _plain(name: str, value: Any) -> Any:
    if name in {"verdicts", "execution"} and value is not None:
        told = msgspec.json.decode(value if isinstance(value, str) else msgspec.json.encode(value))
        return sorted(told.items()) if isinstance(told, dict) else told
    if isinstance(value, Decimal):
        return f"{value.normalize() + 0:f}"
    if isinstance(value, list):
        return tuple(value)
    return str(value) if isinstance(value, str | UUID | datetime) else value


# --- answers ----------------------------------------------------------------------------------------------


async def answers(books: Any, *, now: datetime, bots: Any = BOTS) -> dict[str, Any]:
    """Ask every question of every port about everything there is."""
    asked = [instruction(side=side, symbol=symbol) for side in Side for symbol in SYMBOLS]
    keys = [
        (number, symbol, f"{one}", f"{order}")
        for number in ACCOUNTS
        for symbol in SYMBOLS
        for one in range(30)
        for order in range(6)
    ]
    subscriptions = {subscription_of(bot_id, number) for bot_id in BOTS for number in ACCOUNTS}
    subscribed = [
        one
        for one in (await books.lock_positions(POSITIONS)).values()
        if one.subscription_id in subscriptions
    ]
    given: dict[str, Any] = {
        "states": sorted(await books.trading_states(), key=lambda one: one.level),
        "on the way": await books.on_the_way(POSITIONS),
        "positions": await books.lock_positions(POSITIONS),
        "planned": await books.planned_orders(ORDERS),
        "open": await books.open_attempts(ORDERS),
        "of claims": await books.attempts_of_claims(POSITIONS),
        "accounts": await books.accounts((*ACCOUNTS, 99)),
        "assets": await books.margin_assets((*ACCOUNTS, 99)),
        "own": await books.lock_orders(ORDERS),
        "booked": await books.booked(keys),
        "last": await books.last_trades(POSITIONS),
        "traded": await books.traded_positions(POSITIONS),
        "entering": [await books.is_entering(number) for number in POSITIONS],
        "waiting exits": await books.waiting_exits(POSITIONS),
        "guarded": await books.guarded_positions(POSITIONS),
        "lines": await books.lines(
            [f"s-{number}-{version}" for number in POSITIONS for version in (1, 2, 3)]
        ),
        "guards": await books.guards(subscribed),
    }
    for since in (now - timedelta(hours=1), now - timedelta(days=30)):
        scene = await books.exit_scene(subscribed, since=since)
        states = sorted(scene.states, key=lambda one: one.level)
        given[f"scene {since}"] = {
            **{one.name: getattr(scene, one.name) for one in fields(scene)},
            "states": states,
        }
    for signal_id in SIGNALS:
        given[f"progress {signal_id}"] = await books.progress(signal_id)
    everywhere = await books.live_positions(account_ids=ACCOUNTS, symbols=SYMBOLS)
    given["live everywhere"] = sorted(everywhere, key=lambda one: one.position_id)
    given["obstacles together"] = await books.obstacles(
        dict(zip(SIGNALS, cycle(SYMBOLS), strict=False)), account_ids=ACCOUNTS
    )
    for symbol in SYMBOLS:
        live = await books.live_positions(account_ids=ACCOUNTS, symbols=[symbol])
        given[f"live {symbol}"] = sorted(live, key=lambda one: one.position_id)
        for signal_id in SIGNALS:
            given[f"obstacles {symbol} {signal_id}"] = await books.obstacles(
                {signal_id: symbol}, account_ids=ACCOUNTS
            )
        for number in ACCOUNTS:
            given[f"held {number} {symbol}"] = await books.held_quantity(account_id=number, symbol=symbol)
            given[f"open {number} {symbol}"] = await books.open_position(
                account_id=number, symbol=symbol, position_side=PositionSide.BOTH
            )
            given[f"untold {number} {symbol}"] = await books.untold_trades(
                account_id=number, symbol=symbol, trades=[trade(f"{one}") for one in range(30)]
            )
    for bot_id in bots:
        the_bot = await books.lock_bot(bot_id)
        given[f"bot {bot_id}"] = the_bot, await books.get_bot(bot_id), await books.main_venue(bot_id)
        members = await books.members(bot_id)
        followers = [one.subscription.subscription_id for one in members]
        given[f"members {bot_id}"] = members
        given[f"round {bot_id}"] = [
            await round_of(books, bot_id, start=start, limit=limit)
            for start in (0, 1, 5)
            for limit in (1, 2, 9)
        ]
        given[f"one of {bot_id}"] = await books.next_part(
            bot_id, after=NOT_BEGUN, start=3, limit=4, only={subscription_of(bot_id, 2)}
        )
        given[f"entered before {bot_id}"] = await books.entered_before(
            SIGNALS[:3], subscription_ids=followers
        )
        given[f"named {bot_id}"] = await books.members_named([subscription_of(bot_id, 1), UUID(int=99)])
        given[f"waiting {bot_id}"] = await books.waiting_entries(bot_id, subscription_ids=followers)
        for symbols in (None, (), SYMBOLS[:1], SYMBOLS):
            given[f"live of {bot_id} on {symbols}"] = await books.live_positions_of_bot(
                bot_id, subscription_ids=followers, symbols=symbols
            )
        for symbol in SYMBOLS:
            for day in (now.date(), DAY):
                given[f"usage {bot_id} {symbol} {day}"] = await books.usage(
                    bot_id,
                    subscription_ids=followers[1:],
                    symbols=[symbol],
                    day=day,
                    rules=dict(zip(followers, RULES, strict=False)),
                )
        given[f"usage {bot_id} on all"] = await books.usage(
            bot_id, subscription_ids=followers[1:], symbols=SYMBOLS, day=DAY
        )
        for symbol in (*SYMBOLS, "ETHUSDT", "SOLUSDT", None):
            given[f"listing {symbol}"] = await books.find_listing(symbol)
            given[f"foretold {symbol}"] = await books.find_foretold("btc_1h", symbol, now=now)
        for one in asked:
            name = f"{bot_id} {one.symbol} {one.side}"
            given[f"record {name}"] = await books.read_record(the_bot, one, now=now)
            given[f"against {name}"] = await books.count_against(one, bot_id=bot_id)
            for signal_id in SIGNALS:
                newer = await _newer(books, signal_id, bot_id=bot_id, one=one)
                given[f"newer {name} {signal_id}"] = newer
    given["followers"] = await books.lock_bots(bots, symbols=None)
    return given


async def round_of(books: Any, bot_id: UUID, *, start: int, limit: int) -> list[Part]:
    """Take turn after turn until nobody is left; everybody has had one."""
    parts: list[Part] = []
    progress = NOT_BEGUN
    while not parts or not parts[-1].is_last:
        few = max(1, limit // 2) if progress == NOT_BEGUN else None
        parts.append(await books.next_part(bot_id, after=progress, start=start, limit=limit, few=few))
        progress = parts[-1].progress
    members = [one.account.account_id for part in parts for one in part.members]
    assert sorted(members) == [one.account.account_id for one in await books.members(bot_id)]
    return parts


async def _newer(books: Any, signal_id: UUID, *, bot_id: UUID, one: Any) -> Any:
    found = await books.find_newer_against(signal_id, bot_id=bot_id, instruction=one)
    return None if found is None else replace(found, signal_id=UUID(int=found.signal_id.int))


async def found_work(store: Any, *, now: datetime) -> dict[str, Any]:
    """Ask everything that the trader's loops ask; what that changes is taken back."""
    trades = [trade(f"{one}", exchange_order_id=f"{one}") for one in range(8)]
    watched = await store.read_watched()
    given: dict[str, Any] = {
        "signals": await store.peek_waiting_signals(limit=100),
        "measures": sorted(await store.measures(), key=str),
        "entries": sorted(await store.peek_waiting_entries(limit=100), key=lambda one: one[1].order_id),
        "exits": sorted(await store.peek_waiting_exits(limit=100), key=lambda one: one.position_id),
        "settled": sorted(await store.settled_signals(SIGNALS)),
        "states": sorted(watched.states, key=lambda one: one.level),
        "version": watched.states.version,
        "owners": watched.owners,
        "orders": [await store.find_live_order(one) for one in ORDERS],
        "forgetful": await store.forgetful_accounts(Venue.PAPER),
    }
    for number in ACCOUNTS:
        live = await store.live_orders_of_account(number)
        given[f"live {number}"] = sorted(live, key=lambda one: one.order_id)
        is_quiet, held_here = await store.held_positions(number)
        given[f"held {number}"] = is_quiet, sorted(held_here, key=lambda one: one.symbol)
        given[f"symbols {number}"] = sorted(await store.held_symbols(number))
        for symbol in SYMBOLS:
            explained, may_be_ours = await store.explain_trades(
                account_id=number, symbol=symbol, trades=trades
            )
            given[f"explained {number} {symbol}"] = explained, may_be_ours
    with contextlib.suppress(TakenBack):
        async with store.transaction() as transaction:
            waiting = [one.signal_id for one in given["signals"]]
            given["claimed"] = await store.claim_waiting_signals(transaction, waiting)
            given["some claimed"] = await store.claim_waiting_signals(transaction, waiting[1::2])
            overdue = await store.claim_overdue(transaction, now=now, limit=100)
            given["overdue"] = sorted(overdue, key=lambda one: one.signal_id)
            due = await store.claim_due_orders(transaction, limit=100)
            given["due"] = sorted(due, key=lambda one: one.order_id)
            exits = await store.peek_due_exits(now=now, limit=100)
            given["due exits"] = sorted((one.position_id, one.venue, one.symbol) for one in exits)
            numbers = [one.position_id for one in exits]
            given["locked exits"] = sorted(await store.lock_due_exits(transaction, numbers))
            raise TakenBack
    return given


class TakenBack(Exception):
    """What was claimed is left as it was."""

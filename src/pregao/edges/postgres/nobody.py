"""
A trade of nobody: the facts from an entry to the exit of its stop, for a connection to write once and take back.

What holds these facts is rolled back, always. No id of theirs is one that the desk gives, and no two connections have the
same: none waits for another.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.execution import Execution
from pregao.domain.facts import OrderPlanned, PositionChanged, StopArmed, StopTriggered
from pregao.domain.level import Level, Method, TriggerKind
from pregao.domain.order import Leg, PositionSide, Side
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.stop import Source, Trigger, arm
from pregao.domain.stop_rule import StopRule
from pregao.domain.venue import MarginMode
from pregao.edges.postgres.journal import Transaction

AT = datetime(2000, 1, 1, tzinfo=UTC)
NOTHING = UUID(int=0)
SYMBOL = "BTCUSDT"
PRICE, QUANTITY = Decimal(100), Decimal(1)


@asynccontextmanager
async def taken_back(connection: asyncpg.Connection) -> AsyncIterator[Transaction]:
    """Open a transaction that never commits."""
    opened = connection.transaction()
    await opened.start()
    try:
        yield Transaction(connection, written_at_end=True)
    finally:
        await opened.rollback()


class Nobody:
    """Who holds a position on one connection, and only there."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Be another one than on each other connection: they may write at the same time."""
        self._number = -connection.get_server_pid()
        self._stop = arm(
            StopRule(stop=Level(method=Method.PERCENT, value=Decimal(1))),
            position_id=self._number,
            direction=Direction.LONG,
            entry_price=PRICE,
            price_tick=Decimal("0.1"),
        )
        self._token = f"nobody{self._number}"

    @property
    def position(self) -> Position:
        """What he holds."""
        return Position(
            position_id=self._number,
            account_id=self._number,
            bot_id=NOTHING,
            subscription_id=NOTHING,
            signal_id=NOTHING,
            symbol=SYMBOL,
            position_side=PositionSide.BOTH,
            direction=Direction.LONG,
            status=PositionStatus.OPEN,
            leverage=1,
            entered_quantity=QUANTITY,
            entry_notional=PRICE * QUANTITY,
            opened_at=AT,
        )

    def enters(self) -> OrderPlanned:
        """Give his entry."""
        return self._order(Leg.ENTRY, name="enters")

    def holds(self) -> tuple[PositionChanged, StopArmed]:
        """Give what follows from its fill."""
        armed = StopArmed(
            happened_at=AT,
            stop=self._stop,
            account_id=self._number,
            bot_id=NOTHING,
            subscription_id=NOTHING,
            signal_id=NOTHING,
            venue=Venue.PAPER,
            symbol=SYMBOL,
            position_side=PositionSide.BOTH,
            held_since=AT,
            is_anchor_final=True,
            is_required=False,
        )
        return PositionChanged(happened_at=AT, position=self.position), armed

    def is_stopped(self) -> StopTriggered:
        """Give the claim on his stop."""
        level = self._stop.stop_price
        assert level is not None
        return StopTriggered(
            happened_at=AT,
            stop=self._stop,
            trigger=Trigger(kind=TriggerKind.STOP, number=0, level=level, price=level, version=1),
            token=self._token,
            account_id=self._number,
            signal_id=NOTHING,
            venue=Venue.PAPER,
            symbol=SYMBOL,
            source=Source.STREAM,
            seen_at=AT,
            price_at=AT,
            estimated_price=level,
            again_at=AT,
            claimed_by="",
        )

    def exits(self) -> OrderPlanned:
        """Give the order that follows from the claim."""
        execution = Execution(token=self._token, kind=TriggerKind.STOP, number=0, attempt=1)
        return self._order(Leg.EXIT, name="exits", execution=execution)

    def _order(self, leg: Leg, *, name: str, execution: Execution | None = None) -> OrderPlanned:
        is_entry = leg is Leg.ENTRY
        return OrderPlanned(
            happened_at=AT,
            order_id=f"nobody{self._number} {name}",
            attempt=1,
            client_order_id=f"nobody{self._number} {name}",
            signal_id=NOTHING,
            bot_id=NOTHING,
            subscription_id=NOTHING,
            account_id=self._number,
            venue=Venue.PAPER,
            leg=leg,
            position_id=self._number,
            symbol=SYMBOL,
            side=Side.BUY if is_entry else Side.SELL,
            position_side=PositionSide.BOTH,
            quantity=QUANTITY,
            reduce_only=not is_entry,
            leverage=1,
            margin_mode=MarginMode.CROSSED,
            margin_usd=PRICE if is_entry else None,
            decision_price=PRICE,
            send_before=AT if is_entry else None,
            signed_at_ms=0,
            recv_window_ms=1,
            owner="",
            lease_epoch=0,
            execution=execution,
        )

"""What is done from outside: senders deliver signals, a person answers questions, owners trade by hand past the desk."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from uuid import UUID

from pregao.decisions.answer import to_answer
from pregao.domain.facts import DecisionPending, Fact, SignalAccepted, SignalReceived, SignalRepeated
from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.histories.plan import APPROVAL_SECONDS, Delivery, HandTrade
from pregao.histories.safety import FOR_EVER_MS
from pregao.histories.world import World
from pregao.simulation.instruments import LISTINGS
from pregao.simulation.reports import held_of

HAND_QUANTITY = Decimal("0.01")


class People:
    """Those who are no part of the desk."""

    def __init__(self, world: World, *, ring: Callable[[str, str], None]) -> None:
        """Do what the plan says; ``ring`` tells the desk's processes what was committed."""
        self._world = world
        self._ring = ring

    # --- senders ---

    async def deliver_all(self) -> None:
        """Deliver the plan's signals."""
        for delivery in self._world.plan.deliveries:
            await asyncio.sleep(max(0.0, delivery.at_seconds - self._world.loop.time()))
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        """
        Commit an arrival as intake does; a sender whose delivery fails sends it again.

        After a restore took it, intake would know it under another id: that is another signal, and none of this plan.
        """
        while delivery.signal_id not in self._world.gone:
            try:
                async with self._world.journal.transaction() as transaction:
                    is_known = delivery.signal_id in transaction.state.signals
                    await transaction.append(self._arrival(delivery, is_known=is_known))
                self._ring("signals", "")
                return
            except ConnectionError:
                await asyncio.sleep(1.0)

    def _arrival(self, delivery: Delivery, *, is_known: bool) -> list[Fact]:
        now = self._world.clock()
        if is_known:
            return [SignalRepeated(happened_at=now, signal_id=delivery.signal_id, source_address="")]
        return [
            SignalReceived(
                happened_at=now,
                signal_id=delivery.signal_id,
                bot_id=delivery.bot_id,
                body=b"{}",
                content_type="application/json",
                source="history",
                source_address="",
                dedupe_key=str(delivery.signal_id),
                is_explicit_id=True,
            ),
            SignalAccepted(
                happened_at=now,
                signal_id=delivery.signal_id,
                bot_id=delivery.bot_id,
                instruction=delivery.instruction,
            ),
        ]

    # --- who is asked ---

    async def answer_questions(self) -> None:
        """Answer what is put to a person: mostly yes, sometimes no, sometimes not at all."""
        chance = random.Random(f"{self._world.plan.seed}/people")
        seen: set[UUID] = set()
        while True:
            await asyncio.sleep(1.0)
            for fact in list(self._world.journal.state.journal):
                if isinstance(fact, DecisionPending) and fact.signal_id not in seen:
                    seen.add(fact.signal_id)
                    patience = 1.3 * APPROVAL_SECONDS * chance.random()
                    answer = self._answer(fact, is_approved=chance.random() < 0.8, seconds=patience)
                    self._world.loop.create_task(answer)

    async def _answer(self, asked: DecisionPending, *, is_approved: bool, seconds: float) -> None:
        world = self._world
        await asyncio.sleep(seconds)
        with suppress(ConnectionError):
            async with world.journal.transaction() as transaction:
                row = transaction.state.signals.get(asked.signal_id)
                if row is None or row.status != "pending" or world.clock() >= asked.expires_at:
                    return
                answer = to_answer(
                    asked, is_approved=is_approved, answered_by="ana", reason="", now=world.clock()
                )
                await transaction.append([answer])
                world.hit("answer")
            self._ring("signals", "")

    # --- owners ---

    async def trade_by_hand(self) -> None:
        """Trade as the plan says, past the desk."""
        for trade in self._world.plan.hand_trades:
            await asyncio.sleep(max(0.0, trade.at_seconds - self._world.loop.time()))
            self._trade(trade)

    def _trade(self, trade: HandTrade) -> None:
        """Sell out of what is held there, or open a little."""
        venue = self._world.venue
        account = venue.engine.books.accounts[str(trade.account_id)]
        held = {
            side: quantity
            for (symbol, side), quantity in held_of(account, until_ms=FOR_EVER_MS).items()
            if symbol == trade.symbol and quantity
        }
        is_hedged = account.position_mode is PositionMode.HEDGE
        side, place = trade.side, PositionSide.BOTH
        quantity = trade.share * HAND_QUANTITY
        if held:
            [(place, quantity), *_] = sorted(held.items())
            side = Side.SELL if quantity > 0 else Side.BUY
            share = min(trade.share, Decimal(1)) if is_hedged else trade.share
            step = LISTINGS[trade.symbol].instrument.market_quantity_step
            quantity = max(step, abs(quantity) * share // step * step)
        elif is_hedged:
            place = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
        is_taken = venue.trade_by_hand(
            trade.account_id, symbol=trade.symbol, side=side, position_side=place, quantity=quantity
        )
        self._world.note(f"hand {trade.account_id} {trade.symbol} {side} {quantity} {is_taken}")

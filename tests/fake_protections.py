"""
A venue's protective orders in memory, beside the fake exchange: they keep the rules the desk relies on, and fail when told to.

One that closes the position stands in each direction, none without something to close, none past the price; an id is
taken while its order waits, and what closes the position ends when nothing is held any more.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pregao.domain.clock import to_ms
from pregao.domain.money import ZERO
from pregao.domain.order import Side
from pregao.domain.protection import (
    ENDS,
    ProtectionAcknowledgement,
    ProtectionRefused,
    ProtectionReport,
    ProtectionStatus,
    ProtectiveOrder,
    RefusalCause,
    VenueProtection,
)
from pregao.domain.venue import OutcomeUnknown, RetryLater, VenueError
from tests.fake_exchange import FakeExchange


@dataclass
class FakeProtections:
    """Implements `domain.protection.Protections`."""

    exchange: FakeExchange
    orders: list[tuple[int, VenueProtection]] = field(default_factory=list)
    submitted: list[ProtectiveOrder] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._before: list[Exception] = []
        self._after: list[VenueError] = []
        self._hangs: list[asyncio.Event] = []
        self._silent = False

    # --- what goes wrong ---

    def fail_next(self, error: Exception) -> None:
        self._before.append(error)

    def lose_next_answer(self) -> None:
        self._after.append(OutcomeUnknown("TIMEOUT", "no answer"))

    def hang_after_next(self) -> asyncio.Event:
        """Take the next one and never answer; the event says that it is there."""
        taken = asyncio.Event()
        self._hangs.append(taken)
        return taken

    def stay_silent(self, *, silent: bool = True) -> None:
        self._silent = silent

    # --- the port ---

    async def place_protection(self, order: ProtectiveOrder) -> ProtectionAcknowledgement:
        sent_at = self.exchange.clock()
        self.submitted.append(order)
        self._speak()
        if self._before:
            raise self._before.pop(0)
        if to_ms(sent_at) > order.signed_at_ms + order.recv_window_ms:
            raise RetryLater("-1021", "Timestamp outside of the recvWindow.", retry_after_seconds=0)
        self._check(order)
        placed = self._stand(order)
        if self._hangs:
            self._hangs.pop(0).set()
            await asyncio.Event().wait()
        if self._after:
            raise self._after.pop(0)
        return ProtectionAcknowledgement(
            exchange_protection_id=placed.exchange_protection_id,
            sent_at=sent_at,
            acknowledged_at=self.exchange.clock(),
        )

    async def find_protection(self, *, account_id: int, protection_id: str) -> VenueProtection | None:
        self._speak()
        self._end_the_needless()
        named = [
            one for account, one in self.orders if (account, one.protection_id) == (account_id, protection_id)
        ]
        return named[-1] if named else None

    async def open_protections(
        self, *, account_id: int, symbol: str | None = None
    ) -> Sequence[VenueProtection]:
        self._speak()
        return [
            one for account, one in self._waiting() if account == account_id and symbol in (None, one.symbol)
        ]

    async def cancel_protection(self, *, account_id: int, protection_id: str) -> bool:
        self._speak()
        for account, one in self._waiting():
            if (account, one.protection_id) == (account_id, protection_id):
                self.canceled.append(protection_id)
                self._move(one, ProtectionStatus.CANCELED)
                return True
        return False

    async def cancel_protections(self, *, account_id: int, symbol: str) -> None:
        for one in await self.open_protections(account_id=account_id, symbol=symbol):
            self._move(one, ProtectionStatus.CANCELED)

    # --- what happens there ---

    async def trigger(self, protection_id: str) -> None:
        """Let its price come: its order trades what is held, and the streams tell both."""
        [(account_id, one)] = [row for row in self._waiting() if row[1].protection_id == protection_id]
        number = str(next(self._ids))
        held = abs(self.exchange.quantity(account_id, one.symbol))
        await self._tell(account_id, self._move(one, ProtectionStatus.TRIGGERING))
        await self.exchange.trade(
            account_id,
            symbol=one.symbol,
            side=one.side,
            quantity=held if one.quantity is None else min(held, one.quantity),
            position_side=one.position_side,
            client_order_id=protection_id,
            exchange_order_id=number,
        )
        finished = replace(self._newest(protection_id), triggered_order_id=number)
        await self._tell(account_id, self._move(finished, ProtectionStatus.FINISHED))

    def standing(self) -> list[VenueProtection]:
        """Give what waits, of all accounts."""
        return [one for _, one in self._waiting()]

    def _check(self, order: ProtectiveOrder) -> None:
        held = self.exchange.quantity(order.account_id, order.symbol)
        if held == ZERO or (held > ZERO) is (order.side is Side.BUY):
            raise ProtectionRefused("-4509", "nothing is held", cause=RefusalCause.NOTHING_HELD)
        price = self.exchange.prices[order.symbol]
        is_past = price <= order.trigger_price if order.side is Side.SELL else price >= order.trigger_price
        if is_past:
            raise ProtectionRefused("-2021", "would trigger at once", cause=RefusalCause.PRICE_PASSED)
        here = [
            one
            for account, one in self._waiting()
            if (account, one.symbol) == (order.account_id, order.symbol)
        ]
        if any(one.protection_id == order.protection_id for one in here):
            raise OutcomeUnknown("-4116", "the id is taken")
        if order.quantity is None and any(one.quantity is None and one.side is order.side for one in here):
            raise ProtectionRefused("-4130", "another stands", cause=RefusalCause.STANDS_ALREADY)

    def _stand(self, order: ProtectiveOrder) -> VenueProtection:
        now = self.exchange.clock()
        placed = VenueProtection(
            protection_id=order.protection_id,
            exchange_protection_id=str(next(self._ids)),
            symbol=order.symbol,
            side=order.side,
            position_side=order.position_side,
            kind=order.kind,
            trigger_price=order.trigger_price,
            quantity=order.quantity,
            status=ProtectionStatus.ACCEPTED,
            triggered_order_id=None,
            created_at=now,
            updated_at=now,
        )
        self.orders.append((order.account_id, placed))
        return placed

    def _waiting(self) -> list[tuple[int, VenueProtection]]:
        self._end_the_needless()
        return [row for row in self.orders if row[1].status is ProtectionStatus.ACCEPTED]

    def _end_the_needless(self) -> None:
        for account_id, one in list(self.orders):
            if (
                one.status is ProtectionStatus.ACCEPTED
                and self.exchange.quantity(account_id, one.symbol) == ZERO
            ):
                self._move(one, ProtectionStatus.EXPIRED)

    def _newest(self, protection_id: str) -> VenueProtection:
        return [one for _, one in self.orders if one.protection_id == protection_id][-1]

    def _move(self, one: VenueProtection, status: ProtectionStatus) -> VenueProtection:
        place = next(
            number
            for number, (_, row) in enumerate(self.orders)
            if row.exchange_protection_id == one.exchange_protection_id
        )
        assert self.orders[place][1].status not in ENDS, "what has ended moves no more"
        moved = replace(one, status=status, updated_at=self.exchange.clock())
        self.orders[place] = self.orders[place][0], moved
        return moved

    async def _tell(self, account_id: int, one: VenueProtection) -> None:
        if self.exchange.tell is None or self.exchange.stream_is_down:
            return
        await self.exchange.tell(
            ProtectionReport(
                account_id=account_id,
                symbol=one.symbol,
                protection_id=one.protection_id,
                exchange_protection_id=one.exchange_protection_id,
                status=one.status,
                triggered_order_id=one.triggered_order_id,
                reason="",
                reported_at=one.updated_at,
            )
        )

    def _speak(self) -> None:
        if self._silent:
            raise OutcomeUnknown("TIMEOUT", "no answer")

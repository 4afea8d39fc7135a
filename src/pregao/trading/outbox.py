"""Planned orders on their way to the venues: so many at once over each wire, the rest in their order."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pregao.domain.account import Venue
from pregao.domain.facts import OrderPlanned
from pregao.domain.order import Leg

HOLD_SECONDS = 0.1  # reading and booking what is told takes time that a burst of orders needs to leave


@dataclass(slots=True)
class _Wire:
    waiting: deque[OrderPlanned] = field(default_factory=deque)
    senders: int = 0


class Outbox:
    """
    What is planned and committed, and not sent yet; it is lost with the process, and then asked about.

    A slow venue takes no place from another, and no entry takes one from an exit.
    """

    def __init__(self, send: Callable[[OrderPlanned], Awaitable[None]], *, in_flight_max: int) -> None:
        """Give each order to ``send``, which must not raise; ``in_flight_max`` at once per venue and leg."""
        self._send = send
        self._in_flight_max = in_flight_max
        self._wires: defaultdict[tuple[Venue, Leg], _Wire] = defaultdict(_Wire)
        self._senders: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._is_empty = asyncio.Event()
        self._held_until = 0.0  # in the loop's time

    def put(self, order: OrderPlanned) -> None:
        """Send the order when its turn comes."""
        if not self._waiting:
            self._is_empty.clear()
            self._held_until = asyncio.get_running_loop().time() + HOLD_SECONDS
        self._waiting += 1
        wire = self._wires[order.venue, order.leg]
        wire.waiting.append(order)
        if wire.senders < self._in_flight_max:
            wire.senders += 1
            sender = asyncio.create_task(self._send_waiting(wire))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def let_leave(self) -> None:
        """Return when every order has had its turn, or the burst has had its time: other work waits for it."""
        if self._waiting and self._held_until > asyncio.get_running_loop().time():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._held_until):
                    await self._is_empty.wait()

    def take_back(self, is_meant: Callable[[OrderPlanned], bool]) -> list[OrderPlanned]:
        """Give those that still wait and are meant; they are not sent any more."""
        taken: list[OrderPlanned] = []
        for wire in self._wires.values():
            meant = [order for order in wire.waiting if is_meant(order)]
            if meant:
                names = {order.client_order_id for order in meant}
                wire.waiting = deque(one for one in wire.waiting if one.client_order_id not in names)
                taken.extend(meant)
        self._waiting -= len(taken)
        if not self._waiting:
            self._is_empty.set()
        return taken

    async def close(self) -> None:
        """Return when everything has been sent."""
        while self._senders:
            await asyncio.wait(self._senders)

    async def _send_waiting(self, wire: _Wire) -> None:
        try:
            while wire.waiting:
                order = wire.waiting.popleft()
                self._waiting -= 1
                if not self._waiting:
                    self._is_empty.set()
                await self._send(order)
        finally:
            wire.senders -= 1

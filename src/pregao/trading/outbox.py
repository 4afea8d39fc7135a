"""Planned orders on their way to the venues: so many at once over each wire, the rest in their order."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pregao.domain.account import Venue
from pregao.domain.facts import OrderPlanned
from pregao.domain.order import Leg

STARTED_AT_ONCE = 16
HOLD_SECONDS = 0.15  # reading and booking what is told takes time that a burst of orders needs to leave


class Quiet(Protocol):
    """Leaves answers unread while orders leave."""

    def begin(self) -> None:
        """Leave them unread."""
        ...

    def end(self) -> None:
        """Read them."""
        ...


class NeverQuiet:
    """Leaves nothing unread."""

    def begin(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


NEVER_QUIET = NeverQuiet()


@dataclass(slots=True)
class _Wire:
    waiting: deque[OrderPlanned] = field(default_factory=deque)
    senders: int = 0


class Outbox:
    """
    What is planned and committed, and not sent yet; it is lost with the process, and then asked about.

    A slow venue takes no place from another, and no entry takes one from an exit.
    """

    def __init__(
        self, send: Callable[[OrderPlanned], Awaitable[None]], *, in_flight_max: int, quiet: Quiet
    ) -> None:
        """
        Give each order to ``send``, which must not raise; ``in_flight_max`` at once per venue and leg.

        ``quiet`` is told when a burst begins and when it has left, or had its time.
        """
        self._quiet = quiet
        self._send = send
        self._in_flight_max = in_flight_max
        self._wires: defaultdict[tuple[Venue, Leg], _Wire] = defaultdict(_Wire)
        self._senders: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._is_starting = False
        self._expected = 0  # bursts of which more is to come
        self._is_empty = asyncio.Event()
        self._held_until = 0.0  # in the loop's time
        self._quiet_ends: asyncio.TimerHandle | None = None

    def put(self, order: OrderPlanned) -> None:
        """Send the order when its turn comes."""
        self._hold()
        self._waiting += 1
        wire = self._wires[order.venue, order.leg]
        wire.waiting.append(order)
        if not self._is_starting:
            self._is_starting = True
            if wire.senders < self._in_flight_max:  # the first of them waits for nobody
                self._start_sender(wire)
            self._spawn(self._start_senders())

    @contextlib.contextmanager
    def burst(self) -> Iterator[None]:
        """Expect more orders until the block ends: other work waits between them, too."""
        self._hold()
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            self._let_go()

    def _hold(self) -> None:
        """Begin a burst, or its next part; what is under way goes on."""
        if self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._held_until = loop.time() + HOLD_SECONDS
        self._is_empty.clear()
        self._quiet.begin()
        if self._quiet_ends is not None:
            self._quiet_ends.cancel()
        self._quiet_ends = loop.call_at(self._held_until, self._quiet.end)

    def _let_go(self) -> None:
        if not self._waiting and not self._expected:
            self._is_empty.set()
            if self._quiet_ends is not None:
                self._quiet_ends.cancel()
                self._quiet_ends = None
                asyncio.get_running_loop().call_soon(self._end_quiet)

    def _end_quiet(self) -> None:
        """The last order has left by now."""
        if self._quiet_ends is None:
            self._quiet.end()

    async def let_leave(self) -> None:
        """Return when every order has had its turn, or the burst has had its time: other work waits for it."""
        if (self._waiting or self._expected) and self._held_until > asyncio.get_running_loop().time():
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
        self._let_go()
        return taken

    async def close(self) -> None:
        """Return when everything has been sent."""
        while self._senders:
            await asyncio.wait(self._senders)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._senders.add(task)
        task.add_done_callback(self._senders.discard)

    async def _start_senders(self) -> None:
        """Start as many as there is work for; some at a time while more is planned: that waits for the database."""
        try:
            while idle := [
                wire for wire in self._wires.values() if wire.waiting and wire.senders < self._in_flight_max
            ]:
                for wire in idle:
                    at_once = STARTED_AT_ONCE if self._expected else self._in_flight_max
                    for _ in range(min(at_once, len(wire.waiting), self._in_flight_max - wire.senders)):
                        self._start_sender(wire)
                await asyncio.sleep(0)
        finally:
            self._is_starting = False
        if self._waiting:
            self._quiet.end()  # who waits to be sent waits for an answer

    def _start_sender(self, wire: _Wire) -> None:
        wire.senders += 1
        self._spawn(self._send_waiting(wire, self._take(wire)))

    def _take(self, wire: _Wire) -> OrderPlanned:
        order = wire.waiting.popleft()
        self._waiting -= 1
        self._let_go()
        return order

    async def _send_waiting(self, wire: _Wire, order: OrderPlanned) -> None:
        try:
            await self._send(order)
            while wire.waiting:
                await self._send(self._take(wire))
        finally:
            wire.senders -= 1

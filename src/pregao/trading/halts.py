"""Follows the trading states: takes back what they forbid before it leaves, and acknowledges when nothing of it can."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from pregao.domain.desk import Desk
from pregao.edges.postgres.trading_states import BELL
from pregao.trading.floor import LOOK_SECONDS, Floor
from pregao.trading.trouble import AWAY

ANSWER_LOOK_SECONDS = 0.01  # only while a halt waits for what was on the wire before it

log = structlog.get_logger()


class Halts:
    """The trading states as one trader follows them."""

    def __init__(self, floor: Floor, *, desk: Desk) -> None:
        """Acknowledge on the worker's row that ``desk`` names."""
        self._floor = floor
        self._desk = desk
        self._version: int | None = None
        self._rung = asyncio.Event()
        floor.doorbell.listen(BELL, lambda _words: self._rung.set())

    async def follow(self) -> None:
        """Look; then wait for the bell, or a second."""
        self._rung.clear()
        try:
            await self.look()
        except AWAY:
            raise
        except Exception:
            # Whoever plans reads the states himself; here they are not acknowledged, and whoever halts is told so.
            log.exception("trader.states.unread")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._rung.wait()

    async def look(self) -> None:
        """Stop what a new version forbids, and have it acknowledged once nothing of that is on its way."""
        watched = await self._floor.store.read_watched()
        version = watched.states.version
        if version == self._version:
            return
        self._version = version
        began_before = self._floor.gate.narrow(watched)
        taken_back = self._floor.take_back_stopped()
        self._floor.spawn(self._acknowledge(version, began_before=began_before, taken_back=taken_back))

    async def _acknowledge(
        self, version: int, *, began_before: Sequence[str], taken_back: asyncio.Future[None] | None
    ) -> None:
        try:
            if taken_back is not None:
                await asyncio.wait([taken_back])  # written or not: it stays here
            while any(name in self._floor.gate.passing for name in began_before):  # noqa: ASYNC110  # an event for every order would cost every burst
                await asyncio.sleep(ANSWER_LOOK_SECONDS)
            await self._floor.store.acknowledge(
                worker_id=self._desk.owner,
                lease_epoch=self._desk.lease_epoch,
                version=version,
            )
        except AWAY as away:
            log.warning("trader.states.unacknowledged", version=version, error=type(away).__name__)
            self._version = None  # looked at and acknowledged once more

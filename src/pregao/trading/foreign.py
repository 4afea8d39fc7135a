"""
Orders at venues that are not ours: each account is looked at in turn and when somebody asks, and what was asked is taken back.

Nothing is kept here that is not found in the state again; whoever follows a venue's accounts works there.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from uuid import UUID

import structlog

from pregao.domain.account import Venue
from pregao.domain.foreign import ForeignOrders
from pregao.domain.venue import VenueError
from pregao.edges.postgres import foreign
from pregao.edges.postgres.foreign import BELL, DueLook, RunningCancel
from pregao.edges.postgres.journal import Journal
from pregao.positions.take_back import carry_out
from pregao.trading.floor import LOOK_SECONDS, Floor
from pregao.trading.trouble import AWAY

TURN_SECONDS = 30.0  # one account after the other: a list of all its orders weighs 40 of a minute's 2,400
EVERY_SECONDS = 86_400.0  # and nobody else's order is in a hurry
TROUBLE_SECONDS = 300.0
ASKED_AT_ONCE = 4
CANCELS_AT_ONCE = 5
PAUSE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # then every half minute, until it is told

log = structlog.get_logger()


class ForeignWork:
    """The loops that look for foreign orders and take them back."""

    def __init__(self, journal: Journal, floor: Floor, venues: Mapping[Venue, ForeignOrders]) -> None:
        """Look at the accounts of no venue, yet; ``venues`` says how each is asked."""
        self._journal = journal
        self._floor = floor
        self._asks = venues
        self._venues: set[Venue] = set()
        self._tries: dict[UUID, tuple[int, float]] = {}  # cancel → tries, and when it is tried again
        self._rung = asyncio.Event()
        floor.doorbell.listen(BELL, lambda _words: self._rung.set())

    def go_round(self, venue: Venue) -> None:
        """Look at the venue's accounts from now on."""
        if venue in self._asks:
            self._venues.add(venue)
            self._rung.set()

    def leave(self, venue: Venue) -> None:
        """Leave the venue's accounts to another trader."""
        self._venues.discard(venue)

    async def answer_asked(self) -> None:
        """Take back what was asked, and look where somebody waits; then wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._rung.wait()
        self._rung.clear()
        if not self._venues:
            return
        untold = await foreign.untold_cancels(self._journal.pool, self._venues)
        self._tries = {one.cancel_id: self._tries.get(one.cancel_id, (0, 0.0)) for one in untold}
        due = [one for one in untold if self._tries[one.cancel_id][1] <= self._now()]
        await asyncio.gather(*(self._take_back(one) for one in due[:CANCELS_AT_ONCE]))
        looks = await foreign.claim_asked(self._journal.pool, self._venues, limit=ASKED_AT_ONCE)
        await asyncio.gather(*(self._look(one) for one in looks))

    async def look_in_turn(self) -> None:
        """Pause; then look at the account whose turn has come."""
        await asyncio.sleep(TURN_SECONDS)
        if not self._venues:
            return
        await self._floor.orders_have_left()
        due = await foreign.claim_next(self._journal.pool, self._venues)
        if due is not None:
            await self._look(due)

    async def _take_back(self, asked: RunningCancel) -> None:
        tries, _ = self._tries[asked.cancel_id]
        pause = PAUSE_SECONDS[min(tries, len(PAUSE_SECONDS) - 1)]
        self._tries[asked.cancel_id] = tries + 1, self._now() + pause
        try:
            told = await carry_out(asked, venue=self._asks[asked.venue], now=self._floor.clock())
            if told is not None:
                await foreign.tell(self._journal, told)
                log.info(
                    "trader.foreign.told",
                    cancel_id=str(asked.cancel_id),
                    account_id=asked.account_id,
                    status=told.status,
                    code=told.code,
                )
        except AWAY:
            raise
        except Exception:
            # Whatever it is: the others, and everything else this trader does, go on.
            log.exception("trader.foreign.failed", cancel_id=str(asked.cancel_id))

    async def _look(self, due: DueLook) -> None:
        pool = self._journal.pool
        try:
            found = await self._asks[due.venue].resting_orders(account_id=due.account_id)
        except VenueError as trouble:
            await foreign.note_trouble(
                pool, due, code=trouble.code, reason=trouble.message, seconds=TROUBLE_SECONDS
            )
        except AWAY:
            raise
        except Exception:
            log.exception("trader.foreign.unseen", account_id=due.account_id)
        else:
            await foreign.keep_look(pool, due, found, seconds=EVERY_SECONDS)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

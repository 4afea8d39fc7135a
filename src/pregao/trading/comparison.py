"""What an account holds beside ours: looked at one account at a time, and counted once it was seen twice."""

import asyncio
from decimal import Decimal

import structlog

from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.domain.venue import VenueError
from pregao.edges.postgres import work
from pregao.edges.postgres.books import PostgresBooks
from pregao.positions.compare import find_foreign
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY

COMPARE_SECONDS = 0.5  # one account at a time: reading its positions costs weight that exits may need

Place = tuple[str, PositionSide, Decimal]

log = structlog.get_logger()


class Comparison:
    """The loop that compares accounts with the books."""

    def __init__(self, floor: Floor) -> None:
        """Compare the accounts that are in doubt."""
        self._floor = floor
        self._suspected: dict[int, list[Place]] = {}  # account → what was seen there once

    async def compare_next(self) -> None:
        """Compare one account that is due."""
        await asyncio.sleep(COMPARE_SECONDS)
        account_id = self._floor.doubts.take_comparison()
        if account_id is not None:
            self._floor.spawn(self._compare(account_id))

    async def _compare(self, account_id: int) -> None:
        try:
            seen = await self._look_at(account_id)
            places = [(fact.symbol, fact.position_side, fact.quantity) for fact in seen or ()]
            if seen and self._suspected.get(account_id) == places:
                await self._floor.record(seen)
                seen = []
        except (*AWAY, VenueError) as trouble:
            log.warning("trader.compare.put_off", account_id=account_id, error=type(trouble).__name__)
            seen, places = None, []
        except Exception:
            log.exception("trader.compare.failed", account_id=account_id)
            seen, places = None, []
        self._suspected.pop(account_id, None)
        if seen is None or seen:
            self._suspected[account_id] = places
            self._floor.doubts.compare_again(account_id)

    async def _look_at(self, account_id: int) -> list[ForeignPositionSeen] | None:
        """Compare one account's positions with the books; None while something of it is on its way."""
        pool = self._floor.journal.pool
        is_quiet, held = await work.held_positions(pool, account_id)
        if not is_quiet:
            return None
        [account] = (await PostgresBooks(pool).accounts([account_id])).values()
        told = await self._floor.exchanges[account.venue].positions(account_id=account_id)
        if (True, held) != await work.held_positions(pool, account_id):
            return None
        return find_foreign(account_id, held=held, told=told, now=self._floor.clock())

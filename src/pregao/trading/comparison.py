"""What an account holds beside ours: looked at one account at a time, again and again, and counted once it was seen twice."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import structlog

from pregao.domain.account import EXCHANGES, Venue
from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.domain.venue import VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.positions.compare import Place, find_foreign, foreign_quantities
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY

COMPARE_SECONDS = 0.5  # one account at a time: reading its positions costs weight that exits may need
ROUND_SECONDS = 5.0
ACCOUNTS_PER_ROUND = int(ROUND_SECONDS / COMPARE_SECONDS)

_Sight: TypeAlias = tuple[int, tuple[tuple[str, PositionSide, Decimal], ...]]
"""How many strange trades had been told, and what had changed at which place."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: what has changed since it was last counted, and all that differs now."""

    changed: list[ForeignPositionSeen]
    differs: dict[Place, Decimal]  # the venue's quantity minus ours


class Comparison:
    """The loops that compare accounts with the books: those in doubt soon, all others in turn."""

    def __init__(self, floor: Floor) -> None:
        """Compare the accounts that are in doubt; those of no venue in turn, yet."""
        self._floor = floor
        self._venues: set[Venue] = set()
        self._seen: dict[int, _Sight] = {}  # account → what was seen there once
        self._explained: dict[int, int] = {}  # account → strange trades of which it is known what they left

    def go_round(self, venue: Venue) -> None:
        """Compare the venue's accounts in turn, too."""
        self._venues.add(venue)

    def leave(self, venue: Venue) -> None:
        """Leave the venue's accounts to another trader."""
        self._venues.discard(venue)

    async def find_due(self) -> None:
        """Find the accounts whose turn has come."""
        await asyncio.sleep(ROUND_SECONDS)
        if self._venues:
            for account_id in await self._floor.store.claim_due(self._venues, limit=ACCOUNTS_PER_ROUND):
                self._floor.doubts.compare_after_gap(account_id)

    async def compare_next(self) -> None:
        """Compare one account that is due."""
        await asyncio.sleep(COMPARE_SECONDS)
        account_id = self._floor.doubts.take_comparison()
        if account_id is not None:
            self._floor.spawn(self._compare(account_id))

    async def _compare(self, account_id: int) -> None:
        doubts = self._floor.doubts
        heard = doubts.heard_strange(account_id)
        try:
            look = await self.look_at(account_id)
            if look is None or doubts.heard_strange(account_id) != heard:
                self._seen.pop(account_id, None)
                doubts.compare_again(account_id)
            elif self._is_certain(account_id, look, heard=heard):
                await self._settle(account_id, look)
                self._seen.pop(account_id, None)
                self._explained[account_id] = heard
            else:
                # A trade that nobody told may explain it; if none does, it counts when it is seen again, and a look
                # that the venue did not answer, in between, takes nothing from that.
                self._seen[account_id] = _sight(look, heard=heard)
                if look.changed:
                    doubts.ask_later(account_id)
                doubts.compare_again(account_id)
        except (*AWAY, VenueError) as trouble:
            log.warning("trader.compare.put_off", account_id=account_id, error=type(trouble).__name__)
            doubts.compare_again(account_id)
        except Exception:
            log.exception("trader.compare.failed", account_id=account_id)
            doubts.compare_again(account_id)

    def _is_certain(self, account_id: int, look: Look, *, heard: int) -> bool:
        """
        Say whether it counts what a look has seen.

        It does where the look before saw the same; one is enough where nothing is new, and no strange trade was told since
        the last that counted: the venue's reads may lag behind it.
        """
        is_calm = not look.changed and heard == self._explained.get(account_id, 0)
        return is_calm or self._seen.get(account_id) == _sight(look, heard=heard)

    async def look_at(self, account_id: int) -> Look | None:
        """Compare one account's positions with the books; None while something of it is on its way."""
        store = self._floor.store
        is_quiet, held = await store.held_positions(account_id)
        if not is_quiet:
            return None
        [account] = (await store.books().accounts([account_id])).values()
        if account.venue not in EXCHANGES:
            return Look(changed=[], differs={})  # nobody can say what is held there: the books alone do
        with asking_for(Importance.BOOKS):
            told = await self._floor.exchanges[account.venue].positions(account_id=account_id)
        if (True, held) != await store.held_positions(account_id):
            return None
        foreign = foreign_quantities(held=held, told=told)
        return Look(
            changed=find_foreign(account_id, held=held, told=told, now=self._floor.clock()),
            differs={place: quantity for place, quantity in foreign.items() if quantity},
        )

    async def _settle(self, account_id: int, look: Look) -> None:
        """Count what was seen, say it aloud, and note when it was."""
        if look.changed:
            await self._floor.record(look.changed)
        for (symbol, position_side), quantity in look.differs.items():
            log.error(
                "positions.drift",
                account_id=account_id,
                symbol=symbol,
                position_side=position_side,
                venue_minus_ours=f"{quantity:f}",
            )
        await self._floor.store.note_check(account_id, agrees=not look.differs)


def _sight(look: Look, *, heard: int) -> _Sight:
    return heard, tuple((one.symbol, one.position_side, one.quantity) for one in look.changed)

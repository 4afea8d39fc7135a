"""What guarded a position that is flat is taken back: each at the venue, the books of many together."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from pregao.domain.facts import Fact, PositionChanged, PositionLeft, ProtectionMoved, StopDisarmed
from pregao.domain.position import Position, PositionStatus
from pregao.domain.weight import Importance, asking_for
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.stops.follow import HELD
from pregao.stops.leave import left_flat, take_back
from pregao.stops.ports import Guard, Line
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY

STREAM_SECONDS = 0.3  # so long a stream may take to say that a line ended with its position
STREAM_LOOKS = 4
POSITIONS_PER_BATCH = 100  # whose rows are locked together
IN_TURN = (ProtectionMoved, PositionLeft, PositionChanged)


class Leaving:
    """
    Takes back what stands for flat positions.

    A signal closes a thousand at once: what is asked and written of those that come together is one statement each.
    """

    def __init__(self, floor: Floor, *, wires: asyncio.Semaphore) -> None:
        """Ask the venues over ``wires``, which others share."""
        self._floor = floor
        self._wires = wires
        self._looks: GroupCommit[int, Sequence[Line]] = GroupCommit(self._look, fails_all=AWAY)
        self._written: GroupCommit[tuple[int, Sequence[Fact]], None] = GroupCommit(
            self._write, batch_items_max=POSITIONS_PER_BATCH, fails_all=AWAY
        )

    async def take_back(self, disarmed: StopDisarmed) -> bool:
        """
        Take back the position's lines and write what became of them; say whether there is any news.

        :raises VenueError: when the venue gives no usable answer; it is tried again later.
        """
        protections = self._floor.protections.get(disarmed.venue)
        if protections is None:
            return False
        lines = await self._standing_still(disarmed.position_id)
        facts: Sequence[Fact]
        if lines:
            async with self._wires:
                with asking_for(Importance.BOOKS):  # only entries wait for it
                    facts = await take_back(
                        disarmed,
                        lines,
                        protections=protections,
                        desk_id=self._floor.desk.desk_id,
                        venue_now_ms=self._floor.exchanges[disarmed.venue].venue_now_ms(),
                        clock=self._floor.clock,
                    )
        else:  # the venue has said of each that it ended: nothing is asked
            facts = [left_flat(disarmed, now=self._floor.clock())]
        if facts:
            await self._written.submit((disarmed.position_id, facts))
        return bool(facts)

    async def _standing_still(self, position_id: int) -> Sequence[Line]:
        """
        Give the lines that may still trade, after a moment for the stream: a venue ends them by itself with the position.

        Asked for a thousand accounts that leave at once, that is most of a minute's weight, and their next entries wait.
        """
        lines: Sequence[Line] = []
        for _ in range(STREAM_LOOKS):
            lines = await self._looks.submit(position_id)
            if not lines:
                break
            await asyncio.sleep(STREAM_SECONDS / STREAM_LOOKS)
        return lines

    async def _look(self, position_ids: Sequence[int]) -> list[Sequence[Line]]:
        """Give the lines of each that may still trade."""
        lines: defaultdict[int, list[Line]] = defaultdict(list)
        for line in await self._floor.store.standing_lines(position_ids=position_ids):
            lines[line.position_id].append(line)
        return [lines[number] for number in position_ids]

    async def _write(self, batch: Sequence[tuple[int, Sequence[Fact]]]) -> list[None]:
        """Write what was taken back of each position."""
        async with self._floor.store.transaction() as transaction:
            books = self._floor.store.books(transaction)
            positions = await books.lock_positions(sorted({number for number, _ in batch}))
            guards = await books.guards(list(positions.values()))
            told = [
                fact
                for number, facts in batch
                for fact in self._true_now(facts, positions[number], guards.get(number))
            ]
            told.sort(key=lambda fact: IN_TURN.index(type(fact)))  # one statement for each kind
            done = await self._floor.runner.advance_in(transaction, told)
        self._floor.go_on(done)
        return [None] * len(batch)

    def _true_now(self, facts: Sequence[Fact], position: Position, guard: Guard | None) -> Sequence[Fact]:
        """Give what is true of it now: a fill told late may have opened the position again, and it is guarded anew."""
        if position.status in HELD:
            told = PositionChanged(happened_at=self._floor.clock(), position=position)
            return [*_without_left(facts), told]
        is_left = guard is not None and guard.armed is not None and guard.armed.left_at is not None
        return _without_left(facts) if is_left or position.status is PositionStatus.PENDING else facts


def _without_left(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if not isinstance(fact, PositionLeft)]

"""Which monitor watches which symbol, in memory: the port `trading.watches.Watches`, and what traders see of it."""

import hashlib
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pregao.domain.account import Account, Venue
from pregao.domain.clock import Clock
from pregao.domain.guarding import is_stale
from pregao.domain.position import LIVE_STATUSES, Position
from pregao.domain.stop import StopStatus
from pregao.simulation.desk.journal import MemoryTransaction, Moment, at_once
from pregao.simulation.desk.state import State, StopRow
from pregao.stops.ports import ArmedStop

TOLD_SECONDS_MAX = 5.0  # a monitor that has been silent for longer is not counted on
WORKER_SECONDS = 10.0  # a monitor that takes no turn for so long is not there

Pair = tuple[Venue, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One symbol's lease."""

    worker_id: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRow:
    """What the monitor that watches a symbol said of its price last."""

    told_at: datetime
    price_at: datetime | None


@dataclass(slots=True)
class Watching:
    """The leases of all symbols of one desk, and what was told of each."""

    turns: dict[Pair, Turn] = field(default_factory=dict)
    workers: dict[str, datetime] = field(default_factory=dict)  # until when each is there
    told: dict[Pair, ToldRow] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget it all, as a database does that is put back."""
        self.turns.clear()
        self.workers.clear()
        self.told.clear()

    def is_watched(self, pair: Pair, *, now: datetime) -> bool:
        """Say whether a monitor has the symbol's price and said so just now."""
        row = self.told.get(pair)
        if row is None or (now - row.told_at).total_seconds() >= TOLD_SECONDS_MAX:
            return False
        return not is_stale(row.price_at, now=now)


class MemoryWatches:
    """The symbols of one monitor."""

    def __init__(
        self,
        watching: Watching,
        *,
        worker_id: str,
        read: Callable[[], Awaitable[State]],
        clock: Clock,
        moment: Moment = at_once,
    ) -> None:
        """Take turns under the name ``worker_id``; ``read`` gives what is committed, ``moment`` waits for the database."""
        self._watching = watching
        self._worker_id = worker_id
        self._read = read
        self._clock = clock
        self._moment = moment

    async def take_turns(self, venues: Collection[Venue], *, seconds: float) -> frozenset[Pair]:
        state = await self._read()
        await self._moment("commit")
        now, turns = self._clock(), self._watching.turns
        self._watching.workers[self._worker_id] = now + timedelta(seconds=WORKER_SECONDS)
        wanted = {pair for pair in _watched_pairs(state) if pair[0] in venues}
        workers = sum(until > now for until in self._watching.workers.values())
        share = 1 + math.ceil(len(wanted) / workers)
        own = sorted(pair for pair, turn in turns.items() if turn.worker_id == self._worker_id)
        kept = [pair for place, pair in enumerate(own) if place < share and pair in wanted]
        for pair in set(own) - set(kept):
            del turns[pair]
        free = [pair for pair in wanted if pair not in turns or turns[pair].until <= now]
        free = sorted(set(free) - set(kept), key=self._rank)[: max(0, share - len(kept))]
        for pair in (*kept, *free):
            turns[pair] = Turn(worker_id=self._worker_id, until=now + timedelta(seconds=seconds))
        await self._moment("committed")
        return frozenset((*kept, *free))

    def _rank(self, pair: Pair) -> bytes:
        return hashlib.sha256(f"{pair[0].value}:{pair[1]}{self._worker_id}".encode()).digest()

    async def give_up(self) -> None:
        await self._moment("write")
        turns = self._watching.turns
        for pair in [pair for pair, turn in turns.items() if turn.worker_id == self._worker_id]:
            del turns[pair]

    async def lock_positions(
        self, transaction: MemoryTransaction, symbols: Mapping[int, Pair]
    ) -> dict[int, Position]:
        rows = transaction.state.positions
        return {
            number: rows[number].position
            for number in sorted(symbols)
            if number in rows and self._holds(symbols[number])
        }

    def _holds(self, pair: Pair) -> bool:
        turn = self._watching.turns.get(pair)
        return turn is not None and turn.worker_id == self._worker_id and turn.until > self._clock()

    async def armed(self, pairs: Collection[Pair]) -> list[ArmedStop]:
        rows = (await self._read()).stops
        return [
            row.armed
            for _, row in sorted(rows.items())
            if _stands(row) and (row.armed.venue, row.armed.symbol) in pairs
        ]

    async def armed_of(self, position_ids: Collection[int]) -> list[ArmedStop]:
        rows = (await self._read()).stops
        return [rows[number].armed for number in sorted(position_ids) if number in rows]

    async def held(self, position_ids: Collection[int]) -> dict[int, tuple[Position, Account]]:
        state = await self._read()
        rows = [
            state.positions[number].position for number in sorted(position_ids) if number in state.positions
        ]
        return {
            one.position_id: (one, state.accounts[one.account_id])
            for one in rows
            if one.status in LIVE_STATUSES
        }

    async def watched_pairs(self) -> list[Pair]:
        return _watched_pairs(await self._read())

    async def tell(self, told: Sequence[Any], *, now: datetime) -> None:
        await self._moment("commit")
        for one in told:
            if self._holds((one.venue, one.symbol)):
                self._watching.told[one.venue, one.symbol] = ToldRow(told_at=now, price_at=one.price_at)
        await self._moment("committed")


def _stands(row: StopRow) -> bool:
    return row.armed.left_at is None and row.armed.stop.status is not StopStatus.DISARMED


def _watched_pairs(state: State) -> list[Pair]:
    return sorted({(row.armed.venue, row.armed.symbol) for row in state.stops.values() if _stands(row)})

"""What a price has reached becomes a claim, or a raised stop: many at once in one transaction, each position once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

import structlog

from pregao import rehearsal
from pregao.domain.account import Venue
from pregao.domain.facts import Fact, StopRaised, StopTriggered
from pregao.domain.guarding import VenueLine, software_may_exit
from pregao.domain.level import TriggerKind
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.protection import LineStatus, ProtectionStatus
from pregao.domain.stop import Claim, Lost, Source, Trigger, claim
from pregao.domain.trailing import adjustment_of, raised
from pregao.stops.book import Fired, Happened, Raised
from pregao.stops.claims import triggered
from pregao.stops.guardrails import HOUR
from pregao.stops.ports import ArmedStop, Guard
from pregao.trading.floor import Floor
from pregao.trading.store import Books

LEASE_LOST = "LEASE_LOST"
NOT_ACTIVE = "Operation is not active"  # in the words of the source system
HELD = (PositionStatus.OPEN, PositionStatus.CLOSING)
Pair: TypeAlias = tuple[Venue, str]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A level that a price has come to, or a stop that follows it, as whoever watches has seen it."""

    pair: Pair
    event: Happened
    price_tick: Decimal
    source: Source
    seen_at: datetime  # our clock
    price_at: datetime  # our clock: when the price came
    bid: int  # in ticks
    ask: int

    @property
    def position_id(self) -> int:
        """Whose level it is."""
        return self.event.position_id


@dataclass(slots=True)
class Taken:
    """What came of some that were reached."""

    done: Sequence[Fact] = ()
    lost: list[tuple[Reached, str]] = field(default_factory=list)  # and why
    waiting: list[Reached] = field(default_factory=list)  # the venue's own order goes first

    @property
    def claimed(self) -> list[StopTriggered]:
        """The claims that were made."""
        return [fact for fact in self.done if isinstance(fact, StopTriggered)]


class Claims:
    """Claims in the name of one worker."""

    def __init__(self, floor: Floor, *, claimed_by: str) -> None:
        """Commit through the floor, and send what follows."""
        self._floor = floor
        self._claimed_by = claimed_by

    async def take(
        self,
        batch: Sequence[Reached],
        *,
        lock_ours: Callable[[Any, Mapping[int, Pair]], Awaitable[Mapping[int, Position]]] | None = None,
    ) -> Taken:
        """
        Claim what is reached under the positions' locks, in the order it was reached; whoever comes second has lost.

        ``lock_ours`` locks those positions only of whose symbols this worker may still speak.
        """
        taken = Taken()
        store = self._floor.store
        async with store.transaction() as transaction:
            books = store.books(transaction)
            ours = batch
            if lock_ours is None:
                positions = await books.lock_positions(sorted({one.position_id for one in batch}))
            else:
                positions = await lock_ours(transaction, {one.position_id: one.pair for one in batch})
                ours = [one for one in batch if one.position_id in positions]
                taken.lost += [(one, LEASE_LOST) for one in batch if one.position_id not in positions]
            if not ours:
                return taken
            guards = await _guards(books, positions, ours, now=self._floor.clock())
            facts = self._facts(ours, positions, guards, taken)
            taken.done = await self._floor.runner.advance_in(transaction, facts)
            if taken.claimed:
                rehearsal.reach("stops.claim.written")
        if taken.claimed:
            rehearsal.reach("stops.claim.committed")
        self._floor.go_on(taken.done)
        for one, why in taken.lost:
            log.info(
                "stops.claim.lost",
                position_id=one.position_id,
                source=one.source,
                symbol=one.pair[1],
                why=why,
            )
        return taken

    def _facts(
        self,
        batch: Sequence[Reached],
        positions: Mapping[int, Position],
        guards: Mapping[int, Guard],
        taken: Taken,
    ) -> list[Fact]:
        now = self._floor.clock()
        stops = {number: guard.armed for number, guard in guards.items() if guard.armed is not None}
        facts: list[Fact] = []
        for one in batch:
            number = one.position_id
            if number not in stops:
                taken.lost.append((one, NOT_ACTIVE))
                continue
            if self._is_the_venues(one, positions[number], guards[number], now=now):
                taken.waiting.append(one)
                continue
            fact = self._fact(one, stops[number], now=now)
            if isinstance(fact, StopRaised | StopTriggered):
                stops[number] = replace(stops[number], stop=fact.stop)
                facts.append(fact)
            else:
                taken.lost.append((one, fact))
        return facts

    def _is_the_venues(self, one: Reached, position: Position, guard: Guard, *, now: datetime) -> bool:
        if not isinstance(one.event, Fired) or one.event.kind is not TriggerKind.STOP:
            return False
        return not software_may_exit(
            _venue_line(guard), held=position.quantity, crossed_at=one.seen_at, now=now
        )

    def _fact(self, one: Reached, armed: ArmedStop, *, now: datetime) -> StopRaised | StopTriggered | str:
        if isinstance(one.event, Raised):
            return _raise(one, armed, price=one.event.price * one.price_tick, now=now)
        return self._claim(one, one.event, armed, now=now)

    def _claim(self, one: Reached, fired: Fired, armed: ArmedStop, *, now: datetime) -> StopTriggered | str:
        tick = one.price_tick
        seen = Trigger(
            kind=fired.kind,
            number=fired.number,
            level=fired.level * tick,
            price=fired.price * tick,
            version=fired.version,
        )
        claimed = claim(armed.stop, seen)
        if not isinstance(claimed, Claim):
            return claimed.value
        far = one.bid if armed.stop.direction is Direction.LONG else one.ask
        told = triggered(
            replace(armed, stop=claimed.stop),
            claimed.trigger,
            token=claimed.token,
            source=one.source,
            claimed_by=self._claimed_by,
            now=now,
            price_at=one.price_at,
            estimated_price=far * tick,
        )
        return replace(told, seen_at=one.seen_at)


async def _guards(
    books: Books, positions: Mapping[int, Position], reached: Sequence[Reached], *, now: datetime
) -> Mapping[int, Guard]:
    """Give what guards what is held; where something fired, with all that its exit will be judged by."""
    held = [one for one in positions.values() if one.status in HELD]
    if not any(isinstance(one.event, Fired) for one in reached):
        return await books.guards(held)
    return (await books.exit_scene(held, since=now - HOUR)).guards


def _raise(one: Reached, armed: ArmedStop, *, price: Decimal, now: datetime) -> StopRaised | str:
    adjustment = adjustment_of(armed.stop, price=price)
    if adjustment is None or not armed.is_anchor_final:
        return Lost.SUPERSEDED.value
    return StopRaised(
        happened_at=now,
        stop=raised(armed.stop, adjustment),
        adjustment=adjustment,
        account_id=armed.account_id,
        signal_id=armed.signal_id,
        venue=armed.venue,
        symbol=armed.symbol,
        source=one.source,
    )


def _venue_line(guard: Guard) -> VenueLine | None:
    """Give the venue's order that may go first: the newest one that is on its word there."""
    for line in sorted(guard.lines, key=lambda line: -line.version):
        if line.kind is TriggerKind.STOP and line.status not in (LineStatus.PLANNED, LineStatus.UNRESOLVED):
            return VenueLine(status=ProtectionStatus(line.status.value), quantity=line.quantity)
    return None

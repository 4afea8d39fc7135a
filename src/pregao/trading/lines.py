"""The venues' lines: placed after the commit, asked about until known, kept where their stops stand, taken back when flat."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from pregao.domain.account import Venue
from pregao.domain.clock import to_ms
from pregao.domain.facts import (
    Fact,
    PositionChanged,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionPlanned,
    ProtectionRejected,
    StopDisarmed,
)
from pregao.domain.level import TriggerKind
from pregao.domain.position import Position
from pregao.domain.protection import (
    ProtectionName,
    Protections,
    ProtectionStatus,
    RefusalCause,
    VenueProtection,
    protection_of,
)
from pregao.domain.venue import RECV_WINDOW_MS, VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.stops.follow import HELD, plan_line
from pregao.stops.lines import Move, move_of
from pregao.stops.place import as_found, find_line, is_it, place_protection, resolve_protection
from pregao.stops.ports import ArmedStop, Guard, Line
from pregao.trading.floor import Floor
from pregao.trading.leaving import Leaving
from pregao.trading.trouble import AWAY

ASK_SECONDS = 0.25
KEEP_SECONDS = 0.5  # what is refused three times is closed before it has stood open for five seconds
UNARMED_SECONDS = 2.0  # between two looks for what is held and was never armed: its rules were not known
AGAIN_SECONDS = 5.0  # nothing came of telling a position again: it is not told each second
LINES_PER_BATCH = 100
LINES_AT_ONCE = 64  # over all wires: a thousand fills in one moment leave room to exits
MOVES_AT_ONCE = 8

log = structlog.get_logger()


class Lines:
    """The loops that look after the venues' lines."""

    def __init__(self, floor: Floor) -> None:
        """Place what is planned and take back what is disarmed; keep in place at no venue, yet."""
        self._floor = floor
        self._venues: set[Venue] = set()
        self._wires = asyncio.Semaphore(LINES_AT_ONCE)
        self._moves = asyncio.Semaphore(MOVES_AT_ONCE)
        self._leaving = Leaving(floor, wires=self._wires)
        self._busy: set[str] = set()  # lines that are asked about, positions whose lines are moved
        self._told_again: dict[int, datetime] = {}
        self._unarmed_at: datetime | None = None
        self._occupied: set[int] = set()  # positions that somebody else's order at the venue closes already
        self._gaps: set[int] = set()  # accounts whose lines may have moved unseen
        floor.listen_to_lines(self._take)

    def go_round(self, venue: Venue) -> None:
        """Keep the venue's lines in place."""
        self._venues.add(venue)
        self._unarmed_at = None

    def leave(self, venue: Venue) -> None:
        """Leave the venue's lines to another trader."""
        self._venues.discard(venue)

    def look_soon(self, account_id: int) -> None:
        """Ask what became of the account's lines while nobody listened."""
        self._gaps.add(account_id)

    # --- placed, and asked about --------------------------------------------------------------------------

    def _take(self, fact: ProtectionPlanned | StopDisarmed) -> None:
        if isinstance(fact, ProtectionPlanned):
            self._floor.spawn(self._place(fact))
        else:
            self._floor.spawn(self._once(f"position {fact.position_id}", self._take_back(fact)))

    async def _place(self, planned: ProtectionPlanned) -> None:
        """Place one line; whatever happens in here, it is in the journal and will be asked about."""
        protections = self._floor.protections.get(planned.venue)
        if protections is None:
            return
        await self._floor.orders_have_left()
        try:
            async with self._wires:
                outcome = await place_protection(planned, protections=protections, clock=self._floor.clock)
        except Exception:
            log.exception("stops.place.failed", protection_id=planned.protection_id)
            return
        if not isinstance(outcome, ProtectionAccepted):
            log.warning(
                "stops.place.not_taken",
                protection_id=planned.protection_id,
                kind=type(outcome).__name__,
                code=outcome.code,
            )
        if isinstance(outcome, ProtectionRejected) and outcome.cause is RefusalCause.STANDS_ALREADY:
            self._occupied.add(planned.position_id)
        written = self._floor.record([outcome])
        written.add_done_callback(partial(_note_unwritten, protection_id=planned.protection_id))

    async def ask_about_due(self) -> None:
        """Ask about the lines that are due, some in parallel, and about those of accounts that had a gap."""
        await asyncio.sleep(ASK_SECONDS)
        if not self._floor.protections:
            return
        async with self._floor.store.transaction() as transaction:
            due = await self._floor.store.claim_due_lines(transaction, limit=LINES_PER_BATCH)
        for line in due:
            self._floor.spawn(self._once(line.protection_id, self._ask(line)))
        gaps, self._gaps = self._gaps, set()
        for account_id in sorted(gaps):
            self._floor.spawn(self._close_gap(account_id))

    async def _ask(self, line: Line) -> None:
        protections = self._floor.protections[line.venue]
        async with self._wires:
            facts = await resolve_protection(
                line,
                protections=protections,
                venue_now_ms=self._floor.exchanges[line.venue].venue_now_ms(),
                clock=self._floor.clock,
            )
        if facts:
            await self._floor.record(facts)

    # --- after a gap --------------------------------------------------------------------------------------

    async def _close_gap(self, account_id: int) -> None:
        """Learn what became of the account's lines; where that is not to be had now, it is asked again."""
        try:
            async with self._wires:
                with asking_for(Importance.BOOKS):
                    await self._look_through(account_id)
        except (*AWAY, VenueError) as trouble:
            log.warning("stops.gap.put_off", account_id=account_id, error=type(trouble).__name__)
            self._floor.spawn(self._look_later(account_id))
        except Exception:
            log.exception("stops.gap.failed", account_id=account_id)

    async def _look_later(self, account_id: int) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        self.look_soon(account_id)

    async def _look_through(self, account_id: int) -> None:
        """Compare the venue's lists with the books, symbol by symbol: only where something is, or is held."""
        store = self._floor.store
        lines = await store.standing_lines(account_id=account_id)
        symbols = {(line.venue, line.symbol) for line in lines}
        symbols |= {(venue, symbol) for venue, symbol, _ in await store.held_symbols(account_id)}
        for venue, symbol in sorted(symbols):
            protections = self._floor.protections.get(venue)
            if protections is None:
                continue
            waiting = await protections.open_protections(account_id=account_id, symbol=symbol)
            here = [line for line in lines if line.symbol == symbol]
            facts = await self._what_became_of(here, waiting, protections=protections)
            if facts:
                await self._floor.record(facts)
            for one in waiting:
                name = protection_of(one.protection_id, desk_id=self._floor.desk.desk_id)
                if name is not None and not any(is_it(line, one) for line in here):
                    await self._adopt_or_cancel(one, name, account_id=account_id, venue=venue)

    async def _what_became_of(
        self, lines: Sequence[Line], waiting: Sequence[VenueProtection], *, protections: Protections
    ) -> list[Fact]:
        facts: list[Fact] = []
        for line in lines:
            listed = next((one for one in waiting if is_it(line, one)), None)
            found = listed or await find_line(line, protections=protections)
            if found is not None:
                facts += as_found(line, found, now=self._floor.clock())
        return facts

    async def _adopt_or_cancel(
        self, found: VenueProtection, name: ProtectionName, *, account_id: int, venue: Venue
    ) -> None:
        """
        Take a line of ours that the books forgot for the position's, where that has none; cancel it where it has.

        One of a position that nobody knows is left: it guards what an operator has to look at.
        """
        store = self._floor.store
        async with store.transaction() as transaction:
            books = store.books(transaction)
            position = (await books.lock_positions([name.position_id])).get(name.position_id)
            if position is None or position.account_id != account_id:
                log.error("stops.line.unknown", account_id=account_id, protection_id=found.protection_id)
                return
            guard = (await books.guards([position])).get(name.position_id)
            armed = None if guard is None else guard.armed
            is_wanted = (
                position.status in HELD
                and guard is not None
                and not guard.lines
                and name.kind is TriggerKind.STOP
                and name.version > guard.lines_made
            )
            if is_wanted and armed is not None and armed.left_at is None:
                done = await self._floor.runner.advance_in(
                    transaction, self._adopted(found, name, armed, venue=venue)
                )
                log.warning("stops.line.adopted", account_id=account_id, protection_id=found.protection_id)
                is_stale = False
            else:
                done, is_stale = [], True
        self._floor.go_on([fact for fact in done if not isinstance(fact, ProtectionPlanned)])
        if is_stale:
            log.warning("stops.line.stale", account_id=account_id, protection_id=found.protection_id)
            protections = self._floor.protections[venue]
            await protections.cancel_protection(account_id=account_id, protection_id=found.protection_id)

    def _adopted(
        self, found: VenueProtection, name: ProtectionName, armed: ArmedStop, *, venue: Venue
    ) -> list[Fact]:
        now, desk = self._floor.clock(), self._floor.desk
        planned = ProtectionPlanned(
            happened_at=now,
            protection_id=found.protection_id,
            version=name.version,
            stop_version=armed.stop.version,
            position_id=name.position_id,
            account_id=armed.account_id,
            signal_id=armed.signal_id,
            venue=venue,
            symbol=found.symbol,
            kind=name.kind,
            number=0,
            side=found.side,
            position_side=found.position_side,
            trigger_price=found.trigger_price,
            quantity=found.quantity,
            signed_at_ms=to_ms(found.created_at),
            recv_window_ms=RECV_WINDOW_MS,
            owner=desk.owner,
            lease_epoch=desk.lease_epoch,
        )
        accepted = ProtectionAccepted(
            happened_at=now,
            protection_id=found.protection_id,
            position_id=name.position_id,
            account_id=armed.account_id,
            signal_id=armed.signal_id,
            exchange_protection_id=found.exchange_protection_id,
            sent_at=None,
            acknowledged_at=now,
        )
        return [planned, accepted]

    # --- kept in place ------------------------------------------------------------------------------------

    async def keep_in_place(self) -> None:
        """Look for what is not armed, for lines that are missing or stand elsewhere, and for those to be taken back."""
        await asyncio.sleep(KEEP_SECONDS)
        venues = self._venues
        if not venues:
            return
        now = self._floor.clock()
        self._forget_told(now)
        if self._unarmed_at is None or (now - self._unarmed_at).total_seconds() >= UNARMED_SECONDS:
            self._unarmed_at = now
            await self._arm_unarmed(venues)
        kept = venues & self._floor.protections.keys()
        if not kept:
            return
        store = self._floor.store
        for position_id, venue, symbol in await store.peek_misplaced(kept, limit=LINES_PER_BATCH):
            work = self._keep(position_id, venue=venue, symbol=symbol)
            self._floor.spawn(self._once(f"position {position_id}", work))
        for disarmed in await store.peek_unleft(kept, limit=LINES_PER_BATCH):
            self._floor.spawn(self._once(f"position {disarmed.position_id}", self._take_back(disarmed)))

    async def _arm_unarmed(self, venues: Collection[Venue]) -> None:
        """Tell again what is held and was never armed, once its symbol's rules are known."""
        unarmed = await self._floor.store.peek_unarmed(venues, limit=LINES_PER_BATCH)
        places = {(venue, symbol) for _, venue, symbol in unarmed}
        if places:
            await self._floor.read_ranges(places)
        if unknown := self._floor.market.unknown(places):
            await self._floor.read_prices(unknown)
        if unknown := self._floor.market.unknown(places):
            log.error("stops.rules.unknown", symbols=sorted(f"{venue}:{symbol}" for venue, symbol in unknown))
        for number, venue, symbol in unarmed:
            if (venue, symbol) not in unknown:
                # One by one: a mistake about one keeps no other from being armed.
                self._floor.spawn(self._once(f"position {number}", self._tell_again([number])))

    async def _keep(self, position_id: int, *, venue: Venue, symbol: str) -> None:
        """Do the next step for one position's line."""
        is_watched = await self._floor.store.is_watched(venue, symbol)
        async with self._floor.store.transaction() as transaction:
            found = await self._guard_of(transaction, position_id)
            if found is None:
                return
            position, guard = found
            assert guard.armed is not None
            move = move_of(
                guard.armed.stop,
                guard.lines,
                held=position.quantity,
                is_watched=is_watched,
                is_occupied=position_id in self._occupied,
            )
            done: list[Fact] = []
            if move.is_beside:
                planned = plan_line(
                    guard.armed,
                    version=guard.lines_made + 1,
                    quantity=position.quantity,
                    market=self._floor.market.seen(),
                    desk=self._floor.desk,
                    now=self._floor.clock(),
                )
                done = await self._floor.runner.advance_in(transaction, [planned])
        self._floor.go_on(done)
        if move.cancel:
            await self._cancel(move, venue=venue)
        elif move.is_anew:
            await self._tell_again([position_id])

    async def _guard_of(self, transaction: Any, position_id: int) -> tuple[Position, Guard] | None:
        """Lock an open position and give what guards it; None where nothing is to be kept."""
        books = self._floor.store.books(transaction)
        position = (await books.lock_positions([position_id])).get(position_id)
        if position is None or position.status not in HELD:
            return None
        guard = (await books.guards([position])).get(position_id)
        return None if guard is None or guard.armed is None else (position, guard)

    async def _cancel(self, move: Move, *, venue: Venue) -> None:
        """Cancel what is not wanted any more; what cannot be canceled has moved on, and is asked about."""
        protections = self._floor.protections[venue]
        facts: list[Fact] = []
        has_moved_on = False
        async with self._moves:
            for line in move.cancel:
                if await protections.cancel_protection(
                    account_id=line.account_id, protection_id=line.protection_id
                ):
                    facts.append(self._canceled(line))
                    continue
                found = await find_line(line, protections=protections)
                told = [] if found is None else as_found(line, found, now=self._floor.clock())
                has_moved_on = True
                if told:
                    await self._floor.record(told)
        if move.is_anew and not has_moved_on:
            await self._tell_again([line.position_id for line in move.cancel], before=facts)
        elif facts:
            await self._floor.record(facts)

    def _canceled(self, line: Line) -> ProtectionMoved:
        now = self._floor.clock()
        return ProtectionMoved(
            happened_at=now,
            protection_id=line.protection_id,
            position_id=line.position_id,
            account_id=line.account_id,
            signal_id=line.signal_id,
            status=ProtectionStatus.CANCELED,
            triggered_order_id=None,
            reason="another stands in its place",
            reported_at=now,
        )

    async def _tell_again(self, position_ids: Collection[int], *, before: Sequence[Fact] = ()) -> None:
        """Commit ``before``, then let the guards of these positions be looked at, in one transaction."""
        now = self._floor.clock()
        wanted = sorted({number for number in position_ids if before or number not in self._told_again})
        if not wanted:
            return
        async with self._floor.store.transaction() as transaction:
            positions = await self._floor.store.books(transaction).lock_positions(wanted)
            told = [
                PositionChanged(happened_at=now, position=position)
                for _, position in sorted(positions.items())
                if position.status in HELD
            ]
            done = await self._floor.runner.advance_in(transaction, [*before, *told])
        planned = {fact.position_id for fact in done if isinstance(fact, ProtectionPlanned)}
        self._told_again |= dict.fromkeys(set(wanted) - planned, now)
        self._floor.go_on(done)

    def _forget_told(self, now: datetime) -> None:
        oldest = now - timedelta(seconds=AGAIN_SECONDS)
        self._told_again = {number: at for number, at in self._told_again.items() if at > oldest}

    async def _take_back(self, disarmed: StopDisarmed) -> None:
        if await self._leaving.take_back(disarmed):
            self._occupied.discard(disarmed.position_id)

    # --- life ---------------------------------------------------------------------------------------------

    async def _once(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Do it unless it is being done; trouble leaves it due."""
        if name in self._busy:
            work.close()
            return
        self._busy.add(name)
        try:
            await work
        except (*AWAY, VenueError) as trouble:
            log.warning("stops.line.put_off", name=name, error=type(trouble).__name__)
        except Exception:
            log.exception("stops.line.failed", name=name)
        finally:
            self._busy.discard(name)


def _note_unwritten(written: asyncio.Future[None], *, protection_id: str) -> None:
    """Say that an outcome could not be committed; the line is asked about."""
    if not written.cancelled() and (trouble := written.exception()) is not None:
        log.error("stops.outcome.unwritten", protection_id=protection_id, error=type(trouble).__name__)

"""
Exits while the database is away: sent under the id they would have had, kept in a file, and written down when it is back.

The file is synced before the order leaves, so that a process that dies meanwhile leaves a word of it. Each process has a
file of its own and holds its lock; what lies in a file whose lock nobody holds is whoever's starts next.
"""

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import structlog

from pregao.domain.account import Account, Venue
from pregao.domain.execution import Execution
from pregao.domain.facts import (
    Fact,
    OrderAccepted,
    OrderPlanned,
    OrderRejected,
    OrderUnresolved,
    StopTriggered,
)
from pregao.domain.money import ZERO
from pregao.domain.position import Direction, Position
from pregao.domain.stop import Claim, Trigger, claim
from pregao.domain.venue import VenueError
from pregao.edges.postgres.journal import decode, encode
from pregao.orders.exits import exit_from_memory
from pregao.orders.rows import Moment
from pregao.orders.send import send_order
from pregao.stops.book import Fired
from pregao.stops.claims import triggered
from pregao.stops.ports import ArmedStop
from pregao.trading.claims import HELD, Reached
from pregao.trading.floor import Floor

LOOK_SECONDS = 0.5
FILES = "memory_exits*.jsonl"  # in the state folder; the star is a point and the process

log = structlog.get_logger()


@dataclass(slots=True)
class Kept:
    """One exit that left without the database, and what the venue said of it."""

    triggered: StopTriggered
    order: OrderPlanned
    outcome: OrderAccepted | OrderRejected | OrderUnresolved | None = None  # None: it is asked about


class MemoryExits:
    """Exits of one monitor that nobody could write down."""

    def __init__(self, floor: Floor, *, claimed_by: str, folder: Path) -> None:
        """Keep them in ``folder``, with what processes that are gone have left there."""
        self._floor = floor
        self._claimed_by = claimed_by
        self._sending: set[int] = set()  # positions
        left = [one for path in sorted(folder.glob(FILES)) if (one := KeptFile.find(path)) is not None]
        self._kept = {kept.order.order_id: kept for one in left for kept in one.read()}  # by order
        self._file = KeptFile.make(folder / FILES.replace("*", f".{claimed_by}"), self._kept.values())
        for one in left:
            one.remove()

    def close(self) -> None:
        """Let whoever starts next have what is left."""
        self._file.close()

    def begin(self, one: Reached, armed: ArmedStop, position: Position, account: Account) -> bool:
        """Exit a position whose stop is reached, beside whatever else is done; False where that is under way already."""
        number = one.position_id
        if number in self._sending or any(kept.order.position_id == number for kept in self._kept.values()):
            return False
        self._sending.add(number)
        self._floor.spawn(self._exit(one, armed, position, account))
        return True

    async def _exit(self, one: Reached, armed: ArmedStop, position: Position, account: Account) -> None:
        try:
            kept = self._plan(one, armed, position, account)
            if kept is None:
                return
            held = await self._held(position, venue=account.venue)
            if held == ZERO:
                return
            kept.order = replace(kept.order, quantity=min(held, kept.order.quantity))
            if self._floor.gate.stopped(kept.order) is not None:
                return
            await asyncio.to_thread(self._file.append, kept)
            self._kept[kept.order.order_id] = kept
            log.critical(
                "stops.exit.from_memory", position_id=one.position_id, order_id=kept.order.order_id,
                symbol=position.symbol,
            )  # fmt: skip
            told = await send_order(
                kept.order, exchange=self._floor.exchanges[account.venue], clock=self._floor.clock
            )
            assert isinstance(told[0], OrderAccepted | OrderRejected | OrderUnresolved), (
                "the outcome comes first"
            )
            kept.outcome = told[0]
        finally:
            self._sending.discard(one.position_id)

    def _plan(self, one: Reached, armed: ArmedStop, position: Position, account: Account) -> Kept | None:
        assert isinstance(one.event, Fired)
        tick, fired = one.price_tick, one.event
        seen = Trigger(
            kind=fired.kind,
            number=fired.number,
            level=fired.level * tick,
            price=fired.price * tick,
            version=fired.version,
        )
        claimed = claim(armed.stop, seen)
        if not isinstance(claimed, Claim):
            return None
        now = self._floor.clock()
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
        order = exit_from_memory(
            position,
            quantity=position.quantity,
            execution=Execution(
                token=claimed.token,
                kind=claimed.trigger.kind,
                number=claimed.trigger.number,
                attempt=1,
            ),
            account=account,
            moment=Moment(market=self._floor.market.seen(), desk=self._floor.desk, now=now),
        )
        return Kept(triggered=replace(told, is_from_memory=True), order=order)

    async def _held(self, position: Position, *, venue: Venue) -> Decimal:
        """Give what the venue holds there; where it does not say, what was held when somebody last looked."""
        with contextlib.suppress(VenueError):
            told = await self._floor.exchanges[venue].positions(
                account_id=position.account_id, symbol=position.symbol
            )
            here = (one for one in told if one.position_side is position.position_side)
            return sum((abs(one.quantity) for one in here), ZERO)
        return position.quantity

    # --- the database is back -----------------------------------------------------------------------------

    async def write_down(self) -> None:
        """Write what left without the database, each once; what was claimed by somebody else is only asked about."""
        await asyncio.sleep(LOOK_SECONDS)
        kept = {name: one for name, one in self._kept.items() if one.order.position_id not in self._sending}
        if not kept:
            return
        store = self._floor.store
        async with store.transaction() as transaction:
            books = store.books(transaction)
            numbers = sorted({one.triggered.stop.position_id for one in kept.values()})
            positions = await books.lock_positions(numbers)
            guards = await books.guards([one for one in positions.values() if one.status in HELD])
            standing = await books.open_attempts(sorted(kept))
            facts: list[Fact] = []
            over: set[str] = set()
            for name, one in kept.items():
                if name in standing:
                    continue  # it was planned before the database went
                number = one.triggered.stop.position_id
                armed = guards[number].armed if number in guards else None
                if armed is None or positions[number].status not in HELD:
                    log.warning("stops.exit.unwritten", position_id=number, order_id=name)
                    over.add(name)  # its fills have closed the position in the books already
                    continue
                claimed = claim(armed.stop, one.triggered.trigger)
                if isinstance(claimed, Claim) and claimed.token == one.triggered.token:
                    facts.append(replace(one.triggered, stop=claimed.stop))
                facts.append(one.order)
            done = await self._floor.runner.advance_in(transaction, facts)
        sent = {one.order.client_order_id for one in kept.values()}
        self._floor.go_on(
            [fact for fact in done if not (isinstance(fact, OrderPlanned) and fact.client_order_id in sent)]
        )
        outcomes = [one.outcome for name, one in kept.items() if one.outcome is not None and name not in over]
        if outcomes:
            await self._floor.record(outcomes)
        for name in kept:
            del self._kept[name]
        await asyncio.to_thread(self._file.write, list(self._kept.values()))
        log.warning("stops.exits.written_down", orders=len(kept))


def _line(one: Kept) -> str:
    return json.dumps({"triggered": encode(one.triggered), "order": encode(one.order)}) + "\n"


class KeptFile:
    """One process's file, locked while it lives: the lock is the system's, and ends with the process however it ends."""

    def __init__(self, path: Path, file: TextIO) -> None:
        """Have an open file that is locked."""
        self._path = path
        self._file = file

    @classmethod
    def find(cls, path: Path) -> "KeptFile | None":
        """Take a file that is there; None while another process holds it."""
        one = cls(path, path.open("r+", encoding="utf-8"))
        if _is_locked(one._file) and one._is_there():
            return one
        one._file.close()
        return None

    @classmethod
    def make(cls, path: Path, kept: Iterable[Kept]) -> "KeptFile":
        """Make a file of one's own; one of this name is replaced, and what it held must be among ``kept``."""
        return cls(path, _written(path, kept))

    def read(self) -> list[Kept]:
        """Give what is kept here, but for a line that was cut off: its order never left."""
        found = []
        for text in self._file.read().splitlines():
            with contextlib.suppress(ValueError):
                page: Mapping[str, str] = json.loads(text)
                told, order = (
                    decode("StopTriggered", page["triggered"]),
                    decode("OrderPlanned", page["order"]),
                )
                assert isinstance(told, StopTriggered)
                assert isinstance(order, OrderPlanned)
                found.append(Kept(triggered=told, order=order))
        return found

    def append(self, one: Kept) -> None:
        """Keep one more, and return when it is on the disk."""
        self._file.write(_line(one))
        _sync(self._file)

    def write(self, kept: Iterable[Kept]) -> None:
        """Keep these and no others."""
        before, self._file = self._file, _written(self._path, kept)
        before.close()

    def remove(self) -> None:
        """Take it away: it is kept elsewhere."""
        if self._is_there():
            self._path.unlink()
        self._file.close()

    def close(self) -> None:
        """Give up the lock, and the file where nothing is kept in it."""
        if self._is_there() and self._path.stat().st_size == 0:
            self._path.unlink()
        self._file.close()

    def _is_there(self) -> bool:
        """Say whether the name still means this file: it is replaced whenever something in it was written down."""
        return self._path.exists() and os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))


def _written(path: Path, kept: Iterable[Kept]) -> TextIO:
    """Write a file beside, locked before it has the name."""
    fresh = path.with_suffix(".new")
    file = fresh.open("w", encoding="utf-8")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.writelines(_line(one) for one in kept)
    _sync(file)
    fresh.replace(path)
    return file


def _is_locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())

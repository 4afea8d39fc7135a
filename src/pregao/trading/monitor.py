"""
The software line: prices come in, levels are reached, exits are claimed and sent, by whoever holds the symbol's lease.

One symbol is watched by one monitor at a time; what it claims is claimed under the position's lock, so that a stream,
a question, a hand and the venue's own order exit nothing twice.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TypeAlias

import structlog

from pregao import tally
from pregao.domain.account import Account, Venue
from pregao.domain.guarding import VENUE_FIRST_SECONDS, exits_from_memory
from pregao.domain.level import TriggerKind
from pregao.domain.position import Position
from pregao.domain.stop import DUPLICATE, Source, Stop, StopStatus
from pregao.edges.processes.ending import Together
from pregao.stops.book import Fired, Happened, StopBook
from pregao.stops.feed import Feed, is_blind, watcher_of
from pregao.stops.listen import Listening
from pregao.stops.ports import ArmedStop, Prices
from pregao.trading.claims import LEASE_LOST, Claims, Reached, Taken
from pregao.trading.executions import Executions
from pregao.trading.floor import STOPS_BELL, Floor
from pregao.trading.memory_exits import MemoryExits
from pregao.trading.trouble import AWAY, BROKEN, OUR_MISTAKES
from pregao.trading.watches import Pair, Told, Watches

LEASE_SECONDS = 3.0  # short: where no order of the venue stands, nothing else guards meanwhile
LEASE_MARGIN_SECONDS = 0.5  # so long before its end a lease counts as lost
RENEW_SECONDS = 1.0
COMPARE_SECONDS = 60.0  # between two looks at all stops; rings tell the rest, and a ring may be lost
TURN_SECONDS_MAX = 1.5  # a database that takes longer for a turn is away
CLAIM_SECONDS_MAX = 3.0  # so long a claim waits for the database; what was committed unheard is asked about
CLAIMS_FIRST = 8  # these leave before the others are claimed
CLAIMS_MAX = 1_000  # at once: of two batches the second waits for all that is told and booked of the first

Monotonic: TypeAlias = Callable[[], float]
Key: TypeAlias = tuple[int, str, int]

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class SymbolWatch:
    """One symbol that this monitor watches."""

    pair: Pair
    book: StopBook
    until: float  # of the lease, less the margin; monotonic
    on_price: Callable[["SymbolWatch", int, int, Source], None]
    armed: dict[int, ArmedStop] = field(default_factory=dict)
    price: tuple[int, int] = (0, 0)  # bid and ask in ticks; 0: none came
    was_blind: bool = False

    @property
    def price_tick(self) -> Decimal:
        """The finest tick of its stops."""
        return self.book.price_tick

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last price is not to be believed before another one."""
        return self.price[0] > 0 and self.book.is_in_doubt

    def take(self, bid: int, ask: int, source: Source) -> None:
        """Take a price, in ticks."""
        self.on_price(self, bid, ask, source)


class Monitor:
    """Watches under one lease."""

    def __init__(
        self,
        floor: Floor,
        *,
        watches: Watches,
        prices: Mapping[Venue, Prices],
        claimed_by: str,
        monotonic: Monotonic,
        start_venue: Callable[[Venue], Awaitable[None]] | None = None,
        open_accounts: Callable[[Collection[int]], Awaitable[None]] | None = None,
        memory: MemoryExits | None = None,
    ) -> None:
        """
        Watch nothing yet; ``run`` does the work.

        ``start_venue`` is called before a venue's first symbol is watched, ``open_accounts`` with those that hold
        something: what an exit needs of them must be here when the database is not. ``memory`` exits then.
        """
        self._floor = floor
        self._watches = watches
        self._prices = prices
        self._monotonic = monotonic
        self._start_venue = start_venue
        self._open_accounts = open_accounts
        self._memory = memory
        self._held: dict[int, tuple[Position, Account]] = {}
        self._away_since: datetime | None = None  # the database
        self._started: set[Venue] = set()
        self._claims = Claims(floor, claimed_by=claimed_by)
        self._executions = Executions(floor)
        self._watched: dict[Pair, SymbolWatch] = {}
        self._reached: deque[Reached] = deque()
        self._claims_max = CLAIMS_MAX
        self._pending: set[Key] = set()
        self._came = asyncio.Event()
        self._turn = asyncio.Event()
        self._rings = asyncio.Event()
        self._rung: set[int] = set()
        self._listening = {venue: Listening(line, clock=floor.clock) for venue, line in prices.items()}
        self._joined: list[Callable[[], Awaitable[None]]] = []
        floor.doorbell.listen(STOPS_BELL, self._hear)

    def join(self, work_once: Callable[[], Awaitable[None]]) -> None:
        """Run this beside the loops, too, again and again; say so before ``run``."""
        self._joined.append(work_once)

    async def run(self) -> None:
        """Watch until canceled; what is on the wire then is finished before it returns."""
        keep = self._floor.keep
        loops = [
            self.hold_symbols,
            self.follow_rings,
            self.compare_all,
            self.exit_reached,
            self._executions.exit_due,
            *(() if self._memory is None else (self._memory.write_down,)),
            *self._joined,
        ]
        try:
            async with Together() as tasks:
                for listening in self._listening.values():
                    tasks.create_task(listening.run())
                for work_once in loops:
                    tasks.create_task(keep(work_once))
        finally:
            try:
                with contextlib.suppress(*AWAY):  # a lease that is not given up runs out
                    await self._watches.give_up()
                await self._floor.close()
            finally:
                if self._memory is not None:
                    self._memory.close()

    @property
    def watched(self) -> Collection[Pair]:
        """The symbols that are watched here."""
        return self._watched.keys()

    # --- whose symbol it is -------------------------------------------------------------------------------

    async def hold_symbols(self) -> None:
        """Renew the leases, take what is free, and tell what is known of the prices."""
        began = self._monotonic()
        try:
            async with asyncio.timeout(TURN_SECONDS_MAX):
                held = await self._watches.take_turns(self._prices.keys(), seconds=LEASE_SECONDS)
                self._floor.gate.narrow(await self._floor.store.read_watched())
        except AWAY:
            self._away_since = self._away_since or self._floor.clock()
            raise
        self._away_since = None
        until = began + LEASE_SECONDS - LEASE_MARGIN_SECONDS
        now = self._monotonic()
        lapsed = {pair for pair, watch in self._watched.items() if watch.until <= now}
        for pair in self._watched.keys() - held:
            self._drop(pair)
        for pair in held & self._watched.keys():
            self._watched[pair].until = until
        if fresh := (held - self._watched.keys()) | (lapsed & held):
            await self._load(fresh, until=until)
        await self._tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS):
                await self._turn.wait()
        self._turn.clear()

    async def _load(self, pairs: Collection[Pair], *, until: float) -> None:
        """Watch the stops of symbols as they stand; what was crossed while nobody looked is seen with the next price."""
        by_pair: dict[Pair, list[ArmedStop]] = {}
        stops = await self._watches.armed(pairs)
        for one in stops:
            by_pair.setdefault((one.venue, one.symbol), []).append(one)
        for venue in {pair[0] for pair in by_pair} - self._started:
            self._started.add(venue)
            if self._start_venue is not None:
                self._floor.spawn(self._start_venue(venue))
        for pair, here in by_pair.items():
            self._watch(pair, here, until=until)
        await self._learn(stops)
        # The steps of quantities, before a target needs them.
        await self._floor.read_prices(set(by_pair))

    async def _learn(self, stops: Sequence[ArmedStop]) -> None:
        """Know what is held and on which account: an exit from memory needs no database."""
        if self._memory is None:
            return
        self._held |= await self._watches.held([one.stop.position_id for one in stops])
        if self._open_accounts is not None:
            await self._open_accounts({one.account_id for one in stops if one.left_at is None})

    def _watch(self, pair: Pair, stops: Sequence[ArmedStop], *, until: float) -> None:
        before = self._watched.get(pair)
        tick = min(one.stop.price_tick for one in stops)
        book = StopBook(price_tick=tick)
        watch = self._watched[pair] = SymbolWatch(pair=pair, book=book, until=until, on_price=self._take)
        for one in stops:
            self._put(watch, one)
        venue, symbol = pair
        self._listening[venue].follow(symbol, watch)
        if before is None:
            log.info("monitor.symbol.taken", venue=venue, symbol=symbol, stops=len(stops))

    def _drop(self, pair: Pair) -> None:
        del self._watched[pair]
        self._listening[pair[0]].unfollow(pair[1])
        log.info("monitor.symbol.left", venue=pair[0], symbol=pair[1])

    async def _tell(self) -> None:
        now = self._floor.clock()
        told = []
        for (venue, symbol), watch in self._watched.items():
            feed, tick, (bid, ask) = self._listening[venue].feed_of(symbol), watch.price_tick, watch.price
            self._alarm_blind(watch, feed, now=now)
            told.append(
                Told(
                    venue=venue,
                    symbol=symbol,
                    source=watcher_of(feed, now=now),
                    price_at=feed.price_at,
                    bid=bid * tick if bid else None,
                    ask=ask * tick if ask else None,
                )
            )
        if told:
            await self._watches.tell(told, now=now)

    def _alarm_blind(self, watch: SymbolWatch, feed: Feed, *, now: datetime) -> None:
        blind = feed.price_at is not None and is_blind(feed, now=now)
        if blind is not watch.was_blind:
            watch.was_blind = blind
            venue, symbol = watch.pair
            if blind:
                log.critical("monitor.price.lost", venue=venue, symbol=symbol, stops=len(watch.armed))
            else:
                log.warning("monitor.price.back", venue=venue, symbol=symbol)

    # --- which stops stand there --------------------------------------------------------------------------

    def _hear(self, words: str) -> None:
        self._rung.update(int(word) for word in words.split() if word.isdigit())
        if self._rung:
            self._rings.set()

    async def follow_rings(self) -> None:
        """Look at the stops that somebody has changed."""
        await self._rings.wait()
        self._rings.clear()
        rung, self._rung = self._rung, set()
        try:
            stops = await self._watches.armed_of(rung)
            await self._learn(stops)
            self._see(stops)
        except AWAY:
            self._rung |= rung
            self._rings.set()
            raise

    async def compare_all(self) -> None:
        """Look at all stops of the symbols that are watched here."""
        await asyncio.sleep(COMPARE_SECONDS)
        pairs = set(self._watched)
        stops = await self._watches.armed(pairs)
        await self._learn(stops)
        self._see(stops)
        standing = {one.stop.position_id for one in stops}
        for pair in pairs & self._watched.keys():
            watch = self._watched[pair]
            for gone in watch.armed.keys() - standing:
                self._forget(watch, gone)

    def _see(self, stops: Iterable[ArmedStop]) -> None:
        changed: set[Pair] = set()
        for one in stops:
            watch = self._watched.get((one.venue, one.symbol))
            if watch is not None:
                self._put(watch, one)
                changed.add(watch.pair)
            elif one.left_at is None and one.venue in self._prices:
                self._turn.set()  # of a symbol that nobody may be watching yet
        for pair in changed & self._watched.keys():
            self._test(self._watched[pair])

    def _test(self, watch: SymbolWatch) -> None:
        """Hold the last price against what stands elsewhere now; one that nobody believes yet is not told twice."""
        venue, symbol = watch.pair
        feed = self._listening[venue].feed_of(symbol)
        if watch.price[0] and not watch.is_in_doubt and not is_blind(feed, now=self._floor.clock()):
            source = Source.POLL if feed.price_at == feed.polled_at else Source.STREAM
            self._take(watch, *watch.price, source, price_at=feed.price_at)

    def _put(self, watch: SymbolWatch, one: ArmedStop) -> None:
        number, stop = one.stop.position_id, one.stop
        if one.left_at is not None or stop.status is StopStatus.DISARMED:
            self._forget(watch, number)
            return
        known = watch.armed.get(number)
        if known is not None and known.stop.version > stop.version:
            return  # read before what was written since
        watch.armed[number] = one
        if known is not None and number in watch.book and known == one:
            return
        tick = watch.book.price_tick
        if stop.price_tick % tick:
            self._drop(watch.pair)  # a finer tick than all before: the symbol is taken anew
            self._turn.set()
            return
        watch.book.watch(_watchable(one, price_tick=tick))

    def _forget(self, watch: SymbolWatch, position_id: int) -> None:
        watch.armed.pop(position_id, None)
        watch.book.forget(position_id)
        self._held.pop(position_id, None)

    # --- prices -------------------------------------------------------------------------------------------

    def _take(
        self, watch: SymbolWatch, bid: int, ask: int, source: Source, *, price_at: datetime | None = None
    ) -> None:
        """Take a price of now, or of then; nothing is reached for a monitor whose lease may have run out."""
        if self._watched.get(watch.pair) is not watch:
            return
        if self._monotonic() >= watch.until and self._away_since is None:
            return
        began = self._monotonic()
        watch.price = bid, ask
        happened = watch.book.tick(bid, ask)
        if happened:
            self._reach(watch, happened, source, price_at=price_at)
        tally.count("deriv_bot_ticks_processed_total", watch.pair[1])
        tally.observe("deriv_bot_tick_processing_milliseconds", value=(self._monotonic() - began) * 1_000)

    def _reach(
        self, watch: SymbolWatch, happened: Iterable[Happened], source: Source, *, price_at: datetime | None
    ) -> None:
        (bid, ask), seen_at = watch.price, self._floor.clock()
        for event in happened:
            if isinstance(event, Fired):
                key = _key(event)
                if key in self._pending:
                    continue
                self._pending.add(key)
            self._reached.append(
                Reached(
                    pair=watch.pair,
                    event=event,
                    price_tick=watch.book.price_tick,
                    source=source,
                    seen_at=seen_at,
                    price_at=price_at or seen_at,
                    bid=bid,
                    ask=ask,
                )
            )
        self._came.set()

    # --- what is reached ----------------------------------------------------------------------------------

    async def exit_reached(self) -> None:
        """
        Claim what is reached: a few, whose exits leave at once, then all that came meanwhile.

        A database that is too slow for so many in its time is given half as many, until it keeps up.
        """
        await self._came.wait()
        self._came.clear()
        size = CLAIMS_FIRST
        while self._reached:
            batch = [self._reached.popleft() for _ in range(min(len(self._reached), size))]
            try:
                async with asyncio.timeout(CLAIM_SECONDS_MAX):
                    await self._claim(batch)
                if len(batch) >= self._claims_max:
                    self._claims_max = min(CLAIMS_MAX, 2 * self._claims_max)
                size = self._claims_max
            except AWAY:
                if len(batch) > CLAIMS_FIRST:  # what does not take a few either is away, not slow
                    self._claims_max = max(CLAIMS_FIRST, len(batch) // 2)
                self._away_since = self._away_since or self._floor.clock()
                self._reached.extendleft(one for one in reversed(batch) if not self._has_left(one))
                if self._reached:
                    self._came.set()
                raise

    def _has_left(self, one: Reached) -> bool:
        """Exit from memory what has waited for the database for too long; say whether it need not be claimed any more."""
        if self._memory is None or not isinstance(one.event, Fired) or one.event.kind is not TriggerKind.STOP:
            return False
        if not exits_from_memory(database_away_since=self._away_since, now=self._floor.clock()):
            return False
        watch, held = self._watched.get(one.pair), self._held.get(one.position_id)
        armed = None if watch is None else watch.armed.get(one.position_id)
        if armed is None or held is None:
            return False
        self._memory.begin(one, armed, *held)
        self._settle([one])
        return True

    async def _claim(self, batch: Sequence[Reached]) -> None:
        try:
            taken = await self._claims.take(batch, lock_ours=self._watches.lock_positions)
        except (*OUR_MISTAKES, *BROKEN):
            if len(batch) == 1:
                self._settle(batch)
                log.critical("monitor.claim.failed", position_id=batch[0].position_id, exc_info=True)
                return
            for one in batch:  # the others are whole
                await self._claim([one])
            return
        self._settle([one for one in batch if one not in taken.waiting])
        self._look_again(taken)
        for one in taken.waiting:
            waited = (self._floor.clock() - one.seen_at).total_seconds()
            asyncio.get_running_loop().call_later(
                max(0.0, VENUE_FIRST_SECONDS - waited), partial(self._come_back, one)
            )

    def _come_back(self, one: Reached) -> None:
        self._reached.append(one)
        self._came.set()

    def _settle(self, batch: Iterable[Reached]) -> None:
        self._pending -= {_key(one.event) for one in batch if isinstance(one.event, Fired)}

    def _look_again(self, taken: Taken) -> None:
        """Watch anew what was not claimed: the book has let go of it, and it may stand elsewhere by now."""
        again: set[int] = set()
        for one, why in taken.lost:
            watch = self._watched.get(one.pair)
            if watch is None or why == DUPLICATE:
                continue
            if why == LEASE_LOST:
                watch.until = 0.0  # the next turn says whose it is
            else:
                watch.armed.pop(one.position_id, None)
                again.add(one.position_id)
        if again:
            self._rung |= again
            self._rings.set()


def _key(fired: Fired) -> Key:
    return fired.position_id, fired.kind.value, fired.number


def _watchable(one: ArmedStop, *, price_tick: Decimal) -> Stop:
    """Give the stop as the book watches it: what may yet be anchored elsewhere does not follow the price."""
    rule = one.stop.rule
    if not one.is_anchor_final:
        rule = replace(rule, trailing=None, break_even_after_target=False)
    return replace(one.stop, rule=rule, price_tick=price_tick)

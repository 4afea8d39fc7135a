"""
The stops of one symbol, in memory: a tick costs two comparisons, however many stops it does not cross.

Two guard prices stand in front of heaps of levels; what was moved or forgotten is left in them and passed over when it
comes up. Prices are whole ticks. The book claims nothing: what it says is reached, the caller claims in the database.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from pregao.domain.level import TriggerKind
from pregao.domain.money import ceil_to_step, floor_to_step
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus
from pregao.stops.ladder import Ladder, ladder_of

JUMP_BPS_MAX = 100  # on the recorded tapes no trade was more than 41 bps from the one before it
JUMP_TICKS_MIN = 5  # where a tick is itself a large part of the price
STALE_MIN = 64  # fewer, or fewer than three in four, cost more to clean up than to pass over
FAR = 1 << 62  # above every price
STOP, TARGET = TriggerKind.STOP, TriggerKind.TARGET

Key = TypeVar("Key")


class Fired(NamedTuple):
    """A level was reached. Prices are in ticks; ``version`` is that of the stop it was watched under."""

    position_id: int
    kind: TriggerKind
    number: int  # of the target; 0 for the stop
    level: int
    price: int
    version: int


class Raised(NamedTuple):
    """A stop has followed the price: the caller writes it down before anything that comes after it."""

    position_id: int
    old_stop: int
    new_stop: int
    step_index: int
    price: int
    version: int  # from now on


Happened: TypeAlias = Fired | Raised

NOTHING: Sequence[Happened] = ()


class StopBook:
    """
    All watched stops of one symbol at one venue.

    A price far from the two before it acts only as far as the last one went too: one outlier never fires a stop, and a
    market that has really jumped, or falls in leaps, fires it with its second tick.
    """

    __slots__ = (
        "_ask", "_ask_before", "_bid", "_bid_before", "_high", "_longs", "_low", "_shorts", "_watched", "price_tick",
    )  # fmt: skip

    def __init__(self, *, price_tick: Decimal) -> None:
        """Begin empty. Where a venue changes its tick, all is watched anew in another book."""
        self.price_tick = price_tick
        self._low = 0  # a bid at or below may cross something; a price of 0 always comes here
        self._high = FAR
        self._bid = self._bid_before = self._ask = self._ask_before = 0
        self._longs = _Side(sign=1)
        self._shorts = _Side(sign=-1)
        self._watched: dict[int, _Watched] = {}

    def __len__(self) -> int:
        """Say how many positions are watched."""
        return len(self._watched)

    def __contains__(self, position_id: int) -> bool:
        """Say whether a position is watched."""
        return position_id in self._watched

    @property
    def price(self) -> tuple[int, int]:
        """The last bid and ask, in ticks, believed or not; 0 where none came."""
        return self._bid, self._ask

    @property
    def is_in_doubt(self) -> bool:
        """Say whether the last price lay far from the one before it: another one should be had soon."""
        return not (_near(self._bid, self._bid_before) and _near(self._ask, self._ask_before))

    # --- what is watched ---

    def watch(self, stop: Stop) -> None:
        """Watch the armed levels of a stop, as it stands; in place of what was watched of its position before."""
        self.forget(stop.position_id)
        if stop.status is not StopStatus.ARMED:
            return
        assert stop.price_tick == self.price_tick, "the book counts in its symbol's ticks"
        side = self._longs if stop.direction is Direction.LONG else self._shorts
        level = None if stop.stop_price is None else side.sign * int(stop.stop_price / self.price_tick)
        targets = {
            target.number: side.sign * int(target.price / self.price_tick)
            for target in stop.targets
            if target.status is StopStatus.ARMED
        }
        ladder = None if level is None else ladder_of(stop)
        raise_at = None if ladder is None or level is None else ladder.next_raise(level)
        watched = _Watched(side, stop=level, targets=targets, version=stop.version)
        watched.ladder, watched.raise_at = ladder, raise_at
        self._watched[stop.position_id] = watched
        if level is not None:
            side.stops.add(-level, stop.position_id)
        for number, price in targets.items():
            side.targets.add(price, (stop.position_id, number))
        if raise_at is not None:
            side.raises.add(raise_at, stop.position_id)
        self._set_guards()

    def move(self, position_id: int, *, stop: int, version: int) -> None:
        """
        Watch a stop at another price, in ticks, from now on.

        :raises KeyError: where the position is not watched.
        """
        watched = self._watched[position_id]
        watched.version = version
        side, old = watched.side, watched.stop
        level = side.sign * stop
        if level == old:
            return
        stops = side.stops
        if old is not None:
            stops.stale += 1
        watched.stop = level
        stops.add(-level, position_id)
        # A guard may only come nearer here; where it should go away the next crossing sees to it.
        if side.sign < 0:
            self._high = min(self._high, -level)
        else:
            self._low = max(self._low, level)
        # Of one that was raised the next step comes later than it did: it is looked for when the old one comes up.
        if watched.ladder is not None and (old is None or level < old):
            self._climb(watched, position_id)
        if stops.stale > STALE_MIN:
            self._clean_when_stale(side)

    def forget(self, position_id: int) -> None:
        """Watch a position no more; one that is not watched may be forgotten too."""
        watched = self._watched.pop(position_id, None)
        if watched is not None:
            watched.side.stops.stale += watched.stop is not None
            watched.leave_gains()
            self._clean_when_stale(watched.side)

    def levels_of(self, position_id: int) -> tuple[int | None, tuple[int, ...]]:
        """
        Give the stop and the targets that are watched of a position, in ticks.

        :raises KeyError: where it is not watched.
        """
        watched = self._watched[position_id]
        sign = watched.side.sign
        stop = None if watched.stop is None else sign * watched.stop
        return stop, tuple(sign * price for price in watched.targets.values())

    # --- the price moves ---

    def tick(self, bid: int, ask: int) -> Sequence[Happened]:
        """
        Take a price in ticks, a trade as both bid and ask, and give what it has reached: stops first.

        A stop that fired is forgotten, a target that fired is not watched any more, a stop that was raised is watched
        where it is now. A price that is none does nothing. The price told is the one acted on.
        """
        if self._low < bid and ask < self._high:
            self._bid_before = self._bid
            self._bid = bid
            self._ask_before = self._ask
            self._ask = ask
            return ()
        return self._cross(bid, ask)

    def _cross(self, bid: int, ask: int) -> Sequence[Happened]:
        if bid <= 0 or ask < bid or ask >= FAR:
            return NOTHING
        last_bid, last_ask = self._bid, self._ask
        highest_bid = lowest_bid = bid
        if not (_near(bid, last_bid) or _near(bid, self._bid_before)):
            highest_bid, lowest_bid = max(bid, last_bid), min(bid, last_bid)
        highest_ask, lowest_ask = highest_bid, lowest_bid
        if ask != bid or last_ask != last_bid or self._ask_before != self._bid_before:
            highest_ask = lowest_ask = ask
            if not (_near(ask, last_ask) or _near(ask, self._ask_before)):
                highest_ask, lowest_ask = max(ask, last_ask), min(ask, last_ask)
        self._bid_before, self._ask_before = last_bid, last_ask
        self._bid, self._ask = bid, ask
        if not last_bid:
            return NOTHING  # there is nothing to compare the first price with
        happened: list[Happened] = []
        longs, shorts = self._longs, self._shorts
        if longs.stops.first <= -highest_bid:
            self._fire_stops(longs, highest_bid, happened)
        if shorts.stops.first <= lowest_ask:
            self._fire_stops(shorts, -lowest_ask, happened)
        for side, price in ((longs, lowest_bid), (shorts, -highest_ask)):
            if side.targets.first <= price:
                self._fire_targets(side, price, happened)
            # Only now: the targets were reached under the version that stood.
            if side.raises.first <= price:
                self._raise_stops(side, price, happened)
        self._set_guards()
        return happened or NOTHING

    def _fire_stops(self, side: "_Side", price: int, happened: list[Happened]) -> None:
        sign, all_watched = side.sign, self._watched
        for key, position_ids in side.stops.take(-price):
            stop = -key
            for position_id in position_ids:
                watched = all_watched.get(position_id)
                if watched is None or watched.stop != stop or watched.side is not side:
                    side.stops.stale -= 1
                    continue
                del all_watched[position_id]
                if watched.targets or watched.raise_at is not None:
                    watched.leave_gains()
                happened.append(Fired(position_id, STOP, 0, sign * stop, sign * price, watched.version))

    def _fire_targets(self, side: "_Side", price: int, happened: list[Happened]) -> None:
        sign = side.sign
        for level, keys in side.targets.take(price):
            for position_id, number in keys:
                watched = self._watched.get(position_id)
                if watched is None or watched.side is not side or watched.targets.get(number) != level:
                    side.targets.stale -= 1
                    continue
                del watched.targets[number]
                happened.append(
                    Fired(position_id, TARGET, number, sign * level, sign * price, watched.version)
                )

    def _raise_stops(self, side: "_Side", price: int, happened: list[Happened]) -> None:
        sign = side.sign
        for level, position_ids in side.raises.take(price):
            for position_id in position_ids:
                watched = self._watched.get(position_id)
                if watched is None or watched.raise_at != level or watched.side is not side:
                    side.raises.stale -= 1
                    continue
                ladder, old = watched.ladder, watched.stop
                assert ladder is not None
                assert old is not None
                rung = ladder.rung_at(price, stop=old)
                if rung is None:  # it was moved up since
                    watched.raise_at = None
                    self._climb(watched, position_id)
                    continue
                watched.stop = stop = rung.stop
                watched.version = version = watched.version + 1
                side.stops.stale += 1
                side.stops.add(-stop, position_id)
                raise_at = watched.raise_at = ladder.next_raise(stop)
                if raise_at is not None:
                    side.raises.add(raise_at, position_id)
                happened.append(
                    Raised(position_id, sign * old, sign * stop, rung.step_index, sign * price, version)
                )
        self._clean_when_stale(side)

    def _climb(self, watched: "_Watched", position_id: int) -> None:
        ladder, stop, old = watched.ladder, watched.stop, watched.raise_at
        assert ladder is not None
        assert stop is not None
        raise_at = ladder.next_raise(stop)
        if raise_at == old:
            return
        raises = watched.side.raises
        if old is not None:
            raises.stale += 1
        watched.raise_at = raise_at
        if raise_at is None:
            return
        raises.add(raise_at, position_id)
        if watched.side.sign < 0:
            self._low = max(self._low, -raise_at)
        else:
            self._high = min(self._high, raise_at)

    def _clean_when_stale(self, side: "_Side") -> None:
        watched = self._watched
        if side.stops.is_stale:
            side.stops.clean(
                lambda level, one: (
                    (known := watched.get(one)) is not None and known.side is side and known.stop == -level
                )
            )
        if side.targets.is_stale:
            side.targets.clean(
                lambda level, one: (
                    (known := watched.get(one[0])) is not None
                    and known.side is side
                    and known.targets.get(one[1]) == level
                )
            )
        if side.raises.is_stale:
            side.raises.clean(
                lambda level, one: (
                    (known := watched.get(one)) is not None and known.side is side and known.raise_at == level
                )
            )

    def _set_guards(self) -> None:
        # A bid is never above its ask: what a short's target waits for at the ask, the bid has reached too.
        longs, shorts = self._longs, self._shorts
        self._low = max(0, -longs.stops.first, -shorts.targets.first, -shorts.raises.first)
        self._high = min(shorts.stops.first, longs.targets.first, longs.raises.first)


class _Levels(Generic[Key]):
    """What waits at which level, the lowest first; some of it may not wait any more."""

    __slots__ = ("_heap", "_keys", "_length", "stale")

    def __init__(self) -> None:
        self._heap = [FAR]  # each level once
        self._keys: dict[int, list[Key]] = {}
        self._length = 0
        self.stale = 0

    def __len__(self) -> int:
        return self._length

    @property
    def first(self) -> int:
        return self._heap[0]

    @property
    def is_stale(self) -> bool:
        return self.stale > STALE_MIN and self.stale * 4 > self._length * 3

    def add(self, level: int, key: Key) -> None:
        keys = self._keys.get(level)
        if keys is None:
            self._keys[level] = [key]
            heappush(self._heap, level)
        else:
            keys.append(key)
        self._length += 1

    def take(self, price: int) -> list[tuple[int, list[Key]]]:
        taken, heap = [], self._heap
        while heap[0] <= price:
            level = heappop(heap)
            keys = self._keys.pop(level)
            self._length -= len(keys)
            taken.append((level, keys))
        return taken

    def clean(self, is_live: Callable[[int, Key], bool]) -> None:
        kept = ((level, [key for key in keys if is_live(level, key)]) for level, keys in self._keys.items())
        self._keys = {level: keys for level, keys in kept if keys}
        self._heap = [FAR, *self._keys]
        heapify(self._heap)
        self._length = sum(map(len, self._keys.values()))
        self.stale = 0


class _Side:
    """Longs or shorts; a short's prices are negative, so that both earn when they rise."""

    __slots__ = ("raises", "sign", "stops", "targets")

    def __init__(self, *, sign: int) -> None:
        self.sign = sign
        self.stops = _Levels[int]()  # positions; at minus their stop: the highest comes first
        self.targets = _Levels[tuple[int, int]]()  # positions and numbers
        self.raises = _Levels[int]()  # positions


class _Watched:
    """What is watched of one position, with the prices of its side."""

    __slots__ = ("ladder", "raise_at", "side", "stop", "targets", "version")

    def __init__(self, side: _Side, *, stop: int | None, targets: dict[int, int], version: int) -> None:
        self.side = side
        self.stop = stop
        self.targets = targets
        self.version = version
        self.ladder: Ladder | None = None
        self.raise_at: int | None = None

    def leave_gains(self) -> None:
        side = self.side
        side.targets.stale += len(self.targets)
        side.raises.stale += self.raise_at is not None


def _near(price: int, other: int) -> bool:
    jump = abs(price - other)
    return other > 0 and (jump <= JUMP_TICKS_MIN or jump * 10_000 <= other * JUMP_BPS_MAX)


def bid_ticks(price: Decimal, *, tick: Decimal) -> int:
    """Give a bid in ticks; one between two ticks counts as the lower: a stop may fire a tick early, never late."""
    return int(floor_to_step(price, step=tick) / tick)


def ask_ticks(price: Decimal, *, tick: Decimal) -> int:
    """Give an ask in ticks; one between two ticks counts as the higher."""
    return int(ceil_to_step(price, step=tick) / tick)

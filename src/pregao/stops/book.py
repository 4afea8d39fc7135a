"""
The stops of one symbol, in memory: a tick costs two comparisons, however many stops it does not cross.

Two guard prices stand in front of heaps of levels; what was moved or forgotten is left in them and passed over when it
comes up. Prices are whole ticks. The book claims nothing: what it says is reached, the caller claims in the database.
"""

from collections.abc import Sequence
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

from pregao.domain.money import ceil_to_step, floor_to_step
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, TriggerKind
from pregao.stops.ladder import Ladder, ladder_of

JUMP_BPS_MAX = 100  # on the recorded tapes no trade was more than 41 bps from the one before it
JUMP_TICKS_MIN = 5  # where a tick is itself a large part of the price
STALE_MIN = 64  # fewer, or fewer than three in four, cost more to clean up than to pass over
FAR = 1 << 62  # above every price
RAISE = -1  # among the numbers of targets, which count from 1


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
            heappush(side.stops, (-level, stop.position_id))
        for number, price in targets.items():
            heappush(side.gains, (price, stop.position_id, number))
        if raise_at is not None:
            heappush(side.gains, (raise_at, stop.position_id, RAISE))
        self._set_guards()

    def move(self, position_id: int, *, stop: int, version: int) -> None:
        """
        Watch a stop at another price, in ticks, from now on.

        :raises KeyError: where the position is not watched.
        """
        watched = self._watched[position_id]
        side = watched.side
        level = side.sign * stop
        watched.version = version
        if level == watched.stop:
            return
        side.stale_stops += watched.stop is not None
        watched.stop = level
        heappush(side.stops, (-level, position_id))
        # A guard may only come nearer here; where it should go away the next crossing sees to it.
        if side.sign > 0:
            self._low = max(self._low, level)
        else:
            self._high = min(self._high, -level)
        if watched.ladder is not None:
            self._climb(watched, position_id)
        if side.stale_stops > STALE_MIN:
            self._clean_when_stale(side)

    def forget(self, position_id: int) -> None:
        """Watch a position no more; one that is not watched may be forgotten too."""
        watched = self._watched.pop(position_id, None)
        if watched is not None:
            side = watched.side
            side.stale_stops += watched.stop is not None
            side.stale_gains += len(watched.targets) + (watched.raise_at is not None)
            self._clean_when_stale(side)

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
        if bid <= self._low or ask >= self._high:
            return self._cross(bid, ask)
        self._bid_before = self._bid
        self._bid = bid
        self._ask_before = self._ask
        self._ask = ask
        return NOTHING

    def _cross(self, bid: int, ask: int) -> Sequence[Happened]:
        if bid <= 0 or ask < bid:
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
        if longs.stops and longs.stops[0][0] <= -highest_bid:
            self._fire_stops(longs, highest_bid, happened)
        if shorts.stops and shorts.stops[0][0] <= lowest_ask:
            self._fire_stops(shorts, -lowest_ask, happened)
        if longs.gains and longs.gains[0][0] <= lowest_bid:
            self._take_gains(longs, lowest_bid, happened)
        if shorts.gains and shorts.gains[0][0] <= -highest_ask:
            self._take_gains(shorts, -highest_ask, happened)
        self._set_guards()
        return happened or NOTHING

    def _fire_stops(self, side: "_Side", price: int, happened: list[Happened]) -> None:
        heap, sign = side.stops, side.sign
        while heap and heap[0][0] <= -price:
            key, position_id = heappop(heap)
            watched = self._watched.get(position_id)
            if watched is None or watched.stop != -key or watched.side is not side:
                side.stale_stops -= 1
                continue
            del self._watched[position_id]
            if watched.targets or watched.raise_at is not None:
                side.stale_gains += len(watched.targets) + (watched.raise_at is not None)
            happened.append(
                Fired(position_id, TriggerKind.STOP, 0, sign * -key, sign * price, watched.version)
            )

    def _take_gains(self, side: "_Side", price: int, happened: list[Happened]) -> None:
        heap, sign = side.gains, side.sign
        risen: list[tuple[_Watched, int]] = []
        while heap and heap[0][0] <= price:
            level, position_id, number = heappop(heap)
            watched = self._watched.get(position_id)
            if watched is None or watched.side is not side or watched.gain(number) != level:
                side.stale_gains -= 1
            elif number == RAISE:
                watched.raise_at = None
                risen.append((watched, position_id))
            else:
                del watched.targets[number]
                happened.append(
                    Fired(
                        position_id, TriggerKind.TARGET, number, sign * level, sign * price, watched.version
                    )
                )
        for (
            watched,
            position_id,
        ) in risen:  # after the targets: they were reached under the version that stood
            self._raise(watched, position_id, price, happened)
        self._clean_when_stale(side)

    def _raise(self, watched: "_Watched", position_id: int, price: int, happened: list[Happened]) -> None:
        ladder, old = watched.ladder, watched.stop
        assert ladder is not None
        assert old is not None
        rung = ladder.rung_at(price, stop=old)
        assert rung is not None, "a stop is waited for where its ladder raises it"
        side, sign = watched.side, watched.side.sign
        watched.stop = stop = rung.stop
        watched.version += 1
        side.stale_stops += 1
        heappush(side.stops, (-stop, position_id))
        raise_at = watched.raise_at = ladder.next_raise(stop)
        if raise_at is not None:
            heappush(side.gains, (raise_at, position_id, RAISE))
        happened.append(
            Raised(position_id, sign * old, sign * stop, rung.step_index, sign * price, watched.version)
        )

    def _climb(self, watched: "_Watched", position_id: int) -> None:
        side = watched.side
        assert watched.ladder is not None
        assert watched.stop is not None
        raise_at = watched.ladder.next_raise(watched.stop)
        if raise_at == watched.raise_at:
            return
        side.stale_gains += watched.raise_at is not None
        watched.raise_at = raise_at
        if raise_at is None:
            return
        heappush(side.gains, (raise_at, position_id, RAISE))
        if side.sign > 0:
            self._high = min(self._high, raise_at)
        else:
            self._low = max(self._low, -raise_at)

    def _set_guards(self) -> None:
        # A bid is never above its ask: what a short's target waits for at the ask, the bid has reached too.
        longs, shorts = self._longs, self._shorts
        self._low = max(
            0,
            -longs.stops[0][0] if longs.stops else 0,
            -shorts.gains[0][0] if shorts.gains else 0,
        )
        self._high = min(
            shorts.stops[0][0] if shorts.stops else FAR,
            longs.gains[0][0] if longs.gains else FAR,
        )

    def _clean_when_stale(self, side: "_Side") -> None:
        watched = self._watched
        if side.stale_stops > STALE_MIN and side.stale_stops * 4 > len(side.stops) * 3:
            side.stops[:] = [
                entry
                for entry in side.stops
                if (one := watched.get(entry[1])) is not None and one.side is side and one.stop == -entry[0]
            ]
            heapify(side.stops)
            side.stale_stops = 0
        if side.stale_gains > STALE_MIN and side.stale_gains * 4 > len(side.gains) * 3:
            side.gains[:] = [
                entry
                for entry in side.gains
                if (one := watched.get(entry[1])) is not None
                and one.side is side
                and one.gain(entry[2]) == entry[0]
            ]
            heapify(side.gains)
            side.stale_gains = 0


class _Side:
    """Longs or shorts; a short's prices are negative, so that both earn when they rise."""

    __slots__ = ("gains", "sign", "stale_gains", "stale_stops", "stops")

    def __init__(self, *, sign: int) -> None:
        self.sign = sign
        self.stops: list[tuple[int, int]] = []  # minus the level, position: the highest first
        self.gains: list[tuple[int, int, int]] = []  # level, position, number: the lowest first
        self.stale_stops = self.stale_gains = 0


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

    def gain(self, number: int) -> int | None:
        return self.raise_at if number == RAISE else self.targets.get(number)


def _near(price: int, other: int) -> bool:
    jump = abs(price - other)
    return other > 0 and (jump <= JUMP_TICKS_MIN or jump * 10_000 <= other * JUMP_BPS_MAX)


def bid_ticks(price: Decimal, *, tick: Decimal) -> int:
    """Give a bid in ticks; one between two ticks counts as the lower: a stop may fire a tick early, never late."""
    return int(floor_to_step(price, step=tick) / tick)


def ask_ticks(price: Decimal, *, tick: Decimal) -> int:
    """Give an ask in ticks; one between two ticks counts as the higher."""
    return int(ceil_to_step(price, step=tick) / tick)

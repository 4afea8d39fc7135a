"""The stop book says what a look at every stop on every tick says."""

import csv
import gzip
import os
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.level import Level, Method, TriggerKind
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, arm, disarmed, moved
from pregao.domain.stop_rule import StopRule, TargetRule, Trailing, TrailingMode
from pregao.stops.book import NOTHING, Fired, Raised, StopBook, ask_ticks, bid_ticks
from tests.properties import quick
from tests.rooms.stops.naive import NaiveBook

TICK = Decimal("0.01")
LONG, SHORT = Direction.LONG, Direction.SHORT
TICKS = Path(__file__).resolve().parents[4] / "shared/data/ticks"
TAPES = {
    "LTCUSDT": ("binance_LTCUSDT_trades_20250621_part1.csv.gz", Decimal("0.01")),
    "TRXUSDT": ("binance_TRXUSDT_usdm_trades_20250304.csv.gz", Decimal("0.00001")),
}
ORACLE_STOPS = int(os.environ.get("PREGAO_ORACLE_STOPS", "0"))  # on the whole of each tape
TRAILINGS = (
    None,
    Trailing(mode=TrailingMode.HAND_SPAN),
    Trailing(mode=TrailingMode.PERCENT, percent=Decimal("0.5"), step_percent=Decimal(0)),
)


def at(price) -> Level:
    return Level(method=Method.ABSOLUTE, value=Decimal(price))


def guard(
    position_id=1, direction=LONG, *, entry="100", stop="99", targets=(), trailing=None, tick=TICK
) -> Stop:
    """Give a stop; of several targets each takes a quarter."""
    rule = StopRule(
        stop=stop and at(stop),
        targets=tuple(TargetRule(level=at(price), share=Decimal("0.25")) for price in targets),
        trailing=trailing,
    )
    return arm(
        rule, position_id=position_id, direction=direction, entry_price=Decimal(entry), price_tick=tick
    )


def book_at(*stops, price=10_000, tick=TICK) -> StopBook:
    """Give a book that has seen a calm market."""
    book = StopBook(price_tick=tick)
    book.tick(price, price)
    for stop in stops:
        book.watch(stop)
    return book


def told(happened):
    """Give what a book said as the oracle says it."""
    return sorted(
        (one.position_id, one.kind.value, one.number, one.level, one.price, one.version)
        if isinstance(one, Fired)
        else (one.position_id, "raised", one.step_index, one.new_stop, one.price, one.version)
        for one in happened
    )


class TestTicks:
    @pytest.mark.parametrize(
        ("direction", "levels", "bid", "ask", "kind"),
        [
            (LONG, ("99", "101"), 9900, 9901, TriggerKind.STOP),
            (LONG, ("99", "101"), 9901, 9902, None),
            (LONG, ("99", "101"), 10_100, 10_101, TriggerKind.TARGET),
            (LONG, ("99", "101"), 10_099, 10_101, None),  # the ask has reached it
            (SHORT, ("101", "99"), 10_099, 10_100, TriggerKind.STOP),
            (SHORT, ("101", "99"), 10_098, 10_099, None),
            (SHORT, ("101", "99"), 9899, 9900, TriggerKind.TARGET),
            (SHORT, ("101", "99"), 9900, 9901, None),  # the bid has
        ],
    )
    def test_fire_at_the_side_the_position_is_closed_at(self, *, direction, levels, bid, ask, kind):
        """F084."""
        stop, target = levels
        book = book_at(guard(direction=direction, stop=stop, targets=(target,)), price=bid)

        happened = book.tick(bid, ask)

        assert [one.kind for one in happened] == ([kind] if kind else [])

    def test_fire_a_stop_once_and_watch_its_position_no_more(self):
        book = book_at(guard(stop="99", targets=("101",)), price=9_905)

        assert book.tick(9890, 9890) == [Fired(1, TriggerKind.STOP, 0, 9900, 9890, 1)]
        assert (len(book), 1 in book) == (0, False)
        assert book.tick(9890, 9890) == NOTHING
        assert book.tick(10_100, 10_100) == book.tick(10_100, 10_100) == NOTHING

    def test_fire_every_target_that_a_gap_passes_and_go_on_watching_the_stop(self):
        book = book_at(guard(targets=("100.1", "100.2", "101")))

        assert [one.number for one in book.tick(10_050, 10_050)] == [1, 2]
        assert book.levels_of(1) == (9900, (10_100,))
        assert [one.kind for one in book.tick(9900, 9900) or book.tick(9900, 9900)] == [TriggerKind.STOP]

    def test_fire_nothing_that_is_not_set(self):
        book = book_at(guard(stop=None))

        assert book.tick(9950, 9950) == book.tick(9950, 9950) == NOTHING

    def test_between_two_ticks_fire_early_and_never_late(self):
        assert bid_ticks(Decimal("99.005"), tick=TICK) == 9900
        assert ask_ticks(Decimal("99.005"), tick=TICK) == 9901
        assert bid_ticks(Decimal("99.01"), tick=TICK) == ask_ticks(Decimal("99.01"), tick=TICK) == 9901

    def test_raise_before_they_fire_what_was_raised(self):
        book = book_at(guard(entry="100", stop="99", trailing=TRAILINGS[1]))
        for price in (10_090, 10_150):
            book.tick(price, price)

        assert book.tick(10_200, 10_200) == [Raised(1, 10_015, 10_100, 2, 10_200, 3)]
        assert book.tick(10_101, 10_101) == NOTHING
        assert book.tick(10_100, 10_100) == [Fired(1, TriggerKind.STOP, 0, 10_100, 10_100, 3)]


class TestOutliers:
    """D-9: one price never fires a stop; the raw feed sends rows without a price or a quantity."""

    @pytest.mark.parametrize("price", [0, -1, 1, 5_000, 9_800])
    def test_fire_nothing(self, price):
        book = book_at(guard(), price=10_000)

        assert book.tick(price, price) == NOTHING
        assert book.tick(10_000, 10_000) == NOTHING
        assert len(book) == 1

    @pytest.mark.parametrize("price", [20_000, 10_200])
    def test_raise_nothing(self, price):
        book = book_at(guard(trailing=TRAILINGS[1]), price=10_000)

        assert book.tick(price, price) == NOTHING
        assert book.levels_of(1) == (9900, ())

    def test_at_one_side_fire_nothing(self):
        book = book_at(guard(direction=SHORT, stop="101"), price=10_000)

        assert book.tick(10_000, 1_000_000) == NOTHING

    def test_that_a_second_tick_confirms_were_none(self):
        book = book_at(guard(), price=10_000)

        assert book.tick(5_000, 5_000) == NOTHING
        assert [one.price for one in book.tick(5_010, 5_010)] == [5_010]

    @pytest.mark.parametrize(
        ("direction", "stop", "leaps"), [(LONG, "99", (9_800, 9_600)), (SHORT, "101", (10_200, 10_400))]
    )
    def test_are_not_what_falls_in_leaps(self, direction, stop, leaps):
        """Each price far from all before it, as in a crash, or asked for every five seconds: two beyond a stop are enough."""
        book = book_at(guard(direction=direction, stop=stop), price=10_000)

        assert book.tick(leaps[0], leaps[0]) == NOTHING
        assert [one.price for one in book.tick(leaps[1], leaps[1])] == [leaps[0]]

    def test_raise_as_far_as_the_price_before_them_went(self):
        book = book_at(guard(trailing=TRAILINGS[1]), price=10_000)

        book.tick(10_150, 10_150)

        assert [(one.step_index, one.price) for one in book.tick(10_400, 10_400)] == [(1, 10_150)]

    def test_are_to_be_asked_about(self):
        """Where the symbol hardly trades, the next price is fetched."""
        book = book_at(guard(), price=10_000)
        book.tick(10_001, 10_001)
        assert not book.is_in_doubt

        book.tick(5_000, 5_000)
        assert book.is_in_doubt

        book.tick(10_002, 10_002)
        book.tick(10_001, 10_001)
        assert not book.is_in_doubt

    def test_do_not_delay_the_true_price_after_them(self):
        book = book_at(guard(), price=9_905)

        book.tick(5_000, 5_000)

        assert [one.price for one in book.tick(9_900, 9_900)] == [9_900]

    def test_rows_without_a_price_are_not_remembered(self):
        book = book_at(guard(), price=9_905)

        for _ in range(3):
            book.tick(0, 0)

        assert [one.price for one in book.tick(9_900, 9_900)] == [9_900]

    def test_of_two_feeds_that_contradict_each_other_do_not_make_it_blind(self):
        book = book_at(guard(), price=10_000)

        assert book.tick(9_000, 9_000) == NOTHING
        assert book.tick(10_000, 10_000) == NOTHING
        assert [one.price for one in book.tick(9_000, 9_000)] == [9_000]

    def test_are_whatever_comes_first(self):
        """A new connection's first tick is compared with nothing."""
        book = StopBook(price_tick=TICK)
        book.watch(guard())

        assert book.tick(9_000, 9_000) == NOTHING
        assert len(book.tick(9_000, 9_000)) == 1

    def test_are_not_the_single_ticks_of_a_cheap_coin(self):
        stop = guard(entry="0.20", stop="0.17")

        assert len(book_at(stop, price=20).tick(17, 17)) == 1


class TestChanges:
    def test_watch_a_stop_where_it_was_moved_to(self):
        book = book_at(guard())

        book.move(1, stop=9_950, version=2)

        assert book.tick(9_950, 9_950) == [Fired(1, TriggerKind.STOP, 0, 9_950, 9_950, 2)]

    @pytest.mark.parametrize("direction", Direction)
    def test_pass_over_where_it_was(self, direction):
        stop = guard(direction=direction, stop="99.9" if direction is LONG else "100.1")
        book = book_at(stop)

        book.move(1, stop=9_900 if direction is LONG else 10_100, version=2)

        assert book.tick(9_950, 9_950) == book.tick(10_050, 10_050) == NOTHING
        assert 1 in book

    def test_move_nothing_that_is_not_watched(self):
        with pytest.raises(KeyError):
            book_at().move(1, stop=1, version=2)

    def test_forget_all_of_a_position(self):
        book = book_at(guard(targets=("101",), trailing=TRAILINGS[1]))

        book.forget(1)
        book.forget(1)

        assert book.tick(9_905, 9_905) == book.tick(9_850, 9_850) == book.tick(9_900, 9_900) == NOTHING

    def test_watch_a_stop_anew_in_place_of_what_was(self):
        book = book_at(guard(targets=("100.5",)))

        book.watch(moved(guard(), stop_price=Decimal("99.5")))

        assert (len(book), book.levels_of(1)) == (1, (9_950, ()))
        assert book.tick(10_050, 10_050) == NOTHING

    def test_watch_nothing_of_what_is_disarmed(self):
        book = book_at(guard())

        book.watch(disarmed(guard()))

        assert len(book) == 0

    def test_watch_only_the_targets_that_are_armed(self):
        stop = guard(targets=("101", "102"))
        first, second = stop.targets

        book = book_at(replace(stop, targets=(replace(first, status=StopStatus.DISARMED), second)))

        assert book.levels_of(1) == (9_900, (10_200,))

    def test_leave_no_trail_however_often_a_stop_is_moved(self):
        """What is passed over is cleaned away in time: memory follows what is watched."""
        book = book_at(*[guard(position_id=number, trailing=TRAILINGS[2]) for number in range(20)])

        for version in range(20_000):
            book.move(version % 20, stop=9_000 + version % 37, version=version)

        assert len(book._longs.stops) + len(book._longs.raises) < 500
        assert {one.position_id for one in [*book.tick(8_999, 8_999), *book.tick(8_999, 8_999)]} == set(
            range(20)
        )

    def test_stop_for_nobody_who_counts_in_other_ticks(self):
        with pytest.raises(AssertionError):
            book_at().watch(guard(tick=Decimal("0.1")))


def some_stop(chance: random.Random, position_id: int, price: int, *, tick=TICK, reach=200) -> Stop:
    """Give a stop of any kind around a price in ticks; some entries lie between ticks."""
    direction = chance.choice((LONG, SHORT))
    sign = 1 if direction is LONG else -1
    trailing = chance.choice(TRAILINGS)
    entry = (price + chance.choice((Decimal(0), Decimal("0.3")))) * tick
    has_stop = trailing is not None or chance.random() < 0.9
    stop = (price - sign * chance.randint(1, reach) + (sign < 0)) * tick
    targets = sorted(
        price + sign * chance.randint(1, reach) + (sign > 0) for _ in range(chance.randint(0, 3))
    )
    return guard(
        position_id,
        direction,
        entry=entry,
        stop=stop if has_stop else None,
        targets=[target * tick for target in (targets if sign > 0 else reversed(targets))],
        trailing=trailing,
        tick=tick,
    )


class TestTrailing:
    @quick
    @given(
        direction=st.sampled_from(Direction),
        trailing=st.sampled_from(TRAILINGS[1:]),
        span=st.integers(min_value=1, max_value=60),
        path=st.lists(st.integers(min_value=-80, max_value=80), min_size=5, max_size=20),
        spread=st.integers(min_value=0, max_value=4),
    )
    def test_only_rises_stays_behind_the_market_and_takes_no_step_twice(
        self, direction, trailing, span, path, spread
    ):
        sign = 1 if direction is LONG else -1
        book = book_at(guard(direction=direction, stop=(10_000 - sign * span) * TICK, trailing=trailing))
        stop, steps, bid, version = 10_000 - sign * span, 0, 10_000, 1

        for change in path:
            bid += change
            happened = [one for one in book.tick(bid, bid + spread) if isinstance(one, Raised)]
            assert book.tick(bid, bid + spread) == NOTHING
            for one in happened:
                market = bid if direction is LONG else bid + spread
                assert one.old_stop == stop
                assert sign * one.new_stop > sign * stop
                assert sign * one.new_stop < sign * market
                assert one.version == version + 1
                if trailing.mode is TrailingMode.HAND_SPAN:
                    assert one.step_index > steps
                stop, steps, version = one.new_stop, one.step_index, one.version
            if 1 not in book:
                break


class TestEqualsTheNaiveLoop:
    @quick
    @given(seed=st.integers(min_value=0, max_value=2**32), spread=st.integers(min_value=0, max_value=3))
    def test_at_every_tick_whatever_is_added_moved_and_forgotten(self, seed, spread):
        chance = random.Random(seed)
        book, naive = StopBook(price_tick=TICK), NaiveBook(price_tick=TICK)
        price, position_id, said = 1_000, 0, Counter()

        for _ in range(150):
            for _ in range(chance.randint(0, 2)):
                position_id += 1
                stop = some_stop(chance, position_id, price)
                book.watch(stop)
                naive.watch(stop)
            if naive.stops and chance.random() < 0.3:
                one = chance.choice(list(naive.stops.values()))
                if chance.random() < 0.5 and one.stop_price is not None:
                    change = {"stop": max(1, price + chance.randint(-150, 150)), "version": one.version + 1}
                    book.move(one.position_id, **change)
                    naive.move(one.position_id, **change)
                else:
                    book.forget(one.position_id)
                    naive.forget(one.position_id)
            price = max(1, price + chance.choice((-30, -9, -9, -4, -4, -1, 0, 0, 1, 4, 4, 9, 9, 30)))
            tick = chance.choice([price] * 20 + [0, 1, price * 2, price // 2])

            happened = told(book.tick(tick, tick + spread))

            assert happened == naive.tick(tick, tick + spread)
            assert len(book) == len(naive.stops)
            said.update(what for _, what, *_ in happened)

        assert sum(said.values()) > 10

    @pytest.mark.skipif(not TICKS.exists(), reason="the recorded tapes are not beside this checkout")
    @pytest.mark.parametrize("symbol", TAPES)
    def test_on_the_recorded_tapes(self, symbol):
        """
        Every trigger and its tick, at different hours of the tape; CONTRIBUTING says how to play the whole of it.

        The row without a price on the TRXUSDT tape is among them.
        """
        prices, tick = recorded(symbol)
        chance = random.Random(symbol)
        said = Counter()
        length = len(prices) if ORACLE_STOPS else 500
        stops, reach = (ORACLE_STOPS, 200) if ORACLE_STOPS else (50, 30)

        for start in range(0, len(prices) - length + 1, max(1, len(prices) // 10)):
            book, naive = StopBook(price_tick=tick), NaiveBook(price_tick=tick)
            for number in range(stops):
                stop = some_stop(chance, number, prices[start] or prices[start - 1], tick=tick, reach=reach)
                book.watch(stop)
                naive.watch(stop)
            for price in prices[start : start + length]:
                happened = told(book.tick(price, price))
                assert happened == naive.tick(price, price)
                said.update(what for _, what, *_ in happened)

        print(symbol, len(prices), dict(said))  # noqa: T201  # -s shows it
        assert min(said["stop"], said["target"], said["raised"]) > 25
        assert (symbol != "TRXUSDT") or 0 in prices

    @pytest.mark.skipif(not TICKS.exists(), reason="the recorded tapes are not beside this checkout")
    @pytest.mark.parametrize("symbol", TAPES)
    def test_on_every_tick_of_the_recorded_tapes(self, symbol):
        """A thousand stops with a target each; the other side is a loop over plain numbers."""
        prices, tick = recorded(symbol)
        chance = random.Random(symbol)
        book, live = StopBook(price_tick=tick), []
        for number in range(1_000):
            entry, sign = prices[0], chance.choice((1, -1))
            stop, target = entry - sign * chance.randint(2, 300), entry + sign * chance.randint(2, 300)
            direction = LONG if sign > 0 else SHORT
            levels = {"stop": stop * tick, "targets": [target * tick]}
            book.watch(guard(number, direction, entry=entry * tick, tick=tick, **levels))
            # The target is not watched once it was reached, the stop is.
            live.append((min(stop, target), max(stop, target), number, stop))
        said, last, before = Counter(), 0, 0

        for place, price in enumerate(prices):
            happened = [(one.position_id, one.kind.value) for one in book.tick(price, price)]
            expected = []
            if price > 0:
                sure = last > 0 and (plainly_near(price, last) or plainly_near(price, before))
                low, high = (price, price) if sure else (max(price, last), min(price, last))
                reached = [one for one in live if low <= one[0] or high >= one[1]] if last else []
                for one in reached:
                    live.remove(one)
                    _, _, number, stop = one
                    if (low <= stop) if stop == one[0] else (high >= stop):
                        expected.append((number, "stop"))
                    else:
                        expected.append((number, "target"))
                        live.append(
                            (stop, 1 << 60, number, stop) if stop == one[0] else (0, stop, number, stop)
                        )
                last, before = price, last
            assert sorted(happened) == sorted(expected), (place, price)
            said.update(kind for _, kind in happened)

        assert min(said["stop"], said["target"]) > 100
        assert len(book) == len(live)


def plainly_near(price, other):
    return abs(price - other) <= 5 or abs(price - other) * 100 <= other


def recorded(symbol):
    """Give a tape's prices in ticks, as the feed sent them."""
    name, tick = TAPES[symbol]
    with gzip.open(TICKS / name, "rt", encoding="utf-8") as tape:
        return [int(Decimal(row["price"]) / tick) for row in csv.DictReader(tape)], tick

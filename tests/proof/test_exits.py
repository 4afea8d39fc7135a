"""Guarded positions in both books: each way in which an exit can be one too many or missing is found."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from pregao.domain.order import client_order_id
from pregao.proof.exits import (
    DOUBLED,
    MISSING,
    OPEN,
    WAITING,
    OwnClaim,
    OwnExit,
    OwnGuards,
    OwnPosition,
    VenueFill,
    VenueGuards,
    VenueLine,
    compare_exits,
    count_exits,
)
from pregao.proof.unguarded import UNGUARDED, Watched, find_naked, subtract, too_long

PLACE = (1, "BTCUSDT", "both")
ENTRY, EXIT = "p" + "a" * 26, "p" + "b" * 26
IN, OUT, LINE = client_order_id(ENTRY, attempt=1), client_order_id(EXIT, attempt=1), "saaaaaaaaaa-5-1-1"
TOKEN = "5:98:1"
CLAIM = OwnClaim(
    token=TOKEN,
    kind="stop",
    number=0,
    version=1,
    position_id=5,
    status="executed",
    code=None,
    source="ws",
    seen_ms=60_000,
    ended_ms=None,
)
ATTEMPT = OwnExit(
    order_id=EXIT,
    client_order_id=OUT,
    claim=CLAIM.key,
    position_id=5,
    planned_ms=60_000,
    known_ms=60_100,
)
ONE = Decimal(1)


def fill(client_id, side, *, at_ms, quantity=ONE, number="1"):
    return VenueFill(
        place=PLACE,
        trade_id=number,
        client_order_id=client_id,
        side=side,
        quantity=quantity,
        traded_ms=at_ms,
    )


def line(*, status="EXPIRED", created_ms=200, ended_ms=60_100):
    return VenueLine(
        place=PLACE,
        client_id=LINE,
        side="sell",
        status=status,
        quantity=None,
        created_ms=created_ms,
        ended_ms=ended_ms,
    )


def own(**changes):
    books = OwnGuards(
        claims=[CLAIM],
        told=Counter({(5, "stop", 0, 1): 1}),
        positions=[OwnPosition(position_id=5, place=PLACE, status="closed", armed_ms=100, is_left=True)],
        exits=[ATTEMPT],
        entries=frozenset({ENTRY}),
        fills={(1, "BTCUSDT", "1"): 5},
    )
    return replace(books, **changes)


def venue(**changes):
    books = VenueGuards(
        fills=[fill(IN, "buy", at_ms=0), fill(OUT, "sell", at_ms=60_100, number="2")],
        lines=[line()],
        orders={IN: (ONE, ONE), OUT: (ONE, ONE)},
    )
    return replace(books, **changes)


def figures(own_books, venue_books):
    return [one.figure for one in compare_exits(own_books, venue_books)]


class TestCompareExits:
    def test_finds_nothing_where_all_agrees(self):
        assert compare_exits(own(), venue()) == []
        assert count_exits(own(), venue()) == (1, 0)

    def test_finds_a_level_that_was_claimed_twice(self):
        assert figures(own(told=Counter({(5, "stop", 0, 1): 2})), venue()) == [DOUBLED]

    def test_finds_a_claim_with_two_exits_that_filled(self):
        orders = {IN: (ONE, ONE), OUT: (ONE, ONE), LINE: (ONE, ONE)}

        assert figures(own(), venue(orders=orders)) == [DOUBLED]

    def test_takes_a_second_exit_for_what_the_first_one_left(self):
        orders = {IN: (ONE, ONE), OUT: (Decimal("0.6"), Decimal("0.6")), LINE: (ONE, Decimal("0.4"))}

        assert compare_exits(own(), venue(orders=orders)) == []

    def test_finds_an_exit_that_took_more_than_was_held(self):
        turned = [fill(IN, "buy", at_ms=0), fill(OUT, "sell", at_ms=9, quantity=Decimal(3), number="2")]
        from_flat = [*venue().fills, fill(OUT, "sell", at_ms=60_200, number="3")]

        assert figures(own(), venue(fills=turned)) == [DOUBLED]
        assert figures(own(), venue(fills=from_flat)) == [DOUBLED]

    def test_finds_a_claim_that_was_not_carried_out(self):
        assert figures(own(claims=[replace(CLAIM, status="blocked")]), venue())[0] == MISSING
        only_entered = venue(orders={IN: (ONE, ONE)})
        assert figures(own(), only_entered) == [MISSING]

    def test_finds_a_position_that_nothing_claimed(self):
        assert figures(own(claims=[], told=Counter()), venue()) == [MISSING]

    def test_asks_no_claim_of_what_a_later_signal_closed(self):
        closed = own(claims=[], told=Counter(), closed_by_signals=frozenset({5}))
        assert figures(closed, venue()) == []

    def test_takes_what_the_venues_line_closed_unheard(self):
        by_line = venue(
            fills=[fill(IN, "buy", at_ms=0), fill(LINE, "sell", at_ms=60_100, number="2")],
            orders={IN: (ONE, ONE), LINE: (ONE, ONE)},
        )

        assert compare_exits(own(claims=[], told=Counter(), exits=[]), by_line) == []

    def test_lets_a_claim_be_whose_price_was_not_there(self):
        again = replace(CLAIM, token="5:98:2", version=2, status="failed", code="PRICE_NOT_THERE")

        assert compare_exits(own(claims=[again, CLAIM]), venue()) == []

    def test_finds_what_is_left_open_on_either_side(self):
        [closed] = own().positions

        assert OPEN in figures(own(positions=[replace(closed, status="closing")]), venue())
        assert figures(own(), venue(positions={PLACE: ONE})) == [OPEN]

    def test_finds_orders_that_are_left_behind(self):
        [closed] = own().positions

        assert figures(own(), venue(lines=[line(status="NEW", ended_ms=None)])) == [WAITING]
        assert figures(own(standing=[LINE]), venue()) == [WAITING]
        assert figures(own(positions=[replace(closed, is_left=False)]), venue()) == [WAITING]


def spans(own_books, venue_books, *, watched=(), outages=()):
    naked = find_naked(own_books, venue_books, watched=watched, outages=outages, now_ms=100_000)
    return [(one.span, one.excused_ms) for one in naked], [one.figure for one in too_long(naked)]


class TestFindNaked:
    def test_counts_from_the_fill_to_the_venues_order(self):
        assert spans(own(), venue()) == ([((0, 200), 0)], [])

    def test_counts_what_is_not_guarded_at_all(self):
        assert spans(own(), venue(lines=[])) == ([((0, 60_100), 0)], [UNGUARDED])

    def test_counts_until_the_exit_has_traded(self):
        stuck = line(status="TRIGGERING", ended_ms=50_000)

        assert spans(own(), venue(lines=[stuck])) == ([((0, 200), 0), ((50_000, 60_100), 0)], [UNGUARDED])

    def test_believes_a_monitor_while_its_lease_and_its_price_last(self):
        told = [Watched("BTCUSDT", ms, ms, ms + 3_000) for ms in range(1_000, 60_000, 1_000)]

        assert spans(own(), venue(lines=[]), watched=told)[0] == [((0, 1_000), 0), ((60_000, 60_100), 0)]
        blind = [replace(one, price_ms=1_000) for one in told]
        assert spans(own(), venue(lines=[]), watched=blind)[0][1] == ((31_000, 60_100), 0)
        other = [replace(one, symbol="ETHUSDT") for one in told]
        assert spans(own(), venue(lines=[]), watched=other)[0] == [((0, 60_100), 0)]

    def test_does_not_believe_it_for_a_stop_that_has_triggered(self):
        told = [Watched("BTCUSDT", ms, ms, ms + 3_000) for ms in range(1_000, 60_000, 1_000)]
        early = replace(CLAIM, seen_ms=50_000)

        found, too_long_ones = spans(own(claims=[early]), venue(lines=[]), watched=told)

        assert (found[-1], too_long_ones) == (((50_000, 60_100), 0), [UNGUARDED])

    def test_adds_the_time_in_which_the_database_was_away(self):
        late = venue(lines=[line(created_ms=9_000)])

        assert spans(own(), late) == ([((0, 9_000), 0)], [UNGUARDED])
        assert spans(own(), late, outages=[(1_000, 6_000)]) == ([((0, 9_000), 5_000)], [])
        assert spans(own(), late, outages=[(20_000, 30_000)]) == ([((0, 9_000), 0)], [UNGUARDED])

    def test_adds_the_time_in_which_an_exit_had_to_be_proven_dead_and_no_more(self):
        lost = replace(ATTEMPT, client_order_id=client_order_id("p" + "c" * 26, attempt=1), planned_ms=40_000)
        gone = [replace(lost, known_ms=47_000)]
        hanging = line(ended_ms=40_000)

        assert spans(own(exits=[*gone, ATTEMPT]), venue(lines=[hanging]))[0][-1] == ((40_000, 60_100), 7_000)
        assert spans(own(), venue(lines=[hanging]))[0][-1] == ((40_000, 60_100), 0)


class TestSubtract:
    def test_gives_what_is_left(self):
        assert subtract((0, 10), []) == [(0, 10)]
        assert subtract((0, 10), [(8, 12), (2, 3), (2, 4)]) == [(0, 2), (4, 8)]
        assert subtract((0, 10), [(-1, 11)]) == []

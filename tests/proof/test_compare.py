"""Both books side by side: each way in which they can differ is found, and what agrees is let be."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.domain.order import client_order_id
from pregao.proof.compare import (
    DUPLICATED,
    LEDGER,
    LOST,
    UNRESOLVED,
    LostTime,
    OwnBooks,
    OwnOrder,
    VenueBooks,
    VenueOrder,
    compare,
    count_orders,
    to_venue_books,
)

NAME = "p" + "a" * 26
ONE, NONE = Decimal(1), Decimal(0)
FILL = (1, "BTCUSDT", "77", "5001", "buy", "both", Decimal(90_000), ONE)
PLACE = (1, "BTCUSDT", "both")


def own(**changes):
    order = OwnOrder(
        order_id=NAME, signal_id="s1", account_id=1, leg="entry", status="filled", code=None, attempt=1
    )
    books = OwnBooks(
        orders={NAME: order},
        client_order_ids={client_order_id(NAME, attempt=1)},
        fills=[FILL],
        positions={PLACE: ONE},
    )
    return replace(books, **changes)


def at_venue(attempt=1, *, filled=ONE):
    return VenueOrder(
        account_id=1,
        client_order_id=client_order_id(NAME, attempt=attempt),
        status="filled",
        quantity=ONE,
        filled_quantity=filled,
    )


def venue(**changes):
    books = VenueBooks(
        orders=[at_venue()],
        fills=[FILL],
        client_order_ids=[client_order_id(NAME, attempt=1)],
        positions={PLACE: ONE},
    )
    return replace(books, **changes)


def found(ours=None, theirs=None, *, answered=None, finished=frozenset({"s1"})):
    differences = compare(
        ours or own(), theirs or venue(), answered=answered or {1: {"s1"}}, finished=finished
    )
    return [difference.figure for difference in differences]


class TestCompare:
    def test_finds_nothing_where_both_agree(self):
        assert found() == []

    def test_finds_one_attempt_that_the_venue_got_twice(self):
        assert found(theirs=venue(orders=[at_venue(), at_venue(filled=NONE)])) == [DUPLICATED]

    def test_finds_an_entry_that_two_attempts_executed(self):
        ours = own(client_order_ids={client_order_id(NAME, attempt=number) for number in (1, 2)})

        assert found(ours, venue(orders=[at_venue(1), at_venue(2)])) == [DUPLICATED]

    def test_lets_an_attempt_be_that_followed_a_dead_one(self):
        ours = own(client_order_ids={client_order_id(NAME, attempt=number) for number in (1, 2)})

        assert found(ours, venue(orders=[at_venue(1, filled=NONE), at_venue(2)])) == []

    def test_finds_an_alert_that_became_two_signals(self):
        assert found(answered={1: {"s1", "s2"}}, finished={"s1", "s2"}) == [DUPLICATED]

    def test_finds_a_signal_that_was_answered_and_never_finished(self):
        assert found(finished=frozenset()) == [LOST]

    def test_finds_a_fill_that_was_not_booked(self):
        assert found(own(fills=[])) == [LEDGER]

    def test_finds_a_fill_that_was_booked_twice(self):
        assert found(own(fills=[FILL, FILL])) == [LEDGER]

    def test_finds_a_fill_with_another_price(self):
        other = (*FILL[:6], Decimal(90_001), ONE)

        assert found(own(fills=[other])) == [LEDGER, LEDGER]

    def test_finds_a_position_that_differs(self):
        assert found(own(positions={PLACE: Decimal(2)})) == [LEDGER]
        assert found(own(positions={})) == [LEDGER]
        assert found(theirs=venue(positions={})) == [LEDGER]

    def test_finds_an_order_that_we_never_wrote(self):
        assert found(own(client_order_ids=set())) == [LEDGER]

    def test_finds_what_was_taken_for_a_strangers(self):
        assert found(own(foreign={PLACE: ONE})) == [LEDGER]
        assert found(own(foreign={PLACE: NONE})) == []

    def test_finds_a_position_that_is_not_the_sum_of_its_fills(self):
        assert found(own(positions_unlike_fills=[9])) == [LEDGER]

    def test_finds_what_is_still_on_its_way(self):
        assert found(own(live_orders=[NAME], unsettled_signals=["s1"])) == [UNRESOLVED, UNRESOLVED]

    def test_finds_an_entry_on_top_of_what_was_held(self):
        earlier = (1, "BTCUSDT", "70", "4990", "buy", "both", Decimal(90_000), ONE)
        theirs = venue(
            fills=[earlier, FILL],
            client_order_ids=["of a hand", client_order_id(NAME, attempt=1)],
            positions={PLACE: Decimal(2)},
        )

        assert found(own(fills=[earlier, FILL], positions={PLACE: Decimal(2)}), theirs) == [DUPLICATED]


class TestCompareRestored:
    """A database that was put back has forgotten orders: that is known, or it is a difference."""

    OLD = "p" + "b" * 26
    HELD = (1, "ETHUSDT", "both")

    def found(self, *, created_ms=1_000, foreign=ONE):
        fill = (1, "ETHUSDT", "12", "5002", "buy", "both", Decimal(3_000), ONE)
        order = replace(
            at_venue(), client_order_id=client_order_id(self.OLD, attempt=1), created_ms=created_ms
        )
        theirs = venue()
        theirs.orders.append(order)
        theirs.fills.append(fill)
        theirs.client_order_ids.append(order.client_order_id)
        theirs.positions[self.HELD] = ONE
        differences = compare(
            own(foreign={self.HELD: foreign} if foreign else {}),
            theirs,
            answered={1: {"s1"}},
            finished={"s1"},
            lost_time=LostTime(began_ms=900, ended_ms=2_000),
        )
        return [difference.figure for difference in differences]

    def test_lets_be_what_was_forgotten_and_is_known_to_be_held(self):
        assert self.found() == []

    def test_finds_what_was_forgotten_and_nobody_knows_of(self):
        assert self.found(foreign=None) == [LEDGER]

    @pytest.mark.parametrize("created_ms", [899, 2_001])
    def test_finds_an_order_that_left_unwritten_before_or_afterwards(self, created_ms):
        assert self.found(created_ms=created_ms) == [LEDGER, LEDGER]


class TestCountOrders:
    def test_expects_no_order_where_a_rule_lets_the_position_stand(self):
        idle = OwnOrder(
            order_id="x",
            signal_id="s2",
            account_id=1,
            leg="entry",
            status="denied",
            code="SAME_SIDE_OPEN",
            attempt=0,
        )
        late = replace(idle, order_id="y", code="SIGNAL_EXPIRED")
        orders = {one.order_id: one for one in (*own().orders.values(), idle, late)}

        counts = count_orders(own(orders=orders), venue())

        assert (counts.expected, counts.sent, counts.filled) == (2, 1, 1)
        assert counts.unfilled == {"SIGNAL_EXPIRED": 1}


class TestToVenueBooks:
    def test_reads_the_accounts_of_the_proof_alone(self):
        shown = {
            "orders": [],
            "fills": [],
            "positions": [{**dict.fromkeys(("symbol", "position_side"), "x")}],
        }
        page = {
            "key": {
                **shown,
                "positions": [{"symbol": "BTCUSDT", "position_side": "both", "quantity": "-0.5"}],
            },
            "somebody": shown,
        }

        assert to_venue_books(page, accounts={"key": 1}).positions == {PLACE: Decimal("-0.5")}

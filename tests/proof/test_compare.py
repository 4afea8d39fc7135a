"""Both books side by side: each way in which they can differ is found, and what agrees is let be."""

from dataclasses import replace
from decimal import Decimal

from pregao.domain.order import client_order_id
from pregao.proof.compare import (
    DUPLICATED,
    LEDGER,
    LOST,
    UNRESOLVED,
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
    return replace(VenueBooks(orders=[at_venue()], fills=[FILL], positions={PLACE: ONE}), **changes)


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

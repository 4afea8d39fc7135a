"""An order's states are a table, and its id is its promise."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.order import (
    LIVE,
    TRANSITIONS,
    Leg,
    OrderStatus,
    Side,
    client_order_id,
    may_become,
    order_id,
    order_of,
)
from tests.properties import quick

DESK = UUID(int=7)
BINANCE_TAKES = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
TERMINAL = frozenset(OrderStatus) - LIVE

identities = st.fixed_dictionaries(
    {
        "desk_id": st.uuids(),
        "signal_id": st.uuids(),
        "account_id": st.integers(min_value=1, max_value=2**62),
        "leg": st.sampled_from(Leg),
        "position_id": st.integers(min_value=0, max_value=2**62),
    }
)


class TestTransitions:
    def test_have_a_row_for_every_status(self):
        assert set(TRANSITIONS) == set(OrderStatus)

    @pytest.mark.parametrize("status", sorted(TERMINAL))
    def test_leave_no_terminal_status(self, status):
        assert TRANSITIONS[status] == frozenset()

    @pytest.mark.parametrize("status", sorted(LIVE))
    def test_lead_from_every_live_status_to_an_end(self, status):
        """Nothing may trade for ever: the receipt has to be finished some day."""
        reached, grown = set(), {status}
        while grown - reached:
            reached |= grown
            grown = {following for one in reached for following in TRANSITIONS[one]}

        assert reached & TERMINAL

    @quick
    @given(walk=st.lists(st.sampled_from(OrderStatus), max_size=12))
    def test_never_move_an_order_that_has_ended(self, walk):
        status, ended_as = OrderStatus.PLANNED, None

        for following in walk:
            if may_become(status, following=following):
                status = following
            ended_as = ended_as or (status if status in TERMINAL else None)

        assert ended_as in (None, status)

    def test_never_go_back_to_planned_once_the_venue_has_the_order(self):
        """Planning again is sending again: only an attempt that is proven dead may be followed by another."""
        before_planned = {
            status for status in OrderStatus if may_become(status, following=OrderStatus.PLANNED)
        }

        assert before_planned == {OrderStatus.DEFERRED, OrderStatus.UNRESOLVED}


class TestOrderId:
    @quick
    @given(identity=identities)
    def test_is_the_same_for_the_same_order(self, identity):
        assert order_id(**identity) == order_id(**identity)

    @quick
    @given(one=identities, other=identities)
    def test_differs_for_another_order(self, one, other):
        def key(identity):
            is_exit = identity["leg"] is Leg.EXIT
            return [*list(identity.values())[:4], identity["position_id"] if is_exit else None]

        assert (order_id(**one) == order_id(**other)) is (key(one) == key(other))

    def test_does_not_depend_on_the_position_of_an_entry(self):
        """Position ids come from a sequence: an entry planned again gets another, and must stay one order."""
        of_entry = {"desk_id": DESK, "signal_id": UUID(int=1), "account_id": 1, "leg": Leg.ENTRY}

        assert order_id(**of_entry, position_id=1) == order_id(**of_entry, position_id=2)

    @quick
    @given(identity=identities, attempt=st.integers(min_value=1, max_value=10**9 - 1))
    def test_fits_what_binance_takes(self, identity, attempt):
        assert BINANCE_TAKES.match(client_order_id(order_id(**identity), attempt=attempt))


class TestOrderOf:
    @quick
    @given(identity=identities, attempt=st.integers(min_value=1, max_value=10**9 - 1))
    def test_inverts_the_client_order_id(self, identity, attempt):
        order = order_id(**identity)

        assert order_of(client_order_id(order, attempt=attempt)) == (order, attempt)

    @quick
    @given(text=st.text(max_size=36))
    def test_never_breaks_on_a_stranger(self, text):
        assert order_of(text) is None or order_of(text)[1] >= 0

    @pytest.mark.parametrize(
        "text", ["", "p", "web_abc", "x" * 28, "p" * 27, "p" * 28, "autoclose-1700000000000", "p" * 27 + "²"]
    )
    def test_does_not_know_a_stranger(self, text):
        assert order_of(text) is None


class TestSide:
    def test_has_an_opposite_that_has_it_back(self):
        assert [side.opposite.opposite for side in Side] == list(Side)

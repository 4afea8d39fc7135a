"""A protective order's id is its promise, and its states go one way."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.level import TriggerKind
from pregao.domain.order import Leg, client_order_id, order_id, order_of
from pregao.domain.protection import (
    ENDS,
    TRANSITIONS,
    ProtectionName,
    ProtectionStatus,
    may_become,
    protection_id,
    protection_of,
)
from tests.properties import quick

DESK = UUID(int=7)
BINANCE_TAKES = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")

OWN = protection_id(ProtectionName(position_id=41, kind=TriggerKind.STOP, version=1), desk_id=DESK)
OWN_AND_NEARLY = rf"[stp]{OWN[1:11]}-0?[0-9]{{1,4}}-0?[0-9]{{1,2}}-0?[0-9]{{1,3}}(-1)?"

names = st.builds(
    ProtectionName,
    position_id=st.integers(min_value=1, max_value=10**14),
    kind=st.sampled_from(TriggerKind),
    version=st.integers(min_value=1, max_value=10**5),
    target=st.integers(min_value=1, max_value=20),
)


class TestTransitions:
    def test_have_a_row_for_every_status(self):
        assert set(TRANSITIONS) == set(ProtectionStatus)

    @quick
    @given(walk=st.lists(st.sampled_from(ProtectionStatus), max_size=12))
    def test_end_once_however_late_and_often_things_are_told(self, walk):
        status, ended_as = ProtectionStatus.ACCEPTED, None
        for following in walk:
            if may_become(status, following=following):
                status = following
                assert ended_as is None
                ended_as = status if status in ENDS else None

        assert status is (ended_as or status)

    @pytest.mark.parametrize("status", sorted(ProtectionStatus))
    def test_lead_to_an_end_from_everywhere_and_never_back(self, status):
        assert status in ENDS or TRANSITIONS[status] >= ENDS
        assert not may_become(status, following=ProtectionStatus.ACCEPTED)


class TestId:
    @quick
    @given(name=names, desk=st.uuids())
    def test_is_read_back_and_taken_by_the_venue(self, name, desk):
        text = protection_id(name, desk_id=desk)

        assert BINANCE_TAKES.match(text)
        assert protection_of(text, desk_id=desk) == name
        assert protection_id(name, desk_id=desk) == text

    @quick
    @given(one=names, other=names)
    def test_differs_for_different_names(self, one, other):
        assert (one == other) == (protection_id(one, desk_id=DESK) == protection_id(other, desk_id=DESK))

    @quick
    @given(name=names)
    def test_is_nobody_elses(self, name):
        text = protection_id(name, desk_id=DESK)

        assert order_of(text) is None
        assert protection_of(text, desk_id=UUID(int=8)) is None

    @quick
    @given(text=st.from_regex(OWN_AND_NEARLY, fullmatch=True))
    def test_is_never_read_out_of_something_else(self, text):
        found = protection_of(text, desk_id=DESK)

        assert found is None or protection_id(found, desk_id=DESK) == text

    def test_is_no_orders(self):
        order = order_id(desk_id=DESK, signal_id=UUID(int=1), account_id=1, leg=Leg.EXIT, position_id=1)

        assert protection_of(client_order_id(order, attempt=1), desk_id=DESK) is None

    @pytest.mark.parametrize("letters", ["-041-1-1", "-41-1-0", "-41-1", "-41-1-1-1", "-41-1-1 ", "-٤١-1-1"])
    def test_has_one_spelling(self, letters):
        assert protection_of(OWN.partition("-")[0] + letters, desk_id=DESK) is None

"""An operation goes only where spec D1.1 lets it (F080)."""

from itertools import product

import pytest

from pregao.domain.operation import STATUS_OF, OperationMoveError, OperationStatus, check_move
from pregao.domain.position import PositionStatus

ALLOWED = {("PLANNED", "ACTIVE"), ("PLANNED", "CANCELLED"), ("ACTIVE", "CLOSED"), ("ACTIVE", "CANCELLED")}


@pytest.mark.parametrize(("status", "following"), [*product(OperationStatus, repeat=2)])
def test_an_operation_moves_as_the_table_says_and_no_other_way(status, following):
    if (status.value, following.value) in ALLOWED:
        check_move(status, following=following)
        return
    with pytest.raises(OperationMoveError, match=f"OPERATION_STATE: status={status} asked={following}"):
        check_move(status, following=following)


def test_every_position_shows_as_an_operation():
    assert set(STATUS_OF) == set(PositionStatus)
    assert set(STATUS_OF.values()) == set(OperationStatus)

"""An operation, as system D calls a position: its states and their legal moves (spec D1.1, F080)."""

from enum import StrEnum

from pregao.domain.position import PositionStatus


class OperationStatus(StrEnum):
    """Where an operation stands."""

    PLANNED = "PLANNED"  # asked for, nothing has filled
    ACTIVE = "ACTIVE"  # something is held; its stop and target are watched
    CLOSED = "CLOSED"  # all that was entered was exited
    CANCELED = "CANCELLED"  # the source's spelling; given up before anything filled, or by hand


OPERATION_MOVES: dict[OperationStatus, frozenset[OperationStatus]] = {
    OperationStatus.PLANNED: frozenset({OperationStatus.ACTIVE, OperationStatus.CANCELED}),
    OperationStatus.ACTIVE: frozenset({OperationStatus.CLOSED, OperationStatus.CANCELED}),
    OperationStatus.CLOSED: frozenset(),
    OperationStatus.CANCELED: frozenset(),
}

STATUS_OF: dict[PositionStatus, OperationStatus] = {
    PositionStatus.PENDING: OperationStatus.PLANNED,
    PositionStatus.OPEN: OperationStatus.ACTIVE,
    PositionStatus.CLOSING: OperationStatus.ACTIVE,
    PositionStatus.CLOSED: OperationStatus.CLOSED,
    PositionStatus.ABANDONED: OperationStatus.CANCELED,
}
"""How a position shows as an operation."""


class OperationMoveError(Exception):
    """An operation cannot go there from where it stands: HTTP's 409."""

    def __init__(self, status: OperationStatus, *, following: OperationStatus) -> None:
        """Say both."""
        allowed = ",".join(sorted(OPERATION_MOVES[status])) or "none"
        self.code = "OPERATION_STATE"
        self.message = f"status={status} asked={following} allowed={allowed}. Look at the operation again."
        super().__init__(f"{self.code}: {self.message}")


def check_move(status: OperationStatus, *, following: OperationStatus) -> None:
    """
    See that an operation may move; a command that may be repeated looks first whether it has been carried out.

    :raises OperationMoveError: where it may not.
    """
    if following not in OPERATION_MOVES[status]:
        raise OperationMoveError(status, following=following)

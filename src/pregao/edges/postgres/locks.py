"""What a transaction of outcomes locks first: the positions that the venue's news is about, in the order of their ids."""

from collections.abc import Sequence

from pregao.domain.facts import (
    EntryRequested,
    ExitRequested,
    Fact,
    FillReported,
    OrderAccepted,
    OrderDenied,
    OrderEnded,
    OrderRejected,
    OrderUnresolved,
    PositionChanged,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionRejected,
    ProtectionReported,
    ProtectionUnresolved,
    StopChanged,
    StopRaised,
    StopTriggered,
)
from pregao.domain.order import order_of
from pregao.domain.protection import position_of
from pregao.edges.postgres.journal import Connection

OF_ORDERS = (OrderAccepted, OrderRejected, OrderUnresolved, OrderEnded, OrderDenied, EntryRequested)


async def lock_positions_of(connection: Connection, facts: Sequence[Fact]) -> None:
    """
    Lock the positions that facts from a venue are about, in the order of their ids, before anything else of theirs.

    What follows from the facts locks orders, signals and positions fact by fact. Two transactions that did only
    that would wait for each other, and so would one of them and whoever plans, who holds a bot's positions already.
    """
    trades = [fact for fact in facts if isinstance(fact, FillReported)]
    names = [order_of(fact.trade.client_order_id) for fact in trades]
    order_ids = {fact.order_id for fact in facts if isinstance(fact, OF_ORDERS)}
    await connection.execute(
        """
        SELECT FROM positions WHERE position_id IN (
            SELECT position_id FROM orders WHERE order_id = ANY($1::text[])
            UNION SELECT * FROM unnest($2::bigint[])
            UNION SELECT position_id FROM positions
                  JOIN unnest($3::bigint[], $4::text[], $5::text[], $6::text[])
                       AS told (account_id, symbol, position_side, order_id)
                  USING (account_id, symbol, position_side)
                  -- Of no order of ours, or of one that was forgotten: it may close what is held there.
                  WHERE closed_at IS NULL AND NOT EXISTS (
                      SELECT FROM orders AS o WHERE o.order_id = told.order_id AND o.attempt > 0))
        ORDER BY position_id FOR NO KEY UPDATE
        """,
        [*order_ids, *(own[0] for own in names if own is not None)],
        [number for fact in facts if (number := _position_of(fact)) is not None],
        [fact.account_id for fact in trades],
        [fact.trade.symbol for fact in trades],
        [fact.trade.position_side for fact in trades],
        [own[0] if own is not None else None for own in names],
    )


def _position_of(fact: Fact) -> int | None:
    """Give the position a fact names itself."""
    match fact:
        case (
            ExitRequested()
            | ProtectionAccepted()
            | ProtectionRejected()
            | ProtectionUnresolved()
            | ProtectionMoved()
        ):
            return fact.position_id
        case StopTriggered() | StopRaised() | StopChanged():
            return fact.stop.position_id
        case PositionChanged():
            return fact.position.position_id
        case ProtectionReported():
            return position_of(fact.report.protection_id)
        case FillReported():
            return position_of(fact.trade.client_order_id)
    return None

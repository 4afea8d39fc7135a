"""Folds of what is taken back at a venue and is not ours."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.domain.foreign import UNTOLD
from pregao.edges.postgres.folds.registry import folds
from pregao.edges.postgres.rows import encode_json


@folds(facts.ForeignCancelAsked)
async def _(connection: Any, group: Sequence[facts.ForeignCancelAsked]) -> None:
    """Write who asked, why, and what the order was."""
    for fact in group:
        await connection.execute(
            """
            INSERT INTO foreign_cancels (cancel_id, account_id, symbol, exchange_order_id, seen, reason, asked_by, user_id,
                                         source_address, asked_at, status)
            VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10, 'asked')
            """,
            fact.cancel_id,
            fact.account_id,
            fact.order.symbol,
            fact.order.exchange_order_id,
            encode_json(fact.order).decode(),
            fact.reason,
            fact.asked_by,
            fact.user_id,
            fact.source_address,
            fact.happened_at,
        )


@folds(facts.ForeignCancelTold)
async def _(connection: Any, group: Sequence[facts.ForeignCancelTold]) -> None:
    """Say what became of it; the first end counts."""
    for fact in group:
        await connection.execute(
            """
            UPDATE foreign_cancels
            SET status = $2, code = $3, told_reason = $4, filled_quantity = $5, told_at = $6
            WHERE cancel_id = $1 AND status = ANY($7::text[])
            """,
            fact.cancel_id,
            fact.status,
            fact.code,
            fact.reason,
            fact.filled_quantity,
            fact.happened_at,
            sorted(UNTOLD),
        )

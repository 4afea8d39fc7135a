"""Folds of posts to webhooks."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import column, folds


@folds(facts.ForwardBegun)
async def _(connection: Any, group: Sequence[facts.ForwardBegun]) -> None:
    await connection.execute(
        """
        INSERT INTO forwards (order_id, attempt, signal_id, account_id, owner, lease_epoch, begun_at)
        SELECT * FROM unnest($1::text[], $2::int[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::timestamptz[])
        ON CONFLICT (order_id, attempt) DO NOTHING
        """,
        column(group, "order_id"),
        column(group, "attempt"),
        column(group, "signal_id"),
        column(group, "account_id"),
        column(group, "owner"),
        column(group, "lease_epoch"),
        column(group, "happened_at"),
    )


@folds(facts.ForwardAnswered)
async def _(connection: Any, group: Sequence[facts.ForwardAnswered]) -> None:
    """Keep the first answer to each post: there is no second."""
    await connection.execute(
        """
        UPDATE forwards SET answered_at = new.at, http_status = new.http_status, answer = new.answer
        FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::int[], $5::text[])
             AS new (order_id, attempt, at, http_status, answer)
        WHERE forwards.order_id = new.order_id AND forwards.attempt = new.attempt AND forwards.answered_at IS NULL
        """,
        column(group, "order_id"),
        column(group, "attempt"),
        column(group, "happened_at"),
        column(group, "http_status"),
        column(group, "answer"),
    )

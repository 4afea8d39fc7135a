"""Folds of the jobs that sell out: started, what was found on each account, ended."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import column, folds
from pregao.edges.postgres.rows import encode_json


@folds(facts.FlattenStarted)
async def _(connection: Any, group: Sequence[facts.FlattenStarted]) -> None:
    """Write the job, and the accounts it has to prove."""
    for fact in group:
        await connection.execute(
            """
            INSERT INTO flattens (flatten_id, level, subject, name, keep_trading, reason, asked_by, user_id, is_by_staff,
                                  source_address, started_at, status)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'running')
            """,
            fact.flatten_id,
            fact.level,
            fact.subject,
            fact.name,
            fact.keep_trading,
            fact.reason,
            fact.asked_by,
            fact.user_id,
            fact.is_by_staff,
            fact.source_address,
            fact.happened_at,
        )
        await connection.execute(
            """
            INSERT INTO flatten_accounts (flatten_id, account_id, code, reason, closed, attempts, foreign_held, seen_at)
            SELECT $1, account_id, '', '', '[]', 0, '[]', $3 FROM unnest($2::bigint[]) AS account_id
            """,
            fact.flatten_id,
            list(fact.account_ids),
            fact.happened_at,
        )


@folds(facts.FlattenAccountSeen)
async def _(connection: Any, group: Sequence[facts.FlattenAccountSeen]) -> None:
    """Write what was found last."""
    latest = {(fact.flatten_id, fact.account_id): fact for fact in group}
    rows = [latest[key] for key in sorted(latest)]
    await connection.execute(
        """
        INSERT INTO flatten_accounts (flatten_id, account_id, proved_at, code, reason, closed, attempts, foreign_held,
                                      seen_at)
        SELECT flatten_id, account_id, CASE WHEN is_flat THEN at END, code, reason, closed::jsonb, attempts,
               foreign_held::jsonb, at
        FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[],
                    $9::timestamptz[])
             AS new (flatten_id, account_id, is_flat, code, reason, closed, attempts, foreign_held, at)
        ON CONFLICT (flatten_id, account_id) DO UPDATE
        SET proved_at = excluded.proved_at, code = excluded.code, reason = excluded.reason, closed = excluded.closed,
            attempts = excluded.attempts, foreign_held = excluded.foreign_held, seen_at = excluded.seen_at
        """,
        column(rows, "flatten_id"),
        column(rows, "account_id"),
        column(rows, "is_flat"),
        column(rows, "code"),
        column(rows, "reason"),
        [encode_json(fact.closed).decode() for fact in rows],
        column(rows, "attempts"),
        [encode_json(fact.foreign).decode() for fact in rows],
        column(rows, "happened_at"),
    )


@folds(facts.FlattenEnded)
async def _(connection: Any, group: Sequence[facts.FlattenEnded]) -> None:
    """End a job that runs; the first end counts."""
    for fact in group:
        await connection.execute(
            """
            UPDATE flattens
            SET status = CASE WHEN $2 THEN 'done' ELSE 'stopped' END, ended_at = $3, ended_by = $4, end_reason = $5
            WHERE flatten_id = $1 AND ended_at IS NULL
            """,
            fact.flatten_id,
            fact.is_done,
            fact.happened_at,
            fact.ended_by,
            fact.reason,
        )

"""Folds of the lab: what was asked, and what came of it."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import folds
from pregao.edges.postgres.rows import encode_json


@folds(facts.LabRunAsked)
async def _(connection: Any, group: Sequence[facts.LabRunAsked]) -> None:
    for fact in group:
        await connection.execute(
            """
            INSERT INTO lab_runs (run_id, kind, symbol, timeframe, request, user_id, asked_by, asked_at)
            VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8)
            """,
            fact.run_id,
            fact.kind,
            fact.symbol,
            fact.timeframe,
            encode_json(fact.request).decode(),
            fact.user_id,
            fact.asked_by,
            fact.happened_at,
        )


@folds(facts.LabRunEnded)
async def _(connection: Any, group: Sequence[facts.LabRunEnded]) -> None:
    """The first end counts: what was called off is not done any more."""
    for fact in group:
        await connection.execute(
            """
            UPDATE lab_runs SET status = $2, code = $3, reason = $4, figures = $5::text::jsonb, ended_at = $6
            WHERE run_id = $1 AND ended_at IS NULL
            """,
            fact.run_id,
            fact.status,
            fact.code,
            fact.reason,
            encode_json(fact.figures).decode(),
            fact.happened_at,
        )

"""Folds of what is counted."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import folds


@folds(facts.MetricsReset)
async def _(connection: Any, group: Sequence[facts.MetricsReset]) -> None:
    for fact in group:
        await connection.execute(
            """
            INSERT INTO metric_zeros (metric_name, counted, set_by, set_at)
            SELECT metric_name, counted, $3, $4 FROM unnest($1::text[], $2::bigint[]) AS new (metric_name, counted)
            ON CONFLICT (metric_name) DO UPDATE
            SET counted = excluded.counted, set_by = excluded.set_by, set_at = excluded.set_at
            """,
            list(fact.counted),
            list(fact.counted.values()),
            fact.set_by,
            fact.happened_at,
        )

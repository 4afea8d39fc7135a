"""Folds of where signals are forwarded to."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import folds


@folds(facts.ForwardLimitSet)
async def _(connection: Any, group: Sequence[facts.ForwardLimitSet]) -> None:
    """Write what was said last."""
    last = group[-1]
    await connection.execute(
        """
        INSERT INTO forward_limits (max_per_minute, is_enabled, set_by, set_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (only_one) DO UPDATE
        SET max_per_minute = excluded.max_per_minute, is_enabled = excluded.is_enabled,
            set_by = excluded.set_by, set_at = excluded.set_at
        """,
        last.max_per_minute,
        last.is_enabled,
        last.set_by,
        last.happened_at,
    )

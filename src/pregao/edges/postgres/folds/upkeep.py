"""Folds of upkeep: what is over is forgotten, and what is wrong with the desk as a whole is kept until it is over."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import folds

# In the order in which they belong to each other: what belongs to a position goes before it, and that before its signal.
OF_POSITIONS = ("stop_moves", "stop_claims", "protections", "stops", "fills", "orders", "positions")
OF_SIGNALS = ("forwards", "orders", "trades_by_hand", "screener_reprocessed", "signals")


@folds(facts.RetentionSet)
async def _(connection: Any, group: Sequence[facts.RetentionSet]) -> None:
    """Keep what was said last."""
    last = group[-1]
    await connection.execute(
        """
        INSERT INTO retentions (signal_days, metrics_days, alert_days, set_by, set_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (only_one) DO UPDATE
        SET signal_days = excluded.signal_days, metrics_days = excluded.metrics_days, alert_days = excluded.alert_days,
            set_by = excluded.set_by, set_at = excluded.set_at
        """,
        last.retention.signal_days,
        last.retention.metrics_days,
        last.retention.alert_days,
        last.set_by,
        last.happened_at,
    )


@folds(facts.SecondFactorDemanded)
async def _(connection: Any, group: Sequence[facts.SecondFactorDemanded]) -> None:
    """Keep what was said last."""
    last = group[-1]
    await connection.execute(
        """
        INSERT INTO second_factor_rules (role, set_by, set_at) VALUES ($1, $2, $3)
        ON CONFLICT (only_one) DO UPDATE
        SET role = excluded.role, set_by = excluded.set_by, set_at = excluded.set_at
        """,
        last.role,
        last.set_by,
        last.happened_at,
    )


@folds(facts.PastForgotten)
async def _(connection: Any, group: Sequence[facts.PastForgotten]) -> None:
    for fact in group:
        for table in OF_POSITIONS:
            await connection.execute(
                f"DELETE FROM {table} WHERE position_id = ANY($1::bigint[])", list(fact.position_ids)
            )
        for table in OF_SIGNALS:
            await connection.execute(
                f"DELETE FROM {table} WHERE signal_id = ANY($1::uuid[])", list(fact.signal_ids)
            )
        await connection.execute("DELETE FROM alerts WHERE alert_id = ANY($1::uuid[])", list(fact.alert_ids))
        if fact.hashes_before is not None:
            # An id that a sender gave is remembered for ever: it is never taken twice.
            await connection.execute(
                "DELETE FROM deliveries WHERE NOT is_explicit_id AND first_at < $1", fact.hashes_before
            )
        if fact.turned_away_before is not None:
            await connection.execute(
                "DELETE FROM deliveries_turned_away WHERE happened_at < $1", fact.turned_away_before
            )


@folds(facts.HealthAlarmed)
async def _(connection: Any, group: Sequence[facts.HealthAlarmed]) -> None:
    for fact in group:
        if fact.is_on:
            await connection.execute(
                """
                INSERT INTO health_alarms (name, severity, numbers, since) VALUES ($1, $2, $3::text::jsonb, $4)
                ON CONFLICT (name) DO UPDATE SET severity = excluded.severity, numbers = excluded.numbers
                """,
                fact.name,
                fact.severity,
                msgspec.json.encode(fact.numbers).decode(),
                fact.happened_at,
            )
        else:
            await connection.execute("DELETE FROM health_alarms WHERE name = $1", fact.name)

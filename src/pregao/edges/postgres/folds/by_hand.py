"""Folds of what is booked by hand, and of the list of what can be sold."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.positions import reserve
from pregao.edges.postgres.folds.registry import folds

# The signal that stands for it is done with it: it was accepted in the same transaction, and nobody plans for it.
SETTLE = """
UPDATE signals
SET status = 'settled', decided_at = $2, planned_at = $2, settled_at = $2, accounts = 1, orders = 0, orders_live = 0
WHERE signal_id = $1
"""


@folds(facts.BookedByHand)
async def _(connection: Any, group: Sequence[facts.BookedByHand]) -> None:
    """Reserve the position where it is new, or say by what it is closed; its fill is a fact of its own."""
    for fact in group:
        if fact.close_reason is None:
            await reserve(connection, fact.position, at=fact.happened_at)
        else:
            await connection.execute(
                "UPDATE positions SET exit_signal_id = $2 WHERE position_id = $1",
                fact.position.position_id,
                fact.signal_id,
            )
        await connection.execute(SETTLE, fact.signal_id, fact.happened_at)


@folds(facts.SellListConfigured)
async def _(connection: Any, group: Sequence[facts.SellListConfigured]) -> None:
    """Keep the last word."""
    fact = group[-1]
    await connection.execute(
        """
        INSERT INTO sell_list_rules (is_cleaned, lifetime_hours, set_by, set_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (only_one) DO UPDATE
        SET is_cleaned = excluded.is_cleaned, lifetime_hours = excluded.lifetime_hours, set_by = excluded.set_by,
            set_at = excluded.set_at
        """,
        fact.rule.is_cleaned,
        fact.rule.lifetime_hours,
        fact.set_by,
        fact.happened_at,
    )

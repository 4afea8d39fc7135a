"""
One fold per fact: how each changes the state, many rows in one statement.

A fold uses nothing but its facts and the state, so replaying the journal gives the same state again.
Table names are unqualified on purpose: the rebuild runs the same folds in a schema of its own.
"""

from collections.abc import Sequence
from typing import Any

from pregao.domain.facts import Fact
from pregao.edges.postgres.folds import (  # noqa: F401  # they register themselves
    alerts,
    by_hand,
    configured,
    deployments,
    destinations,
    figures,
    flattens,
    foreign,
    forwards,
    history,
    lab,
    orders,
    positions,
    screener,
    signals,
    stops,
    upkeep,
)
from pregao.edges.postgres.folds.registry import FOLDS


async def fold(kind: type[Fact], group: Sequence[Fact], *, connection: Any) -> None:
    """Fold facts of one kind into the state, in their order."""
    await FOLDS[kind](connection, group)

"""Strategies that feed bots, as people look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pregao.domain.deployment import Deployment
from pregao.domain.traded import DeploymentTraded


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentLine:
    """A deployment, and how far the analyzer has come with it; None and nothing: it has not begun."""

    deployment: Deployment
    bot_name: str
    bar_at: datetime | None  # when the last judged candle closed
    bars: int
    wanted: str  # long, short, flat; empty: nothing yet
    code: str  # why it cannot go on; empty: it can
    reason: str
    signals: int
    created_at: datetime
    updated_at: datetime


class Deployments(Protocol):
    """Where they are fetched."""

    async def deployments(
        self, *, bot_id: UUID | None, with_removed: bool, after: UUID | None, limit: int
    ) -> Sequence[DeploymentLine]:
        """Give deployments by id, oldest first."""
        ...

    async def find_deployment(self, deployment_id: UUID) -> DeploymentLine | None:
        """Give one, a removed one too."""
        ...

    async def traded(
        self, deployment_id: UUID, *, owner: UUID | None, since: datetime | None, limit: int
    ) -> DeploymentTraded | None:
        """
        Give what its signals came to on the owner's accounts (None: everybody's), for the newest ``limit`` of them.

        None before it has judged its first candle.
        """
        ...

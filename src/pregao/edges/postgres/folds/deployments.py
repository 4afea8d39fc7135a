"""The fold of strategies that feed bots."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.domain.deployment import Deployment
from pregao.edges.postgres.folds.configured import columns_of, upsert
from pregao.edges.postgres.folds.registry import folds

UPSERT_DEPLOYMENT = upsert("deployments", "deployment_id", Deployment)


@folds(facts.StrategyDeployed)
async def _(connection: Any, group: Sequence[facts.StrategyDeployed]) -> None:
    for fact in group:
        await connection.execute(UPSERT_DEPLOYMENT, fact.happened_at, *columns_of(fact.deployment))

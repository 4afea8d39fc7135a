"""Strategies that trade."""

from dataclasses import dataclass

from pregao.domain.deployment import Deployment
from pregao.domain.facts.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyDeployed(Fact):
    """A strategy was set to feed a bot, paused, resumed or removed; the deployment's whole setting."""

    deployment: Deployment

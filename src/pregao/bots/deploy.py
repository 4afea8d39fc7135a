"""
Set strategies to feed bots; pause, resume and remove them.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pregao.bots.ports import BotBook
from pregao.bots.ranges import to_symbol
from pregao.bots.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus
from pregao.domain.deployment import Deployment, DeploymentStatus, ParameterValue, find_timeframe_ms
from pregao.domain.facts import Fact, StrategyDeployed
from pregao.domain.strategy import ParameterUnusableError, StrategyUnknownError, get_description

DEPLOYMENTS_MAX = 50  # of one bot
ANALYSIS = "technical_analysis"


async def deploy_strategy(deployment: Deployment, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Set a strategy to feed a bot; parameters that are not named have their default.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such bot.
    :raises ConflictError: when the bot takes none, is archived, or a symbol of it is fed already.
    """
    checked = _checked(deployment)
    bot = await book.find_bot(deployment.bot_id)
    if bot is None:
        raise UnknownError("BOT_UNKNOWN", f"bot={deployment.bot_id}. There is no such bot.")
    if bot.status is BotStatus.ARCHIVED:
        raise ConflictError("BOT_ARCHIVED", f"bot={bot.bot_id}. An archived bot takes no new signals.")
    if not bot.takes_strategies:
        raise ConflictError(
            "BOT_TAKES_NO_STRATEGIES",
            f"bot={bot.bot_id}. Allow it first: takes_strategies=true, or `pregao bot change BOT --takes-strategies`.",
        )
    standing = await book.deployments_of(bot.bot_id)
    for one in standing:
        if one.symbol == checked.symbol:
            raise ConflictError(
                "SYMBOL_FED",
                f"bot={bot.bot_id} symbol={one.symbol} deployment={one.deployment_id}. Two strategies would undo "
                "each other's trades; remove that one, or give this one a bot of its own.",
                deployment_id=str(one.deployment_id),
            )
    if len(standing) >= DEPLOYMENTS_MAX:
        raise ConflictError(
            "DEPLOYMENTS_TOO_MANY", f"bot={bot.bot_id} deployments={len(standing)} maximum={DEPLOYMENTS_MAX}."
        )
    return [StrategyDeployed(happened_at=now, deployment=checked)]


async def set_deployment_status(
    deployment_id: UUID, status: DeploymentStatus, *, changed_by: str, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Pause a deployment, have it work again, or remove it for good. Twice is once.

    :raises UnknownError: when there is no such deployment.
    :raises ConflictError: when it was removed.
    """
    known = await book.find_deployment(deployment_id)
    if known is None:
        raise UnknownError("DEPLOYMENT_UNKNOWN", f"deployment={deployment_id}. There is no such deployment.")
    if known.status is status:
        return []
    if known.status is DeploymentStatus.REMOVED:
        raise ConflictError(
            "DEPLOYMENT_REMOVED", f"deployment={deployment_id}. It stays as it is; deploy the strategy anew."
        )
    changed = replace(known, status=status, changed_by=changed_by)
    return [StrategyDeployed(happened_at=now, deployment=changed)]


def _checked(deployment: Deployment) -> Deployment:
    try:
        values = get_description(deployment.strategy).filled(deployment.values)
    except (ParameterUnusableError, StrategyUnknownError) as wrong:
        code, _, text = str(wrong).partition(": ")
        raise SettingUnusableError(code, text) from None
    if find_timeframe_ms(deployment.timeframe) is None:
        raise SettingUnusableError(
            "TIMEFRAME_UNUSABLE",
            f"timeframe={deployment.timeframe[:20]}. Write a number and one of s, m, h, d, such as 15m; a day at most.",
            field="timeframe",
        )
    if deployment.venue is Venue.WEBHOOK:
        raise SettingUnusableError(
            "VENUE_WITHOUT_MARKET", f"venue={deployment.venue}. It has no prices to watch.", field="venue"
        )
    if deployment.with_model and deployment.strategy != ANALYSIS:
        raise SettingUnusableError(
            "MODEL_UNUSABLE_HERE",
            f"strategy={deployment.strategy}. A model speaks beside {ANALYSIS} only.",
            field="with_model",
        )
    return replace(
        deployment,
        symbol=to_symbol(deployment.symbol),
        parameters=tuple(ParameterValue(name=name, value=value) for name, value in values.items()),
    )

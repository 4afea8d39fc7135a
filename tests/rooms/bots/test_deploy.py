"""Commands on strategies that feed bots: facts out, or a reason."""

import pytest

from pregao.bots.deploy import DEPLOYMENTS_MAX, deploy_strategy, set_deployment_status
from pregao.bots.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.domain.account import Venue
from pregao.domain.bot import BotStatus
from pregao.domain.deployment import DeploymentStatus, ParameterValue
from pregao.domain.facts import BotConfigured, StrategyDeployed
from tests.builders import NOON, bot, deployment
from tests.rooms.bots.own_book import book_with

WILLING = BotConfigured(happened_at=NOON, bot=bot(takes_strategies=True))


def fed(**changes):
    return StrategyDeployed(happened_at=NOON, deployment=deployment(**changes))


class TestDeployStrategy:
    async def test_gives_every_parameter_and_the_exchanges_spelling(self):
        asked = deployment(parameters=(ParameterValue(name="fast", value=5.0),), symbol="ltc-usdt")

        (fact,) = await deploy_strategy(asked, book=book_with(WILLING), now=NOON)

        assert fact.deployment.symbol == "LTCUSDT"
        assert fact.deployment.values == {
            "fast": 5,
            "slow": 21,
            "shorts": 1,
            "stop_pct": 2,
            "target_pct": 4,
        }

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"strategy": "gut_feeling"}, "STRATEGY_UNKNOWN"),
            ({"parameters": (ParameterValue(name="speed", value=1),)}, "PARAMETER_UNKNOWN"),
            ({"parameters": (ParameterValue(name="fast", value=2.5),)}, "PARAMETER_OUT_OF_RANGE"),
            ({"parameters": (ParameterValue(name="fast", value=50),)}, "PARAMETERS_MAKE_NO_SENSE"),
            ({"timeframe": "1 minute"}, "TIMEFRAME_UNUSABLE"),
            ({"timeframe": "2d"}, "TIMEFRAME_UNUSABLE"),
            ({"venue": Venue.WEBHOOK}, "VENUE_WITHOUT_MARKET"),
            ({"symbol": "no symbol"}, "SYMBOL_UNUSABLE"),
            ({"with_model": True}, "MODEL_UNUSABLE_HERE"),
        ],
    )
    async def test_refuses_what_cannot_be_used(self, changes, code):
        with pytest.raises(SettingUnusableError, match=code):
            await deploy_strategy(deployment(**changes), book=book_with(WILLING), now=NOON)

    @pytest.mark.parametrize(
        ("facts", "code"),
        [
            ([BotConfigured(happened_at=NOON, bot=bot())], "BOT_TAKES_NO_STRATEGIES"),
            (
                [BotConfigured(happened_at=NOON, bot=bot(takes_strategies=True, status=BotStatus.ARCHIVED))],
                "BOT_ARCHIVED",
            ),
            ([WILLING, fed(number=2, status=DeploymentStatus.PAUSED)], "SYMBOL_FED"),
            (
                [WILLING, *(fed(number=n + 2, symbol=f"S{n}USDT") for n in range(DEPLOYMENTS_MAX))],
                "DEPLOYMENTS_TOO_MANY",
            ),
        ],
    )
    async def test_refuses_what_the_bot_does_not_take(self, facts, code):
        with pytest.raises(ConflictError, match=code):
            await deploy_strategy(deployment(), book=book_with(*facts), now=NOON)

    async def test_refuses_a_bot_that_is_not_there_and_takes_a_symbol_that_is_free_again(self):
        gone = fed(number=2, status=DeploymentStatus.REMOVED)

        with pytest.raises(UnknownError, match="BOT_UNKNOWN"):
            await deploy_strategy(deployment(), book=book_with(), now=NOON)
        assert len(await deploy_strategy(deployment(), book=book_with(WILLING, gone), now=NOON)) == 1


class TestSetDeploymentStatus:
    async def test_gives_the_whole_setting_once_and_keeps_what_was_removed(self):
        book = book_with(WILLING, fed())
        paused = {"changed_by": "ana", "book": book, "now": NOON}

        first = await set_deployment_status(deployment().deployment_id, DeploymentStatus.PAUSED, **paused)
        await book.append(first)
        again = await set_deployment_status(deployment().deployment_id, DeploymentStatus.PAUSED, **paused)
        await book.append([fed(status=DeploymentStatus.REMOVED)])

        assert first == [fed(status=DeploymentStatus.PAUSED, changed_by="ana")]
        assert again == []
        with pytest.raises(ConflictError, match="DEPLOYMENT_REMOVED"):
            await set_deployment_status(deployment().deployment_id, DeploymentStatus.ACTIVE, **paused)
        with pytest.raises(UnknownError, match="DEPLOYMENT_UNKNOWN"):
            await set_deployment_status(deployment(9).deployment_id, DeploymentStatus.ACTIVE, **paused)

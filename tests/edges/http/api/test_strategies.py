"""Strategies over HTTP: what can be set, and those that feed bots."""

from pregao.domain.facts import BotConfigured, StrategyDeployed
from tests.edges.http.api.own_desk import code_of

STRATEGIES = "/api/v1/strategies"
DEPLOYMENTS = f"{STRATEGIES}/deployments"
CROSS = {"strategy": "ema_cross", "parameters": {"fast": 5}, "symbol": "LTCUSDT", "timeframe": "1m"}


class TestStrategies:
    async def test_are_deployed_paused_resumed_and_removed(self, desk):
        bot = await desk.make_bot(takes_strategies=True)
        made = await desk.made(DEPLOYMENTS, **CROSS, bot_id=bot["bot_id"])
        path = f"{DEPLOYMENTS}/{made['deployment_id']}"
        twice = await desk.client.post(DEPLOYMENTS, json={**CROSS, "bot_id": bot["bot_id"]})
        paused = await desk.client.post(f"{path}/pause")
        again = await desk.client.post(f"{path}/pause")
        resumed = await desk.client.post(f"{path}/resume")
        removed = await desk.client.delete(path)
        left = await desk.client.get(DEPLOYMENTS)
        all_of_it = await desk.client.get(DEPLOYMENTS, params={"with_removed": True})

        assert (made["status"], made["bot_name"], made["wanted"], made["bars"]) == (
            "active",
            "EMA cross",
            None,
            0,
        )
        assert made["parameters"] == {"fast": 5, "slow": 21, "shorts": 1, "stop_pct": 2, "target_pct": 4}
        assert (twice.status_code, code_of(twice)) == (409, "SYMBOL_FED")
        assert [one.json()["status"] for one in (paused, again, resumed, removed)] == [
            "paused",
            "paused",
            "active",
            "removed",
        ]
        assert left.json()["items"] == []
        assert [one["deployment_id"] for one in all_of_it.json()["items"]] == [made["deployment_id"]]
        assert [type(fact) for fact in await desk.journaled()] == [BotConfigured] + [StrategyDeployed] * 4

    async def test_feed_a_bot_only_when_it_says_so(self, desk):
        bot = await desk.make_bot()
        refused = await desk.client.post(DEPLOYMENTS, json={**CROSS, "bot_id": bot["bot_id"]})
        await desk.client.patch(f"/api/v1/bots/{bot['bot_id']}", json={"takes_strategies": True})
        taken = await desk.client.post(DEPLOYMENTS, json={**CROSS, "bot_id": bot["bot_id"]})

        assert (refused.status_code, code_of(refused)) == (409, "BOT_TAKES_NO_STRATEGIES")
        assert taken.status_code == 201

    async def test_are_listed_with_what_can_be_set_for_everybody_and_changed_by_operators(self, desk):
        ana = await desk.enroll("ana", role="viewer")
        listed = (await ana.client.get(STRATEGIES)).json()["items"]
        refused = await ana.client.post(DEPLOYMENTS, json={**CROSS, "bot_id": str(ana.user_id)})
        unknown = await desk.client.get(f"{DEPLOYMENTS}/{ana.user_id}")
        wrong = await desk.client.post(
            DEPLOYMENTS, json={**CROSS, "parameters": {"fast": 0}, "bot_id": str(ana.user_id)}
        )

        fast = next(one for one in listed if one["name"] == "ema_cross")["parameters"][0]
        assert (fast["name"], fast["default"], fast["low"], fast["high"]) == ("fast", 9, 2, 1000)
        assert (refused.status_code, code_of(refused)) == (403, "ROLE_FORBIDDEN")
        assert (unknown.status_code, code_of(unknown)) == (404, "DEPLOYMENT_UNKNOWN")
        assert (wrong.status_code, code_of(wrong)) == (422, "PARAMETER_OUT_OF_RANGE")

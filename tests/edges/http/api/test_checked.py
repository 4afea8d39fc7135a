"""What is wrong with settings is said before they are sent in earnest, by the same rules, and nothing is kept."""

from uuid import UUID

import pytest

from tests.edges.http.api.own_desk import BOTS, SUBSCRIPTIONS, code_of


async def checked(client, path: str, **body) -> dict:
    answer = await client.post(f"{path}/check", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(told: dict) -> dict[str, str]:
    return {one["field"]: one["code"] for one in told["problems"]}


class TestNewBot:
    async def test_has_no_problem_and_an_effect(self, desk):
        told = await checked(desk.client, BOTS, name="EMA cross", default_leverage=5, default_margin_usd="20")

        assert told["problems"] == []
        assert (told["effect"]["position_usd"], told["effect"]["loss_at_stop_usd"]) == ("100", "2.5")

    async def test_names_every_field_that_is_wrong(self, desk):
        told = await checked(
            desk.client,
            BOTS,
            name="x",
            default_leverage=500,
            default_margin_usd="much",
            guard={"targets": [{"share": "0.6", "percent": "3"}, {"share": "0.6", "percent": "2"}]},
            nothing=1,
        )

        assert found(told) == {
            "name": "NAME_UNUSABLE",
            "default_leverage": "SETTING_OUT_OF_RANGE",
            "default_margin_usd": "SETTING_UNREADABLE",
            "guard.targets": "TARGETS_UNUSABLE",
            "nothing": "SETTING_UNREADABLE",
        }
        assert told["effect"] is None
        limits = next(one["details"] for one in told["problems"] if one["field"] == "default_leverage")
        assert (limits["minimum"], limits["maximum"]) == ("1", "125")

    async def test_shows_the_effect_before_there_is_a_name(self, desk):
        told = await checked(desk.client, BOTS, default_leverage=2)

        assert found(told) == {"name": "SETTING_UNREADABLE"}
        assert told["effect"]["position_usd"] == "100"

    async def test_says_that_a_path_is_taken(self, desk):
        await desk.make_bot(webhook_path="bot-ema-cross-15m")

        told = await checked(desk.client, BOTS, name="EMA", webhook_path="bot-ema-cross-15m")

        assert found(told) == {"webhook_path": "WEBHOOK_PATH_TAKEN"}

    async def test_keeps_nothing_and_is_no_action(self, desk):
        before = await desk.journaled()

        await checked(desk.client, BOTS, name="EMA cross")

        assert await desk.journaled() == before
        assert await desk.actions() == []
        assert (await desk.client.get(BOTS)).json()["items"] == []

    @pytest.mark.parametrize("body", [[], "text", None, 1])
    async def test_is_about_an_object(self, desk, body):
        assert (await desk.client.post(f"{BOTS}/check", json=body)).status_code == 422


class TestChanges:
    async def test_of_a_bot_are_looked_at_with_what_stands(self, desk):
        bot = await desk.make_bot(default_margin_usd="20")
        path = f"{BOTS}/{bot['bot_id']}"

        good = await checked(desk.client, path, default_leverage=4)
        bad = await checked(desk.client, path, default_stop_loss_pct="51")

        assert (good["problems"], good["effect"]["position_usd"]) == ([], "80")
        assert found(bad) == {"default_stop_loss_pct": "SETTING_OUT_OF_RANGE"}
        assert (await desk.client.get(path)).json()["default_leverage"] == bot["default_leverage"]

    async def test_of_an_archived_bot_are_refused(self, desk):
        bot = await desk.make_bot()
        path = f"{BOTS}/{bot['bot_id']}"
        await desk.client.delete(path)

        assert found(await checked(desk.client, path, default_leverage=4)) == {"": "BOT_ARCHIVED"}

    async def test_of_a_bot_that_is_not_there(self, desk):
        answer = await desk.client.post(f"{BOTS}/{UUID(int=5)}/check", json={})

        assert (answer.status_code, code_of(answer)) == (404, "BOT_UNKNOWN")


class TestSubscriptions:
    async def test_say_what_an_entry_comes_to_on_the_account(self, desk):
        bot = await desk.make_bot(default_leverage=5, default_margin_usd="20")
        account = await desk.make_account()
        body = {"bot_id": bot["bot_id"], "account_id": account["account_id"]}

        told = await checked(desk.client, SUBSCRIPTIONS, **body, custom_margin_usd="60")

        assert (told["problems"], told["effect"]["position_usd"]) == ([], "300")
        made = await desk.made(SUBSCRIPTIONS, **body)
        again = await checked(desk.client, SUBSCRIPTIONS, **body)
        assert found(again) == {"": "SUBSCRIPTION_EXISTS"}
        changed = await checked(
            desk.client, f"{SUBSCRIPTIONS}/{made['subscription_id']}", custom_stop_loss_pct="0",
            max_concurrent_positions=11,
        )  # fmt: skip
        assert found(changed) == {"max_concurrent_positions": "SETTING_OUT_OF_RANGE"}

    async def test_of_somebody_else_are_not_there(self, desk):
        bot = await desk.make_bot()
        account = await desk.make_account()
        made = await desk.made(SUBSCRIPTIONS, bot_id=bot["bot_id"], account_id=account["account_id"])
        bruno = await desk.enroll("bruno")

        new = await bruno.client.post(
            f"{SUBSCRIPTIONS}/check", json={"bot_id": bot["bot_id"], "account_id": account["account_id"]}
        )
        old = await bruno.client.post(f"{SUBSCRIPTIONS}/{made['subscription_id']}/check", json={})

        assert [(one.status_code, code_of(one)) for one in (new, old)] == [
            (404, "ACCOUNT_UNKNOWN"),
            (404, "SUBSCRIPTION_UNKNOWN"),
        ]

"""`pregao alerts`: channels by name, a test with its result, mutes, the list (F121, F122, F124)."""

import pytest

from pregao.domain.facts import AlertRaised
from pregao.edges.cli import alerts
from tests.builders import NOON, alert
from tests.edges.notifications.scripted_channels import BOT_TOKEN, CHAT

TELEGRAM = ("--address", f"bot_token={BOT_TOKEN}", "--address", f"chat_id={CHAT}")


class TestChannels:
    async def test_are_made_changed_and_forgotten(self, shell):
        _, here = shell
        made = await here.read(
            alerts.app, "add", "night", "telegram", *TELEGRAM, "--level", "critical", "--standby"
        )
        changed = await here.read(
            alerts.app, "change", "night", "--name", "day", "--no-standby", "--off", "--place", "3",
            "--per-minute-max", "5", "--level", "info", *TELEGRAM,
        )  # fmt: skip
        shown = await here.run(alerts.app, "channels")
        gone = await here.run(alerts.app, "forget", str(made["channel_id"]))

        assert made["address"] == {"bot_token": "123456789:***", "chat_id": CHAT}
        assert (changed["name"], changed["level"], changed["is_active"], changed["place"]) == (
            "day",
            "INFO",
            False,
            3,
        )
        assert "day" in shown.stdout
        assert gone.stdout == "The channel is forgotten.\n"
        assert (await here.run(alerts.app, "channels")).stdout == "There is no channel yet.\n"

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("forget", "nobody"), "CHANNEL_UNKNOWN"),
            (("add", "x", "telegram", "--address", "chat"), "ADDRESS_UNREADABLE"),
            (
                ("add", "x", "telegram", "--address", "bot_token=1", "--address", "chat_id=1"),
                "CHANNEL_ADDRESS_UNUSABLE",
            ),
            (("test", "nobody"), "CHANNEL_UNKNOWN"),
            (("level", "LOUD"), "ALERT_LEVEL_UNKNOWN"),
        ],
    )
    async def test_say_why_not(self, shell, words, code):
        _, here = shell

        result = await here.run(alerts.app, *words)

        assert result.exit_code == 1
        assert result.stderr.startswith(f"{code}:")


class TestList:
    async def test_shows_what_is_open_and_lets_it_be_acknowledged(self, shell):
        desk, here = shell
        await desk.append(*(AlertRaised(happened_at=NOON, alert=alert(number)) for number in (1, 2)))
        [last, first] = await here.read(alerts.app, "list")
        done = await here.run(alerts.app, "ack", last["alert_id"])
        still = await here.read(alerts.app, "list", "--open", "--level", "error", "--limit", "5")
        shown = await here.run(alerts.app, "list")

        assert done.stdout == "Acknowledged by admin token.\n"
        assert [one["alert_id"] for one in still] == [first["alert_id"]]
        assert "nobody" in shown.stdout


class TestMute:
    async def test_stands_until_it_is_taken_back(self, shell):
        _, here = shell
        made = await here.read(
            alerts.app,
            "mute",
            "--minutes",
            "5",
            "--kind",
            "drift_seen",
            "--up-to",
            "warning",
            "--reason",
            "we know",
        )
        listed = await here.read(alerts.app, "mutes")
        gone = await here.run(alerts.app, "unmute", made["mute_id"])

        assert (made["level_max"], listed) == ("WARNING", [made])
        assert gone.stdout == "It is told again.\n"
        assert (await here.run(alerts.app, "mutes")).stdout == "Nothing is muted.\n"


async def test_the_level_is_shown_and_set(shell):
    _, here = shell
    await here.run(alerts.app, "level", "error")

    assert (await here.run(alerts.app, "level")).stdout == "ERROR\n"

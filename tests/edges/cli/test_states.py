"""`pregao halt`, `pregao resume`, `pregao state`: five levels named as people name them."""

import pytest

from pregao.edges.cli import states
from pregao.edges.postgres.workers import Workers
from tests.builders import BOT_ID, configured

WHY = ("--reason", "the venue is mad")


async def standing(here):
    return [
        (one["level"], one["name"], one["state"], one["block_exits"])
        for one in (await here.read(states.app, "state"))["states"]
    ]


class TestHalt:
    async def test_halts_the_desk_and_says_so(self, shell):
        _, here = shell

        halted = await here.run(states.app, "halt", *WHY)

        assert halted.exit_code == 0, halted.stderr
        assert "The desk is halted, version 1." in halted.stdout
        assert "the venue is mad" in halted.stdout
        assert "Every live trader has acknowledged it." in halted.stdout
        assert await standing(here) == [("desk", "desk", "halted", False)]

    @pytest.mark.parametrize(
        ("named", "level", "name"),
        [
            (("--user", "ana@desk.test"), "user", "ana@desk.test"),
            (("--account", "account 1"), "account", "account 1"),
            (("--bot", str(BOT_ID)), "bot", "EMA cross"),
            (("--symbol", "paper:btcusdt"), "symbol", "paper:BTCUSDT"),
        ],
    )
    async def test_takes_every_level_and_resume_takes_it_back(self, shell, named, level, name):
        desk, here = shell
        await desk.append(*configured())
        await desk.enroll("ana")

        await here.read(states.app, "halt", *named, *WHY, "--reducing")
        stands = await standing(here)
        resumed = await here.read(states.app, "resume", *named, "--reason", "over")

        assert stands == [(level, name, "reducing", False)]
        assert resumed["states"] == []

    async def test_may_keep_exits_back(self, shell):
        _, here = shell

        told = await here.run(states.app, "halt", *WHY, "--block-exits")

        assert "blocked" in told.stdout
        assert await standing(here) == [("desk", "desk", "halted", True)]

    async def test_lets_a_trader_name_himself(self, shell):
        desk, here = shell
        ana = await desk.enroll("ana")
        made = await ana.client.post("/api/v1/auth/tokens", json={"name": "shell"})
        here.environment["PREGAO_TOKEN"] = made.json()["token"]

        await here.read(states.app, "halt", "--user", "me", *WHY)

        assert await standing(here) == [("user", "ana@desk.test", "halted", False)]

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("--user", "me", "--account", "1"), "SCOPE_UNUSABLE"),
            (("--symbol", "BTCUSDT"), "SCOPE_UNUSABLE"),
            (("--reducing", "--block-exits"), "BLOCK_EXITS_UNUSABLE"),
        ],
    )
    async def test_says_why_not(self, shell, words, code):
        _, here = shell

        refused = await here.run(states.app, "halt", *words, *WHY)

        assert refused.exit_code in (1, 2)
        assert refused.stderr.startswith(f"{code}:")

    async def test_says_who_has_not_acknowledged_it(self, shell):
        """The trader's lease outlives the wait: what it has on the wire may still trade."""
        desk, here = shell
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")
        await desk.journal.pool.execute(
            "UPDATE workers SET lease_until = clock_timestamp() + interval '1 hour'"
        )

        halted = await here.run(states.app, "halt", *WHY, "--wait-seconds", "0.1")

        assert halted.exit_code == 1
        assert halted.stderr.startswith("STATE_UNACKNOWLEDGED: version=1 not yet acknowledged by trader-1.")


class TestState:
    async def test_says_that_nothing_is_stopped(self, shell):
        _, here = shell

        shown = await here.run(states.app, "state")

        assert "The desk is active, version 0." in shown.stdout
        assert "Nothing is halted or reducing." in shown.stdout

    async def test_shows_what_the_traders_have_seen(self, shell):
        desk, here = shell
        await Workers(desk.journal.pool).enter(worker_id="trader-1", role="trader")

        shown = await here.run(states.app, "state")

        assert "trader-1" in shown.stdout

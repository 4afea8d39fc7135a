"""`pregao screener`: strategies by name, pause, resume, refresh, the list."""

import pytest

from pregao.edges.cli import screener
from tests.builders import listed

STATIC = ("--source", "static", "--ticker", "AAPL", "--ticker", "brk-b")


async def names(here):
    return [(one["name"], one["is_active"]) for one in await here.read(screener.app, "strategy", "list")]


class TestStrategy:
    async def test_is_created_changed_copied_chosen_and_deleted(self, shell):
        _, here = shell

        made = await here.read(screener.app, "strategy", "create", "mine", *STATIC, "--reprocess")
        changed = await here.read(
            screener.app, "strategy", "change", "mine", "--top-n", "1", "--no-reprocess", "--no-chronology"
        )
        await here.run(screener.app, "strategy", "duplicate", "mine", "copy")
        await here.run(screener.app, "strategy", "activate", "copy")
        shown = await here.run(screener.app, "strategy", "show", made["strategy_id"])
        gone = await here.run(screener.app, "strategy", "delete", "mine")

        assert (made["tickers"], made["is_active"], made["reprocess_enabled"]) == (
            ["AAPL", "BRK.B"],
            True,
            True,
        )
        assert (changed["top_n"], changed["reprocess_enabled"], changed["respect_sell_chronology"]) == (
            1, False, False,
        )  # fmt: skip
        assert "AAPL, BRK.B" in shown.stdout
        assert gone.stdout == "The strategy is deleted.\n"
        assert await names(here) == [("copy", True)]

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("strategy", "show", "nobody"), "STRATEGY_UNCERTAIN"),
            (("strategy", "create", "x", "--address", "https://evil.test/"), "SCREENER_ADDRESS_UNUSABLE"),
            (("refresh",), "STRATEGY_MISSING"),
        ],
    )
    async def test_says_why_not(self, shell, words, code):
        _, here = shell

        refused = await here.run(screener.app, *words)

        assert refused.exit_code == 1
        assert refused.stderr.startswith(f"{code}:")


class TestScreener:
    async def test_is_paused_refreshed_and_resumed(self, shell):
        _, here = shell
        await here.run(screener.app, "strategy", "create", "mine", *STATIC)

        paused = await here.read(screener.app, "pause")
        asked = await here.read(screener.app, "refresh")
        resumed = await here.run(screener.app, "resume")

        assert (paused["is_paused"], paused["next_look_at"]) == (True, None)
        assert asked["next_look_at"] is not None
        assert "strategy      mine" in resumed.stdout

    async def test_lists_its_tickers(self, shell):
        desk, here = shell
        empty = await here.run(screener.app, "tickers")
        await desk.append(listed(["MSFT", "AAPL"]))

        shown = await here.run(screener.app, "tickers")
        none = await here.run(screener.app, "reprocessed")

        assert "There is no list yet." in empty.stdout
        assert [line.split()[1] for line in shown.stdout.splitlines()[-3:] if line.strip()] == [
            "MSFT",
            "AAPL",
        ]
        assert "Nothing was looked at again yet." in none.stdout

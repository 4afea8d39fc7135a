"""`pregao sell-all` and `pregao flatten`: shown first, confirmed by its name, watched until it is proven."""

from uuid import UUID

import pytest

from pregao.domain.facts import FlattenEnded, FlattenStarted
from pregao.edges.cli import app as pregao
from pregao.edges.cli import flattens, sell_all
from tests.builders import flatten_started
from tests.edges.http.api.test_receipts import approved, planned

WHY = ("--reason", "enough")
JOB = UUID(int=600)


@pytest.fixture
async def holding(shell):
    desk, here = shell
    await desk.append(*approved(accounts=2, orders=2), planned(1), planned(2))
    return desk, here


async def started(desk):
    return [fact for fact in await desk.journaled() if isinstance(fact, FlattenStarted)]


class TestSellAll:
    async def test_shows_what_is_open_and_asks_for_its_name(self, holding):
        desk, here = holding

        closed = await here.run(
            sell_all.app, *WHY, "--account", "1", "--wait-seconds", "0", input="account 1\n"
        )

        assert "Open on account 1: 1 positions on 1 accounts." in closed.stdout
        assert "BTCUSDT" in closed.stdout
        assert "Nothing is entered on account 1 until `pregao resume` is asked for it." in closed.stdout
        [job] = await started(desk)
        assert (job.level, job.subject, job.keep_trading, job.account_ids) == ("account", "1", False, (1,))

    @pytest.mark.parametrize("typed", ["", "yes", "desk please"])
    async def test_closes_nothing_when_something_else_is_typed(self, holding, typed):
        desk, here = holding

        refused = await here.run(sell_all.app, *WHY, input=f"{typed}\n")

        assert refused.exit_code == 1
        assert refused.stderr.startswith("NOT_CONFIRMED:")
        assert await started(desk) == []

    async def test_asks_nothing_with_yes_and_goes_on_without_us(self, holding):
        desk, here = holding

        left = await here.run(pregao, "sell-all", *WHY, "--yes", "--keep-trading", "--wait-seconds", "0")

        [job] = await started(desk)
        assert (job.level, job.keep_trading) == ("desk", True)
        assert left.exit_code == 1
        assert "pregao resume" not in left.stdout
        assert left.stderr.startswith(f"FLATTEN_UNFINISHED: flatten={job.flatten_id} accounts=2 proven=0.")


class TestFlatten:
    async def test_lists_shows_and_stops(self, holding):
        desk, here = holding
        await desk.append(flatten_started(account_ids=(1, 2)))

        listed = await here.run(flattens.app, "list")
        shown = await here.run(flattens.app, "show", str(JOB))
        stopped = await here.run(flattens.app, "stop", str(JOB), "--reason", "a mistake")

        assert "running" in listed.stdout
        assert "BTCUSDT" in shown.stdout
        assert stopped.exit_code == 0, stopped.stderr
        [end] = [fact for fact in await desk.journaled() if isinstance(fact, FlattenEnded)]
        assert (end.is_done, end.reason) == (False, "a mistake")

    async def test_says_that_there_is_none(self, shell):
        _, here = shell

        listed = await here.run(flattens.app, "list")
        unknown = await here.run(flattens.app, "show", str(JOB))

        assert "Nobody has sold out yet." in listed.stdout
        assert unknown.stderr.startswith("FLATTEN_UNKNOWN:")

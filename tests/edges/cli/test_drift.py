"""`pregao drift`: what an account holds beside the books, in one line."""

from decimal import Decimal

from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.cli import drift
from tests.builders import NOON


class TestDrift:
    async def test_says_what_differs(self, shell):
        desk, here = shell
        account = await desk.make_account("main")
        await desk.make_account("other")
        await desk.append(
            ForeignPositionSeen(
                happened_at=NOON,
                account_id=account["account_id"],
                symbol="BTCUSDT",
                position_side=PositionSide.SHORT,
                quantity=Decimal("-0.5"),
            )
        )

        told = await here.run(drift.app, "--only")
        listed = await here.read(drift.app)

        assert "BTCUSDT short: -0.5 there, 0 here" in " ".join(told.stdout.split())
        assert "other" not in told.stdout
        assert [one["account"] for one in listed] == ["main", "other"]

    async def test_says_that_nothing_does(self, shell):
        desk, here = shell
        await desk.make_account("main")

        assert "Nothing differs." in (await here.run(drift.app, "--only")).stdout

"""`pregao operation` and `pregao trade`."""

from uuid import UUID

from pregao.domain.stop_rule import StopRule
from pregao.edges.cli import operations, stops, trades
from tests.builders import configured
from tests.edges.http.api.test_receipts import planned
from tests.edges.http.api.test_stops import open_position, price_is


class TestSize:
    async def test_is_shown_with_its_warnings(self, shell):
        _, here = shell

        shown = await here.run(
            operations.app, "size", "--capital", "1000", "--entry", "90000", "--stop", "89999"
        )

        assert shown.exit_code == 0, shown.stderr
        assert "0.00555555" in shown.stdout
        assert "less is risked than asked" in shown.stdout
        assert "STOP_NEAR" in shown.stdout

    async def test_is_refused_where_the_stop_is_on_the_wrong_side(self, shell):
        _, here = shell

        refused = await here.run(
            operations.app, "size", "--capital", "1000", "--entry", "90000", "--stop", "90001"
        )

        assert refused.exit_code == 1
        assert "STOP_WRONG_SIDE" in refused.stderr


class TestTrade:
    async def test_is_looked_at_and_sent_only_when_live(self, shell):
        desk, here = shell
        await desk.make_account("mine")
        words = ("buy", "BTCUSDT", "--stop", "88200", "--capital", "1000", "--account", "mine")

        dry = await here.run(trades.app, *words, "--entry", "90000")
        told = await here.read(trades.app, "status", "--capital", "1000")

        assert dry.exit_code == 0, dry.stderr
        assert "0.00555555" in dry.stdout
        assert "Nothing was sent" in dry.stdout
        assert (told["remaining_usd"], told["active_operations"]) == ("40", 0)

    async def test_fails_where_a_check_speaks_against_it(self, shell):
        desk, here = shell
        await desk.make_account("mine")

        refused = await here.run(
            trades.app, "sell", "BTCUSDT", "--stop", "88200", "--entry", "90000", "--capital", "1000"
        )

        assert refused.exit_code == 1
        assert "STOP_WRONG_SIDE" in refused.stderr


class TestOperation:
    async def test_is_listed_shown_and_given_up(self, shell):
        desk, here = shell
        await desk.append(*configured(), planned(1, subscription_id=UUID(int=1)))

        listed = await here.run(operations.app, "list", "--status", "planned")
        (one,) = await here.read(operations.app, "list")
        number = str(one["operation_id"])
        shown = await here.read(operations.app, "show", number)
        unknown = await here.run(operations.app, "cancel", "404")
        closed = await here.run(operations.app, "close", number)

        assert "PLANNED" in listed.stdout
        assert shown["status"] == "PLANNED"
        assert "OPERATION_UNKNOWN" in unknown.stderr
        assert "OPERATION_STATE" in closed.stderr


class TestStops:
    async def test_are_moved_reported_and_backfilled(self, shell):
        desk, here = shell
        await desk.append(*configured())
        await open_position(desk, 1, rule=StopRule())
        await price_is(desk, "95300", "95301")

        dry = await here.run(stops.app, "backfill", "--dry-run")
        filled = await here.run(stops.app, "backfill")
        moved = await here.run(operations.app, "stop", "1", "94000", "--reason", "the news")
        refused = await here.run(operations.app, "stop", "1", "95300", "--reason", "the news")
        report = await here.run(stops.app, "report")

        assert "Nothing was changed" in dry.stdout
        assert "updated    1" in filled.stdout
        assert "94000" in moved.stdout
        assert "STOP_AT_MARKET" in refused.stderr
        assert "Nothing failed within the last hour" in report.stdout

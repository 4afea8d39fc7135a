"""`pregao operation`."""

from pregao.edges.cli import operations


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

"""`pregao destination`: the limit is shown, changed, paused and resumed."""

from pregao.edges.cli import destinations


class TestLimit:
    async def test_is_shown_changed_paused_and_resumed(self, shell):
        _, here = shell

        before = await here.read(destinations.app, "limit")
        changed = await here.read(destinations.app, "limit", "--per-minute", "5")
        paused = await here.read(destinations.app, "pause")
        resumed = await here.read(destinations.app, "resume")
        shown = await here.run(destinations.app, "limit")
        refused = await here.run(destinations.app, "limit", "--per-minute", "301")

        assert [(one["max_per_minute"], one["is_enabled"]) for one in (before, changed, paused, resumed)] == [
            (60, True),
            (5, True),
            (5, False),
            (5, True),
        ]
        assert "max_per_minute  5" in shown.stdout
        assert (refused.exit_code, refused.stderr.partition(":")[0]) == (1, "FORWARD_LIMIT_UNUSABLE")

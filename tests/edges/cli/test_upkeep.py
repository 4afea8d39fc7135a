"""`pregao db cleanup` and `pregao db retention`."""

from pregao.edges.cli import app


class TestUpkeep:
    async def test_counts_and_forgets_what_is_over(self, shell):
        desk, words = shell
        await desk.journal.pool.execute(
            "INSERT INTO cache_entries (cache_key, cache_value, expires_at) VALUES ('one', '1', now())"
        )

        counted = await words.read(app, "db", "cleanup", "--dry-run")
        shown = await words.run(app, "db", "cleanup")
        left = await words.read(app, "db", "cleanup", "--dry-run")

        assert (counted["dry_run"], counted["cache_entries"], left["cache_entries"]) == (True, 1, 0)
        assert "cache_entries       1" in shown.stdout

    async def test_shows_and_changes_how_long_is_remembered(self, shell):
        _, words = shell

        changed = await words.read(app, "db", "retention", "--signal-days", "60", "--alert-days", "20")
        shown = await words.run(app, "db", "retention")

        assert [changed[name] for name in ("signal_days", "metrics_days", "alert_days")] == [60, 90, 20]
        assert "signal_days         60" in shown.stdout

"""How long the desk remembers, over HTTP: who may change it, and that it is written down."""

from pregao.domain.facts import HealthAlarmed, RetentionSet
from pregao.domain.upkeep import AlarmName, Severity
from tests.builders import NOON
from tests.edges.http.api.own_desk import code_of

RETENTION, CLEANUP, ALARMS = "/api/v1/retention", "/api/v1/cleanup", "/api/v1/alarms"


class TestRetention:
    async def test_goes_by_the_settings_until_somebody_changes_it(self, desk):
        before = (await desk.client.get(RETENTION)).json()
        changed = await desk.client.patch(RETENTION, json={"signal_days": 60, "alert_days": 20})
        after = (await desk.client.get(RETENTION)).json()

        assert (before["signal_days"], before["metrics_days"], before["set_by"]) == (30, 90, "")
        assert changed.json() == after
        assert (after["signal_days"], after["metrics_days"], after["alert_days"]) == (60, 90, 20)
        assert after["set_by"] == "admin token"

    async def test_is_written_down_with_who_changed_it(self, desk):
        """F037: settings in the database are audited."""
        ana = await desk.enroll("ana", "admin")
        await ana.client.patch(RETENTION, json={"metrics_days": 8})

        [told] = [fact for fact in await desk.journaled() if isinstance(fact, RetentionSet)]
        [action] = [one for one in await desk.actions() if one["action"] == "change_retention"]

        assert told.set_by.startswith("ana@desk.test")
        assert (action["status"], action["user_id"]) == (200, ana.user_id)

    async def test_refuses_what_is_no_number_of_days_and_who_is_no_admin(self, desk):
        operator = await desk.enroll("olga", "operator")

        wrong = [
            (await desk.client.patch(RETENTION, json={"signal_days": days})).status_code
            for days in (0, 3_651, "60", None)
        ]
        refused = await operator.client.patch(RETENTION, json={"signal_days": 8})

        assert wrong == [422] * 4
        assert (refused.status_code, code_of(refused)) == (403, "ROLE_FORBIDDEN")
        assert (await operator.client.get(RETENTION)).status_code == 200


class TestCleanup:
    async def test_only_counts_unless_it_is_told_otherwise(self, desk):
        await desk.journal.pool.execute(
            "INSERT INTO cache_entries (cache_key, cache_value, expires_at) VALUES ('one', '1', now())"
        )

        counted = (await desk.client.post(CLEANUP, json={})).json()
        done = (await desk.client.post(CLEANUP, json={"dry_run": False})).json()
        again = (await desk.client.post(CLEANUP, json={"dry_run": False})).json()

        assert [(one["dry_run"], one["cache_entries"]) for one in (counted, done, again)] == [
            (True, 1), (False, 1), (False, 0),
        ]  # fmt: skip


class TestAlarms:
    async def test_are_given_until_they_are_over(self, desk):
        alarm = HealthAlarmed(
            happened_at=NOON,
            name=AlarmName.WORKERS_STUCK,
            severity=Severity.CRITICAL,
            is_on=True,
            numbers={"last_signal_seconds": "3"},
        )
        await desk.append(alarm)

        [shown] = (await desk.client.get(ALARMS)).json()["alarms"]

        assert (shown["name"], shown["severity"], shown["numbers"]) == (
            "workers_stuck", "critical", {"last_signal_seconds": "3"},
        )  # fmt: skip

"""How the desk is: who works, who died without a word, and system A's own words for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pregao.edges.postgres.screener import PostgresScreenerWork
from pregao.edges.postgres.views import PostgresHealth
from pregao.edges.postgres.workers import Workers
from pregao.market.ports import Look
from pregao.market.reprocess_health import Grade, grade, success_percent
from tests.builders import strategy
from tests.edges.http.api.own_desk import AWAY, client_of, code_of

WORKERS = "/api/v1/workers"
REPROCESSING = "/admin/reprocessing/health"


async def backdate(desk, worker_id: str, **duration: float) -> None:
    """Let a worker have said nothing for so long."""
    await desk.journal.pool.execute(
        "UPDATE workers SET lease_until = lease_until - $2::interval WHERE worker_id = $1",
        worker_id,
        timedelta(**duration),
    )


class TestWorkers:
    """F038: a worker has a lease, and is dead when it has not renewed it."""

    async def test_are_shown_alive_and_dead(self, desk):
        workers = Workers(desk.journal.pool)
        for name in ("trader-a-1", "trader-a-2"):
            await workers.enter(worker_id=name, role="trader")
        await backdate(desk, "trader-a-1", seconds=11)

        shown = (await desk.client.get(WORKERS)).json()
        detailed = (await desk.client.get("/health/detailed")).json()

        assert {one["worker_id"]: one["status"] for one in shown["workers"]} == {
            "trader-a-1": "dead",
            "trader-a-2": "alive",
        }
        assert shown["lease_seconds"] == 10.0
        assert detailed["components"]["workers"] == {"processing": 1, "forwarding": 1, "dead": 1}
        assert [one["role"] for one in detailed["workers"]] == ["trader"]

    async def test_that_left_are_not_shown_nor_those_long_dead(self, desk):
        workers = Workers(desk.journal.pool)
        left = await workers.enter(worker_id="jobs-a-1", role="jobs")
        await workers.leave(left)
        await workers.enter(worker_id="jobs-a-2", role="jobs")
        await backdate(desk, "jobs-a-2", hours=2)

        assert (await desk.client.get(WORKERS)).json()["workers"] == []

    async def test_tell_no_stranger_their_machine(self, desk):
        await Workers(desk.journal.pool).enter(worker_id="trader-my-machine-1", role="trader")
        stranger = await desk.coming_with("")

        assert (await stranger.get(WORKERS)).status_code == 401
        assert "my-machine" not in (await stranger.get("/health/detailed")).text


class TestReadiness:
    async def test_is_200_while_signals_can_be_taken(self, desk):
        answer = await desk.client.get("/health/ready")

        assert (answer.status_code, answer.json()["status"]) == (200, "ready")

    async def test_is_503_while_the_process_stops_and_so_is_liveness(self, desk):
        async with client_of(replace(desk.ports, is_stopping=lambda: True)) as client:
            ready, alive = await client.get("/health/ready"), await client.get("/health")

        assert (ready.status_code, code_of(ready), alive.status_code) == (503, "DESK_STOPPING", 503)

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_is_503_without_the_database_while_the_process_lives(self, desk, database, away_pool):
        away = replace(desk.ports, health=PostgresHealth(await away_pool(database)))

        async with client_of(away) as client:
            ready, alive = await client.get("/health/ready"), await client.get("/health")

        assert (ready.status_code, code_of(ready), alive.status_code) == (503, "DATABASE_AWAY", 200)


class TestComponents:
    async def test_are_those_of_system_a(self, desk):
        components = (await desk.client.get("/health/detailed")).json()["components"]

        assert components == {
            "finviz_engine": "stopped",
            "processing_queue": 0,
            "approved_queue": 0,
            "workers": {"processing": 0, "forwarding": 0, "dead": 0},
            "top_n_tickers": 0,
        }


class TestReprocessing:
    async def test_is_unknown_before_the_first_run(self, desk):
        told = (await desk.client.get(REPROCESSING)).json()

        assert (told["status"], told["metrics"]["last_run_at"]) == ("UNKNOWN", None)

    async def test_is_critical_when_what_came_could_not_be_written(self, desk):
        lease = await Workers(desk.journal.pool).enter(worker_id="jobs-a-1", role="jobs")
        work = PostgresScreenerWork(desk.journal, lease, ring_signals=lambda: None)
        look = Look(strategy=strategy(reprocess_enabled=True), due_seconds=0, asked=0, failures=0)

        await work.note_failure(look, code="LIST_UNWRITTEN", reason="no room", next_seconds=10)
        told = (await desk.client.get(REPROCESSING)).json()

        assert (told["status"], told["metrics"]["signals_failed"]) == ("CRITICAL", 1)

    @pytest.mark.parametrize(
        ("age", "found", "failed", "seconds", "said"),
        [
            (None, 0, 0, 0.0, Grade.UNKNOWN),
            (1.0, 100, 5, 9.9, Grade.HEALTHY),
            (1.0, 100, 6, 9.9, Grade.WARNING),
            (1.0, 100, 0, 10.0, Grade.WARNING),
            (1.0, 100, 15, 29.9, Grade.WARNING),
            (1.0, 100, 16, 1.0, Grade.CRITICAL),
            (1.0, 100, 0, 30.0, Grade.CRITICAL),
            (3_601.0, 100, 0, 1.0, Grade.STALE),
        ],
    )
    def test_is_graded_as_system_a_did(self, age, found, failed, seconds, said):
        percent = success_percent(found=found, failed=failed)

        assert grade(age_seconds=age, percent=percent, duration_seconds=seconds) is said

"""Histories replay to the byte, find nothing on a sound desk, and find what is unsafe."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pregao.edges.cli import app
from pregao.histories.history import run_history
from pregao.histories.many import simulate
from pregao.histories.plan import make_plan
from pregao.histories.safety import Watch, unsettled
from pregao.orders.send import attempt_of
from pregao.simulation.desk.state import State
from pregao.simulation.exchange import Exchange
from tests.builders import NOON
from tests.edges.http.api.test_receipts import planned

PLAN = make_plan(1)
TRADER = "trader-1"
PRINT_TRACE = "from pregao.histories.history import run_history; print(run_history(3).sha256)"


def watch():
    found = []
    return Watch(PLAN, find=found.append), found


class TestHistory:
    @pytest.mark.parametrize("seed", range(1, 9))
    def test_finds_nothing_on_a_sound_desk(self, seed):
        outcome = run_history(seed)

        assert outcome.found == (), f"replay: pregao simulate --seeds {seed}..{seed}"
        assert outcome.orders > 0

    def test_finds_nothing_where_the_database_was_put_back(self):
        """With this seed a close was sent and forgotten: books that are believed send it again."""
        outcome = run_history(179)

        assert outcome.hits["restore"] == 1
        assert outcome.found == ()

    def test_finds_nothing_where_owners_trade_by_hand_and_the_venue_liquidates(self):
        outcome = run_history(21)

        assert outcome.hits["hand"] == 4
        assert outcome.hits["liquidation"] == 3
        assert outcome.found == ()

    def test_replays_to_the_byte_in_another_process(self):
        traces = {
            subprocess.run(
                [sys.executable, "-c", PRINT_TRACE],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "src"},
                capture_output=True,
                check=True,
                text=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }

        assert traces == {run_history(3).sha256}

    def test_differs_from_seed_to_seed(self):
        assert run_history(3).sha256 != run_history(5).sha256


class TestWatch:
    def test_finds_what_is_sent_and_not_committed(self):
        watching, found = watch()

        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)

        assert found == ["attempt p11 is sent and not committed"]

    def test_finds_what_is_sent_twice(self):
        watching, found = watch()
        watching.committed([planned(1)], State())

        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)
        assert found == []
        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)

        assert found == ["attempt p11 is sent twice"]

    def test_finds_an_entry_that_is_sent_too_late(self):
        watching, found = watch()
        order = planned(1)
        watching.committed([order], State())

        watching.sent(attempt_of(order), now=order.send_before + timedelta(seconds=1), by=TRADER)

        assert len(found) == 1
        assert "is sent at" in found[0]

    def test_finds_an_entry_that_is_sent_after_a_halt_was_acknowledged(self):
        watching, found = watch()
        watching.committed([planned(1)], State())
        watching.halted(1)
        watching.acknowledged(TRADER, 1)

        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)

        assert found == ["entry p11 is sent by trader-1, which has acknowledged that the desk is halted"]

    def test_finds_what_is_sent_as_another(self):
        watching, found = watch()
        order = planned(1)
        watching.committed([order], State())

        watching.sent(replace(attempt_of(order), quantity=order.quantity * 2), now=NOON, by=TRADER)

        assert found == ["attempt p11 is sent as another than was committed"]

    def test_lets_a_forgotten_attempt_be_sent_again_that_was_never_executed(self):
        watching, found = watch()
        watching.committed([planned(1)], State())
        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)

        watching.forget(State())
        watching.committed([planned(1)], State())
        watching.sent(attempt_of(planned(1)), now=NOON, by=TRADER)

        assert (found, list(watching.forgotten)) == ([], ["p11"])


class TestUnsettled:
    def test_is_nothing_on_an_empty_desk(self):
        assert unsettled(State(), Exchange()) == []


class TestSimulate:
    def test_goes_on_where_the_last_run_ended(self, tmp_path: Path):
        file = tmp_path / "report.json"
        simulate(seeds=range(1, 3), resume=file)

        report = simulate(seeds=range(1, 4), resume=file)

        assert (report.histories, report.next_seed) == (3, 4)

    def test_prints_a_report(self):
        ended = CliRunner().invoke(app, ["simulate", "--seeds", "2..2", "--json"])

        page = json.loads(ended.stdout)
        assert ended.exit_code == 0
        assert (page["histories"], page["found"]) == (1, {})

    @pytest.mark.parametrize("text", ["x", "3..1", "1-3"])
    def test_refuses_seeds_that_are_none(self, text):
        assert CliRunner().invoke(app, ["simulate", "--seeds", text]).exit_code == 2

    def test_refuses_a_file_that_is_no_report(self, tmp_path: Path):
        (tmp_path / "report.json").write_text("{}x")

        ended = CliRunner().invoke(app, ["simulate", "--resume", str(tmp_path / "report.json")])

        assert ended.exit_code == 2

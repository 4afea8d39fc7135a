"""Histories replay to the byte, find nothing on a sound desk, and find what is unsafe."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pregao.domain.account import Venue
from pregao.domain.level import TriggerKind
from pregao.domain.position import PositionStatus
from pregao.domain.stop import Source, Trigger
from pregao.edges.cli import app
from pregao.histories.history import run_history
from pregao.histories.many import simulate
from pregao.histories.plan import make_plan
from pregao.histories.safety import Watch, unsettled, unwatched
from pregao.orders.send import attempt_of
from pregao.simulation.books import Quote
from pregao.simulation.commands import MovePrice
from pregao.simulation.desk.state import PositionRow, State, StopRow
from pregao.simulation.desk.watches import ToldRow, Watching
from pregao.simulation.exchange import Exchange
from pregao.stops.claims import triggered as claim_of
from tests.builders import NOON, armed, position
from tests.edges.http.api.test_receipts import planned
from tests.proof.test_mutants import Mutant, plant

PLAN = make_plan(1)
TRADER = "trader-1"
PRINT_TRACE = "from pregao.histories.history import run_history; print(run_history(5).sha256)"


CLAIMED = 234
WAITED = 436  # a close waits behind an exit that nobody asks about, where one is planted
OVERTAKEN = 18
WAITS_FOR_EVER = Mutant(
    name="try an exit for ever that a close waits for",
    changes=[
        (
            "orders/close.py",
            "    if ahead.is_unsure:\n        return None\n    blocked",
            "    if ahead.is_unsure or ahead.leaving is None:\n        return None\n    blocked",
        )
    ],
    options=(),
    figures=frozenset(),
)


def triggered(*, source=Source.MANUAL):
    guarded = armed()
    level = guarded.stop.stop_price
    return claim_of(
        guarded,
        Trigger(kind=TriggerKind.STOP, number=0, level=level, price=level, version=1),
        token=f"1:{level}:1",
        source=source,
        claimed_by="monitor-1",
        now=NOON,
    )


def quoted(price):
    return Quote(
        symbol="BTCUSDT", bid=Decimal(price), ask=Decimal(price), last=Decimal(price), mark=Decimal(price),
        quantity=Decimal(1), is_buyer_maker=False, trade_id=0, at_ms=0,
    )  # fmt: skip


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

    def test_finds_nothing_where_a_stop_overtakes_an_exit(self):
        """With this seed an exit is late at the venue: once it sold out of the position that came after its own."""
        assert run_history(OVERTAKEN).found == ()

    def test_finds_nothing_where_owners_trade_by_hand_and_the_venue_liquidates(self):
        outcome = run_history(21)

        assert outcome.hits["hand"] == 4
        assert outcome.hits["liquidation"] == 3
        assert outcome.found == ()

    def test_finds_nothing_where_a_monitor_dies_between_its_claim_and_the_exit(self):
        """With this seed the exit's order dies too, and a close waits behind it: once it waited for ever."""
        outcome = run_history(CLAIMED)

        assert (outcome.hits["claim"], outcome.hits["feed_dead"]) == (1, 1)
        assert outcome.found == ()

    @pytest.mark.extra
    def test_finds_a_close_that_waits_for_ever(self, tmp_path: Path):
        source = plant(WAITS_FOR_EVER, tmp_path)

        ended = subprocess.run(
            [sys.executable, "-m", "pregao", "simulate", "--seeds", f"{WAITED}..{WAITED}", "--json"],
            env={**os.environ, "PYTHONPATH": str(source)},
            capture_output=True,
            check=False,
            text=True,
        )

        [found] = json.loads(ended.stdout)["found"].values()
        assert ended.returncode == 1
        assert any("deferred code=EXIT_ON_ITS_WAY" in one for one in found)

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

        assert traces == {run_history(5).sha256}  # with a monitor that claims

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

    def test_finds_a_claim_that_is_made_twice(self):
        watching, found = watch()

        watching.committed([triggered()], State())
        assert found == []
        watching.committed([triggered()], State())

        assert len(found) == 1
        assert "is made twice" in found[0]

    @pytest.mark.parametrize(("bid", "is_found"), [("93000", False), ("93296", False), ("93296.1", True)])
    def test_finds_a_claim_on_a_level_that_the_price_never_came_to(self, bid, is_found):
        watching, found = watch()
        watching.moved("BTCUSDT", Decimal(bid), Decimal(bid) + 1, at=NOON)

        watching.committed([triggered(source=Source.STREAM)], State())

        assert bool(found) is is_found


class TestUnwatched:
    def test_is_nothing_on_an_empty_desk(self):
        assert unwatched(State(), Exchange(), Watching(), now=NOON) == []

    @pytest.mark.parametrize(
        ("price", "told"),
        [("93296.1", 0), ("93296", 1)],
    )
    def test_tells_what_nobody_watches_and_what_is_held_beyond_its_stop(self, price, told):
        state, exchange = State(), Exchange()
        exchange.execute(MovePrice(quote=quoted(price)))
        guarded, held = armed(), position(status=PositionStatus.OPEN)
        state.stops[1] = StopRow(armed=guarded, armed_at=NOON, updated_at=NOON)
        state.positions[1] = PositionRow(position=held, created_at=NOON, updated_at=NOON)
        watching = Watching()

        assert len(unwatched(state, exchange, watching, now=NOON)) == 1 + told
        watching.told[Venue.PAPER, "BTCUSDT"] = ToldRow(told_at=NOON, price_at=NOON)
        assert len(unwatched(state, exchange, watching, now=NOON)) == told


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

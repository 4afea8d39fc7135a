"""The plan of a proof of the stops: seeded, and each round has what its faults and its trap need."""

import pytest

from pregao.proof.plan import PlanError, read_faults, read_trials
from pregao.proof.stops_plan import (
    LEGS,
    ONCE_OPEN,
    SILENCING,
    STOP_ACTS,
    STOP_FAULTS,
    STREAMED,
    Scenario,
    make_stops_plan,
)
from pregao.rehearsal import POINTS

TRIALS = read_trials("all", known=STOP_ACTS)


def plan(**changes):
    wishes = {"signals": 90, "accounts": 6, "seed": 7, "faults": list(STOP_FAULTS), "trials": TRIALS}
    return make_stops_plan(**{**wishes, **changes})


class TestMakeStopsPlan:
    def test_is_the_same_for_the_same_seed(self):
        assert plan() == plan()
        assert plan() != plan(seed=8)

    def test_has_every_alert_fault_and_trial(self):
        made = plan()

        assert [signal.number for signal in made.signals] == list(range(1, 91))
        assert made.faults == sorted(STOP_FAULTS)
        assert sorted(made.trials, key=str) == sorted(TRIALS, key=str)
        assert set(STOP_ACTS) <= set(POINTS)

    def test_opens_each_symbol_once_a_round(self):
        """A second alert would meet what the first one opened."""
        for chapter in plan(signals=200).chapters:
            bots = [signal.bot for signal in chapter.signals]
            assert len(bots) == len(set(bots)) > 0

    def test_leads_a_price_to_a_target_where_a_monitor_is_to_claim(self):
        made = plan()

        claiming = [one for one in made.chapters if one.trial and one.trial.point.startswith("stops.claim")]
        assert claiming
        assert all(made.scenarios[chapter.signals[0].number] is Scenario.TARGET for chapter in claiming)

    def test_lets_no_price_run_away(self):
        made = plan(signals=400)
        drift = dict.fromkeys(range(len(made.bots)), 0)
        for signal in made.signals:
            end = LEGS[made.scenarios[signal.number]][-1]
            drift[signal.bot] += end if signal.action == "buy" else -end
            assert abs(drift[signal.bot]) <= 360

    def test_takes_every_way_for_both_directions(self):
        made = plan(signals=200)

        assert {(made.scenarios[one.number], one.action) for one in made.signals} == {
            (scenario, action) for scenario in Scenario for action in ("buy", "sell")
        }

    def test_begins_what_keeps_from_opening_when_all_is_open(self):
        assert set(STOP_FAULTS) >= ONCE_OPEN
        assert {"stick", "lose", "drop"}.isdisjoint(ONCE_OPEN)

    @pytest.mark.parametrize("seed", range(40))
    def test_lets_streams_speak_where_what_they_say_is_to_be_lost(self, seed):
        """With one seed nothing was ever dropped: its chapters had a venue that was down, or silent."""
        chapters = plan(seed=seed).chapters

        for fault in STREAMED:
            beside = [set(one.faults) - {fault} for one in chapters if fault in one.faults]
            assert any(not one <= SILENCING for one in beside)

    def test_refuses_too_few_alerts(self):
        with pytest.raises(PlanError, match="SIGNALS_TOO_FEW: signals=3 minimum=36"):
            plan(signals=3)

    def test_knows_its_own_faults_and_points(self):
        assert read_faults("all", known=STOP_FAULTS) == list(STOP_FAULTS)
        with pytest.raises(PlanError, match="FAULT_UNKNOWN: fault=burst"):
            read_faults("burst", known=STOP_FAULTS)
        with pytest.raises(PlanError, match=r"KILL_UNKNOWN: kill=web\.signal\.received"):
            read_trials("web.signal.received", known=STOP_ACTS)

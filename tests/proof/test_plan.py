"""The plan of a proof: seeded, whole, and refused when it asks for what cannot be."""

from collections import Counter

import pytest

from pregao.proof.plan import (
    ACTS,
    FAULTS,
    SELDOM,
    Act,
    PlanError,
    Trial,
    make_plan,
    read_faults,
    read_trials,
    reads_restore,
)
from pregao.rehearsal import POINTS


def plan(**changes):
    wishes = {"signals": 200, "accounts": 50, "seed": 7, "faults": list(FAULTS), "trials": read_trials("all")}
    return make_plan(**{**wishes, **changes})


class TestMakePlan:
    def test_is_the_same_for_the_same_seed(self):
        assert plan() == plan()
        assert plan() != plan(seed=8)

    def test_has_every_signal_fault_and_trial(self):
        made = plan()

        assert [signal.number for signal in made.signals] == list(range(1, 201))
        assert made.faults == sorted(FAULTS)
        assert Counter(made.trials) == Counter(read_trials("all"))

    @pytest.mark.parametrize("seed", range(5))
    def test_leaves_time_to_come_to_a_point_that_is_seldom_reached(self, seed):
        made = plan(seed=seed)

        places = [
            number / len(made.chapters)
            for number, one in enumerate(made.chapters)
            if one.trial is not None and one.trial.point in SELDOM
        ]
        assert len(places) == sum(len(ACTS[point]) for point in SELDOM)
        assert 0.2 < min(places) < max(places) < 0.5

    def test_has_more_signals_for_what_nobody_met_in_its_chapter(self):
        made = plan()

        more = [signal for encore in made.encores for signal in encore.signals]
        assert [signal.number for signal in more] == list(range(201, 201 + len(more)))
        assert {(encore.faults, encore.trial) for encore in made.encores} == {((), None)}

    def test_lets_each_account_follow_a_bot_and_each_bot_trade_a_symbol_of_its_own(self):
        made = plan()

        followed = {follower.account for bot in made.bots for follower in bot.followers}
        assert followed == set(range(50))
        assert len({bot.symbol for bot in made.bots}) == len(made.bots)

    def test_gives_alerts_that_have_something_to_do(self):
        """A close when nothing is held, or the same side again and again, would prove nothing."""
        held = {}
        idle = 0
        for signal in plan().signals:
            before = held.get(signal.bot)
            idle += signal.action == before or (signal.action == "close" and before is None)
            held[signal.bot] = None if signal.action == "close" else signal.action

        assert idle < 200 * 0.2

    def test_refuses_too_few_signals(self):
        with pytest.raises(PlanError, match="SIGNALS_TOO_FEW: signals=20 minimum=138"):
            plan(signals=20)

    def test_needs_neither_faults_nor_trials(self):
        [chapter] = plan(faults=[], trials=[]).chapters

        assert (len(chapter.signals), chapter.faults, chapter.trial) == (200, (), None)

    def test_puts_a_copy_of_the_database_back_before_its_last_chapter(self):
        assert (plan().copied_after, plan().restored_after) == (None, None)

        made = plan(faults=[], trials=[], restores=True)

        assert (len(made.chapters), made.copied_after, made.restored_after) == (3, 1, 2)


class TestReadTrials:
    def test_all_is_every_act_at_every_point(self):
        claims = {point for point in POINTS if point.startswith("stops.claim.")}  # of the proof of the stops
        assert {trial.point for trial in read_trials("all")} == set(POINTS) - claims
        assert len(read_trials("all")) == sum(map(len, ACTS.values()))

    def test_reads_acts_points_and_pairs(self):
        assert {trial.act for trial in read_trials("freeze")} == {Act.FREEZE}
        assert len(read_trials("trader.order.leaving")) == len(Act)
        assert read_trials("web.signal.committed:kill") == [Trial("web.signal.committed", Act.KILL)]
        assert len(read_trials("web.signal.committed:kill,web.signal.committed")) == len(Act)
        assert read_trials("none") == []

    def test_knows_a_restored_database_beside_the_crash_points(self):
        assert read_trials("restore") == []
        assert reads_restore("restore,web.signal.committed:kill")
        assert reads_restore("all")
        assert not reads_restore("kill")

    def test_refuses_what_it_does_not_know(self):
        with pytest.raises(PlanError, match="KILL_UNKNOWN: kill=tarder"):
            read_trials("tarder")


class TestReadFaults:
    def test_reads_kinds(self):
        assert read_faults("lose, drop") == ["lose", "drop"]
        assert read_faults("all") == list(FAULTS)
        assert read_faults("none") == []

    def test_refuses_what_it_does_not_know(self):
        with pytest.raises(PlanError, match="FAULT_UNKNOWN: fault=loose"):
            read_faults("loose")

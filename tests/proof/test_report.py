"""What a proof says: every figure, and each reason why it fails."""

from dataclasses import replace

from pregao.proof.compare import DUPLICATED, Counts, Difference
from pregao.proof.report import UNGUARDED, Report

CLEAN = Report(
    seed=7,
    signals=200,
    accounts=50,
    accepted=198,
    counts=Counts(expected=1_000, sent=990, filled=980),
    differences=(),
    faults={"lose": 31},
    trials={"web.signal.committed:kill": 1},
    points={"web.signal.committed": 198},
    forgotten=(3, 7),
    settled_seconds=4.2,
    seconds=600.0,
)


class TestReport:
    def test_holds_when_nothing_differs_and_everything_was_hit(self):
        assert CLEAN.holds
        assert CLEAN.to_page()["holds"]

    def test_fails_when_a_figure_is_not_0(self):
        report = replace(CLEAN, differences=(Difference(DUPLICATED, "order=x"),))

        assert report.reasons == ["orders duplicated: 1"]
        assert report.to_page()["figures"]["orders_duplicated"] == 1

    def test_fails_when_fewer_than_half_were_filled(self):
        assert replace(CLEAN, counts=Counts(expected=1_000, sent=990, filled=499)).reasons == [
            "fewer than half filled: 499 of 1000"
        ]
        assert not replace(CLEAN, counts=Counts(expected=0, sent=0, filled=0)).holds

    def test_fails_when_fewer_than_half_of_the_alerts_were_taken(self):
        assert replace(CLEAN, accepted=99).reasons == ["fewer than half taken: 99 of 200"]

    def test_fails_when_a_fault_or_a_trial_was_never_hit(self):
        report = replace(CLEAN, faults={"lose": 0}, trials={"web.signal.committed:kill": 0})

        assert report.reasons == ["never hit: lose", "never hit: web.signal.committed:kill"]

    def test_fails_when_the_desk_did_not_settle(self):
        assert replace(CLEAN, settled_seconds=None).reasons == ["the desk did not settle"]

    def test_names_what_a_restore_took(self):
        assert ("forgotten", "3 alerts, 7 orders: the restore took them") in CLEAN.rows()
        assert (CLEAN.to_page()["alerts_forgotten"], CLEAN.to_page()["orders_forgotten"]) == (3, 7)

    def test_says_nothing_of_a_restore_that_was_not(self):
        calm = replace(CLEAN, forgotten=None)

        assert "forgotten" not in dict(calm.rows())
        assert calm.to_page()["alerts_forgotten"] is None

    def test_prints_no_0_that_was_not_measured(self):
        assert ("positions unguarded", UNGUARDED) in CLEAN.rows()
        assert CLEAN.to_page()["positions_unguarded"] is None

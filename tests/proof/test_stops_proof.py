"""The public proof of the stops in its short form: prices reach levels while who acts there is killed, and each is exited once."""

import pytest

from tests.proof.carried_out import carry_out

SHORT = (
    *("--stops", "--signals", "6", "--accounts", "3", "--seed", "7"),
    *("--faults", "stick,reject,clock"),
    *("--kill", "stops.claim.committed:kill,stops.place.after_wire:kill"),
)


class TestProveStops:
    @pytest.mark.long
    def test_holds(self):
        code, page = carry_out(*SHORT)

        assert page["reasons"] == [], page["differences"]
        assert code == 0
        assert set(page["figures"].values()) == {0}
        assert page["positions_unguarded"] == 0
        assert page["guarded"]["unexcused_seconds"] <= 5.0
        assert page["guarded"]["exits"] > 0
        assert page["guarded"]["venue_exits"] > 0
        assert all(page["guarded"]["levels"].values())
        assert all(page["faults"].values())
        assert all(page["kills"].values())

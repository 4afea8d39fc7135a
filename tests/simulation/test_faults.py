"""The dice behind the paper exchange's misbehavior."""

from hypothesis import given
from hypothesis import strategies as st

from pregao.simulation.faults import FaultKind, Faults, read_faults

LOSE = frozenset({FaultKind.LOSE})


def strikes(text: str, *, seed: int, chances: int) -> list[bool]:
    faults = Faults(read_faults(text), seed=seed)
    return [faults.strike(LOSE, target="POST /fapi/v1/order") is not None for _ in range(chances)]


class TestFaults:
    @given(seed=st.integers(0, 10_000), within=st.integers(1, 9))
    def test_a_fault_strikes_at_the_latest_when_it_was_told_to(self, seed, within):
        struck = strikes(f"lose:probability=0.05,within={within}", seed=seed, chances=5 * within)

        assert all(any(struck[first : first + within]) for first in range(4 * within + 1))

    def test_without_it_the_dice_alone_decide(self):
        assert not any(strikes("lose:probability=0", seed=7, chances=100))

    def test_no_more_often_than_counted(self):
        assert sum(strikes("lose:within=2,count=3", seed=7, chances=100)) == 3

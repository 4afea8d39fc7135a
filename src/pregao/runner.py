"""
Moves facts along the journey: one batch, one transaction; what stands apart runs after the commit.

The runner knows no room and no edge. Bootstrap binds each step's function to its ports.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from pregao.domain.facts import Fact
from pregao.flow import STEPS

HOPS_MAX = 16  # no chain of dry steps is longer than the table


class Append(Protocol):
    """An open transaction that takes facts."""

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


Tx = TypeVar("Tx", bound=Append)
Bound = Callable[[Sequence[Fact], Tx], Awaitable[Sequence[Fact]]]
"""A dry step, bound: facts of one kind and the transaction they are in; gives the facts that follow."""


def _nobody(_facts: Sequence[Fact]) -> None:
    """Tell nobody."""


class Runner(Generic[Tx]):
    """Runs the dry steps of the journey inside the transaction of the facts they take."""

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Tx]],
        *,
        steps: dict[type[Fact], Bound[Tx]],
        foresee: Callable[[Sequence[Fact]], None] = _nobody,
    ) -> None:
        """
        ``steps`` may leave out lines of the journey that another process runs.

        ``foresee`` is told facts before they are committed: it may get ready for them, and must do nothing yet.
        """
        assert all(not STEPS[fact].stands_apart for fact in steps), "what stands apart shares no transaction"
        self._begin = begin
        self._steps = steps
        self._foresee = foresee

    async def advance(self, facts: Sequence[Fact]) -> list[Fact]:
        """Commit the facts and all that follows from them in one transaction; give everything committed, in order."""
        async with self._begin() as transaction:
            return await self.advance_in(transaction, facts)

    async def advance_in(
        self, transaction: Tx, facts: Sequence[Fact], *, standing: Sequence[Fact] = ()
    ) -> list[Fact]:
        """
        Do the same inside an open transaction; nothing has happened until that commits.

        ``standing`` facts are in the journal already and waited for their step.
        """
        done: list[Fact] = []
        waiting = [*await self._follow(transaction, standing), *facts]
        for _hop in range(HOPS_MAX):
            if not waiting:
                return done
            self._foresee(waiting)
            await transaction.append(waiting)
            done.extend(waiting)
            waiting = await self._follow(transaction, waiting)
        raise AssertionError(f"JOURNEY_ENDLESS: hops_max={HOPS_MAX} last={type(waiting[0]).__name__}")

    async def _follow(self, transaction: Tx, facts: Sequence[Fact]) -> list[Fact]:
        following: list[Fact] = []
        # Facts of one kind go through their step as one batch, kinds in the order of the journey.
        order = {fact: place for place, fact in enumerate(STEPS)}
        taken = sorted(
            (fact for fact in facts if type(fact) in self._steps), key=lambda fact: order[type(fact)]
        )
        for kind, batch in groupby(taken, key=type):
            given = await self._steps[kind](list(batch), transaction)
            assert all(type(fact) in STEPS[kind].gives for fact in given), (
                f"{STEPS[kind].does} gave what it may not"
            )
            following.extend(given)
        return following

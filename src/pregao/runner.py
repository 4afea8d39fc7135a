"""
Moves facts along the journey: one batch, one transaction; what stands apart runs after the commit.

The runner knows no room and no edge. Bootstrap binds each step's function to its ports.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from pregao import rehearsal
from pregao.domain.facts import Fact
from pregao.flow import STEPS

HOPS_MAX = 16  # no chain of dry steps is longer than the table
PART_FACTS_MIN = 192  # fewer are not worth a statement of their own


class Append(Protocol):
    """An open transaction that takes facts."""

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


Tx = TypeVar("Tx", bound=Append)
Bound = Callable[[Sequence[Fact], Tx], Awaitable[Sequence[Fact]]]
"""A dry step, bound: facts of one kind and the transaction they are in; gives the facts that follow."""
BoundInTurns = Callable[[Sequence[Fact], Tx], AsyncIterator[Sequence[Fact]]]
"""A dry step that gives much: what follows comes some at a time. It reads nothing after the first turn."""


def _nobody(_facts: Sequence[Fact]) -> None:
    """Tell nobody."""


class Runner(Generic[Tx]):
    """Runs the dry steps of the journey inside the transaction of the facts they take."""

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Tx]],
        *,
        steps: dict[type[Fact], Bound[Tx]],
        steps_in_turns: dict[type[Fact], BoundInTurns[Tx]],
        foresee: Callable[[Sequence[Fact]], None] = _nobody,
    ) -> None:
        """
        ``steps`` and ``steps_in_turns`` may leave out lines of the journey that another process runs.

        What a step in turns gives is written while it makes the rest.

        ``foresee`` is told facts before they are committed: it may get ready for them, and must do nothing yet.
        """
        assert all(not STEPS[fact].stands_apart for fact in [*steps, *steps_in_turns]), (
            "what stands apart shares no transaction"
        )
        self._begin = begin
        self._steps = steps
        self._steps_in_turns = steps_in_turns
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
        written, waiting = await self._follow(transaction, standing)
        done = [*written]
        waiting = [*waiting, *facts]
        for _hop in range(HOPS_MAX):
            if not waiting and not written:
                return done
            await self._write(transaction, waiting)
            done.extend(waiting)
            written, waiting = await self._follow(transaction, [*written, *waiting])
            done.extend(written)
        raise AssertionError(f"JOURNEY_ENDLESS: hops_max={HOPS_MAX} last={type(done[-1]).__name__}")

    async def _write(self, transaction: Tx, facts: Sequence[Fact]) -> None:
        if facts:
            self._foresee(facts)
            await transaction.append(facts)

    async def _follow(self, transaction: Tx, facts: Sequence[Fact]) -> tuple[list[Fact], list[Fact]]:
        """Run the steps of these facts; give what followed and is written, and what followed and is not yet."""
        written: list[Fact] = []
        following: list[Fact] = []
        # Facts of one kind go through their step as one batch, kinds in the order of the journey.
        order = {fact: place for place, fact in enumerate(STEPS)}
        taken = sorted(
            (fact for fact in facts if type(fact) in self._steps or type(fact) in self._steps_in_turns),
            key=lambda fact: order[type(fact)],
        )
        for kind, group in groupby(taken, key=type):
            batch = list(group)
            if kind in self._steps_in_turns:
                given = await self._write_in_turns(
                    transaction, self._steps_in_turns[kind](batch, transaction)
                )
                written.extend(given)
            else:
                given = [*await self._steps[kind](batch, transaction)]
                following.extend(given)
            rehearsal.reach("runner.step.taken")
            assert all(type(fact) in STEPS[kind].gives for fact in given), (
                f"{STEPS[kind].does} gave what it may not"
            )
        return written, following

    async def _write_in_turns(self, transaction: Tx, turns: AsyncIterator[Sequence[Fact]]) -> list[Fact]:
        """Write what comes while more of it is made; give all of it, in order."""
        written: list[Fact] = []
        part: list[Fact] = []
        writing: asyncio.Future[None] | None = None
        try:
            async for some in turns:
                part.extend(some)
                written.extend(some)
                if len(part) >= PART_FACTS_MIN and (writing is None or writing.done()):
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(self._write(transaction, part))
                    part = []
                await asyncio.sleep(0)  # the database's answers are not kept waiting
            if writing is not None:
                await writing
            await self._write(transaction, part)
        except BaseException:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            raise
        return written

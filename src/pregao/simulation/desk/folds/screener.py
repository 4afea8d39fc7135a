"""The fold of the screener's list."""

from pregao.domain import facts
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.state import State


@folds(facts.TickersListed)
def _(state: State, fact: facts.TickersListed) -> None:
    state.listed[:] = [fact]

"""
One fold per fact, written a second time: one fact after the other, where the database takes many at once.

That both give the same rows is a contract of the tests.
"""

from pregao.domain.facts import Fact
from pregao.simulation.desk.folds import (  # noqa: F401  # they register themselves
    configured,
    orders,
    positions,
    screener,
    signals,
    stops,
)
from pregao.simulation.desk.folds.registry import FOLDS
from pregao.simulation.desk.state import State


def fold(state: State, fact: Fact) -> None:
    """
    Change the state as the fact says.

    :raises BrokenRuleError: when a row would be there twice.
    """
    if type(fact) in FOLDS:
        FOLDS[type(fact)](state, fact)

"""Which fold belongs to which kind of fact, in memory."""

from collections.abc import Callable
from typing import Any, TypeVar

from pregao.domain.facts import Fact
from pregao.simulation.desk.state import State

AnyFact = TypeVar("AnyFact", bound=Fact)
Fold = Callable[[State, Any], None]
FOLDS: dict[type[Fact], Fold] = {}


def folds(kind: type[AnyFact]) -> Callable[[Callable[[State, AnyFact], None]], Fold]:
    """Register the fold of a kind of fact."""

    def register(function: Callable[[State, AnyFact], None]) -> Fold:
        FOLDS[kind] = function
        return function

    return register

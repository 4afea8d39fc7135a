"""Which fold belongs to which kind of fact, and what folds share."""

from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from pregao.domain.facts import Fact

AnyFact = TypeVar("AnyFact", bound=Fact)
Fold = Callable[[Any, Sequence[Any]], Awaitable[None]]
FOLDS: dict[type[Fact], Fold] = {}


def folds(kind: type[AnyFact]) -> Callable[[Fold], Fold]:
    """Register the fold of a kind of fact."""

    def register(function: Fold) -> Fold:
        FOLDS[kind] = function
        return function

    return register


def column(rows: Sequence[Any], name: str) -> list[Any]:
    """Give one field of every row."""
    return [getattr(row, name) for row in rows]


def firsts(rows: Sequence[AnyFact], *names: str) -> list[AnyFact]:
    """
    Give the first fact of each thing told of, for folds that the second would not change any more.

    An UPDATE takes any of several source rows for one target: which one must not be left to the plan.
    """
    told: dict[Any, AnyFact] = {}
    for row in rows:
        told.setdefault(attrgetter(*names)(row), row)
    return list(told.values())

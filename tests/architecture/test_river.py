"""The journey is a river: everything flows down, and the table is all of it."""

import importlib
import inspect
from pathlib import Path

import pytest

import pregao.flow
from pregao.domain.facts import FACTS
from pregao.edges.postgres.folds import FOLDS
from pregao.flow import ENTRANCES, JOURNEY, RETURNS, STEPS, Step

FLOW = Path(pregao.flow.__file__)
LINES_MAX = 110  # one page


def backflows(journey, *, entrances=ENTRANCES, returns=RETURNS) -> list[str]:
    """Give what flows up: facts taken by a line that stands above one that gives them."""
    given = set(entrances) | set(returns)
    up = []
    for step in journey:
        if step.takes not in given:
            up.append(f"{step.does} takes {step.takes.__name__}, which no line above gives")
        given |= set(step.gives)
    taken_before = set()
    for step in journey:
        up += [
            f"{step.does} gives {fact.__name__}, which flows back up"
            for fact in step.gives
            if fact in taken_before | {step.takes} and fact not in returns
        ]
        taken_before.add(step.takes)
    return up


class TestRiver:
    def test_flows_down(self):
        assert backflows(JOURNEY) == []

    def test_is_told_when_something_flows_up(self):
        """The check itself is checked: a step that gives what a line above takes is found."""
        wrong = Step(JOURNEY[-1].takes, "positions.update.update_position", (JOURNEY[0].takes,))

        assert backflows((*JOURNEY[:-1], wrong)) != []

    def test_starts_no_two_steps_with_one_fact(self):
        assert len(STEPS) == len(JOURNEY)

    def test_takes_back_only_what_it_declares(self):
        taken = {step.takes for step in JOURNEY}

        assert set(RETURNS) <= taken
        assert set(RETURNS) <= {fact for step in JOURNEY for fact in step.gives}

    def test_knows_every_fact(self):
        """A fact that nobody gives and that does not come from outside cannot happen."""
        known = set(ENTRANCES) | {fact for step in JOURNEY for fact in step.gives}

        assert known == set(FACTS.values())

    def test_fits_one_page(self):
        assert len(FLOW.read_text().splitlines()) <= LINES_MAX


class TestSteps:
    @pytest.mark.parametrize("step", JOURNEY, ids=lambda step: step.does)
    def test_name_an_async_function_that_says_what_it_does(self, step):
        module, _, name = step.does.rpartition(".")

        function = getattr(importlib.import_module(f"pregao.{module}"), name)

        assert inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        assert function.__doc__

    @pytest.mark.parametrize("step", JOURNEY, ids=lambda step: step.does)
    def test_say_at_the_top_of_their_module_what_they_take_and_give(self, step):
        module = importlib.import_module(f"pregao.{step.does.rpartition('.')[0]}")

        said = module.__doc__ or ""

        assert step.takes.__name__ in said
        assert [fact.__name__ for fact in step.gives if fact.__name__ not in said] == []


class TestFolds:
    def test_are_there_for_every_journaled_fact_and_no_other(self):
        """A fact without a fold would be written and change nothing, and a rebuild would not notice."""
        assert set(FOLDS) == {fact for fact in FACTS.values() if fact.is_journaled}

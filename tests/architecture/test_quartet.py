"""
Every step of the journey has its four tests.

The convention: a class ``Test`` and the step's name (``plan_orders``: ``TestPlanOrders``), anywhere in tests/rooms or
tests/journeys, with methods that start with the four words below; a base class in the same file counts.
"""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from pregao.flow import JOURNEY

TESTS = Path(__file__).parents[1]
FOUR = {
    "test_gives_": "it gives its facts",
    "test_run_twice_": "run twice it gives them once",
    "test_failing_": "failing it leaves no trace",
    "test_killed_": "killed after its effect it is found and finished",
}


@cache
def methods_by_class() -> dict[str, set[str]]:
    """Give the methods of every test class, those of its bases in the same file included."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted([*(TESTS / "rooms").rglob("test_*.py"), *(TESTS / "journeys").rglob("test_*.py")]):
        classes = {
            node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
        }

        def methods(name: str, classes=classes) -> set[str]:
            node = classes.get(name)
            if node is None:
                return set()
            own = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
            return own.union(*(methods(base.id) for base in node.bases if isinstance(base, ast.Name)))

        for name in classes:
            found[name] |= methods(name)
    return found


class TestQuartet:
    @pytest.mark.parametrize("step", JOURNEY, ids=lambda step: step.does)
    def test_is_there_for(self, step):
        name = "Test" + "".join(word.capitalize() for word in step.does.rpartition(".")[2].split("_"))
        methods = methods_by_class()[name]

        missing = {
            start: meaning
            for start, meaning in FOUR.items()
            if not any(method.startswith(start) for method in methods)
        }

        assert missing == {}, f"{name} in tests/rooms or tests/journeys"

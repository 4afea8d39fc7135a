"""What a role of an idle desk does not need is not in its memory: together they may hold 400 MB."""

import subprocess
import sys

import pytest

HEAVY = (
    "pydantic",
    "rich",
    "typer",
    "fastapi",
    "numpy",
    "polars",
    "sklearn",
    "talib",
    "apprise",
    "sqlalchemy",
)
ASK = """
import importlib, sys
from pregao.edges.processes import serving
serving._spare_rich()
importlib.import_module("pregao.edges.processes.roles")
importlib.import_module("pregao.bootstrap.{role}")
print(" ".join(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("role", "needed"),
    [
        ("trader", set()),
        ("monitor", set()),
        ("jobs", set()),
        ("paper", set()),
        ("web", {"pydantic", "fastapi"}),
    ],
)
def test_a_role_loads_nothing_heavy_that_it_does_not_need(role, needed):
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(role=role, heavy=HEAVY)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(done.stdout.split()) - needed == set()

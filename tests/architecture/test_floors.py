"""The floors: arrows point down, edges do not know each other, and what is public says what it is for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pregao

SOURCE = Path(pregao.__file__).parent
ROOT = SOURCE.parents[1]
MODULES = sorted(SOURCE.rglob("*.py"))
ACTOR_WORDS = {
    "service",
    "manager",
    "handler",
    "helper",
    "helpers",
    "util",
    "utils",
    "core",
    "engine",
    "processor",
}


def public_without_docstring(path: Path) -> list[str]:
    """Give the public functions and classes of a module that say nothing, protocols' methods included."""
    silent = []

    def look(body, *, inside: str) -> None:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None:
                silent.append(f"{inside}{node.name}:{node.lineno}")
            if isinstance(node, ast.ClassDef):
                look(node.body, inside=f"{node.name}.")

    look(ast.parse(path.read_text()).body, inside="")
    return silent


class TestFloors:
    def test_keep_their_import_contracts(self):
        """Lower floors never know upper ones; rooms do not know each other; the domain has no clock."""
        run = subprocess.run(
            [
                sys.executable,
                "-c",
                "from importlinter.cli import lint_imports_command; lint_imports_command()",
            ],
            cwd=ROOT,
            env={
                "PYTHONPATH": str(SOURCE.parent),
                "PATH": "",
                "HOME": str(ROOT),
                "TERM": "dumb",
                "COLUMNS": "160",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert run.returncode == 0, run.stdout + run.stderr

    @pytest.mark.parametrize(
        "room", ["domain", "signals", "decisions", "orders", "fills", "positions", "stops"]
    )
    def test_say_on_each_public_name_of_a_room_what_it_is_for(self, room):
        silent = {
            str(path.relative_to(SOURCE)): names
            for path in MODULES
            if path.is_relative_to(SOURCE / room) and (names := public_without_docstring(path))
        }

        assert silent == {}

    def test_open_every_module_with_what_it_is_for(self):
        silent = [
            str(path.relative_to(SOURCE))
            for path in MODULES
            if "versions" not in path.parts and ast.get_docstring(ast.parse(path.read_text())) is None
        ]

        assert silent == []

    def test_name_no_file_after_an_actor(self):
        """Ask what it does and use that: a manager is a drawer."""
        named = [
            str(path.relative_to(SOURCE))
            for path in MODULES
            if ACTOR_WORDS & set(path.stem.lower().split("_"))
        ]

        assert named == []

    def test_keep_the_lab_out_of_whatever_trades(self):
        """Its libraries would triple what an idle desk needs; the contracts see imports, this sees what is loaded."""
        script = """
import importlib, pkgutil, sys
import pregao
for floor in ("trading", "bootstrap", "demo", "edges.http", "edges.paper", "edges.postgres", "edges.processes"):
    package = importlib.import_module("pregao." + floor)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), package.__name__ + "."):
        # Processes of the lab's own, which send no order.
        is_other = module.name in ("pregao.bootstrap.analyzer", "pregao.bootstrap.lab", "pregao.bootstrap.models")
        if ".versions" not in module.name and not module.name.endswith(".env") and not is_other:
            importlib.import_module(module.name)
lab = ("pregao.research", "pregao.edges.candle_files", "joblib", "numba", "numpy", "polars", "talib")
print([name for name in lab if name in sys.modules])
"""
        run = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": str(SOURCE.parent), "PATH": "", "HOME": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

        assert run.stdout == "[]\n", run.stderr

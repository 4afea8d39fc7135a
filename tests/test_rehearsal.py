"""Crash points: nothing in normal life, refused on a desk that is no rehearsal's, sprung once."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pregao
from pregao import rehearsal

SOURCE = Path(pregao.__file__).parent
COMES_TWICE = """
import sys
from pathlib import Path
from pregao import rehearsal
rehearsal.begin(Path(sys.argv[1]))
print("before", flush=True)
rehearsal.reach("web.signal.committed")
rehearsal.reach("web.signal.committed")
print("after", rehearsal.ahead().total_seconds(), flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shared"
    rehearsal.prepare(folder)
    return folder


def run(state_dir: Path, folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent), rehearsal.FOLDER: str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", COMES_TWICE, str(state_dir)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestRehearsal:
    def test_does_nothing_in_normal_life(self):
        rehearsal.reach("web.signal.committed")

        assert rehearsal.ahead().total_seconds() == 0

    def test_is_refused_on_a_desk_that_is_no_rehearsals(self, tmp_path, folder):
        said = run(tmp_path, folder).communicate(timeout=20)

        assert said[0] == ""
        assert f"REHEARSAL_REFUSED: state_dir={tmp_path}." in said[1]

    def test_counts_what_is_reached_and_steps_the_clock(self, tmp_path, folder):
        (tmp_path / rehearsal.MARK).touch()
        rehearsal.step_clock(folder, seconds=-2.5)

        said = run(tmp_path, folder).communicate(timeout=20)

        assert said[0].split() == ["before", "after", "-2.5"]
        assert rehearsal.times_reached(folder)["web.signal.committed"] == 2

    def test_ends_the_process_that_comes_to_a_trap(self, tmp_path, folder):
        (tmp_path / rehearsal.MARK).touch()
        rehearsal.set_trap(folder, "web.signal.committed", act=rehearsal.KILL)

        process = run(tmp_path, folder)

        assert process.communicate(timeout=20)[0].split() == ["before"]
        assert process.returncode == -9
        assert rehearsal.find_sprung(folder, "web.signal.committed") == process.pid
        assert rehearsal.find_sprung(folder, "web.signal.committed") is None
        assert run(tmp_path, folder).communicate(timeout=20)[0].split() == ["before", "after", "0.0"]

    def test_a_trap_taken_back_is_harmless(self, tmp_path, folder):
        (tmp_path / rehearsal.MARK).touch()
        rehearsal.set_trap(folder, "web.signal.committed", act=rehearsal.KILL)
        rehearsal.take_trap(folder, "web.signal.committed")

        process = run(tmp_path, folder)

        assert process.communicate(timeout=20)[0].split() == ["before", "after", "0.0"]


class TestPoints:
    def test_each_stands_in_one_place_of_the_source(self):
        named = [
            call.args[0].value
            for path in SOURCE.rglob("*.py")
            for call in ast.walk(ast.parse(path.read_text()))
            if isinstance(call, ast.Call)
            and ast.unparse(call.func) == "rehearsal.reach"
            and isinstance(call.args[0], ast.Constant)
        ]

        assert sorted(named) == sorted(rehearsal.POINTS)

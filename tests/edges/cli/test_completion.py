"""Completion of the command line in a shell."""

import os
import subprocess
import sys

import pytest

from tests.architecture.test_docs import ROOT

PREGAO = f"{sys.executable} -m pregao"


def in_bash(command: str, home, **environment: str) -> subprocess.CompletedProcess:
    # The last word keeps the shell there: completion looks which shell it was started from.
    return subprocess.run(
        ["bash", "--norc", "-c", f"{command}; exit $?"],
        env={**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestCompletion:
    def test_is_shown_for_the_shell_it_is_asked_from(self, tmp_path):
        shown = in_bash(f"{PREGAO} --show-completion", tmp_path)

        assert shown.returncode == 0, shown.stderr
        assert "complete -o default -F _pregao_completion pregao" in shown.stdout

    def test_is_installed_where_the_shell_reads_it(self, tmp_path):
        installed = in_bash(f"{PREGAO} --install-completion", tmp_path)
        bound = in_bash('source "$HOME/.bashrc" && complete -p pregao', tmp_path)

        assert installed.returncode == 0, installed.stderr
        assert "bash completion installed in" in installed.stdout
        assert bound.stdout.strip() == "complete -o default -F _pregao_completion pregao"

    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            ("pregao subs", ["subscription"]),
            ("pregao subscription s", ["show", "symbol"]),
            ("pregao bot symbol ", ["set", "list", "remove"]),
            ("pregao approval ", ["list", "show", "approve", "decline"]),
            ("pregao approval list --a", ["--answered"]),
            ("pregao bot create --hou", ["--hours"]),
        ],
    )
    def test_knows_commands_of_files_not_loaded_yet(self, tmp_path, typed, expected):
        place = str(len(typed.split(" ")) - 1)

        offered = in_bash(
            PREGAO, tmp_path, _PREGAO_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place
        )

        assert offered.stdout.split() == expected

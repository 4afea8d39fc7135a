"""The public proof in its short form: real processes, killed where it hurts, and both books agree afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.proof.carried_out import SOURCE, carry_out

SHORT = (
    *("--signals", "16", "--accounts", "4", "--seed", "7"),
    *("--faults", "lose,uncertain,drop,duplicate"),
    *(
        "--kill",
        "restore,trader.attempts.committed:kill,trader.order.answered:kill,web.signal.committed:kill",
    ),
)


def children_of(folder: Path) -> list[int]:
    """Give the processes that know this folder."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREGAO_STATE_DIR={folder}".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:
            continue
    return found


class TestProve:
    @pytest.mark.long
    def test_holds(self):
        code, page = carry_out(*SHORT)

        assert page["reasons"] == [], page["differences"]
        assert code == 0
        assert page["holds"]
        assert set(page["figures"].values()) == {0}
        assert page["positions_unguarded"] is None
        assert page["orders_filled"] * 2 >= page["orders_expected"] > 0
        assert all(page["faults"].values())
        assert all(page["kills"].values())

    @pytest.mark.extra
    def test_ends_all_it_started_when_it_is_told_to_end(self, tmp_path):
        process = subprocess.Popen(
            [sys.executable, "-m", "pregao", "prove", *SHORT],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not (folders := list(tmp_path.glob("pregao-proof-*/desk/processes.json"))):
            assert time.monotonic() < deadline, "no desk was started"
            time.sleep(0.1)
        folder = folders[0].parent
        assert children_of(folder)

        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=90)[1]

        assert process.returncode == 130
        assert "PROOF_STOPPED" in said
        assert children_of(folder) == []
        assert list(tmp_path.iterdir()) == []

    def test_says_what_it_cannot_do(self):
        run = subprocess.run(
            [sys.executable, "-m", "pregao", "prove", "--signals", "3"],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert run.returncode == 2
        assert run.stderr.startswith("SIGNALS_TOO_FEW: signals=3 ")

"""The proof as a person carries it out: the command, its exit code, what it prints for machines."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pregao

SOURCE = Path(pregao.__file__).parents[1]
STOP_SECONDS_MAX = 60


def carry_out(*options: str, source: Path = SOURCE, seconds_max: float = 300) -> tuple[int, dict[str, Any]]:
    """Run `pregao prove --json` from this source; give its exit code and its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pregao", "prove", "--quick", "--json", *options],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told, said = process.communicate(timeout=seconds_max)
    except BaseException:
        process.send_signal(signal.SIGTERM)  # it ends what it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=STOP_SECONDS_MAX)
        process.kill()
        raise
    assert told, said
    return process.returncode, json.loads(told)

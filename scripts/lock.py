"""
Write the three locks again, from pyproject.toml.

For developers: `uv` must be on the path or beside the running Python. The exports hold every hash and no address,
so any index serves them; `uv.lock` holds addresses and stays out of git.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPORTS = {
    "requirements.lock": ["--group", "build"],
    "requirements-test.lock": ["--group", "build", "--group", "test"],
    "requirements-npm.lock": ["--only-group", "npm"],
}
HEADER = "# Written by scripts/lock.py from pyproject.toml: every version and every hash, no address.\n"


def main() -> int:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        print(
            "UV_MISSING: install uv into this environment, then run scripts/lock.py again.", file=sys.stderr
        )
        return 1
    subprocess.run([uv, "lock", "--quiet"], cwd=ROOT, check=True)
    for name, groups in EXPORTS.items():
        export = [
            uv,
            "export",
            "--quiet",
            "--frozen",
            "--no-emit-project",
            "--no-dev",
            "--no-header",
            *groups,
        ]
        lines = subprocess.run(
            [*export, "--format", "requirements-txt"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        if found := re.search(r"\S*(://|/home/|/root/)\S*", lines):
            print(f"LOCK_NAMES_A_PLACE: file={name} text={found.group()}", file=sys.stderr)
            return 1
        (ROOT / name).write_text(HEADER + lines)
        print(f"{name}: {len(re.findall('^[a-z]', lines, re.MULTILINE))} packages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

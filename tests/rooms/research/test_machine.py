"""Machine code on the disk is that of the loops as they are written now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pregao.research

RESEARCH = Path(pregao.research.__file__).parent
CALL = """
import importlib.util, sys
for name in ("machine", "inner", "outer"):
    spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/{name}.py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
print(sys.modules["outer"].outer(1.0))
"""
INNER = "from machine import inlined\n@inlined\ndef inner(x):\n    return x + {}\n"
OUTER = "from inner import inner\nfrom machine import compiled\n@compiled\ndef outer(x):\n    return inner(x) * 2.0\n"


def call(folder: Path) -> float:
    told = subprocess.run(
        [sys.executable, "-c", CALL, str(folder)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return float(told.stdout)


class TestCompiled:
    def test_is_made_anew_where_a_loop_in_another_file_has_changed(self, tmp_path):
        """After an update it would have gone on with the loops of the version before, and given their figures."""
        shutil.copy(RESEARCH / "machine.py", tmp_path)
        (tmp_path / "inner.py").write_text(INNER.format(1.0))
        (tmp_path / "outer.py").write_text(OUTER)

        before = [call(tmp_path), call(tmp_path)]
        (tmp_path / "inner.py").write_text(INNER.format(2.0))

        assert before == [4.0, 4.0]
        assert call(tmp_path) == 6.0

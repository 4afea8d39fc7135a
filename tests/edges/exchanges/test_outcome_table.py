"""The table of outcomes says of each row which test holds it: there is such a test."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/decisions/0018-what-is-asked-and-when-it-ends.md"


class TestTable:
    def test_every_row_is_held_by_a_test_that_exists(self):
        rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
        tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

        held = {row: re.findall(r"`(test_\w+)`", row) for row in rows}

        assert len(rows) == 14
        assert [row for row, names in held.items() if not names] == []
        assert [name for names in held.values() for name in names if f"def {name}(" not in tests] == []

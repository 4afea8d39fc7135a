"""F036: what proves who somebody is, is compared in a time that tells nothing."""

import ast
import re
from pathlib import Path

import pytest

DOORS = Path(__file__).parents[2] / "src" / "pregao" / "edges" / "http"
SECRET = re.compile(r"(?<!_)token\b|secret|password|sha256|signature(?!_)|digest")
HARMLESS = re.compile(r"is (not )?None|_name|len\(|\.isdigit|SECRET_WORD|== reading\.symbol")


def compared_openly(text: str) -> list[tuple[int, str]]:
    """Give comparisons with == and != that have a secret's word on a side, and no constant on the other."""
    return [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Compare)
        and any(isinstance(one, (ast.Eq, ast.NotEq)) for one in node.ops)
        and not any(isinstance(one, ast.Constant) for one in (node.left, *node.comparators))
        and SECRET.search(ast.unparse(node))
        and not HARMLESS.search(ast.unparse(node))
    ]


class TestComparedSecrets:
    def test_f036_are_never_compared_by_equality(self):
        found = [
            f"{page.relative_to(DOORS)}:{line}: {text}"
            for page in sorted(DOORS.rglob("*.py"))
            for line, text in compared_openly(page.read_text(encoding="utf-8"))
        ]

        assert found == []

    @pytest.mark.parametrize("planted", ["if token == self.admin_token: pass", "ok = given_sha256 != wanted"])
    def test_f036_is_told_of_one_that_is_planted(self, planted):
        assert compared_openly(planted) != []

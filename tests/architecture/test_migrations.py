"""Migrations stand in one row: a number once, each on the one before. Two people who take a number at once find it here."""

import re

from tests.architecture.test_docs import SOURCE

VERSIONS = SOURCE / "edges/postgres/migrations/versions"


def told(name, text):
    found = re.search(rf'^{name} = "?(\w+)"?$', text, re.MULTILINE)
    return found and found[1]


def test_every_migration_has_a_number_of_its_own_and_follows_the_one_before():
    pages = sorted(VERSIONS.glob("[0-9]*.py"))
    texts = [page.read_text(encoding="utf-8") for page in pages]
    numbers = [page.name[:4] for page in pages]

    assert [told("revision", text) for text in texts] == numbers
    assert [told("down_revision", text) for text in texts[1:]] == numbers[:-1]
    assert len(set(numbers)) == len(numbers)

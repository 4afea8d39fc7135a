"""The page of settings shows every setting with its default, and no setting that is gone."""

import dataclasses
import re
from pathlib import Path

from pregao.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/settings.md").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \|[^|]+\| ([^|]+) \|", PAGE, re.MULTILINE))
FIELDS = {field.metadata["name"]: field for field in dataclasses.fields(Settings)}


def test_every_setting_is_on_the_page_and_nothing_else():
    assert ROWS.keys() == FIELDS.keys()


def test_every_setting_has_one_sentence():
    for name, field in FIELDS.items():
        assert field.metadata["description"].endswith("."), name


def test_the_defaults_on_the_page_are_the_real_ones():
    for name, shown in ROWS.items():
        default = FIELDS[name].default
        if isinstance(default, bool | int | float | str) and default != "":
            assert (
                shown.strip("`").lower() == f"{default:g}".lower()
                if isinstance(default, float)
                else str(default).lower()
            )

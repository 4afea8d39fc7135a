"""CSV that comes back as it was, and that no spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.views.sheet import FORMULA, SheetError, guarded, read_csv, to_cell, to_csv, unguarded
from tests.properties import quick

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    "'=+-@\t\r\n,\"a1.", max_size=6
)


class TestCells:
    @pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-1+1", "@cmd", "\tx", "\rx", "\nx", "--1", "-"])
    def test_guard_what_would_be_a_formula(self, text):
        assert guarded(text) == f"'{text}"
        assert unguarded(guarded(text)) == text

    @pytest.mark.parametrize("text", ["-1.5", "+2", "0.001", "BTCUSDT", "", "a=1", "'", "'quoted'"])
    def test_leave_numbers_and_plain_text_alone(self, text):
        assert guarded(text) == text
        assert unguarded(text) == text

    @given(TEXTS)
    @quick
    def test_come_back_as_they_were(self, text):
        cell = guarded(text)

        assert unguarded(cell) == text
        assert cell[:1] not in tuple(FORMULA) or Decimal(cell) is not None

    def test_hold_values_as_text(self):
        east = datetime(2026, 11, 21, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))

        assert to_cell(east) == "2026-11-21T12:00:00.000005Z"
        assert to_cell(datetime(2026, 11, 21, tzinfo=UTC)) == "2026-11-21T00:00:00.000000Z"
        assert [to_cell(one) for one in (None, True, Decimal("-1.50"), 7)] == ["", "true", "-1.5", "7"]


class TestSheets:
    @given(st.lists(st.lists(TEXTS, min_size=2, max_size=4), max_size=5))
    @quick
    def test_come_back_as_they_were(self, rows):
        assert [row for _, row in read_csv(to_csv(rows))] == rows

    def test_are_what_rfc_4180_says(self):
        text = to_csv([["a,b", 'say "x"', "two\nlines"], ["c", "d", "e"]])

        assert text == '"a,b","say ""x""","two\nlines"\r\nc,d,e\r\n'
        assert list(csv.reader(io.StringIO(text, newline=""))) == [
            ["a,b", 'say "x"', "two\nlines"],
            ["c", "d", "e"],
        ]

    def test_say_on_which_line_a_row_begins(self):
        assert list(read_csv('a,b\n"1\n2",c\n\nd,e\n')) == [
            (1, ["a", "b"]),
            (2, ["1\n2", "c"]),
            (5, ["d", "e"]),
        ]

    def test_refuse_a_quote_without_its_end(self):
        with pytest.raises(SheetError) as refused:
            list(read_csv('a,b\nc,"d\ne'))

        assert refused.value.line == 2

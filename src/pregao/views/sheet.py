"""
Rows as CSV (RFC 4180) that a spreadsheet may open without running what is in them.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, unless it is a plain number; reading
takes it off again. So text comes back as it was, to the last character.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pregao.domain.money import to_text

FORMULA = "=+-@\t\r\n"  # what makes a formula of a cell, at its beginning
GUARD = "'"
NUMBER = re.compile(r"[+-]?[0-9]+([.][0-9]+)?")


class SheetError(Exception):
    """The text is no CSV; ``line`` is where, counted from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def to_cell(value: object) -> str:
    """Give a value as a cell holds it, guarded."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return to_instant(value)
    return guarded(to_text(value) if isinstance(value, Decimal) else str(value))


def to_instant(value: datetime) -> str:
    """Give an instant in UTC, to the microsecond."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def guarded(text: str) -> str:
    """Put an apostrophe before what would be a formula, and before what already looks like a guarded one."""
    if NUMBER.fullmatch(text):
        return text
    return GUARD + text if text[:1] in tuple(FORMULA) or _looks_guarded(text) else text


def unguarded(cell: str) -> str:
    """Give the text that ``guarded`` made this cell of."""
    return cell[1:] if _looks_guarded(cell) else cell


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    """Write rows, each ended by CR and LF."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([to_cell(value) for value in row] for row in rows)
    return text.getvalue()


def read_csv(text: str) -> Iterator[tuple[int, list[str]]]:
    """
    Give each row with the line it begins on; empty lines are left out.

    :raises SheetError: when a quote is not ended, or something stands behind one.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SheetError(begins, str(error)) from error
        if row:
            yield begins, [unguarded(cell) for cell in row]
        begins = reader.line_num + 1


def _looks_guarded(text: str) -> bool:
    return text[:1] == GUARD and text[1:2] != "" and text[1:2] in FORMULA + GUARD

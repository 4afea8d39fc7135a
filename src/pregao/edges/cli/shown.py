"""What the commands print: tables for people, JSON for machines."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH_WITHOUT_TERMINAL = 200  # a table in a file or a pipe has nobody's window to fit into

Columns = Mapping[str, str]
"""The heading of each column, by the field it shows."""


def show_json(answer: Any) -> None:
    """Print an answer as the desk gave it."""
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Columns, *, empty: str) -> None:
    """Print a table, or say that there is nothing."""
    if not rows:
        print(empty)
        return
    from rich import box  # rich is slow to load, and JSON does without
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in columns.values():
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(_text(row.get(field))) for field in columns))
    _print(table)


def show_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one pair a line."""
    pairs = [(name, _text(value)) for name, value in fields]
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        print(f"{name:<{width}}  {value}")


def _print(table: Any) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)

"""How a page of a list is asked of PostgreSQL: what its lines contain, their order, and where it begins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from pregao.views.sorting import Shape, Value

LEAST = {Decimal: ("numeric", "'-Infinity'"), datetime: ("timestamptz", "'-infinity'"), str: ("text", "''")}
"""Of each kind of value its type in SQL, and what stands for one that is not known: less than all that are."""


def order_of(
    shape: Shape, field: str, fields: Mapping[str, type], *, keys: Mapping[str, str], limit: int, value: int
) -> tuple[str, str, str]:
    """
    Write where a page begins, how it is sorted, and how long it is; by keyset: what comes or goes meanwhile moves no line.

    ``keys`` are the columns that make a line's place certain, and the arguments that hold them where the page before ended.
    """
    direction, beyond = ("DESC", "<") if shape.is_descending else ("ASC", ">")
    columns, places = list(keys), list(keys.values())
    if shape.by is not None:
        kind, least = LEAST[fields[shape.by]]
        written = 'lower({}) COLLATE "C"' if kind == "text" else "{}"
        columns.insert(0, written.format(f"coalesce(({field})::{kind}, {least})"))
        places.insert(0, written.format(f"coalesce(${value}::{kind}, {least})"))
    order = ", ".join(f"{column} {direction}" for column in columns)
    is_first = f"{next(iter(keys.values()))} IS NULL"
    return (
        f"AND ({is_first} OR ({', '.join(columns)}) {beyond} ({', '.join(places)}))",
        f"ORDER BY {order}",
        f"LIMIT ${limit}",
    )


def value_of(shape: Shape) -> tuple[Value, ...]:
    """Give the argument that holds the value the page before ended with, where there is one."""
    return () if shape.by is None else (shape.after,)


async def fetch_lines(
    pool: asyncpg.Pool,
    lines: str,
    *given: Any,
    shape: Shape,
    fields: Mapping[str, type],
    columns: Mapping[str, str],
    key: str,
    after: Any,
    searched: Sequence[str],
    limit: int,
) -> Sequence[Any]:
    """
    Give a page of what ``lines`` selects with the arguments ``given``; it must be one statement without an order.

    ``key`` is the column, with its type, that makes a line's place certain; ``columns`` those of fields that are called otherwise.
    """
    first = len(given) + 1
    column, _, kind = key.partition("::")
    by = columns.get(str(shape.by), str(shape.by))
    beyond, sorted_by, limited = order_of(
        shape, by, fields, keys={column: f"${first}::{kind}"}, limit=first + 1, value=first + 3
    )
    says = f"strpos(upper(concat_ws(' ', {', '.join(searched)})), upper(${first + 2})) > 0"
    statement = f"SELECT * FROM ({lines}) AS lines WHERE (${first + 2}::text IS NULL OR {says}) {beyond} {sorted_by} {limited}"
    rows: Sequence[Any] = await pool.fetch(statement, *given, after, limit, shape.search, *value_of(shape))
    return rows

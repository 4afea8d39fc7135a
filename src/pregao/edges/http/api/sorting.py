"""Lists as somebody wants them: what they contain, how they are sorted, and where the next page begins."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query

from pregao.edges.http.api.cursors import read_cursor, to_cursor
from pregao.edges.http.api.shapes import ID_MAX
from pregao.edges.http.errors import ApiError
from pregao.views.activity import OrderPlace
from pregao.views.sorting import Shape, read_value, write_value

Place = TypeVar("Place")

SEARCH_CHARACTERS_MAX = 80
BY_TIME = "time"
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ORDER_TEXT = re.compile(f"({UUID_TEXT.pattern})[.]([a-z0-9]{{1,64}})")
NUMBER_TEXT = re.compile(r"[1-9][0-9]{0,18}")

Search = Annotated[
    str | None,
    Query(max_length=SEARCH_CHARACTERS_MAX, description="Contained in what a line says, in capitals or not."),
]


def to_shape(sort: str | None, *, search: str | None) -> Shape:
    """Read how a list is wanted: `fees` is the least first, `-fees` the most, `-time` the newest, which is the default."""
    field = (sort or f"-{BY_TIME}").removeprefix("-")
    return Shape(
        search=printable(search),
        by=None if field == BY_TIME else field,
        is_descending=sort is None or sort.startswith("-"),
    )


def to_place(
    cursor: str | None, shape: Shape, *, fields: Mapping[str, type], read_ids: Callable[[str], Place | None]
) -> tuple[Place | None, Shape]:
    """
    Read where the page before ended: the line's ids, and the shape with the value it was sorted by.

    :raises ApiError: when it is no place of such a list.
    """
    if cursor is None:
        return None, shape
    ids, value = (cursor, "") if shape.by is None else read_cursor(cursor, str, str)
    place = read_ids(ids)
    if place is None:
        raise _unreadable()
    if shape.by is None:
        return place, shape
    try:
        return place, replace(shape, after=read_value(printable(value) or "", fields[shape.by]))
    except (ValueError, ArithmeticError):
        raise _unreadable() from None


def shape_after(last: Any, shape: Shape) -> Shape:
    """Give how the lines after this one are asked for."""
    return shape if shape.by is None else replace(shape, after=getattr(last, shape.by))


def cursor_after(last: Any, shape: Shape, *, ids: str) -> str:
    """Write that a page ended with this line."""
    return ids if shape.by is None else to_cursor(ids, write_value(getattr(last, shape.by)))


def signal_ids(line: Any) -> str:
    """Write which signal it is."""
    return str(line.signal_id)


def order_ids(line: Any) -> str:
    """Write which order it is."""
    return f"{line.signal_id}.{line.order_id}"


def position_ids(line: Any) -> str:
    """Write which position it is."""
    return str(line.position_id)


def read_signal_place(text: str) -> UUID | None:
    """Read which signal it was."""
    return UUID(text) if UUID_TEXT.fullmatch(text) else None


def read_order_place(text: str) -> OrderPlace | None:
    """Read which order it was."""
    found = ORDER_TEXT.fullmatch(text)
    return None if found is None else OrderPlace(signal_id=UUID(found[1]), order_id=found[3])


def read_position_place(text: str) -> int | None:
    """Read which position it was."""
    return int(text) if NUMBER_TEXT.fullmatch(text) and int(text) <= ID_MAX else None


def printable(text: str | None) -> str | None:
    """Give text that PostgreSQL holds, or nothing where it is empty; what has a NUL is in no list."""
    return text.strip().replace("\x00", "\N{REPLACEMENT CHARACTER}") or None if text else None


def _unreadable() -> ApiError:
    return ApiError(422, "CURSOR_UNREADABLE", "Send `next_cursor` of the page before as it stands.")

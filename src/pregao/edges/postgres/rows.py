"""Rows become values: by the names of their columns, with the types of the value."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

Value = TypeVar("Value")


def to_value(row: Mapping[str, Any], kind: type[Value]) -> Value:
    """Give the value whose fields the row's columns name; columns it does not know are left out."""
    return msgspec.convert(row if type(row) is dict else dict(row), kind)


def to_values(rows: Iterable[Mapping[str, Any]], kind: type[Value]) -> list[Value]:
    """Give a value for each row, in their order."""
    return [msgspec.convert(dict(row), kind) for row in rows]

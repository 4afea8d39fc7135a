"""Rows become values: by the names of their columns, with the types of the value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

Value = TypeVar("Value")

encode_json = msgspec.json.Encoder(decimal_format="string").encode
"""Writes what a column of JSON holds; decimals as text, so that no digit is lost."""


def to_json(values: Sequence[Any]) -> str:
    """
    Write many values as one JSON text, for `jsonb_to_recordset` to take its columns from.

    Costs the client a fifth of an array for each column.
    """
    return encode_json(values).decode()


def as_array(ids: Iterable[Any]) -> str:
    """
    Write ids as one text, which PostgreSQL reads as an array: ``$1::text::bigint[]``.

    Costs the client a third of a list: asyncpg looks at every element of that twice. Ids only, which need no quotes.
    """
    return f"{{{','.join(map(str, ids))}}}"


_json_names: dict[type, tuple[str, ...]] = {}


def json_names(kind: type) -> tuple[str, ...]:
    """Give the fields of a dataclass that are tuples or dataclasses: their columns hold JSON."""
    if kind not in _json_names:
        hints = get_type_hints(kind)
        _json_names[kind] = tuple(name for name, hint in hints.items() if _is_json(hint))
    return _json_names[kind]


def _is_json(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(is_dataclass(one) for one in (hint, *get_args(hint)))


def to_value(row: Mapping[str, Any], kind: type[Value]) -> Value:
    """Give the value whose fields the row's columns name; columns it does not know are left out."""
    columns = row if type(row) is dict else dict(row)
    for name in json_names(kind):
        if isinstance(told := columns.get(name), str):
            columns = {**columns, name: () if told == "[]" else msgspec.json.decode(told)}
    return msgspec.convert(columns, kind)


def to_values(rows: Iterable[Mapping[str, Any]], kind: type[Value]) -> list[Value]:
    """Give a value for each row, in their order."""
    return [to_value(row, kind) for row in rows]

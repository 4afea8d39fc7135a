"""
Frozen values that are made for every signal, at half the cost.

A frozen dataclass sets each of its fields through `object.__setattr__`, by name. What is made here sets them as any
class does, and is frozen when it has them all.
"""

from dataclasses import MISSING, field, fields, make_dataclass
from typing import Any, TypeVar, cast

Value = TypeVar("Value")


def maker_of(kind: type[Value]) -> type[Value]:
    """Give what is called as ``kind``, a frozen dataclass with slots and keyword-only fields, and makes the same."""

    def freeze(made: Any) -> None:
        made.__class__ = kind

    told: list[tuple[str, Any, Any]] = []
    for one in fields(cast("Any", kind)):
        assert one.default_factory is MISSING, one.name
        told.append(
            (one.name, one.type, field(default=one.default) if one.default is not MISSING else field())
        )
    filled = make_dataclass(kind.__name__, told, kw_only=True, namespace={"__post_init__": freeze})
    open_kind = {
        "__slots__": kind.__dict__["__slots__"],  # laid out alike, or it could not become the other
        "__init__": filled.__dict__["__init__"],
        "__post_init__": freeze,
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,  # both, or each field is set the slow way
    }
    return cast("type[Value]", type(kind.__name__, kind.__bases__, open_kind))

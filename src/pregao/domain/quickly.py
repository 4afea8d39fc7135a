"""Frozen values made as quickly as open ones: a burst of orders makes thousands of them."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def made_quickly(kind: type[T]) -> type[T]:
    """
    Make instances of a frozen dataclass with slots in a third of the time; it stands above ``@dataclass``.

    A frozen one asks `object.__setattr__` for every field. Here an instance is open while its fields are written, and
    frozen before anybody else has it: from outside nothing is different.
    """
    told = fields(kind)  # type: ignore[arg-type]
    simple = all(one.kw_only and one.init and one.default_factory is MISSING for one in told)
    if not simple or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__}: every field is told by its name, none is made")
    still_open = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    names: dict[str, Any] = {
        "become": object.__setattr__,
        "kind": kind,
        "open_kind": type(kind.__name__, (kind,), still_open),
    }
    names |= {f"default_{one.name}": one.default for one in told if one.default is not MISSING}
    parameters = (one.name if one.default is MISSING else f"{one.name}=default_{one.name}" for one in told)
    lines = [
        f"def __init__(self, *, {', '.join(parameters)}):",
        " become(self, '__class__', open_kind)",
        *(f" self.{one.name} = {one.name}" for one in told),
        " self.__class__ = kind",
    ]
    exec("\n".join(lines), names)  # noqa: S102  # as dataclasses makes its own; every name is a field's
    names["__init__"].__qualname__ = f"{kind.__qualname__}.__init__"
    kind.__init__ = names["__init__"]  # type: ignore[method-assign]
    return kind

"""
How settings are read: from the environment, else from a file of lines `NAME=value`.

A page of settings is a frozen dataclass whose fields are made by `setting`. It is read by every process of the desk, so
this page is small: what would make pages of settings richer costs each of them ten megabytes.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from dotenv import dotenv_values

YES, NO = frozenset({"true", "1", "yes", "on", "t", "y"}), frozenset({"false", "0", "no", "off", "f", "n"})
SHOWN = "**********"  # in place of a secret

Page = TypeVar("Page")


class SettingError(ValueError):
    """A setting is missing or cannot be used; the text names it and says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A text that is shown only to who asks for it."""

    text: str = dataclasses.field(repr=False)

    def reveal(self) -> str:
        """Give the text."""
        return self.text

    def __str__(self) -> str:
        return SHOWN if self.text else ""


def setting(default: Any, name: str, description: str, **limits: Any) -> Any:
    """
    Make a field: its default, its name in the environment, one sentence about it.

    Limits are msgspec's: `ge`, `gt`, `le`, `lt`, `min_length`, `max_length`.
    """
    told = {"name": name, "description": description, "limits": limits}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=told)
    return dataclasses.field(default=default, metadata=told)


def read_settings(page: type[Page], file: Path) -> Page:
    """
    Read a page of settings: the environment first, then the file, which may be missing; what is empty has its default.

    :raises SettingError: naming each setting that cannot be used, without its value: it may be a secret in the wrong place.
    """
    told = _told(file)
    kinds = get_type_hints(page)
    values, complaints = {}, []
    for field in dataclasses.fields(page):  # type: ignore[arg-type]  # a page is a dataclass
        name = field.metadata["name"]
        if text := told.get(name):
            try:
                values[field.name] = _value(text, kinds[field.name], field.metadata["limits"])
            except ValueError as problem:
                complaints.append(f"SETTING_UNUSABLE: name={name}. {problem}.")
    if complaints:
        raise SettingError("\n".join(complaints))
    return page(**values)


def is_told(name: str, file: Path) -> bool:
    """Say whether the environment or the file has a setting of that name."""
    return bool(_told(file).get(name))


def _told(file: Path) -> Mapping[str, str]:
    written = dotenv_values(file) if file.is_file() else {}
    environment = {name.upper(): text for name, text in os.environ.items() if text}
    return {**{name.upper(): text for name, text in written.items() if text}, **environment}


def _value(text: str, kind: Any, limits: Mapping[str, Any]) -> Any:
    """
    Read one value.

    :raises ValueError: saying what was expected.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_value(part.strip(), parts[0], {}) for part in text.split(",") if part.strip())
    if origin is UnionType:  # something or None, and None is what is not told
        return _value(text, parts[0], limits)
    if origin is Literal:
        found = next((one for one in parts if one.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"Expected one of {', '.join(parts)}")
        return found
    if kind in (Secret, Path):
        return kind(text)
    if kind is bool:
        if text.lower() not in YES | NO:
            raise ValueError("Expected true or false")
        return text.lower() in YES
    return msgspec.convert(text, Annotated[kind, msgspec.Meta(**limits)], strict=False)

"""The one way an alert is refused while it is read: a stable code and a sentence for the person who sent it."""

import re

_PLACEHOLDER = re.compile(r"\{\{|\}\}|<[^<>]*>")
_SHORT = re.compile(r"[\w .,:;/!%+&()-]{1,32}")


class Unreadable(Exception):
    """A body that does not say for certain what to do; ``code`` is stable, ``reason`` has values and remedy."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def has_placeholder(text: str) -> bool:
    """Say whether a ``{{placeholder}}`` or ``<placeholder>`` still stands in the text."""
    return _PLACEHOLDER.search(text) is not None


def unfilled(field: str) -> Unreadable:
    """Give the refusal of a deciding field that nobody filled in."""
    return Unreadable(
        "PLACEHOLDER_UNFILLED",
        f"field={shown(field)}. A placeholder arrived as it was written; use one TradingView knows, "
        "such as {{ticker}} or {{strategy.order.action}}, or write the value.",
    )


def shown(value: object) -> str:
    """Write a sender's value into a reason: whole when short and plain, else only its size, never cut."""
    if isinstance(value, str):
        return value if _SHORT.fullmatch(value) else f"({len(value)} characters)"
    return str(value) if isinstance(value, bool) or value is None else f"(a {type(value).__name__})"

"""Why a difference is not settled, or nothing booked by hand, as asked; grouped by what the asker can do about it."""

from collections.abc import Mapping


class DriftError(Exception):
    """A difference was not settled, or nothing was booked; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class UnknownError(DriftError):
    """There is no such account, subscription or position."""


class ConflictError(DriftError):
    """What is there stands in the way."""

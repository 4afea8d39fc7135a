"""Why the screener is not set up as asked; grouped by what the asker can do about it."""

from collections.abc import Mapping


class ScreenerError(Exception):
    """A command on the screener was not carried out; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(ScreenerError):
    """A value cannot be used: ask again with another."""


class UnknownError(ScreenerError):
    """There is no such strategy."""


class ConflictError(ScreenerError):
    """What is there already stands in the way."""

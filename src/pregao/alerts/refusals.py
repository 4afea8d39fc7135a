"""Why a channel or a mute is not set up as asked; grouped by what the asker can do about it."""

from collections.abc import Mapping


class AlertError(Exception):
    """A command on alerts was not carried out; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(AlertError):
    """A value cannot be used: ask again with another."""


class UnknownError(AlertError):
    """There is no such alert, channel or mute."""


class ConflictError(AlertError):
    """What is there already stands in the way."""

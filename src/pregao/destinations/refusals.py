"""Why a destination is not set up as asked."""

from collections.abc import Mapping


class DestinationError(Exception):
    """A command was not carried out; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(DestinationError):
    """A value cannot be used: ask again with another."""

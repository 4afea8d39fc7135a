"""Why a signal is not sent again."""

from collections.abc import Mapping


class AgainError(Exception):
    """A signal was not sent again; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class UnknownError(AgainError):
    """There is no such signal."""


class ConflictError(AgainError):
    """It is under way, cannot be repeated, or there is nobody to send it to."""

"""Why the lab is not asked."""

from collections.abc import Mapping


class LabError(Exception):
    """The lab was not asked; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(LabError):
    """What is asked cannot be computed."""


class UnknownError(LabError):
    """There is no such run, or there are no such candles."""


class ConflictError(LabError):
    """It is over already, or too much waits."""

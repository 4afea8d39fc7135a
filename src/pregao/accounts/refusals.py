"""Why an account or a user is not configured as asked; grouped by what the asker can do about it."""

from collections.abc import Mapping


class AccountError(Exception):
    """A command on an account or a user was not carried out; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(AccountError):
    """A value cannot be used: ask again with another."""


class UnknownError(AccountError):
    """There is no such account or user, or not for whoever asks."""


class ConflictError(AccountError):
    """What is there already stands in the way."""


class VenueAwayError(AccountError):
    """The venue the account is opened at does not answer: ask again later."""

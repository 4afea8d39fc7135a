"""Why a bot or a subscription is not configured as asked; grouped by what the asker can do about it."""

from collections.abc import Mapping


class BotError(Exception):
    """A command on a bot or a subscription was not carried out; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class SettingUnusableError(BotError):
    """A value cannot be used: ask again with another."""


class UnknownError(BotError):
    """There is no such bot, subscription or account."""


class ConflictError(BotError):
    """What is there already stands in the way."""

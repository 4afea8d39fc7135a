"""Why an answer to an approval is not taken."""

from collections.abc import Mapping


class AnswerError(Exception):
    """An answer was not taken; nothing changed."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        """Keep the stable ``code``, the sentence with its remedy, and the values it talks about."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


class UnknownError(AnswerError):
    """Nobody was asked about such a signal."""


class ConflictError(AnswerError):
    """It is answered already, or its time is over."""

"""What this room needs from outside: the bot a signal belongs to."""

from typing import Protocol
from uuid import UUID

from pregao.domain.bot import Bot


class Bots(Protocol):
    """The desk's bots as they stand in this transaction."""

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot; a signal of a bot that is not there is our mistake."""
        ...

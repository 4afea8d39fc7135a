"""What this room needs from outside: the bot a signal belongs to, and what that bot has done so far."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.bot import Bot
from pregao.domain.money import ZERO
from pregao.domain.signal import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a bot has done, as far as its settings ask for it; what they do not ask stays as it is here."""

    last_entry_at: datetime | None = (
        None  # when an entry on this symbol was last approved, if within the cooldown
    )
    entries_today: int = 0  # approved ones, on this UTC day
    live_positions: int = 0  # of all subscribers, pending and closing ones included
    loss_today_usd: Decimal = (
        ZERO  # of positions closed on this UTC day, and of the parts closed of live ones
    )
    positions_against: int = (
        0  # on this symbol, live or about to be, that an order on the signal's side would reduce
    )


NOTHING_DONE = Record()


class Bots(Protocol):
    """The desk's bots as they stand in this transaction."""

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot; a signal of a bot that is not there is our mistake."""
        ...

    async def lock_bot(self, bot_id: UUID) -> Bot:
        """Lock the bot's row until the transaction ends, and give it as it stands then."""
        ...

    async def read_record(self, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
        """Give what the bot's settings ask of its past; the bot must be locked."""
        ...

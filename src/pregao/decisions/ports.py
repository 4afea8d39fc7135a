"""What this room needs from outside: the bot a signal belongs to, what it has done, and who was asked about what."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.bot import Bot
from pregao.domain.candle import Measure
from pregao.domain.facts import (
    ApprovalAnswered,
    DecisionApproved,
    DecisionPending,
    Fact,
    SignalAccepted,
)
from pregao.domain.money import ZERO
from pregao.domain.prediction import Foretold
from pregao.domain.screener import Listing
from pregao.domain.signal import Action, Instruction
from pregao.domain.trading_state import TradingStates


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a bot has done, as far as its settings ask for it; what they do not ask stays as it is here."""

    last_entry_at: datetime | None = (
        None  # when an entry on this symbol was last approved, if within the cooldown
    )
    entries_today: int = 0  # approved ones, on this UTC day
    live_positions: int = 0  # of all subscribers, pending and closing ones included
    positions_here: int = 0  # of those, on this symbol
    loss_today_usd: Decimal = (
        ZERO  # of positions closed on this UTC day, and of the parts closed of live ones
    )
    positions_against: int = (
        0  # on this symbol, live or about to be, that an order on the signal's side would reduce
    )


NOTHING_DONE = Record()


RECONCILE_SECONDS_MAX = 5.0  # an entry waits so long for an account that was taken over


Waiting: TypeAlias = SignalAccepted | ApprovalAnswered | DecisionApproved
"""What a signal waits with: to be decided, or to be planned whole."""


@dataclass(frozen=True, slots=True)
class WaitingSignal:
    """A signal nobody has decided about, or not planned whole, and where its symbol would be traded."""

    signal_id: UUID
    symbol: str | None
    venues: list[Venue]
    is_approved: bool  # it is decided, and not every account has its order or its denial
    measures: frozenset[Measure] = (
        frozenset()
    )  # the ranges that the stops of its bot's positions are measured by


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerSignal:
    """A signal of the same bot that came later and was traded."""

    signal_id: UUID
    action: Action
    received_at: datetime


class Bots(Protocol):
    """The desk's bots as they stand in this transaction."""

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot; a signal of a bot that is not there is our mistake."""
        ...

    async def trading_states(self) -> TradingStates:
        """Give all states that are not active, and keep others from changing one until the transaction ends."""
        ...

    async def lock_bot(self, bot_id: UUID) -> Bot:
        """Lock the bot's row until the transaction ends, and give it as it stands then."""
        ...

    async def read_record(self, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
        """Give what the bot's settings ask of its past; the bot must be locked."""
        ...

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        """Count the bot's positions on the symbol, live or about to be, that an order on the entry's side would reduce."""
        ...

    async def find_listing(self, symbol: str | None) -> Listing:
        """Give what the screener's list says of a symbol, and keep the list as it is until the transaction ends."""
        ...

    async def find_foretold(self, model: str, symbol: str | None, *, now: datetime) -> Foretold | None:
        """Give what a model of the lab says of a symbol; None where it says nothing that is fresh."""
        ...

    async def find_newer_against(
        self, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
    ) -> NewerSignal | None:
        """
        Give the latest signal that came after this entry, was traded, and went against it; None when none did.

        That is one to close all it would open, or an entry on the other side of its symbol. A share closed, and what the
        desk closed for one subscription, go against nothing.
        """
        ...

    async def main_venue(self, bot_id: UUID) -> Venue | None:
        """Give the venue where most of the bot's active subscriptions trade, None when there are none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An entry that was put to a person, and who has answered what already."""

    asked: DecisionPending
    answered_by: str | None
    answered_at: datetime | None
    is_approved: bool | None


class ApprovalBook(Protocol):
    """What was put to people, in one transaction."""

    async def find_question(self, signal_id: UUID) -> Question | None:
        """Give what was asked about a signal, and keep others from answering meanwhile; None where nobody was asked."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class ApprovalBooks(Protocol):
    """Where a book is opened."""

    def open(self) -> AbstractAsyncContextManager[ApprovalBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...

"""What this room needs from outside: the journal and the state, where alerts are kept, and ways to reach people."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.alerts.audience import Audience
from pregao.alerts.conditions import Condition
from pregao.alerts.table import Names
from pregao.domain.alert import Alert, AlertLevel, Channel, ChannelKind, Mute
from pregao.domain.facts import Fact

Address = Mapping[str, str]
"""Where a channel leads, secrets included: never printed, logged or answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """An alert on its way to one channel."""

    alert: Alert
    channel_id: int
    is_muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often a bot has won of late."""

    bot_id: UUID
    wins: int
    losses: int


class TellingBook(Protocol):
    """The journal as far as it was read for alerts, in one transaction."""

    async def is_ours(self) -> bool:
        """Say whether the lease is still held, and keep others from taking it meanwhile."""
        ...

    async def next_facts(self, *, limit: int) -> Sequence[Fact]:
        """Give the next facts somebody may have to hear of, none twice and none left out, and move on behind them."""
        ...

    async def names_of(self, facts: Sequence[Fact]) -> Names:
        """Give what the ids in the facts are called."""
        ...

    async def audience(self) -> Audience:
        """Give who hears what now."""
        ...

    async def keep_back(
        self, key: str, *, user_id: UUID | None, since: datetime | None, now: datetime
    ) -> int | None:
        """
        Note an alert of a key; None: one was raised since, and this one is kept back.

        Otherwise how many were kept back after the last; ``since`` None is for ever.
        """
        ...

    async def win_rates(self, bot_ids: Sequence[UUID], *, now: datetime) -> Sequence[WinRate]:
        """Give how often these bots have won in the last thirty days."""
        ...

    async def new_conditions(self) -> Sequence[Condition]:
        """Give what stands now and was not told of, and note it."""
        ...

    async def ended_conditions(self) -> Sequence[str]:
        """Give the keys of what was told of and stands no longer, and forget them."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...

    async def queue(self, queued: Sequence[Queued]) -> None:
        """Put alerts on their way, in this transaction."""
        ...


class TellingWork(Protocol):
    """What the loop asks: whether it may, and where it reads and writes."""

    async def hold(self) -> bool:
        """Take or renew the lease; False while another holds it."""
        ...

    def open(self) -> AbstractAsyncContextManager[TellingBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert that is to go out over one channel, claimed by us."""

    alert: Alert
    raised_at: datetime
    attempts: int  # before this one
    is_escalation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is due at one channel, failures first, and how many messages it may still carry this minute."""

    channel: Channel
    deliveries: Sequence[Delivery]
    messages_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes out: one alert, or a summary of many."""

    level: AlertLevel
    title: str
    text: str
    raised_at: datetime
    numbers: Mapping[str, str] = field(default_factory=dict)


MESSAGE_REFUSED = "MESSAGE_REFUSED"
"""The code of a refusal that is about one message, not about the channel."""


class ChannelError(Exception):
    """A channel did not take a message; the text names no address and no secret."""

    def __init__(self, code: str, message: str, *, is_final: bool, retry_seconds: float = 0.0) -> None:
        """Keep the stable ``code``; ``is_final``: asking again is of no use; else not before ``retry_seconds``."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.is_final = is_final
        self.retry_seconds = retry_seconds


class Send(Protocol):
    """One kind of channel."""

    async def __call__(self, message: Message, *, address: Address) -> None:
        """
        Deliver the message.

        :raises ChannelError: when it was not taken, or nobody knows.
        """
        ...


Senders = Mapping[ChannelKind, Send]


class Outbox(Protocol):
    """Alerts on their way, and what became of them."""

    async def hold(self) -> bool:
        """Take or renew the lease; False while another holds it."""
        ...

    async def claim(self, *, per_channel_max: int) -> Sequence[Batch]:
        """Claim what is due, of each subject the earlier first; what nobody finishes is due again."""
        ...

    async def find_address(self, channel_id: int) -> Address:
        """
        Give a channel's address, opened.

        :raises ChannelError: when there is none, or it cannot be opened.
        """
        ...

    async def note_sent(self, channel: Channel, alert_ids: Sequence[UUID], *, message_id: UUID) -> None:
        """Note that one message carried these alerts."""
        ...

    async def note_later(
        self, channel: Channel, alert_ids: Sequence[UUID], *, error: ChannelError, seconds: float
    ) -> None:
        """Note a try that failed, and when the next is due."""
        ...

    async def note_put_off(self, channel: Channel, alert_ids: Sequence[UUID], *, seconds: float) -> None:
        """Note that these wait with another: they were not tried."""
        ...

    async def note_failed(self, channel: Channel, alert_ids: Sequence[UUID], *, error: ChannelError) -> None:
        """Note that the channel finally failed, and put the alerts on their way over the next one, if there is one."""
        ...


class AlertBook(Protocol):
    """Alerts, channels and mutes in one transaction, as far as they are the asker's."""

    async def find_alert(self, alert_id: UUID) -> Alert | None:
        """Give an alert."""
        ...

    async def channels(self) -> Sequence[Channel]:
        """Give the channels in their order, and keep others from changing them meanwhile."""
        ...

    async def is_level_set(self) -> bool:
        """Say whether somebody has said the desk's least level."""
        ...

    async def find_mute(self, mute_id: UUID) -> Mute | None:
        """Give a mute."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...

    async def keep_address(self, channel_id: int, address: Address) -> None:
        """Seal and keep a channel's address, in place of the former one."""
        ...

    async def forget_address(self, channel_id: int) -> None:
        """Delete a channel's address, and let what was on its way there be."""
        ...

    async def queue(self, queued: Sequence[Queued]) -> None:
        """Put alerts on their way, in this transaction."""
        ...


class AlertBooks(Protocol):
    """Where a book is opened."""

    async def next_channel_id(self) -> int:
        """Give a number no channel and no account has had."""
        ...

    def open(self, *, owner: UUID | None) -> AbstractAsyncContextManager[AlertBook]:
        """
        Open a transaction; it commits when the block ends, and leaves no trace when the block fails.

        What is not ``owner``'s is not there; None opens the desk's.
        """
        ...


WIN_RATE_MIN = Decimal("0.7")  # of what was won or lost; system E has no number
WIN_RATE_TRADES_MIN = 20  # fewer say nothing

"""What guards a position."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts.fact import Fact
from pregao.domain.level import TriggerKind
from pregao.domain.order import PositionSide, Side
from pregao.domain.protection import ProtectionReport, ProtectionStatus, RefusalCause
from pregao.domain.stop import Source, Stop, StopChange, Trigger
from pregao.domain.trailing import Adjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class StopArmed(Fact):
    """
    A position that was filled is watched: from its first fill, and once more when its entry's average is known.

    A position for which nothing was asked has one, too, that watches nothing.
    """

    stop: Stop
    account_id: int
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    venue: Venue
    symbol: str
    position_side: PositionSide
    held_since: datetime  # venue clock: the fill that opened the position
    is_anchor_final: bool  # no fill of the entry is to come: the levels stay where they are
    is_required: bool  # the position may not be open without it


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnusable(Fact):
    """What was asked for cannot stand, or no venue takes it: the position is closed, and a person is called."""

    position_id: int
    account_id: int
    signal_id: UUID
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRaised(Fact):
    """A stop followed the price, or went to break-even; ``stop`` is how it stands after that."""

    stop: Stop
    adjustment: Adjustment
    account_id: int
    signal_id: UUID
    venue: Venue
    symbol: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class StopChanged(Fact):
    """A stop was changed otherwise: by hand, a target of it was taken, what is left is watched again."""

    stop: Stop
    account_id: int
    signal_id: UUID
    code: StopChange
    changed_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTriggered(Fact):
    """A level was reached and somebody has claimed the exit: one of any number of claims. ``stop`` is after it."""

    stop: Stop
    trigger: Trigger
    token: str  # `{position}:{level}:{version}`
    account_id: int
    signal_id: UUID
    venue: Venue
    symbol: str
    source: Source
    seen_at: datetime  # our clock: when the price was read
    price_at: datetime | None  # our clock: when that price came; None: nobody looked at one
    estimated_price: Decimal | None  # what the exit would fill at; None: not known
    again_at: datetime  # when it is looked at again, should nothing have come of it
    claimed_by: str  # the worker, or who asked for it
    is_from_memory: bool = False  # the exit left while the database was away


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailBlocked(Fact):
    """A guardrail said no to a triggered exit; ``instead`` says what is done: it never ends there."""

    token: str
    kind: TriggerKind
    number: int
    position_id: int
    account_id: int
    signal_id: UUID
    guardrail: str
    numbers: dict[str, str]
    remedy: str
    instead: str
    again_at: (
        datetime | None
    )  # when it is looked at again; None: the exit leaves all the same, or somebody else's
    is_critical: bool
    pauses_entries: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionMoved(Fact):
    """What came of a claimed exit: it filled, it provably failed and is tried again, or a person must look."""

    token: str
    kind: TriggerKind
    number: int
    position_id: int
    account_id: int
    signal_id: UUID
    status: ExecutionStatus
    attempts: int
    order_id: str | None
    code: str | None
    reason: str | None
    price: Decimal | None  # the average of its fills
    slippage_percent: Decimal | None  # of the level; positive is worse
    again_at: datetime | None  # when it is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionPlanned(Fact):
    """One protective order, committed before the wire is touched. It is signed only once."""

    protection_id: str
    version: int  # of the protective order
    stop_version: int  # of the stop it stands for
    position_id: int
    account_id: int
    signal_id: UUID
    venue: Venue
    symbol: str
    kind: TriggerKind
    number: int  # of the target; 0 for the stop
    side: Side
    position_side: PositionSide
    trigger_price: Decimal
    quantity: Decimal | None  # None closes the position, whatever it is then
    signed_at_ms: int
    recv_window_ms: int
    owner: str
    lease_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionAccepted(Fact):
    """The venue has the protective order, and it waits: by its own word, or found when asked."""

    protection_id: str
    position_id: int
    account_id: int
    signal_id: UUID
    exchange_protection_id: str
    sent_at: datetime | None  # None when it was found by asking
    acknowledged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRejected(Fact):
    """The venue provably refused the protective order and has none such."""

    protection_id: str
    position_id: int
    account_id: int
    signal_id: UUID
    code: str
    reason: str
    cause: RefusalCause


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionUnresolved(Fact):
    """
    No usable answer: it is asked about by its id, and never sent again as it is.

    ``is_dead`` where the venue provably did not take it: another is planned in its stead.
    """

    protection_id: str
    position_id: int
    account_id: int
    signal_id: UUID
    code: str
    reason: str
    is_dead: bool
    ask_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionReported(Fact):
    """A venue told that a protective order moved on; possibly not for the first time. Only moves are kept."""

    is_journaled: ClassVar[bool] = False

    report: ProtectionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionMoved(Fact):
    """A protective order triggered or ended, booked once."""

    protection_id: str
    position_id: int
    account_id: int
    signal_id: UUID
    status: ProtectionStatus
    triggered_order_id: str | None
    reason: str
    reported_at: datetime  # venue clock; ours where we took it back


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDisarmed(Fact):
    """A position is flat, and the venue's protective orders for it are to be taken back before anything opens there."""

    position_id: int
    account_id: int
    signal_id: UUID
    venue: Venue
    symbol: str
    position_side: PositionSide


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLeft(Fact):
    """A position is flat, and nothing of it may still trade: where it stood, another may be opened."""

    position_id: int
    account_id: int
    signal_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUnguarded(Fact):
    """A position that must be guarded had no effective stop for too long; told once, while it lasts."""

    position_id: int
    account_id: int
    signal_id: UUID
    since: datetime
    seconds: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionGuarded(Fact):
    """The time a position stood open is over, and how long it was."""

    position_id: int
    account_id: int
    signal_id: UUID
    since: datetime
    seconds: Decimal

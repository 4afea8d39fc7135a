"""It is decided."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.facts.fact import Fact
from pregao.domain.signal import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check says, with the numbers it looked at."""

    check: str
    passed: bool
    numbers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPending(Fact):
    """Every check passed, and the bot's policy puts its entries to a person: who answers in time decides."""

    signal_id: UUID
    bot_id: UUID
    instruction: Instruction
    verdicts: tuple[Verdict, ...]
    venue: Venue | None  # where most of the bot's accounts trade; None: nobody follows it
    price: Decimal | None  # the symbol's last price there; None: the venue gave none in time
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAnswered(Fact):
    """A person said yes or no to an entry, or the clock ran out on it. Carries all that settling it needs."""

    signal_id: UUID
    bot_id: UUID
    instruction: Instruction
    verdicts: tuple[Verdict, ...]
    venue: Venue | None
    price: Decimal | None  # as it was when the signal was put to a person
    expires_at: datetime
    is_approved: bool
    answered_by: str  # "clock" where nobody did
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionApproved(Fact):
    """The bot trades this signal."""

    signal_id: UUID
    bot_id: UUID
    instruction: Instruction
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDeclined(Fact):
    """The bot does not trade this signal: a check, the policy, a person, the clock."""

    signal_id: UUID
    bot_id: UUID
    code: str
    reason: str
    verdicts: tuple[Verdict, ...]

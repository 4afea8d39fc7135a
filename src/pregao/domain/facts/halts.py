"""What stops the desk, or a part of it: trading states, and selling out."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.order import PositionSide
from pregao.domain.trading_state import ScopeLevel, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateSet(Fact):
    """Somebody set what may be traded at one scope, or resumed it; the version grows with every such fact."""

    version: int
    level: ScopeLevel
    subject: str  # the id there as text; empty for the desk
    name: str  # as people called it then
    state: TradingState
    block_exits: bool  # only when halted
    reason: str
    set_by: str  # who, and how he came in
    user_id: UUID | None  # None: the admin token
    is_by_staff: bool  # then no trader takes it back
    source_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlace:
    """A quantity of one symbol at one side of an account."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenStarted(Fact):
    """Somebody asked to close all that is held at one scope; the job goes on until every account is proven flat."""

    flatten_id: UUID
    level: ScopeLevel
    subject: str
    name: str
    keep_trading: bool  # False: nothing is entered there meanwhile, and until somebody resumes it
    reason: str
    asked_by: str
    user_id: UUID | None  # None: the admin token
    is_by_staff: bool
    source_address: str
    account_ids: tuple[int, ...]  # to be proven flat


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenAccountSeen(Fact):
    """One account of such a job was proven flat by the venue's own answer, or something stands there, and why."""

    flatten_id: UUID
    account_id: int
    is_flat: bool
    code: str  # why it is not; empty when it is
    reason: str
    closed: tuple[HeldPlace, ...]  # by exits, since the job began
    attempts: int  # of those exits
    foreign: tuple[HeldPlace, ...]  # held there, signed, and not ours: never touched


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenEnded(Fact):
    """Such a job is over: every account was proven flat, or somebody stopped it."""

    flatten_id: UUID
    is_done: bool  # False: it was stopped
    ended_by: str  # the trader that saw the last account flat, or whoever stopped it
    reason: str

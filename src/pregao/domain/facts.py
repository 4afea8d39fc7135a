"""
Everything that can happen, in the order it happens.

A fact is immutable and carries all that its fold needs: replaying the facts gives the state again, to the
last decimal. Instants are aware and in UTC; ``happened_at`` is our clock unless a field says otherwise.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionSide, Side
from pregao.domain.position import Position
from pregao.domain.protection import ProtectionReport, ProtectionStatus, RefusalCause
from pregao.domain.screener import Reprocessed, Strategy
from pregao.domain.signal import Instruction
from pregao.domain.stop import Execution, ExecutionStatus, Source, Stop, StopChange, Trigger, TriggerKind
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.domain.trailing import Adjustment
from pregao.domain.user import User
from pregao.domain.venue import MarginMode, VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened."""

    is_journaled: ClassVar[bool] = True

    happened_at: datetime


# --- who trades -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfigured(Fact):
    """A user was created or changed; the whole setting, password and tokens apart."""

    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfigured(Fact):
    """An account was opened or changed; its whole setting, credentials apart."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfigured(Fact):
    """A bot was created or changed; its whole setting."""

    bot: Bot


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionConfigured(Fact):
    """A subscription was made or changed; its whole setting."""

    subscription: Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class BotForgotten(Fact):
    """An archived bot that never had a signal was deleted, with its canceled subscriptions; its path is free again."""

    bot_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Fact):
    """Somebody asked the API to change something; what came of it. Never the body: there may be secrets in it."""

    action_id: UUID
    user_id: UUID | None  # None: nobody known, or the admin token
    principal: str  # how they came in: "admin token", "session", "token NAME"; empty: they did not
    source_address: str
    user_agent: str
    method: str
    path: str
    action: str  # the route's operation id; empty when there is no such route
    targets: dict[str, str]  # the ids in the path, by their names
    status: int  # HTTP's
    error_code: str | None
    duration_ms: int


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


# --- a signal arrives -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTurnedAway(Fact):
    """Somebody without the secret knocked: no body is kept, only its hash and size."""

    webhook_path: str
    body_sha256: str
    body_size: int
    source_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived(Fact):
    """An authenticated body arrived for the first time. The secret's bytes in it are masked."""

    signal_id: UUID
    bot_id: UUID
    body: bytes
    content_type: str
    source: str  # tradingview, webhook_in, cli, …
    source_address: str
    dedupe_key: str  # an explicit id, or the SHA-256 of bot and body
    is_explicit_id: bool  # explicit ids are remembered for ever, hashes for a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRepeated(Fact):
    """The same signal was delivered again: the first one stands, nothing is done twice."""

    signal_id: UUID
    source_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAccepted(Fact):
    """The body was read for certain, in time."""

    signal_id: UUID
    bot_id: UUID
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRefused(Fact):
    """We could not or would not read it: malformed, ambiguous, stale, not supported."""

    signal_id: UUID
    bot_id: UUID
    code: str
    reason: str


# --- it is decided ----------------------------------------------------------------------------------------


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


# --- one order per account --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlanned(Fact):
    """
    Every account of a part has its order or its denial: they stand before this; with the last part all have.

    The parts go round the subscribed accounts by their ids, from ``first_account_id`` on, and end before it.
    """

    signal_id: UUID
    bot_id: UUID
    accounts: int  # subscribed accounts looked at in this part
    orders: int  # orders to send; the rest are denied
    part: int = 1
    first_account_id: int | None = None  # where the round began
    last_account_id: int | None = None  # where the next part goes on
    is_whole: bool = True  # nobody is left


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlanned(Fact):
    """One attempt of one account's order, committed before the wire is touched. It is signed only once."""

    order_id: str
    attempt: int
    client_order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    venue: Venue
    leg: Leg
    position_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    reduce_only: bool
    leverage: int
    margin_mode: MarginMode
    margin_usd: Decimal | None  # None on exits: they are sized by the position
    decision_price: (
        Decimal | None
    )  # the venue's price when it was planned; None on an exit in a silent market
    send_before: datetime | None  # None on exits: they never expire
    signed_at_ms: int
    recv_window_ms: int
    owner: str
    lease_epoch: int
    execution: Execution | None = None  # of an exit that a stop or a target asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDenied(Fact):
    """Our own limit stopped it: the venue never saw this order, or never will see another attempt of it."""

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    leg: Leg
    symbol: str
    side: Side | None
    position_id: int | None  # set where an attempt had reserved one
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDeferred(Fact):
    """
    An order that waits for another one of its position.

    An exit waits for an entry that is still on its way, or for an exit of only a share: it closes what is there
    then. An entry waits until its position is closed: a reverse, a replacement, a signal that came meanwhile.
    """

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    symbol: str
    position_id: int  # the position whose order it waits for
    leg: Leg = Leg.EXIT
    side: Side | None = None  # of an entry
    send_before: datetime | None = None  # of an entry
    share: Decimal | None = None  # of an exit: the part to close; None is all
    code: str = "ENTRY_ON_ITS_WAY"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Fact):
    """The venue has the order: by its own word, or found when asked."""

    order_id: str
    attempt: int
    exchange_order_id: str
    sent_at: datetime | None  # None when it was found by asking
    acknowledged_at: datetime
    signal_id: UUID | None = None  # None in facts older than this field


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Fact):
    """The venue provably refused the order and has none such."""

    order_id: str
    attempt: int
    signal_id: UUID
    position_id: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnresolved(Fact):
    """
    No usable answer: nobody knows, so it is asked about and never sent again as it is.

    ``is_dead`` where the venue provably did not take this attempt (its clock window closed, it was busy): then
    nothing is asked, and the order may be tried anew once ``ask_at`` has come.
    """

    order_id: str
    attempt: int
    code: str
    reason: str
    is_dead: bool
    sent_at: datetime | None
    ask_at: datetime
    signal_id: UUID | None = None  # None in facts older than this field


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded(Fact):
    """The venue ended the order with something left unfilled: canceled or expired."""

    order_id: str
    signal_id: UUID
    position_id: int
    status: OrderStatus
    ended_at: datetime  # venue clock


# --- fills and positions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReported(Fact):
    """A venue told of a fill, by stream or by query; possibly not for the first time. Only bookings are kept."""

    is_journaled: ClassVar[bool] = False

    account_id: int
    trade: VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class FillBooked(Fact):
    """One fill, booked once per (account, symbol, trade id, order id)."""

    account_id: int
    trade: VenueTrade
    fee: Decimal  # the commission in the account's margin asset, positive when paid
    fee_rate: Decimal  # margin asset per unit of the commission's asset, at the fill's time
    order_id: str | None  # None: not one of our orders; the books may have forgotten one that is
    order_is_filled: bool  # with this fill the order is complete
    signal_id: UUID | None
    position_id: int | None  # None: it touches no position of ours
    foreign_quantity: Decimal = ZERO  # what of the trade is not that position's
    close_reason: str | None = None  # of a fill that a stop or a target asked for, ours or the venue's


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPositionSeen(Fact):
    """The venue holds something on the account that is not ours, or no more; entries wait until it is gone."""

    account_id: int
    symbol: str
    position_side: PositionSide
    quantity: Decimal  # signed: the venue's minus ours, 0 when they agree


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettled(Fact):
    """An operator said what a difference is: a quantity to adopt, or to write off. It is booked as one fill."""

    position: Position  # before that fill; this fact reserves it where it is new
    trade: VenueTrade
    foreign_left: Decimal  # what still differs there afterwards, signed
    settled_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged(Fact):
    """The position as it stands after what just happened to it."""

    position: Position

    @property
    def signal_id(self) -> UUID:
        """The signal that opened the position: its story has what became of it."""
        return self.position.signal_id

    @property
    def account_id(self) -> int:
        """The account that holds it."""
        return self.position.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLossForgiven(Fact):
    """An operator forgave what a subscription lost on a symbol on a UTC day: limits count that much less of it."""

    subscription_id: UUID
    day: date
    symbol: str
    amount_usd: Decimal
    forgiven_by: str  # the operator, or how they came in
    reason: str


# --- what guards a position -------------------------------------------------------------------------------


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


# --- the screener -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfigured(Fact):
    """A strategy of the screener was created, changed, or chosen; its whole setting."""

    strategy: Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyForgotten(Fact):
    """A strategy that was not active was deleted; its name is free again."""

    strategy_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerPaused(Fact):
    """The screener was paused, or resumed: paused it fetches nothing but what somebody asks for."""

    is_paused: bool
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickersListed(Fact):
    """A list took the place of the last one, as a whole; in the order of rank."""

    strategy_id: UUID
    strategy: str  # its name then
    tickers: tuple[str, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]
    is_baseline: bool  # the first of its strategy, or since that was changed: nobody has entered


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyReprocessed(Fact):
    """A declined entry was looked at again because its ticker entered the list; each is tried again once."""

    signal_id: UUID
    bot_id: UUID
    ticker: str
    outcome: Reprocessed
    again_as: UUID | None  # the signal that tries it again; None where it was skipped


# --- back up the river ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRequested(Fact):
    """A position, or what is left of it, is to be closed: by a reduce-only order."""

    signal_id: UUID
    position_id: int
    attempt: int
    reason: str
    quantity_max: Decimal | None = None  # what the attempt that died was to close; None is all that is held
    share: Decimal | None = None  # the part of what is held to close; None is all
    execution: Execution | None = None  # of a stop or a target: an order of its own for each try


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequested(Fact):
    """An entry whose attempt provably died, or that has waited for a close, is to be planned if its time allows."""

    signal_id: UUID
    order_id: str
    attempt: int
    reason: str
    bot_id: UUID | None = (
        None  # of an entry that has waited: its first attempt is planned with its bot's others
    )


FACTS: dict[str, type[Fact]] = {
    fact.__name__: fact
    for fact in (
        UserConfigured,
        AccountConfigured,
        BotConfigured,
        SubscriptionConfigured,
        BotForgotten,
        ActionTaken,
        TradingStateSet,
        FlattenStarted,
        FlattenAccountSeen,
        FlattenEnded,
        DeliveryTurnedAway,
        SignalReceived,
        SignalRepeated,
        SignalAccepted,
        SignalRefused,
        DecisionPending,
        ApprovalAnswered,
        DecisionApproved,
        DecisionDeclined,
        SignalPlanned,
        OrderPlanned,
        OrderDenied,
        OrderDeferred,
        OrderAccepted,
        OrderRejected,
        OrderUnresolved,
        OrderEnded,
        FillReported,
        FillBooked,
        ForeignPositionSeen,
        DriftSettled,
        PositionChanged,
        DailyLossForgiven,
        StopArmed,
        StopUnusable,
        StopRaised,
        StopChanged,
        ProtectionPlanned,
        ProtectionAccepted,
        ProtectionRejected,
        ProtectionUnresolved,
        ProtectionReported,
        ProtectionMoved,
        StopTriggered,
        GuardrailBlocked,
        ExecutionMoved,
        StopDisarmed,
        PositionLeft,
        PositionUnguarded,
        PositionGuarded,
        StrategyConfigured,
        StrategyForgotten,
        ScreenerPaused,
        TickersListed,
        BuyReprocessed,
        ExitRequested,
        EntryRequested,
    )
}
"""Every fact by its name, in the order of the journey."""

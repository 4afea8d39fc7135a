"""What this room needs from outside: the books as they stand, the market, and a venue that trades."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.execution import Execution
from pregao.domain.facts import Fact, OrderPlanned
from pregao.domain.forward import Parcel
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.position import Position
from pregao.domain.risk import Drawdown
from pregao.domain.risk_rules import RiskRecord, RiskRules
from pregao.domain.signal import Instruction
from pregao.domain.trading_state import TradingStates
from pregao.domain.user import User
from pregao.domain.venue import (
    Acknowledgement,
    MarginMode,
    OrderAttempt,
    Quote,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)


class Exchange(Protocol):
    """
    One venue, for all our accounts there; an account is named by our id.

    Every method raises one of the four kinds of ``VenueError``: ``Refused``, ``RetryLater``,
    ``OperatorNeeded`` (all three: provably nothing happened) or ``OutcomeUnknown`` (anything else, a timeout
    and an unreadable answer included). No call takes longer than ten seconds.
    """

    async def prepare(self, attempt: OrderAttempt) -> None:
        """
        Write and sign the attempt's request ahead; nothing leaves.

        It may be called before the attempt is committed, and need not be: ``submit`` writes what was not prepared.

        :raises VenueError: when it cannot be signed now.
        """
        ...

    async def submit(self, attempt: OrderAttempt) -> Acknowledgement:
        """Send the attempt, exactly as signed, once."""
        ...

    async def find_order(self, *, account_id: int, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Give the order with this client id; None when the venue says it has none."""
        ...

    async def client_order_id_of(self, *, account_id: int, symbol: str, exchange_order_id: str) -> str | None:
        """Give the client id of the venue's order, whoever sent it; None when the venue says it has none such."""
        ...

    async def trades_of(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> Sequence[VenueTrade]:
        """Give the fills of one order, oldest first."""
        ...

    async def trades_since(self, *, account_id: int, symbol: str, since_ms: int) -> Sequence[VenueTrade]:
        """Give the account's fills of a symbol from an instant on, oldest first."""
        ...

    async def positions(self, *, account_id: int, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Give the account's open positions (quantity not 0), of one symbol or all."""
        ...

    async def ensure_leverage(
        self, *, account_id: int, symbol: str, leverage: int, margin_mode: MarginMode
    ) -> None:
        """Set leverage and margin mode where the venue's differ or are unknown; what is known costs no call."""
        ...

    async def position_mode(self, *, account_id: int) -> PositionMode:
        """Give the account's position mode; asked once, then followed."""
        ...

    async def balance(self, *, account_id: int) -> Decimal:
        """Give the wallet balance in the account's margin asset (USDT)."""
        ...

    async def instruments(self) -> dict[str, Instrument]:
        """Give what may be traded, by symbol; cached for an hour."""
        ...

    async def quote(self, symbol: str) -> Quote:
        """Give the symbol's price, not older than the freshness limit; one price for all who ask at once."""
        ...

    def venue_now_ms(self) -> int:
        """Give the venue's clock, in milliseconds: ours plus the measured offset."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One account that follows a bot, as it stands under the planning transaction's locks."""

    account: Account
    subscription: Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a signal is planned: so many parts, round the accounts from the first one to the last one planned."""

    parts: int = 0
    first_account_id: int | None = None
    last_account_id: int | None = None


NOT_BEGUN = Progress()


def size_of_part(left: int, *, limit: int, few: int | None) -> int:
    """Give how many have their turn: ``limit``, but only ``few`` where more than that are ``left``."""
    return limit if few is None or left <= limit else few


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Whose turn it is, in the order of their turns, and how far the signal is planned with them."""

    members: Sequence[Member]
    progress: Progress
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What has been used of a limit: live positions, pending and closing ones included, and losses in USD."""

    positions: int = 0
    loss_usd: Decimal = ZERO


NOTHING_USED = Tally()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    What has been used of every limit that entries of one bot on some symbols may break; losses are the day's.

    Users without a limit of their own are left out, and symbols on which nothing is used.
    """

    of_bot: Tally = NOTHING_USED  # all its subscriptions, on any symbol
    of_bot_on: Mapping[str, Tally] = field(default_factory=dict)
    of_subscriptions: Mapping[UUID, Tally] = field(default_factory=dict)  # those asked about, on any symbol
    of_subscriptions_on: Mapping[tuple[UUID, str], Tally] = field(default_factory=dict)
    of_users: Mapping[UUID, Tally] = field(default_factory=dict)
    limited_users: Mapping[UUID, User] = field(default_factory=dict)
    months: Mapping[UUID, Drawdown] = field(default_factory=dict)
    """Of users whose month has cost its share of the capital, and was not paused for it yet."""
    records: Mapping[UUID, RiskRecord] = field(default_factory=dict)  # of those whose rules look back


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """What pre-flight found that the venue would certainly refuse: on an account, or for one of its subscriptions."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """What accounts hold that is not ours or may still trade, whose past is not known, what venues would refuse."""

    foreign: Mapping[tuple[int, PositionSide], Decimal] = field(default_factory=dict)  # never 0
    unreconciled: frozenset[int] = frozenset()
    forgotten: frozenset[int] = (
        frozenset()
    )  # a restored database may have forgotten what the signal did there
    grounded: Mapping[tuple[int, UUID | None], Grounded] = field(
        default_factory=dict
    )  # None: all subscriptions
    leaving: Mapping[tuple[int, PositionSide], int] = field(
        default_factory=dict
    )  # the flat position of which a protective order or another may still trade there

    @property
    def is_clear(self) -> bool:
        """Whether nothing keeps anybody out."""
        return not (self.foreign or self.unreconciled or self.forgotten or self.grounded)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTheWay:
    """What orders that may still trade, or wait for that, will do to a position; and what a restored database forgot."""

    is_entering: bool = False  # an entry may still fill
    is_leaving: bool = False  # an exit is planned or waits
    leaving: Decimal | None = ZERO  # how much the exits close; None is all it holds then
    has_orders: bool = True  # some order waits for it, or is on its way
    is_unsure: bool = False  # the database was put back, and what has traded since then is not told yet
    forgotten_exits: frozenset[str] = (
        frozenset()
    )  # exits of ours that have traded and were never planned here

    def closes_all(self, quantity: Decimal) -> bool:
        """Say whether the exits leave nothing of what is held."""
        return self.is_leaving and (self.leaving is None or ZERO < quantity <= self.leaving)


NOTHING_ON_THE_WAY = OnTheWay(has_orders=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEntry:
    """An entry that waits until its position is closed."""

    order_id: str
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    symbol: str
    side: Side
    position_id: int
    send_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """An order of ours as the books hold it, with the attempt that counts."""

    order_id: str
    attempt: int
    client_order_id: str
    exchange_order_id: str | None
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    venue: Venue
    leg: Leg
    position_id: int
    symbol: str
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    status: OrderStatus
    code: str | None
    is_dead: bool
    signed_at_ms: int
    recv_window_ms: int
    send_before: datetime | None
    checks: int
    execution: Execution | None = None


class Books(Protocol):
    """The books under the transaction's locks."""

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot."""
        ...

    async def lock_bots(
        self, bot_ids: Collection[UUID], *, symbols: Collection[str] | None
    ) -> Mapping[UUID, int]:
        """
        Lock several bots and all that planning for them looks at, each kind of row at once and in one order.

        Of what is held only ``symbols``; None is all. Give how many accounts follow each of the bots.
        """
        ...

    async def trading_states(self) -> TradingStates:
        """Give all states that are not active, and keep others from changing one until the transaction ends."""
        ...

    async def members(self, bot_id: UUID) -> Sequence[Member]:
        """Lock and give every account subscribed to the bot, canceled subscriptions included, by account id."""
        ...

    async def progress(self, signal_id: UUID) -> Progress:
        """Give how far a signal is planned."""
        ...

    async def next_part(
        self,
        bot_id: UUID,
        *,
        after: Progress,
        start: int,
        limit: int,
        few: int | None = None,
        only: Collection[UUID] | None = None,
    ) -> Part:
        """
        Lock and give the next accounts subscribed to the bot, canceled subscriptions included.

        They are ``limit``, but only ``few`` where more than that are left.

        A round begins with the account at place ``start`` (modulo their number) by account id, and goes up from there.
        ``only`` leaves out all other subscriptions.
        """
        ...

    async def members_named(self, subscription_ids: Collection[UUID]) -> Mapping[UUID, Member]:
        """Give members by subscription, without locking them."""
        ...

    async def usage(
        self,
        bot_id: UUID,
        *,
        subscription_ids: Sequence[UUID],
        symbols: Collection[str],
        day: date,
        rules: Mapping[UUID, RiskRules] | None = None,
        is_counted: bool = True,
    ) -> Usage:
        """
        Give what these subscriptions, their users and the bot have used of the limits, on a UTC day; by symbol of these.

        Where places are given out, the members must be locked. ``rules`` names the subscriptions whose records are asked.
        What the bot and the subscriptions hold may be left out where it is not ``is_counted``: no limit of theirs asks.
        """
        ...

    async def live_positions(
        self, *, account_ids: Sequence[int], symbols: Collection[str]
    ) -> Sequence[Position]:
        """Give the live positions of these accounts on these symbols, whoever opened them."""
        ...

    async def obstacles(
        self, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
    ) -> Mapping[UUID, Obstacles]:
        """Give what keeps the entry of each of these signals, on its symbol, out of these accounts."""
        ...

    async def entered_before(
        self, signal_ids: Collection[UUID], *, subscription_ids: Collection[UUID]
    ) -> frozenset[UUID]:
        """Give those of the subscriptions on which an entry of these signals has traded, or still may."""
        ...

    async def waiting_entries(
        self, bot_id: UUID, *, subscription_ids: Sequence[UUID]
    ) -> Sequence[WaitingEntry]:
        """Lock and give entries of the bot's subscriptions that wait until a position is closed."""
        ...

    async def live_positions_of_bot(
        self, bot_id: UUID, *, subscription_ids: Sequence[UUID], symbols: Collection[str] | None
    ) -> Sequence[Position]:
        """Lock and give the live positions of the bot's subscriptions on these symbols; None is all."""
        ...

    async def on_the_way(self, position_ids: Sequence[int]) -> Mapping[int, OnTheWay]:
        """Give what is on its way of each position that has something, or of which a restore made the database unsure."""
        ...

    async def lock_positions(self, position_ids: Sequence[int]) -> Mapping[int, Position]:
        """Lock and give positions by id, in the order of their ids."""
        ...

    async def new_position_ids(self, count: int) -> Sequence[int]:
        """Give so many fresh position ids."""
        ...

    async def planned_orders(self, order_ids: Sequence[str]) -> Mapping[str, OrderPlanned]:
        """Give the last planned attempt of each of these orders, as its fact."""
        ...

    async def open_attempts(self, order_ids: Sequence[str]) -> Mapping[str, int | None]:
        """
        Lock orders and give the attempt each stands at; None where it must not be tried again.

        Ids that are not there are left out.
        """
        ...

    async def attempts_of_claims(self, position_ids: Sequence[int]) -> Mapping[str, int | None]:
        """
        Give the orders of claims on these positions by id, as `open_attempts` does.

        Their positions' rows must be locked: nobody else writes them then.
        """
        ...

    async def accounts(self, account_ids: Sequence[int]) -> Mapping[int, Account]:
        """Give accounts by id."""
        ...

    async def untold_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> Sequence[VenueTrade]:
        """Give those of the venue's trades that are not booked here."""
        ...

    async def held_quantity(self, *, account_id: int, symbol: str) -> Decimal:
        """Give what our books hold on an account and symbol, signed: longs minus shorts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """What is known of one attempt to post an order to a webhook, where no answer is."""

    has_left: bool  # its destination may have it
    is_others: bool  # another worker that lives has it in hand
    honours_idempotency: bool  # its destination takes it once, however often it is posted


class Forwards(Protocol):
    """What became of the posts to webhooks, as far as it was written."""

    async def find_forward(self, order_id: str, *, attempt: int, owner: str) -> Forward | None:
        """Give what is known of an attempt, for this worker; None where there is no such attempt any more."""
        ...


class Parcels(Protocol):
    """What is to be posted to webhooks."""

    async def find_parcel(self, order_id: str) -> Parcel | None:
        """Give what is posted of an order; None where it, or its account's destination, is not there."""
        ...

    async def begin(self, attempt: OrderAttempt) -> bool:
        """
        Write that the attempt leaves now; from then on its destination may have it.

        False where it must not leave any more: another attempt has followed, or another worker has the order.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSignal:
    """A signal as it was sent, with what says whether it may be sent again."""

    signal_id: UUID
    bot_id: UUID
    source: str
    status: str
    received_at: datetime
    settled_at: datetime | None
    instruction: Instruction | None  # None: it was refused, or is not read yet
    retried_as: UUID | None = None
    newer_against: UUID | None = None  # the bot has gone the other way since


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLeg:
    """What a signal did with one order of a subscription, and what is there now."""

    order_id: str
    subscription_id: UUID
    account_id: int
    account: str
    leg: Leg
    symbol: str
    status: OrderStatus
    code: str | None
    filled_quantity: Decimal
    is_canceled: bool  # the subscription
    position_id: int | None  # live on the account and symbol, whoever opened it
    opened_at: datetime | None  # that position


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFollower:
    """A subscription of a bot on a paper account."""

    subscription_id: UUID
    account_id: int
    account: str
    is_active: bool  # the subscription and its account


class AgainBook(Protocol):
    """What is known of signals that may be sent again, in one transaction or outside."""

    async def find_sent(self, signal_id: UUID, *, is_locked: bool = False) -> SentSignal | None:
        """Give a signal; locked, nobody sends it again and none of its orders ends meanwhile."""
        ...

    async def legs_of(self, signal_id: UUID) -> Sequence[SentLeg]:
        """Give its orders by account."""
        ...

    async def paper_followers(self, bot_id: UUID) -> Sequence[PaperFollower]:
        """Give who follows the bot on paper, by account; canceled subscriptions are left out."""
        ...

    async def find_by_key(self, bot_id: UUID, *, dedupe_key: str) -> UUID | None:
        """Give the bot's signal with this key."""
        ...

    async def append(self, facts: Iterable[Fact]) -> None:
        """Journal the facts and fold them into the state."""
        ...


class AgainBooks(Protocol):
    """Where such a book is opened."""

    def open(self) -> AbstractAsyncContextManager[AgainBook]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...

    def look(self) -> AgainBook:
        """Give what only reads, each time by itself."""
        ...

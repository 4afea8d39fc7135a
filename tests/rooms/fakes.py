"""The books in memory, with the rules the rooms rely on: what is asked for must be there, ids come in order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.decisions.ports import NOTHING_DONE, NewerSignal, Record
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription, SubscriptionStatus
from pregao.domain.clock import to_ms
from pregao.domain.desk import Desk
from pregao.domain.facts import FillBooked, OrderPlanned
from pregao.domain.market import Market, MarketView
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.position import LIVE_STATUSES, Direction, Position, PositionStatus
from pregao.domain.prediction import Foretold
from pregao.domain.risk_rules import NO_RECORD, RiskRecord
from pregao.domain.screener import Listing, ticker_of
from pregao.domain.signal import Action, Instruction
from pregao.domain.trading_state import ALL_ACTIVE, TradingStates
from pregao.domain.user import User
from pregao.domain.venue import Quote, VenueTrade
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import (
    NOT_BEGUN,
    Grounded,
    Member,
    Obstacles,
    OnTheWay,
    Part,
    Progress,
    Tally,
    Usage,
    WaitingEntry,
    size_of_part,
)
from pregao.positions.ports import WaitingExit
from tests.builders import NOON, account, bot, position, subscription
from tests.fake_exchange import instrument

DESK = Desk(desk_id=UUID(int=77), owner="trader-1", lease_epoch=1)
PRICE = Decimal("95200.0")


class MovingClock:
    """A clock that moves when told."""

    def __init__(self, now=NOON) -> None:
        self.now = now

    def __call__(self):
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def market(*, price: Decimal = PRICE, now=NOON, venues=tuple(Venue), **changes) -> Market:
    """Give a market that trades BTCUSDT everywhere; ``changes`` are the instrument's."""
    view = MarketView(
        instrument=replace(instrument(), **changes),
        quote=Quote(symbol="BTCUSDT", last_price=price, bid=price, ask=price, quoted_at=now),
    )
    return Market(
        views={(venue, "BTCUSDT"): view for venue in venues}, venue_now_ms=dict.fromkeys(Venue, to_ms(now))
    )


@dataclass
class Loss:
    """What was lost on a day."""

    subscription_id: UUID
    account_id: int
    symbol: str
    day: date
    loss_usd: Decimal


@dataclass
class FakeBooks:
    """Implements the ports of decisions, orders, fills and positions."""

    bots: dict[UUID, Bot] = field(default_factory=dict)
    accounts_by_id: dict[int, Account] = field(default_factory=dict)
    subscriptions: list[Subscription] = field(default_factory=list)
    positions_by_id: dict[int, Position] = field(default_factory=dict)
    planned: dict[str, OrderPlanned] = field(default_factory=dict)
    own_orders: dict[str, OwnOrder] = field(default_factory=dict)
    entering: set[int] = field(default_factory=set)
    traded: set[int] = field(default_factory=set)
    attempts: dict[str, int | None] = field(default_factory=dict)
    fills: dict[FillKey, FillBooked] = field(default_factory=dict)
    users: dict[UUID, User] = field(default_factory=dict)  # those with limits of their own
    losses: list[Loss] = field(default_factory=list)
    records: dict[UUID, RiskRecord] = field(default_factory=dict)
    foreign: dict[tuple[int, str, PositionSide], Decimal] = field(default_factory=dict)
    leaving: dict[tuple[int, PositionSide], int] = field(default_factory=dict)
    unreconciled: set[int] = field(default_factory=set)
    listed: list[str] = field(default_factory=list)  # the screener's list
    foretold: dict[tuple[str, str | None], Foretold] = field(default_factory=dict)
    forgotten: set[tuple[int, UUID]] = field(
        default_factory=set
    )  # accounts, and signals from before a restore
    unsure: set[int] = field(default_factory=set)  # positions of which a restored database is not sure
    forgotten_exits: dict[int, str] = field(default_factory=dict)  # by position
    grounded: dict[tuple[int, UUID | None], Grounded] = field(default_factory=dict)
    waiting: list[WaitingEntry] = field(default_factory=list)
    entered: set[tuple[UUID, UUID]] = field(default_factory=set)  # by signal and subscription
    exits: dict[int, Decimal] = field(default_factory=dict)  # of positions whose exit closes only so much
    exits_waiting: dict[int, WaitingExit] = field(default_factory=dict)
    record: Record = NOTHING_DONE
    locked_bots: set[UUID] = field(default_factory=set)
    newer_against: dict[UUID, NewerSignal] = field(default_factory=dict)
    states: TradingStates = ALL_ACTIVE
    states_read: int = 0
    progress_by_signal: dict[UUID, Progress] = field(default_factory=dict)
    planned_accounts: int = 0  # of the signal that is planned in parts
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1_000))

    def take(self, *positions: Position) -> FakeBooks:
        """Hold these positions; at most one live one per account, symbol and side, as the database would."""
        for one in positions:
            rival = [
                other
                for other in self.positions_by_id.values()
                if _place(other) == _place(one) and other.status in LIVE_STATUSES
            ]
            assert not rival or one.status not in LIVE_STATUSES, "one live position per place"
            self.positions_by_id[one.position_id] = one
            if one.exit_signal_id is not None and one.status is not PositionStatus.CLOSING:
                # A close that waits has left its mark.
                self.exits_waiting[one.position_id] = WaitingExit(
                    position_id=one.position_id, signal_id=one.exit_signal_id, share=None
                )
        return self

    def reserve(self, order: OrderPlanned, *, standing: int | None = 1) -> FakeBooks:
        """Know a planned entry and the attempt it stands at, and hold its place, as the fold of its fact does."""
        self.planned[order.order_id] = order
        self.attempts[order.order_id] = standing
        if order.position_id not in self.positions_by_id:
            self.take(
                position(
                    order.position_id,
                    account_id=order.account_id,
                    bot_id=order.bot_id,
                    subscription_id=order.subscription_id,
                    signal_id=order.signal_id,
                    symbol=order.symbol,
                    position_side=order.position_side,
                )
            )
        return self

    # --- decisions and orders ---

    async def get_bot(self, bot_id: UUID) -> Bot:
        return self.bots[bot_id]

    async def trading_states(self) -> TradingStates:
        self.states_read += 1
        return self.states

    async def lock_bots(
        self, bot_ids: Collection[UUID], *, symbols: Collection[str] | None
    ) -> dict[UUID, int]:
        self.locked_bots.update(bot_ids)
        return {bot_id: len(await self.members(bot_id)) for bot_id in bot_ids}

    async def lock_bot(self, bot_id: UUID) -> Bot:
        self.locked_bots.add(bot_id)
        return self.bots[bot_id]

    async def read_record(self, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
        assert bot.bot_id in self.locked_bots, "what is counted must not change before it is used"
        return self.record

    async def find_listing(self, symbol: str | None) -> Listing:
        ticker = ticker_of(symbol or "") or ""
        rank = self.listed.index(ticker) + 1 if ticker in self.listed else None
        return Listing(
            ticker=ticker,
            strategy="small caps" if self.listed else "",
            size=len(self.listed),
            rank=rank,
            listed_at=NOON if self.listed else None,
        )

    async def find_foretold(self, model: str, symbol: str | None, *, now: datetime) -> Foretold | None:
        said = self.foretold.get((model, symbol))
        return said if said is not None and said.expires_at > now else None

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        return self.record.positions_against

    async def find_newer_against(
        self, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
    ) -> NewerSignal | None:
        assert instruction.action is Action.ENTER, "only an entry can come too late"
        return self.newer_against.get(signal_id)

    async def main_venue(self, bot_id: UUID) -> Venue | None:
        counted = Counter(
            self.accounts_by_id[one.account_id].venue
            for one in self.subscriptions
            if one.bot_id == bot_id and one.status is SubscriptionStatus.ACTIVE
        )
        return min(counted, key=lambda venue: (-counted[venue], venue), default=None)

    async def members(self, bot_id: UUID) -> list[Member]:
        return [
            Member(
                account=self.accounts_by_id[one.account_id],
                subscription=one,
            )
            for one in sorted(self.subscriptions, key=lambda one: one.account_id)
            if one.bot_id == bot_id
        ]

    async def progress(self, signal_id: UUID) -> Progress:
        return self.progress_by_signal.get(signal_id, NOT_BEGUN)

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
        members = [
            one
            for one in await self.members(bot_id)
            if only is None or one.subscription.subscription_id in only
        ]
        turn = start % len(members) if members else 0
        left = [*members[turn:], *members[:turn]][self.planned_accounts :]
        size = size_of_part(len(left), limit=limit, few=few)
        return Part(
            members=left[:size],
            progress=Progress(
                parts=after.parts + 1,
                first_account_id=members[turn].account.account_id if members else None,
                last_account_id=left[:size][-1].account.account_id if left else after.last_account_id,
            ),
            is_last=len(left) <= limit,
        )

    async def members_named(self, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
        return {
            one.subscription_id: Member(account=self.accounts_by_id[one.account_id], subscription=one)
            for one in self.subscriptions
            if one.subscription_id in subscription_ids
        }

    async def usage(
        self,
        bot_id: UUID,
        *,
        subscription_ids: Sequence[UUID],
        symbols: Collection[str],
        day: date,
        rules=None,
        is_counted: bool = True,
    ) -> Usage:
        live = [one for one in self.positions_by_id.values() if one.status in LIVE_STATUSES]
        ours = [one for one in live if one.bot_id == bot_id and is_counted]
        today = [one for one in self.losses if one.day == day]
        losses = today if is_counted else []

        def tally(subject, positions, lost):
            return Tally(
                positions=sum(subject(one) for one in positions),
                loss_usd=sum((one.loss_usd for one in lost if subject(one)), ZERO),
            )

        subscriptions = set(subscription_ids)
        followers = {one.subscription_id for one in self.subscriptions if one.bot_id == bot_id}
        return Usage(
            of_bot=tally(lambda one: one.subscription_id in followers, ours, losses),
            of_bot_on={
                symbol: tally(
                    lambda one, symbol=symbol: one.subscription_id in followers and one.symbol == symbol,
                    ours,
                    losses,
                )
                for symbol in symbols
            },
            of_subscriptions={
                key: tally(lambda one, key=key: one.subscription_id == key, ours, losses)
                for key in subscriptions
            },
            of_subscriptions_on={
                (key, symbol): tally(
                    lambda one, key=key, symbol=symbol: one.subscription_id == key and one.symbol == symbol,
                    ours,
                    losses,
                )
                for key in subscriptions
                for symbol in symbols
            },
            of_users={
                key: tally(
                    lambda one, key=key: self.accounts_by_id[one.account_id].user_id == key, live, today
                )
                for key in self.users
            },
            limited_users=self.users,
            records={key: self.records.get(key, NO_RECORD) for key in rules or {}},
        )

    async def obstacles(
        self, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
    ) -> dict[UUID, Obstacles]:
        return {
            one: self._obstacles(one, symbol=symbol, account_ids=account_ids)
            for one, symbol in symbols.items()
        }

    def _obstacles(self, signal_id: UUID, *, symbol: str, account_ids: Sequence[int]) -> Obstacles:
        return Obstacles(
            foreign={
                (account_id, side): quantity
                for (account_id, place, side), quantity in self.foreign.items()
                if account_id in account_ids and place == symbol and quantity
            },
            unreconciled=frozenset(self.unreconciled & set(account_ids)),
            forgotten=frozenset(
                number for number, of in self.forgotten if of == signal_id and number in account_ids
            ),
            grounded={key: why for key, why in self.grounded.items() if key[0] in account_ids},
            leaving={key: number for key, number in self.leaving.items() if key[0] in account_ids},
        )

    async def entered_before(
        self, signal_ids: Collection[UUID], *, subscription_ids: Collection[UUID]
    ) -> frozenset[UUID]:
        return frozenset(one for of, one in self.entered if of in signal_ids and one in subscription_ids)

    async def waiting_entries(self, bot_id: UUID, *, subscription_ids: Sequence[UUID]) -> list[WaitingEntry]:
        return [
            one for one in self.waiting if one.bot_id == bot_id and one.subscription_id in subscription_ids
        ]

    async def on_the_way(self, position_ids: Sequence[int]) -> Mapping[int, OnTheWay]:
        found = {}
        for number in position_ids:
            one = self.positions_by_id[number]
            # An exit that waits or is on its way has left its mark on the position; all of it unless said otherwise.
            is_leaving = one.exit_signal_id is not None or one.status is PositionStatus.CLOSING
            has_orders = is_leaving or number in self.entering
            forgotten = self.forgotten_exits.get(number)
            if has_orders or number in self.unsure or forgotten:
                found[number] = OnTheWay(
                    is_entering=number in self.entering,
                    is_leaving=is_leaving,
                    leaving=self.exits.get(number) if is_leaving else ZERO,
                    has_orders=has_orders,
                    is_unsure=number in self.unsure,
                    forgotten_exits=frozenset([forgotten] if forgotten else []),
                )
        return found

    async def waiting_exits(self, position_ids: Sequence[int]) -> Mapping[int, WaitingExit]:
        return {one: self.exits_waiting[one] for one in position_ids if one in self.exits_waiting}

    async def live_positions(self, *, account_ids: Sequence[int], symbols: Collection[str]) -> list[Position]:
        return [
            one
            for one in self.positions_by_id.values()
            if one.account_id in account_ids and one.symbol in symbols and one.status in LIVE_STATUSES
        ]

    async def live_positions_of_bot(
        self, bot_id: UUID, *, subscription_ids: Sequence[UUID], symbols: Collection[str] | None
    ) -> list[Position]:
        return [
            one
            for one in self.positions_by_id.values()
            if one.bot_id == bot_id
            and one.subscription_id in subscription_ids
            and (symbols is None or one.symbol in symbols)
            and one.status in LIVE_STATUSES
        ]

    async def lock_positions(self, position_ids: Sequence[int]) -> Mapping[int, Position]:
        return {number: self.positions_by_id[number] for number in sorted(set(position_ids))}

    async def new_position_ids(self, count: int) -> list[int]:
        return list(itertools.islice(self._ids, count))

    async def planned_orders(self, order_ids: Sequence[str]) -> Mapping[str, OrderPlanned]:
        return {one: self.planned[one] for one in order_ids}

    async def open_attempts(self, order_ids: Sequence[str]) -> Mapping[str, int | None]:
        return {one: self.attempts[one] for one in order_ids if one in self.attempts}

    async def attempts_of_claims(self, position_ids: Sequence[int]) -> Mapping[str, int | None]:
        return dict(self.attempts)

    async def last_trades(self, position_ids: Sequence[int]) -> Mapping[int, datetime]:
        last: dict[int, datetime] = {}
        for fact in self.fills.values():
            if fact.position_id in position_ids:
                last[fact.position_id] = max(
                    fact.trade.traded_at, last.get(fact.position_id, fact.trade.traded_at)
                )
        return last

    async def traded_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        return frozenset(self.traded & set(position_ids))

    async def accounts(self, account_ids: Sequence[int]) -> Mapping[int, Account]:
        return {one: self.accounts_by_id[one] for one in account_ids}

    async def untold_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> list[VenueTrade]:
        return [t for t in trades if (account_id, symbol, t.trade_id, t.exchange_order_id) not in self.fills]

    async def held_quantity(self, *, account_id: int, symbol: str) -> Decimal:
        return sum(
            (
                one.quantity if one.direction is Direction.LONG else -one.quantity
                for one in await self.live_positions(account_ids=[account_id], symbols=[symbol])
            ),
            ZERO,
        )

    # --- fills ---

    async def booked(self, keys: Sequence[FillKey]) -> frozenset[FillKey]:
        return frozenset(keys) & frozenset(self.fills)

    async def lock_orders(self, order_ids: Sequence[str]) -> Mapping[str, OwnOrder]:
        assert list(order_ids) == sorted(set(order_ids)), (
            "locks are taken in one order, or they meet in a circle"
        )
        return {one: self.own_orders[one] for one in order_ids if one in self.own_orders}

    async def open_position(
        self, *, account_id: int, symbol: str, position_side: PositionSide
    ) -> OpenPosition | None:
        for one in await self.live_positions(account_ids=[account_id], symbols=[symbol]):
            if one.position_side is position_side:
                return OpenPosition(
                    position_id=one.position_id,
                    entry_side=one.direction.entry_side,
                    quantity=one.quantity,
                    opened_at=one.opened_at,
                )
        return None

    async def is_entering(self, position_id: int) -> bool:
        return position_id in self.entering

    async def margin_assets(self, account_ids: Sequence[int]) -> Mapping[int, str]:
        return {one: self.accounts_by_id[one].margin_asset for one in account_ids}

    def keep(self, booked: Sequence[FillBooked]) -> None:
        """Fold bookings as the database does: a key that is there already is a defect."""
        for fact in booked:
            key = (fact.account_id, fact.trade.symbol, fact.trade.trade_id, fact.trade.exchange_order_id)
            assert key not in self.fills, "booked twice"
            self.fills[key] = fact
            if fact.order_id in self.own_orders:
                own = self.own_orders[fact.order_id]
                self.own_orders[fact.order_id] = replace(
                    own, filled_quantity=own.filled_quantity + fact.trade.quantity
                )


def _place(position: Position) -> tuple[int, str, PositionSide]:
    return position.account_id, position.symbol, position.position_side


def books(*, accounts: int = 1, account_changes=None, bots=None, **subscription_changes) -> FakeBooks:
    """Give a desk with one bot and so many subscribed accounts."""
    return FakeBooks(
        bots={one.bot_id: one for one in bots or [bot()]},
        accounts_by_id={one: account(one, **(account_changes or {})) for one in range(1, accounts + 1)},
        subscriptions=[subscription(one, **subscription_changes) for one in range(1, accounts + 1)],
    )

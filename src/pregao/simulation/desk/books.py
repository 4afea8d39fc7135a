"""The books in memory, as planning, booking, updating and deciding ask for them."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pregao.decisions.ports import NewerSignal, Record
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, SubscriptionStatus
from pregao.domain.execution import close_reason
from pregao.domain.facts import OrderPlanned
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionSide
from pregao.domain.position import Position
from pregao.domain.prediction import Foretold
from pregao.domain.risk_rules import RiskRules
from pregao.domain.screener import Listing, ticker_of
from pregao.domain.signal import Instruction
from pregao.domain.trading_state import TradingStates
from pregao.domain.venue import VenueTrade
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import (
    NOT_BEGUN,
    Member,
    Obstacles,
    OnTheWay,
    Part,
    Progress,
    Usage,
    WaitingEntry,
    size_of_part,
)
from pregao.positions.ports import WaitingExit
from pregao.simulation.desk import guards, records
from pregao.simulation.desk.held import signed_quantity
from pregao.simulation.desk.obstacles import read_obstacles
from pregao.simulation.desk.on_the_way import read_on_the_way
from pregao.simulation.desk.state import NOT_SENT_FOR_GOOD, ON_ITS_WAY, OrderRow, State
from pregao.simulation.desk.trading_states import standing_states
from pregao.simulation.desk.usage import read_usage
from pregao.simulation.desk.waiting import to_waiting_entry, to_waiting_exit, waiting_exits
from pregao.stops.ports import ArmedStop, ExitScene, Guard, Line

Read = Callable[[], State]
"""Gives the state as it stands at the moment."""


class MemoryBooks:
    """The ports of orders, fills, positions and decisions, over a state that one may read."""

    def __init__(self, read: Read, *, take_ids: Callable[[int], Sequence[int]]) -> None:
        """Answer from what ``read`` gives; ``take_ids`` gives position ids that nobody was given before."""
        self._read = read
        self._take_ids = take_ids

    @property
    def _state(self) -> State:
        return self._read()

    # --- decisions ---

    async def get_bot(self, bot_id: UUID) -> Bot:
        assert bot_id in self._state.bots, f"BOT_UNKNOWN: bot_id={bot_id}"
        return self._state.bots[bot_id]

    async def lock_bot(self, bot_id: UUID) -> Bot:
        return await self.get_bot(bot_id)

    async def lock_bots(
        self,
        bot_ids: Collection[UUID],
        *,
        symbols: Collection[str] | None,  # noqa: ARG002
    ) -> dict[UUID, int]:
        """Lock nothing: one transaction at a time."""
        return {bot_id: len(await self.members(bot_id)) for bot_id in bot_ids}

    async def trading_states(self) -> TradingStates:
        return standing_states(self._state)

    async def read_record(self, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
        return records.read_record(self._state, bot, instruction, now=now)

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        return records.count_against(self._state, instruction, bot_id=bot_id)

    async def find_newer_against(
        self, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
    ) -> NewerSignal | None:
        return records.find_newer_against(self._state, signal_id, bot_id=bot_id, instruction=instruction)

    async def find_listing(self, symbol: str | None) -> Listing:
        ticker = ticker_of(symbol or "") or ""
        if not self._state.listed:
            return Listing(ticker=ticker, strategy="", size=0, rank=None, listed_at=None)
        (stands,) = self._state.listed
        return Listing(
            ticker=ticker,
            strategy=stands.strategy,
            size=len(stands.tickers),
            rank=stands.tickers.index(ticker) + 1 if ticker in stands.tickers else None,
            listed_at=stands.happened_at,
        )

    async def find_foretold(self, model: str, symbol: str | None, *, now: datetime) -> Foretold | None:  # noqa: ARG002
        """Memory has no lab: nobody foretells anything."""
        return None

    async def main_venue(self, bot_id: UUID) -> Venue | None:
        accounts = [
            self._state.accounts[one.account_id]
            for one in self._state.subscriptions.values()
            if one.bot_id == bot_id and one.status is SubscriptionStatus.ACTIVE
        ]
        counted = Counter(one.venue for one in accounts if one.is_active)
        return min(counted, key=lambda venue: (-counted[venue], venue), default=None)

    # --- orders ---

    async def members(self, bot_id: UUID) -> list[Member]:
        of_bot = [one for one in self._state.subscriptions.values() if one.bot_id == bot_id]
        return [self._member(one.subscription_id) for one in sorted(of_bot, key=lambda one: one.account_id)]

    async def progress(self, signal_id: UUID) -> Progress:
        row = self._state.signals.get(signal_id)
        if row is None:
            return NOT_BEGUN
        return Progress(
            parts=row.parts, first_account_id=row.first_account_id, last_account_id=row.last_account_id
        )

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
        first, last = after.first_account_id, after.last_account_id
        if first is None and members:
            first = members[start % len(members)].account.account_id

        def turn(account_id: int) -> tuple[bool, int]:
            """The accounts from the first one up, then those below it."""
            return first is not None and account_id < first, account_id

        left = sorted(
            (one for one in members if last is None or turn(one.account.account_id) > turn(last)),
            key=lambda one: turn(one.account.account_id),
        )
        size = size_of_part(len(left), limit=limit, few=few)
        return Part(
            members=left[:size],
            progress=Progress(
                parts=after.parts + 1,
                first_account_id=first,
                last_account_id=left[:size][-1].account.account_id if left else last,
            ),
            is_last=len(left) <= limit,
        )

    async def members_named(self, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
        return {
            one: self._member(one)
            for one in sorted(self._state.subscriptions)
            if one in set(subscription_ids)
        }

    def _member(self, subscription_id: UUID) -> Member:
        subscription = self._state.subscriptions[subscription_id]
        return Member(account=self._state.accounts[subscription.account_id], subscription=subscription)

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
        return read_usage(
            self._state,
            bot_id,
            subscription_ids=subscription_ids,
            symbols=symbols,
            day=day,
            rules=rules,
            is_counted=is_counted,
        )

    async def live_positions(self, *, account_ids: Sequence[int], symbols: Collection[str]) -> list[Position]:
        wanted = set(account_ids)
        return [one for one in self._state.live() if one.account_id in wanted and one.symbol in symbols]

    async def live_positions_of_bot(
        self, bot_id: UUID, *, subscription_ids: Sequence[UUID], symbols: Collection[str] | None
    ) -> list[Position]:
        meant = set(subscription_ids)
        return [
            one
            for one in self._state.live()
            if one.bot_id == bot_id
            and one.subscription_id in meant
            and (symbols is None or one.symbol in symbols)
        ]

    async def obstacles(
        self, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
    ) -> dict[UUID, Obstacles]:
        return read_obstacles(self._state, symbols, account_ids=account_ids)

    async def entered_before(
        self, signal_ids: Collection[UUID], *, subscription_ids: Collection[UUID]
    ) -> frozenset[UUID]:
        return frozenset(
            row.subscription_id
            for row in self._state.orders.values()
            if row.signal_id in signal_ids
            and row.subscription_id in subscription_ids
            and row.leg is Leg.ENTRY
            and (row.filled_quantity or row.status not in (OrderStatus.DENIED, OrderStatus.REJECTED))
        )

    async def waiting_entries(self, bot_id: UUID, *, subscription_ids: Sequence[UUID]) -> list[WaitingEntry]:
        meant = set(subscription_ids)
        waiting = [
            row
            for row in self._state.orders.values()
            if row.bot_id == bot_id
            and row.subscription_id in meant
            and row.status is OrderStatus.DEFERRED
            and row.leg is Leg.ENTRY
        ]
        return [to_waiting_entry(row) for row in sorted(waiting, key=lambda row: row.order_id)]

    async def on_the_way(self, position_ids: Sequence[int]) -> dict[int, OnTheWay]:
        return read_on_the_way(self._state, position_ids)

    async def lock_positions(self, position_ids: Sequence[int]) -> dict[int, Position]:
        rows = self._state.positions
        return {one: rows[one].position for one in sorted(set(position_ids)) if one in rows}

    async def new_position_ids(self, count: int) -> list[int]:
        return list(self._take_ids(count))

    async def planned_orders(self, order_ids: Sequence[str]) -> dict[str, OrderPlanned]:
        last: dict[str, OrderPlanned] = {}
        for fact in self._state.journal:
            if isinstance(fact, OrderPlanned) and fact.order_id in order_ids:
                known = last.get(fact.order_id)
                if known is None or fact.attempt > known.attempt:
                    last[fact.order_id] = fact
        return {one: last[one] for one in sorted(last)}

    async def open_attempts(self, order_ids: Sequence[str]) -> dict[str, int | None]:
        rows = [self._state.orders[one] for one in sorted(set(order_ids)) if one in self._state.orders]
        return {row.order_id: row.attempt if row.status in NOT_SENT_FOR_GOOD else None for row in rows}

    async def attempts_of_claims(self, position_ids: Sequence[int]) -> dict[str, int | None]:
        rows = [
            row for row in self._state.orders.values() if row.execution and row.position_id in position_ids
        ]
        return {row.order_id: row.attempt if row.status in NOT_SENT_FOR_GOOD else None for row in rows}

    async def accounts(self, account_ids: Sequence[int]) -> dict[int, Account]:
        return {one: self._state.accounts[one] for one in account_ids if one in self._state.accounts}

    async def untold_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> list[VenueTrade]:
        fills = self._state.fills
        return [t for t in trades if (account_id, symbol, t.trade_id, t.exchange_order_id) not in fills]

    async def held_quantity(self, *, account_id: int, symbol: str) -> Decimal:
        live = await self.live_positions(account_ids=[account_id], symbols=[symbol])
        return sum((signed_quantity(one) for one in live), ZERO)

    # --- fills ---

    async def booked(self, keys: Sequence[FillKey]) -> frozenset[FillKey]:
        return frozenset(one for one in keys if one in self._state.fills)

    async def lock_orders(self, order_ids: Sequence[str]) -> dict[str, OwnOrder]:
        rows = [self._state.orders[one] for one in sorted(set(order_ids)) if one in self._state.orders]
        return {
            row.order_id: OwnOrder(
                order_id=row.order_id,
                signal_id=row.signal_id,
                position_id=row.position_id,
                quantity=row.quantity,
                filled_quantity=row.filled_quantity,
                close_reason=self._close_reason(row),
            )
            for row in rows
            if row.quantity is not None and row.position_id is not None
        }

    def _close_reason(self, row: OrderRow) -> str | None:
        stop = self._state.stops.get(row.position_id or 0)
        for one in self._state.stop_claims.values():
            claimed = one.claimed
            if row.execution is None or stop is None or claimed.order_id != row.order_id:
                continue
            if claimed.position_id == row.position_id:
                at_level = replace(stop.armed.stop, stop_price=claimed.level)
                return close_reason(at_level, kind=claimed.kind)
        return None

    async def guarded_positions(self, position_ids: Sequence[int]) -> dict[int, OpenPosition]:
        stops = self._state.stops
        return {
            number: OpenPosition(
                position_id=number,
                entry_side=one.direction.entry_side,
                quantity=one.quantity,
                opened_at=one.opened_at,
                signal_id=one.signal_id,
                close_reason=close_reason(stops[number].armed.stop),
            )
            for number, one in (await self.lock_positions(position_ids)).items()
            if number in stops
        }

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

    async def margin_assets(self, account_ids: Sequence[int]) -> dict[int, str]:
        return {key: one.margin_asset for key, one in (await self.accounts(account_ids)).items()}

    # --- stops ---

    async def guards(self, positions: Sequence[Position]) -> dict[int, Guard]:
        return guards.read_guards(self._state, positions)

    async def exit_scene(self, positions: Sequence[Position], *, since: datetime) -> ExitScene:
        return guards.read_scene(self._state, positions, since=since)

    async def lines(self, protection_ids: Sequence[str]) -> dict[str, tuple[Line, ArmedStop]]:
        rows = [self._state.protections[one] for one in protection_ids if one in self._state.protections]
        stops = self._state.stops
        return {
            row.line.protection_id: (row.line, stops[row.line.position_id].armed)
            for row in rows
            if row.line.position_id in stops
        }

    # --- positions ---

    async def last_trades(self, position_ids: Sequence[int]) -> dict[int, datetime]:
        last: dict[int, datetime] = {}
        for fact in self._state.fills.values():
            if fact.position_id is not None and fact.position_id in position_ids:
                at = fact.trade.traded_at
                last[fact.position_id] = max(at, last.get(fact.position_id, at))
        return last

    async def is_entering(self, position_id: int) -> bool:
        return any(
            row.position_id == position_id and row.leg is Leg.ENTRY and row.status in ON_ITS_WAY
            for row in self._state.orders.values()
        )

    async def traded_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        return frozenset(
            row.position_id
            for row in self._state.orders.values()
            if row.position_id is not None and row.position_id in position_ids and row.status in ON_ITS_WAY
        )

    async def waiting_exits(self, position_ids: Sequence[int]) -> dict[int, WaitingExit]:
        oldest: dict[int, WaitingExit] = {}
        for row in waiting_exits(self._state):
            if row.position_id is not None and row.position_id in position_ids:
                oldest.setdefault(row.position_id, to_waiting_exit(row))
        return dict(sorted(oldest.items()))

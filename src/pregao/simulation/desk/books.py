"""The books in memory, as planning, booking, updating and deciding ask for them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from pregao.decisions.checks import goes_against
from pregao.decisions.ports import NewerSignal, Record
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription, SubscriptionStatus
from pregao.domain.facts import DecisionApproved, OrderPlanned
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionSide
from pregao.domain.position import LIVE_STATUSES, Direction, Position
from pregao.domain.prediction import Foretold
from pregao.domain.protection import MAY_TRADE
from pregao.domain.risk_rules import Result, RiskRecord, RiskRules, record_of
from pregao.domain.screener import Listing, ticker_of
from pregao.domain.signal import Action, AgainKind, Instruction
from pregao.domain.stop import ExecutionStatus, close_reason
from pregao.domain.trading_state import ScopeState, TradingState, TradingStates
from pregao.domain.user import User
from pregao.domain.venue import VenueTrade
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import (
    NOT_BEGUN,
    NOTHING_ON_THE_WAY,
    NOTHING_USED,
    Grounded,
    Member,
    Obstacles,
    OnTheWay,
    Part,
    Progress,
    Tally,
    Usage,
    WaitingEntry,
)
from pregao.positions.ports import WaitingExit
from pregao.simulation.desk.folds import NOT_SENT_FOR_GOOD, day_of, exit_side
from pregao.simulation.desk.months import months_over
from pregao.simulation.desk.state import ON_ITS_WAY, OrderRow, SignalRow, State
from pregao.stops.asked import asked_of, said_by_strategy
from pregao.stops.claims import order_of_claim
from pregao.stops.limits import limits_of
from pregao.stops.ports import ArmedStop, Asked, Claimed, ExitScene, Guard, Line

TRADED = ("approved", "planned", "settled")

K = TypeVar("K")

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
        entered = [
            row
            for row in self._state.signals.values()
            if row.bot_id == bot.bot_id
            and row.action is Action.ENTER
            and row.status in TRADED
            and row.source != AgainKind.REPLAY
        ]
        live = [one for one in self._state.live() if one.bot_id == bot.bot_id]
        counts_positions = bot.global_max_positions is not None
        is_against = goes_against(bot, instruction)
        return Record(
            last_entry_at=_last_entry(entered, bot, instruction, now=now),
            entries_today=_entries_on(entered, day_of(now)) if bot.max_entries_per_day is not None else 0,
            live_positions=len(live) if counts_positions else 0,
            positions_here=sum(one.symbol == instruction.symbol for one in live) if counts_positions else 0,
            loss_today_usd=self._loss_of_bot(bot, day_of(now)),
            positions_against=await self.count_against(instruction, bot_id=bot.bot_id) if is_against else 0,
        )

    def _loss_of_bot(self, bot: Bot, day: date) -> Decimal:
        if bot.global_max_daily_loss_usd is None:
            return ZERO
        days = (row for row in self._state.daily_results.values() if row.day == day)
        closed = sum((row.counted_loss_usd for row in days if row.bot_id == bot.bot_id), ZERO)
        live = (one for one in self._state.live() if one.bot_id == bot.bot_id)
        return closed + sum((self._lost_in_part(one, day) for one in live), ZERO)

    def _lost_in_part(self, position: Position, day: date) -> Decimal:
        """What a live position has lost with what was exited of it, if some of that was on this day."""
        if position.realized_pnl >= ZERO or position.exited_quantity <= ZERO:
            return ZERO
        exited = any(
            fact.position_id == position.position_id
            and fact.trade.side is exit_side(position.direction)
            and day_of(fact.trade.traded_at) == day
            for fact in self._state.fills.values()
        )
        return -position.realized_pnl if exited else ZERO

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

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        assert instruction.side is not None, "an entry has a side"
        against = instruction.side.opposite
        held = sum(
            one.bot_id == bot_id
            and one.symbol == instruction.symbol
            and one.direction is Direction.of_entry(against)
            for one in self._state.live()
        )
        waiting = sum(
            row.bot_id == bot_id
            and row.symbol == instruction.symbol
            and row.side is against
            and row.status is OrderStatus.DEFERRED
            and row.leg is Leg.ENTRY
            for row in self._state.orders.values()
        )
        return held + waiting

    async def find_newer_against(
        self, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
    ) -> NewerSignal | None:
        assert instruction.side is not None, "an entry has a side"
        asked = self._state.signals.get(signal_id)
        if asked is None:
            return None
        newer = [
            row
            for row in self._state.signals.values()
            if row.bot_id == bot_id
            and (row.received_at, row.signal_id) > (asked.received_at, signal_id)
            and row.status in TRADED
            and (row.symbol == instruction.symbol or row.action is Action.CLOSE_ALL)
            and row.side in (instruction.side.opposite, None)
            and self._concerns_all(row.signal_id)
        ]
        last = max(newer, key=_arrival, default=None)
        if last is None:
            return None
        assert last.action is not None, "what was decided has been read"
        return NewerSignal(signal_id=last.signal_id, action=last.action, received_at=last.received_at)

    def _concerns_all(self, signal_id: UUID) -> bool:
        approved = next(
            (
                fact.instruction
                for fact in self._state.journal
                if isinstance(fact, DecisionApproved) and fact.signal_id == signal_id
            ),
            None,
        )
        return approved is None or (approved.share is None and approved.only is None)

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
        self, bot_id: UUID, *, after: Progress, start: int, limit: int, only: Collection[UUID] | None = None
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
        return Part(
            members=left[:limit],
            progress=Progress(
                parts=after.parts + 1,
                first_account_id=first,
                last_account_id=left[:limit][-1].account.account_id if left else last,
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
        everything = [
            *(
                (one.subscription_id, one.symbol, Tally(positions=1, loss_usd=self._lost_in_part(one, day)))
                for one in self._state.live()
                if one.bot_id == bot_id
            ),
            *(
                (one.subscription_id, one.symbol, Tally(positions=1))
                for one in self._state.may_open_again()
                if one.bot_id == bot_id
            ),
            *(
                (row.subscription_id, row.symbol, Tally(loss_usd=row.counted_loss_usd))
                for row in self._state.daily_results.values()
                if row.bot_id == bot_id and row.day == day
            ),
        ]
        used = everything if is_counted else []
        limited = self._limited_users(bot_id)
        here = [one for one in used if one[1] in symbols]
        own = set(subscription_ids)
        return Usage(
            of_bot=_total(tally for _, _, tally in used),
            of_bot_on=_summed((symbol, tally) for _, symbol, tally in here),
            of_subscriptions=_summed((one, tally) for one, _, tally in used if one in own),
            of_subscriptions_on=_summed(((one, symbol), tally) for one, symbol, tally in here if one in own),
            of_users={user_id: self._used_by(user_id, day) for user_id in limited},
            limited_users=limited,
            months=months_over(self._state, limited.values(), day=day),
            records={one: self._record(one, rule, day=day) for one, rule in (rules or {}).items()},
        )

    def _record(self, subscription_id: UUID, rules: RiskRules, *, day: date) -> RiskRecord:
        own = [
            row.position
            for row in self._state.positions.values()
            if row.position.subscription_id == subscription_id
        ]
        closed = [one for one in own if one.closed_at is not None]
        if rules.since is not None:
            closed = [one for one in closed if one.closed_at is not None and one.closed_at >= rules.since]
        closed.sort(key=lambda one: (one.closed_at, one.position_id))
        live = sorted((one for one in own if one.closed_at is None), key=lambda one: one.position_id)
        began = datetime.combine(day, time(), UTC)
        return record_of(
            [Result(one.realized_pnl, one.closed_at) for one in (*closed, *live)],
            day=began,
            week=began - timedelta(days=day.weekday()),
        )

    def _limited_users(self, bot_id: UUID) -> dict[UUID, User]:
        accounts = {one.account_id for one in self._state.subscriptions.values() if one.bot_id == bot_id}
        owners = {self._state.accounts[one].user_id for one in accounts}
        return {
            key: user
            for key, user in sorted(self._state.users.items())
            if key in owners
            and (
                user.max_positions is not None
                or user.max_daily_loss_usd is not None
                or user.risk_capital_usd is not None
            )
        }

    def _used_by(self, user_id: UUID, day: date) -> Tally:
        accounts = {one.account_id for one in self._state.accounts.values() if one.user_id == user_id}
        live = [one for one in self._state.live() if one.account_id in accounts]
        again = sum(one.account_id in accounts for one in self._state.may_open_again())
        closed = (
            row.counted_loss_usd
            for row in self._state.daily_results.values()
            if row.account_id in accounts and row.day == day
        )
        in_part = sum((self._lost_in_part(one, day) for one in live), ZERO)
        return Tally(positions=len(live) + again, loss_usd=in_part + sum(closed, ZERO))

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
        wanted = frozenset(account_ids)
        return {one: self._obstacles(one, symbol=symbol, wanted=wanted) for one, symbol in symbols.items()}

    def _obstacles(self, signal_id: UUID, *, symbol: str, wanted: frozenset[int]) -> Obstacles:
        asked = self._state.signals.get(signal_id)
        return Obstacles(
            foreign={
                (account_id, side): row.quantity
                for (account_id, where, side), row in self._state.foreign_positions.items()
                if account_id in wanted and where == symbol and row.quantity
            },
            unreconciled=frozenset(
                account_id
                for account_id, row in self._state.account_checks.items()
                if account_id in wanted and row.unreconciled_since is not None
            ),
            forgotten=frozenset(
                account_id
                for account_id, row in self._state.account_checks.items()
                if account_id in wanted
                and asked is not None
                and row.restored_at is not None
                and row.restored_at >= asked.received_at
            ),
            grounded={
                (row.account_id, row.subscription_id): Grounded(code=row.code, reason=row.reason)
                for row in reversed(self._state.grounded)
                if row.account_id in wanted and row.symbol in ("", symbol)
            },
            leaving={
                (account_id, side): number
                for number, account_id, where, side in sorted(self._leaving())
                if account_id in wanted and where == symbol
            },
        )

    def _leaving(self) -> Iterator[tuple[int, int, str, PositionSide]]:
        """Give flat positions whose protective orders are not known to be taken back, or that have an order on its way."""
        flat = {
            number: row.position
            for number, row in self._state.positions.items()
            if row.position.status not in LIVE_STATUSES
        }
        for number, stop in self._state.stops.items():
            armed = stop.armed
            if number in flat and armed.left_at is None:
                yield number, armed.account_id, armed.symbol, armed.position_side
        for order in self._state.orders.values():
            number = order.position_id or 0
            if number in flat and order.status in ON_ITS_WAY:
                yield number, order.account_id, order.symbol, flat[number].position_side

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
        found: dict[int, OnTheWay] = {}
        for position_id in position_ids:
            rows = [
                row
                for row in self._state.orders.values()
                if row.position_id == position_id and row.status in {OrderStatus.DEFERRED, *ON_ITS_WAY}
            ]
            ahead = _on_the_way(rows) if rows else NOTHING_ON_THE_WAY
            if rows or self._was_restored(position_id):
                found[position_id] = self._with_past(ahead, position_id)
        return found

    def _was_restored(self, position_id: int) -> bool:
        held = self._state.positions.get(position_id)
        check = None if held is None else self._state.account_checks.get(held.position.account_id)
        return check is not None and check.restored_at is not None

    def _with_past(self, ahead: OnTheWay, position_id: int) -> OnTheWay:
        if not self._was_restored(position_id):
            return ahead
        orders = self._state.orders
        traded = {fact.order_id for fact in self._state.fills.values() if fact.position_id == position_id}
        return replace(
            ahead,
            is_unsure=is_unsure(self._state, self._state.positions[position_id].position.account_id),
            forgotten_exits=frozenset(
                one for one in traded if one is not None and (one not in orders or not orders[one].attempt)
            ),
        )

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
        return {one.position_id: self._guard(one) for one in positions}

    def _asked(self, position: Position, subscription: Subscription) -> Asked:
        state = self._state
        asked = asked_of(state.bots[position.bot_id], subscription, symbol=position.symbol)
        signal = state.signals.get(position.signal_id)
        if signal is None or not state.bots[position.bot_id].takes_strategies:
            return asked
        return said_by_strategy(asked, stop_percent=signal.stop_percent, target_percent=signal.target_percent)

    def _guard(self, position: Position) -> Guard:
        state, number = self._state, position.position_id
        stop = state.stops.get(number)
        own = sorted(
            (row.line for row in state.protections.values() if row.line.position_id == number),
            key=lambda line: line.version,
        )
        if stop is None:
            own = []
        subscription = state.subscriptions[position.subscription_id]
        return Guard(
            armed=None if stop is None else stop.armed,
            asked=self._asked(position, subscription)
            if stop is None
            else Asked(rule=stop.armed.stop.rule, is_required=stop.armed.is_required),
            venue=state.accounts[subscription.account_id].venue,
            lines=tuple(line for line in own if line.status in MAY_TRADE),
            lines_made=own[-1].version if own else 0,
            claims=() if stop is None else tuple(self._claims(number)),
            is_entering=any(
                row.position_id == number and row.leg is Leg.ENTRY and row.status in ON_ITS_WAY
                for row in state.orders.values()
            ),
        )

    def _claims(self, position_id: int) -> list[Claimed]:
        found = []
        for row in self._state.stop_claims.values():
            claimed = replace(row.claimed, code=row.code)
            is_over = claimed.status is ExecutionStatus.EXECUTED or (
                claimed.status is ExecutionStatus.FAILED and claimed.again_at is None
            )
            if claimed.position_id == position_id and not is_over:
                order = self._state.orders.get(claimed.order_id or "")
                found.append(
                    claimed
                    if order is None
                    else replace(
                        claimed,
                        order_status=order.status,
                        filled_quantity=order.filled_quantity,
                        filled_notional=order.filled_notional,
                    )
                )
        return sorted(found, key=order_of_claim)

    async def exit_scene(self, positions: Sequence[Position], *, since: datetime) -> ExitScene:
        state = self._state
        accounts = {number: state.accounts[number] for number in {one.account_id for one in positions}}
        users = {one.user_id for one in accounts.values() if one.user_id is not None}
        return ExitScene(
            guards={
                one.position_id: self._guard(one)
                for one in positions
                if state.stops.get(one.position_id) is not None
            },
            accounts=accounts,
            states=standing_states(state),
            executions={number: self._executions(one, since=since) for number, one in accounts.items()},
            limits={one: limits_of(state.users[one]) for one in users if one in state.users},
        )

    def _executions(self, account: Account, *, since: datetime) -> list[datetime]:
        user_id = account.user_id
        own = {account.account_id} | {
            number
            for number, one in self._state.accounts.items()
            if user_id is not None and one.user_id == user_id
        }
        return sorted(
            row.planned_at
            for row in self._state.orders.values()
            if row.execution is not None and row.planned_at >= since and row.account_id in own
        )

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
        for row in sorted(waiting_exits(self._state), key=lambda row: (row.planned_at, row.signal_id)):
            if row.position_id is not None and row.position_id in position_ids:
                oldest.setdefault(row.position_id, to_waiting_exit(row))
        return dict(sorted(oldest.items()))


def standing_states(state: State) -> TradingStates:
    """Give what is not active, at the version that was set last."""
    standing = [
        ScopeState(
            level=fact.level,
            subject=fact.subject,
            name=fact.name,
            state=fact.state,
            block_exits=fact.block_exits,
            reason=fact.reason,
            version=fact.version,
        )
        for fact in sorted(state.trading_states.values(), key=lambda fact: fact.version)
        if fact.state is not TradingState.ACTIVE
    ]
    version = max((fact.version for fact in state.trading_states.values()), default=0)
    return TradingStates(standing, version=version)


def is_unsure(state: State, account_id: int) -> bool:
    """Say whether the books were put back, and what has traded on the account since is not told yet."""
    row = state.account_checks.get(account_id)
    return row is not None and row.is_unsure


def waiting_exits(state: State) -> list[OrderRow]:
    """Give the exits that wait."""
    return [
        row for row in state.orders.values() if row.status is OrderStatus.DEFERRED and row.leg is Leg.EXIT
    ]


def to_waiting_exit(row: OrderRow) -> WaitingExit:
    """Give an exit that waits as the port knows it."""
    assert row.position_id is not None, "it waits for a position"
    return WaitingExit(position_id=row.position_id, signal_id=row.signal_id, share=row.share)


def to_waiting_entry(row: OrderRow) -> WaitingEntry:
    """Give an entry that waits as the port knows it."""
    assert row.side is not None, "an entry has a side"
    assert row.position_id is not None, "it waits for a position"
    assert row.send_before is not None, "an entry expires"
    return WaitingEntry(
        order_id=row.order_id,
        signal_id=row.signal_id,
        bot_id=row.bot_id,
        subscription_id=row.subscription_id,
        account_id=row.account_id,
        symbol=row.symbol,
        side=row.side,
        position_id=row.position_id,
        send_before=row.send_before,
    )


def signed_quantity(position: Position) -> Decimal:
    """Give what a position holds, shorts negative."""
    return position.quantity if position.direction is Direction.LONG else -position.quantity


def _arrival(row: SignalRow) -> tuple[datetime, UUID]:
    return row.received_at, row.signal_id


def _last_entry(
    entered: Sequence[SignalRow], bot: Bot, instruction: Instruction, *, now: datetime
) -> datetime | None:
    if not bot.cooldown_seconds:
        return None
    since = now - timedelta(seconds=bot.cooldown_seconds)
    decided = [
        row.decided_at
        for row in entered
        if row.symbol == instruction.symbol and row.decided_at is not None and row.decided_at > since
    ]
    return max(decided, default=None)


def _entries_on(entered: Sequence[SignalRow], day: date) -> int:
    midnight = datetime.combine(day, time(), UTC)
    return sum(row.decided_at is not None and row.decided_at >= midnight for row in entered)


def _on_the_way(rows: Sequence[OrderRow]) -> OnTheWay:
    exits = [row for row in rows if row.leg is Leg.EXIT]
    closes_all = any(row.status is OrderStatus.DEFERRED and row.share is None for row in exits)
    sent = [row for row in exits if row.status is not OrderStatus.DEFERRED]
    return OnTheWay(
        is_entering=any(row.leg is Leg.ENTRY and row.status is not OrderStatus.DEFERRED for row in rows),
        is_leaving=bool(exits),
        leaving=None
        if closes_all
        else sum((row.quantity - row.filled_quantity for row in sent if row.quantity is not None), ZERO),
    )


def _total(tallies: Iterable[Tally]) -> Tally:
    told = list(tallies)
    return Tally(
        positions=sum(one.positions for one in told), loss_usd=sum((one.loss_usd for one in told), ZERO)
    )


def _summed(tallies: Iterable[tuple[K, Tally]]) -> dict[K, Tally]:
    summed: dict[K, Tally] = {}
    for key, tally in tallies:
        before = summed.get(key, NOTHING_USED)
        summed[key] = replace(
            before, positions=before.positions + tally.positions, loss_usd=before.loss_usd + tally.loss_usd
        )
    return summed

"""What must hold at every moment of a history, and what must hold once nothing goes wrong any more."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from pregao.domain.clock import to_ms
from pregao.domain.facts import Fact, OrderPlanned, StopTriggered
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX
from pregao.domain.level import TriggerKind
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, PositionSide, order_of
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.protection import LineStatus
from pregao.domain.stop import Source, StopStatus
from pregao.domain.venue import OrderAttempt
from pregao.histories.plan import Plan
from pregao.simulation.books import AlgoStatus
from pregao.simulation.desk.folds import fold
from pregao.simulation.desk.held import signed_quantity
from pregao.simulation.desk.state import ON_ITS_WAY, ClaimRow, LineRow, State, place_of
from pregao.simulation.desk.watches import Watching
from pregao.simulation.exchange import Exchange
from pregao.simulation.reports import held_of

FOR_EVER_MS = 10**15
PRICES_KEPT = 200  # of each symbol: more than a minute and a half


class Price(NamedTuple):
    """Where the market was."""

    at: datetime
    bid: Decimal
    ask: Decimal


class Watch:
    """Looks at every order that is sent and at every commit."""

    def __init__(self, plan: Plan, *, find: Callable[[str], None]) -> None:
        """Say what is wrong to ``find``."""
        self._plan = plan
        self._find = find
        self._planned: dict[str, OrderPlanned] = {}  # committed attempts, by client order id
        self._sent: set[str] = set()
        self._forgotten: dict[str, OrderPlanned] = {}  # attempts whose commit a restore took
        self._halted: int | None = None  # the version of the states since which the desk is halted
        self._acknowledged: dict[str, int] = {}  # the last version each worker has acknowledged
        self._claimed: set[tuple[str, TriggerKind, int]] = set()
        self._prices: defaultdict[str, deque[Price]] = defaultdict(partial(deque, maxlen=PRICES_KEPT))

    def committed(self, facts: Iterable[Fact], state: State) -> None:
        """Look at what was committed just now."""
        for fact in facts:
            if isinstance(fact, OrderPlanned):
                if fact.client_order_id in self._planned:
                    self._find(f"attempt {fact.client_order_id} is committed twice")
                self._planned[fact.client_order_id] = fact
            elif isinstance(fact, StopTriggered):
                self._check_claim(fact)
        self._check_limits(state)

    def moved(self, symbol: str, bid: Decimal, ask: Decimal, *, at: datetime) -> None:
        """Know where the market was."""
        self._prices[symbol].append(Price(at, bid, ask))

    def _check_claim(self, fact: StopTriggered) -> None:
        key = (fact.token, fact.trigger.kind, fact.trigger.number)
        if key in self._claimed:
            self._find(f"claim {key} is made twice")
        self._claimed.add(key)
        if fact.source not in (Source.STREAM, Source.POLL):
            return
        is_long, is_stop = fact.stop.direction is Direction.LONG, fact.trigger.kind is TriggerKind.STOP
        level, since = fact.trigger.level, fact.seen_at - timedelta(seconds=PRICE_AGE_SECONDS_MAX + 1)
        near = [one.bid if is_long else one.ask for one in self._prices[fact.symbol] if one.at >= since]
        if near and not (min(near) <= level if is_long is is_stop else max(near) >= level):
            self._find(f"claim {key} is made on a level that the price never came to")

    @property
    def forgotten(self) -> Collection[str]:
        """The client order ids of attempts whose commit a restore took."""
        return self._forgotten.keys()

    def forget(self, backup: State) -> None:
        """Know that the database was put back: what it has forgotten may be committed, and sent, again; not executed."""
        known = {fact.client_order_id for fact in backup.journal if isinstance(fact, OrderPlanned)}
        for name in self._planned.keys() - known:
            self._forgotten[name] = self._planned.pop(name)
            self._sent.discard(name)
        self._claimed = {
            (fact.token, fact.trigger.kind, fact.trigger.number)
            for fact in backup.journal
            if isinstance(fact, StopTriggered)
        }

    def halted(self, version: int | None) -> None:
        """Know since which version the desk is halted; None: it is not."""
        self._halted = version

    def acknowledged(self, worker_id: str, version: int) -> None:
        """Know that nothing of a worker leaves any more that the version forbids."""
        self._acknowledged[worker_id] = version

    def sent(self, attempt: OrderAttempt, *, now: datetime, by: str) -> None:
        """Look at an order that leaves."""
        name = attempt.client_order_id
        planned = self._planned.get(name)
        if planned is None:
            self._find(f"attempt {name} is sent and not committed")
            return
        if name in self._sent:
            self._find(f"attempt {name} is sent twice")
        self._sent.add(name)
        asked = (attempt.quantity, attempt.side, attempt.symbol, attempt.signed_at_ms, attempt.account_id)
        if asked != (
            planned.quantity, planned.side, planned.symbol, planned.signed_at_ms, planned.account_id,
        ):  # fmt: skip
            self._find(f"attempt {name} is sent as another than was committed")
        is_held = self._halted is not None and self._acknowledged.get(by, 0) >= self._halted
        if is_held and planned.leg is Leg.ENTRY:
            self._find(f"entry {name} is sent by {by}, which has acknowledged that the desk is halted")
        if planned.send_before is not None and now >= planned.send_before:
            self._find(f"entry {name} is sent at {now}, after {planned.send_before}")

    def check_executions(self, engine: Exchange) -> None:
        """Look at what the venue has executed."""
        executed: Counter[str] = Counter()
        attempts: Counter[str] = Counter()
        entered: Counter[tuple[object, int]] = Counter()
        for account in engine.books.accounts.values():
            for order in account.orders.values():
                own = order_of(order.client_order_id)
                remembered = self._planned.get(order.client_order_id)
                planned = remembered or self._forgotten.get(order.client_order_id)
                if own is None or planned is None or not order.filled_quantity:
                    continue
                attempts[order.client_order_id] += 1
                # A close that was forgotten may have left a rest, which is closed by another attempt.
                executed[own[0]] += remembered is not None or planned.leg is Leg.ENTRY
                if planned.leg is Leg.ENTRY:
                    entered[planned.signal_id, planned.account_id] += 1
        for order_id, times in executed.items():
            if times > 1:
                self._find(f"order {order_id} is executed {times} times")
        for client_order_id, times in attempts.items():
            if times > 1:
                self._find(f"attempt {client_order_id} is executed {times} times")
        for (signal_id, account_id), times in entered.items():
            if times > 1:
                self._find(f"account {account_id} enters {times} times on signal {signal_id}")

    def _check_limits(self, state: State) -> None:
        live = state.live()
        of_subscription = Counter(one.subscription_id for one in live)
        for one in self._plan.subscriptions:
            if of_subscription[one.subscription_id] > one.max_concurrent_positions:
                self._find(f"subscription {one.subscription_id.int} holds more than its limit")
        owners = {one.account_id: one.user_id for one in self._plan.accounts}
        of_user = Counter(owners[one.account_id] for one in live)
        for user in self._plan.users:
            if user.max_positions is not None and of_user[user.user_id] > user.max_positions:
                self._find(f"user {user.email} holds more than the limit")


def unsettled(
    state: State, engine: Exchange, *, forgotten: Collection[str] = (), is_alone: bool = True
) -> list[str]:
    """
    Give all that must not be so any more some time after the last fault.

    What others hold, and what a restored database has ``forgotten`` (client order ids), may be held beside ours, where it
    is known to be; where the desk ``is_alone``, nothing is.
    """
    return [
        *(
            f"order {row.order_id} of account {row.account_id} is {row.status} code={row.code}"
            for row in state.orders.values()
            if row.status in ON_ITS_WAY or row.status is OrderStatus.DEFERRED
        ),
        *(
            f"signal {row.signal_id.int} is {row.status}"
            for row in state.signals.values()
            if row.settled_at is None
        ),
        *(
            f"position {one.position_id} of account {one.account_id} is {one.status}"
            for one in state.live()
            if one.status is not PositionStatus.OPEN
        ),
        *(
            f"account {number} is unreconciled"
            for number, check in state.account_checks.items()
            if check.unreconciled_since is not None
        ),
        *(
            f"foreign {place} {row.quantity}"
            for place, row in state.foreign_positions.items()
            if row.quantity and is_alone
        ),
        *_differences(state, engine, forgotten=forgotten),
        *_misguarded(state, engine, is_alone=is_alone),
        *_unclaimed(state),
    ]


def _unclaimed(state: State) -> list[str]:
    """Give the protective orders of ours that have traded without a claim that says so."""
    claimed = {(row.claimed.position_id, row.claimed.kind) for row in state.stop_claims.values()}
    traded = {fact.trade.client_order_id for fact in state.fills.values()}
    return [
        f"line {name} of position {line.position_id} has traded, and no claim says so"
        for name, line in (
            (name, state.protections[name].line) for name in sorted(traded & state.protections.keys())
        )
        if (line.position_id, line.kind) not in claimed
    ]


def _misguarded(state: State, engine: Exchange, *, is_alone: bool) -> list[str]:
    """
    Give what is held without the venue's line for all of it where its stop stands, and lines that are left behind.

    What a restored database knows nothing of may be guarded still, as it is held beside ours.
    """
    stuck = {  # they hang at the venue, perhaps for ever: nothing is entered beside them
        algo.client_algo_id
        for account in engine.books.accounts.values()
        for algo in account.algos.values()
        if algo.status is AlgoStatus.TRIGGERING
    }
    told = [
        f"line {one.protection_id} is {one.status}"
        for one in (row.line for row in state.protections.values())
        if one.status in (LineStatus.PLANNED, LineStatus.UNRESOLVED)
        or (one.status is LineStatus.TRIGGERING and one.protection_id not in stuck)
    ]
    waiting = {
        algo.client_algo_id: algo
        for account in engine.books.accounts.values()
        for algo in account.algos.values()
        if algo.status is AlgoStatus.NEW
    }
    wanted: set[str] = set()
    for number, row in sorted(state.stops.items()):
        position, stop = state.positions[number].position, row.armed.stop
        if position.status is not PositionStatus.OPEN or stop.status is not StopStatus.ARMED:
            continue
        wanted.add(row.line_id or "")
        foreign = state.foreign_positions.get(place_of(position))
        if stop.stop_price is None or (foreign is not None and foreign.quantity):
            continue  # with what is held beside it the venue may see nothing that could be closed
        line = waiting.get(row.line_id or "")
        if line is None or line.trigger_price != stop.stop_price:
            told.append(
                f"position {number} of account {position.account_id} has no line where its stop stands"
            )
        elif not line.close_position and line.quantity < position.quantity:
            told.append(f"position {number} of account {position.account_id} has a line for a part of it")
    left = [name for name in sorted(waiting.keys() - wanted) if is_alone or name in state.protections]
    told += [f"line {name} is left behind" for name in left]
    return told


def unwatched(state: State, engine: Exchange, watching: Watching, *, now: datetime) -> list[str]:
    """Give the stops that no monitor watches, and those that the price has passed while what they guard is held."""
    told = []
    for number, row in sorted(state.stops.items()):
        armed, held = row.armed, state.positions[number].position
        if held.status is not PositionStatus.OPEN or armed.left_at is not None:
            continue
        if not watching.is_watched((armed.venue, armed.symbol), now=now):
            told.append(f"nobody watches {armed.symbol}, where position {number} is held")
        stop, quote = armed.stop, engine.books.quotes[armed.symbol]
        is_long = stop.direction is Direction.LONG
        if stop.stop_price is not None and (
            quote.bid <= stop.stop_price if is_long else quote.ask >= stop.stop_price
        ):
            told.append(f"position {number} is held beyond its stop at {stop.stop_price}")
    return told


def _differences(state: State, engine: Exchange, *, forgotten: Collection[str]) -> list[str]:
    """Give where our books, with what they know to be held beside ours, and the exchange's differ: positions, then fills."""
    told: list[str] = []
    ours: defaultdict[tuple[int, str, PositionSide], Decimal] = defaultdict(Decimal)
    for one in state.live():
        ours[one.account_id, one.symbol, one.position_side] += signed_quantity(one)
    for place, row in state.foreign_positions.items():
        ours[place] += row.quantity
    for account in engine.books.accounts.values():
        number = int(account.key)
        theirs = held_of(account, until_ms=FOR_EVER_MS)
        for symbol, side in sorted({*theirs, *((s, p) for a, s, p in ours if a == number)}):
            here, there = ours[number, symbol, side], theirs.get((symbol, side), ZERO)
            if here != there:
                told.append(f"account {number} {symbol}: books {here}, exchange {there}")
        opened = {
            (one.symbol, one.position_side): to_ms(one.opened_at)
            for one in state.live()
            if one.account_id == number and one.opened_at is not None
        }
        booked = {key[2]: fact for key, fact in state.fills.items() if key[0] == number}
        for fill in account.fills:
            key = (number, fill.symbol, str(fill.trade_id), str(fill.order_id))
            fact = state.fills.get(key)
            if fill.client_order_id in forgotten or order_of(fill.client_order_id) is None:
                # Told or not, what it holds is compared above; but it may have closed what we hold.
                if fact is None and fill.traded_ms >= opened.get(
                    (fill.symbol, fill.position_side), FOR_EVER_MS
                ):
                    told.append(
                        f"account {number}: trade {fill.trade_id} may have closed ours, and is not booked"
                    )
                continue
            if fact is None:
                told.append(
                    f"account {number}: trade {fill.trade_id} of {fill.client_order_id} is not booked"
                )
            elif (fact.trade.quantity, fact.trade.price, fact.fee) != (
                fill.quantity, fill.price, fill.commission,
            ):  # fmt: skip
                told.append(f"account {number}: trade {fill.trade_id} is booked as another")
        if len(booked) > len(account.fills):
            told.append(f"account {number}: more fills are booked than there were")
    return told


def _unasked(row: LineRow) -> LineRow:
    return replace(row, check_at=None, line=replace(row.line, checks=0))


def _without_schedule(row: ClaimRow) -> ClaimRow:
    return replace(row, claimed=replace(row.claimed, again_at=None))


def differs_from_journal(state: State) -> list[str]:
    """Fold the journal again, and give the tables that differ from the state."""
    again = State()
    for fact in state.journal:
        fold(again, fact)
    mine = {key: replace(row, check_at=None, checks=0) for key, row in state.orders.items()}
    folded = {key: replace(row, check_at=None, checks=0) for key, row in again.orders.items()}
    lines = {key: _unasked(row) for key, row in state.protections.items()}
    folded_lines = {key: _unasked(row) for key, row in again.protections.items()}
    claims = {key: _without_schedule(row) for key, row in state.stop_claims.items()}
    folded_claims = {key: _without_schedule(row) for key, row in again.stop_claims.items()}
    return [
        f"table {name} is not the fold of the journal"
        for name, one, other in (
            ("orders", mine, folded),
            ("signals", state.signals, again.signals),
            ("positions", state.positions, again.positions),
            ("fills", state.fills, again.fills),
            ("daily_results", state.daily_results, again.daily_results),
            ("stops", state.stops, again.stops),
            ("stop_claims", claims, folded_claims),
            ("stop_moves", state.stop_moves, again.stop_moves),
            ("protections", lines, folded_lines),
        )
        if one != other
    ]

"""
What happens as it happens, read off the journal for all who watch at one web process.

What facts do not say themselves (whose account, which order) is looked up for a whole batch at once and remembered:
it never changes, or changes with a fact that is read here too.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog

from pregao.domain.account import Venue
from pregao.domain.facts import (
    FACTS,
    AccountConfigured,
    AlertRaised,
    DriftSettled,
    Fact,
    ForwardAnswered,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
    SubscriptionConfigured,
)
from pregao.edges.postgres.journal import decode
from pregao.edges.postgres.rows import to_value
from pregao.signals.own import SOURCE as DESK
from pregao.views.live import About, Figures, OrderIs, Place, SignalIs, Told

REMEMBERED_MAX = 20_000  # orders and signals each: those of some minutes at the desk's highest rate

PRESENT = """
SELECT (SELECT epoch FROM desk) AS epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xid
"""
READ = """
SELECT epoch, xid::text::bigint AS xid, seq, kind, signal_id, account_id, worker, fact::text AS fact
FROM journal
WHERE (epoch, xid, seq) > ($1, $2::text::xid8, $3)
  AND (xid < pg_snapshot_xmin(pg_current_snapshot()) OR epoch < (SELECT epoch FROM desk))
ORDER BY epoch, xid, seq LIMIT $4
"""

ORDERS = """
SELECT order_id, signal_id, bot_id, subscription_id, account_id, position_id, leg, symbol, side
FROM orders WHERE order_id = ANY($1::text[])
"""
SIGNALS = """
SELECT signal_id, bot_id, source = $2 AS is_desks_own, symbol,
       signal_type_of(action, side, source, body) AS signal_type
FROM signals WHERE signal_id = ANY($1::uuid[])
"""
ACCOUNTS = "SELECT account_id, user_id, venue FROM accounts WHERE account_id = ANY($1::bigint[])"
FOLLOWERS = """
SELECT m.bot_id, array_agg(DISTINCT a.user_id) FILTER (WHERE a.user_id IS NOT NULL) AS users
FROM subscriptions AS m JOIN accounts AS a USING (account_id)
WHERE m.bot_id = ANY($1::uuid[]) AND m.status <> 'canceled'
GROUP BY m.bot_id
"""

FIGURES = """
SELECT (SELECT coalesce(jsonb_object_agg(metric_name, metric_value), '{}') FROM public.signal_metrics)::text AS metrics,
       (SELECT count(*)::int FROM signals WHERE status = 'accepted') AS signals_waiting,
       live_orders.*, live_positions.*,
       (SELECT coalesce(jsonb_object_agg(role, live), '{}')
        FROM (SELECT role, count(*) AS live FROM workers WHERE lease_until > clock_timestamp() GROUP BY role) AS each
       )::text AS workers
FROM (SELECT count(*) FILTER (WHERE status = 'planned')::int AS orders_waiting,
             count(*) FILTER (WHERE status = 'unresolved')::int AS orders_unresolved
      FROM orders WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')) AS live_orders,
     (SELECT count(*) FILTER (WHERE status = 'pending')::int AS positions_pending,
             count(*) FILTER (WHERE status = 'open')::int AS positions_open,
             count(*) FILTER (WHERE status = 'closing')::int AS positions_closing
      FROM positions WHERE status IN ('pending', 'open', 'closing')) AS live_positions
"""
SELLABLE = "SELECT DISTINCT symbol FROM positions WHERE status IN ('open', 'closing') ORDER BY symbol"

Key = TypeVar("Key")
Value = TypeVar("Value")

log = structlog.get_logger()


class PostgresHappenings:
    """The port `views.live.Happenings`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool
        self._orders: _Remembered[str, OrderIs] = _Remembered()
        self._signals: _Remembered[UUID, SignalIs] = _Remembered()
        self._accounts: _Remembered[int, tuple[UUID | None, Venue]] = _Remembered()
        self._answers: _Remembered[str, int | None] = _Remembered()
        self._followers: _Remembered[UUID, frozenset[UUID]] = _Remembered()

    async def present(self) -> Place:
        row = await self._pool.fetchrow(PRESENT)
        return Place(row["epoch"], row["xid"], 0)

    async def read(self, after: Place, *, limit: int) -> tuple[Sequence[Told], Place]:
        rows = await self._pool.fetch(READ, after.epoch, str(after.xid), after.seq, limit)
        return await self._told(rows), _place_of(rows[-1]) if rows else after

    async def forget(self) -> None:
        self._accounts.clear()
        self._followers.clear()

    async def figures(self) -> Figures:
        return to_value(_read(await self._pool.fetchrow(FIGURES)), Figures)

    async def sellable(self) -> Sequence[str]:
        return [row["symbol"] for row in await self._pool.fetch(SELLABLE)]

    async def _told(self, rows: Sequence[Mapping[str, Any]]) -> list[Told]:
        read = [(row, fact) for row in rows if (fact := _fact_of(row)) is not None]
        self._learn(fact for _, fact in read)
        await self._look_up(read)
        return [Told(_place_of(row), fact, self._about(row, fact)) for row, fact in read]

    def _learn(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            match fact:
                case OrderPlanned() | OrderDenied() | OrderDeferred():
                    self._orders[fact.order_id] = _order_of(fact)
                case ForwardAnswered():
                    self._answers[fact.order_id] = fact.http_status
                case AccountConfigured():
                    # It may be an old fact that is read once more: whose the account is now, its row says.
                    self._accounts.pop(fact.account.account_id, None)
                    self._followers.clear()
                case SubscriptionConfigured():
                    self._followers.pop(fact.subscription.bot_id, None)

    async def _look_up(self, read: Sequence[tuple[Mapping[str, Any], Fact]]) -> None:
        orders = {order_id for _, fact in read if (order_id := getattr(fact, "order_id", None)) is not None}
        signals = {row["signal_id"] for row, _ in read if row["signal_id"] is not None}
        await self._look_up_orders(orders)
        await self._look_up_signals(signals)
        accounts = {number for row, fact in read if (number := _account_of(row, fact)) is not None}
        accounts |= {order.account_id for one in orders if (order := self._orders.get(one)) is not None}
        await self._look_up_accounts(accounts)
        bots = {signal.bot_id for one in signals if (signal := self._signals.get(one)) is not None}
        await self._look_up_followers(bots)

    async def _look_up_orders(self, order_ids: Iterable[str]) -> None:
        if unknown := self._orders.unknown(order_ids):
            for row in await self._pool.fetch(ORDERS, unknown):
                self._orders[row["order_id"]] = to_value(row, OrderIs)

    async def _look_up_signals(self, signal_ids: Iterable[UUID]) -> None:
        if unknown := self._signals.unknown(signal_ids):
            for row in await self._pool.fetch(SIGNALS, unknown, DESK):
                self._signals[row["signal_id"]] = to_value(row, SignalIs)

    async def _look_up_accounts(self, account_ids: Iterable[int]) -> None:
        if unknown := self._accounts.unknown(account_ids):
            for row in await self._pool.fetch(ACCOUNTS, unknown):
                self._accounts[row["account_id"]] = row["user_id"], Venue(row["venue"])

    async def _look_up_followers(self, bot_ids: Iterable[UUID]) -> None:
        if unknown := self._followers.unknown(bot_ids):
            found = {row["bot_id"]: row["users"] for row in await self._pool.fetch(FOLLOWERS, unknown)}
            for bot_id in unknown:
                self._followers[bot_id] = frozenset(found.get(bot_id) or ())

    def _about(self, row: Mapping[str, Any], fact: Fact) -> About:
        order = self._orders.get(getattr(fact, "order_id", None) or "")
        signal = None if row["signal_id"] is None else self._signals.get(row["signal_id"])
        account_id = _account_of(row, fact) if order is None else order.account_id
        followers: frozenset[UUID] = frozenset()
        if signal is not None and not signal.is_desks_own:
            followers = self._followers.get(signal.bot_id) or followers
        owner, venue = (None if account_id is None else self._accounts.get(account_id)) or (None, None)
        if isinstance(fact, AlertRaised):
            owner = fact.alert.user_id  # an alert about an account may be the desk's own business
        return About(
            order=order,
            signal=signal,
            owner=owner,
            venue=venue,
            http_status=None if order is None else self._answers.get(order.order_id),
            worker=row["worker"],
            followers=followers,
        )


class _Remembered(Generic[Key, Value]):
    """What was looked up; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self.get = self._values.get
        self.pop = self._values.pop
        self.clear = self._values.clear

    def __setitem__(self, key: Key, value: Value) -> None:
        self._values[key] = value
        if len(self._values) > REMEMBERED_MAX:
            self._values.popitem(last=False)

    def unknown(self, keys: Iterable[Key]) -> list[Key]:
        """Give those that must be looked up; the others are needed now, and forgotten last."""
        missing = []
        for key in keys:
            if key in self._values:
                self._values.move_to_end(key)
            else:
                missing.append(key)
        return missing


def _place_of(row: Mapping[str, Any]) -> Place:
    return Place(row["epoch"], row["xid"], row["seq"])


def _fact_of(row: Mapping[str, Any]) -> Fact | None:
    if row["kind"] not in FACTS:
        log.warning(
            "live.fact.unknown", kind=row["kind"]
        )  # written by a newer process: pages reload, this waits
        return None
    return decode(row["kind"], row["fact"])


def _account_of(row: Mapping[str, Any], fact: Fact) -> int | None:
    match fact:
        case AccountConfigured():
            return fact.account.account_id
        case SubscriptionConfigured():
            return fact.subscription.account_id
        case DriftSettled():
            return fact.position.account_id
    account_id: int | None = row["account_id"]
    return account_id


def _order_of(fact: OrderPlanned | OrderDenied | OrderDeferred) -> OrderIs:
    return OrderIs(
        order_id=fact.order_id,
        signal_id=fact.signal_id,
        bot_id=fact.bot_id,
        subscription_id=fact.subscription_id,
        account_id=fact.account_id,
        position_id=fact.position_id,
        leg=fact.leg,
        symbol=fact.symbol,
        side=fact.side,
    )


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **{name: msgspec.json.decode(row[name]) for name in ("metrics", "workers")}}

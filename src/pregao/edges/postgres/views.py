"""What the desk did, as people look at it: receipts, lists of signals, orders and positions, health."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from pregao.domain.clock import to_ms
from pregao.domain.order import LIVE
from pregao.domain.position import Position
from pregao.domain.signal import AgainKind
from pregao.edges.ids import first_uuid7
from pregao.edges.postgres.rows import to_value
from pregao.edges.postgres.sorting import order_of, value_of
from pregao.signals.own import SOURCE as DESK
from pregao.views.activity import OrderCounts, OrderLine, OrderPlace, PositionLine, SignalLine
from pregao.views.health import BotsHealth, JournalHealth, Queue, TradingHealth, Waiting, Worker
from pregao.views.receipts import Receipt, ReceiptApproval, ReceiptRow, Repetition
from pregao.views.slippage import average_price, slippage_bps, to_price
from pregao.views.sorting import (
    NEWEST_FIRST,
    ORDER_FIELDS,
    POSITION_FIELDS,
    SIGNAL_FIELDS,
    Shape,
)

ON_THE_WAY = frozenset({"planned", "accepted", "deferred"})
"""States of an order that a receipt calls pending: nothing is wrong, nothing is known yet."""

ORDER = """
o.order_id, o.attempt, o.client_order_id, o.exchange_order_id, o.subscription_id, o.account_id, o.leg, o.status,
o.symbol, o.side, o.code, o.reason, o.quantity, o.filled_quantity, o.filled_notional, o.decision_price, o.fees,
o.planned_at, o.sent_at, o.acknowledged_at, o.filled_at, o.booked_at
"""

LIVE_STATUSES = ", ".join(f"'{status}'" for status in sorted(LIVE))

# What a signal is to one owner ($1): his orders alone say how far it is. None ($1 is null) sees all of it.
OWN = f"""
LEFT JOIN LATERAL (
    SELECT count(DISTINCT o.account_id)::int AS accounts,
           count(*) FILTER (WHERE o.status <> 'denied' OR o.attempt > 0)::int AS orders,
           count(*) FILTER (WHERE o.status IN ({LIVE_STATUSES}))::int AS orders_live, max(o.updated_at) AS updated_at
    FROM orders AS o JOIN accounts AS a USING (account_id)
    WHERE o.signal_id = s.signal_id AND a.user_id = $1 AND $1::uuid IS NOT NULL
) AS own ON true
"""
# What the desk itself asks, and what is sent again, may be meant for one subscription only: it shows to whom it did something.
MEANT_FOR_SOME = ", ".join(f"'{source}'" for source in (DESK, *AgainKind))
IS_OWN = f"""
($1::uuid IS NULL OR own.accounts > 0 OR EXISTS (
    SELECT FROM trades_by_hand AS t JOIN subscriptions AS m USING (subscription_id) JOIN accounts AS a USING (account_id)
    WHERE t.signal_id = s.signal_id AND a.user_id = $1)
 OR s.source NOT IN ({MEANT_FOR_SOME}) AND EXISTS (
    SELECT FROM subscriptions AS m JOIN accounts AS a USING (account_id)
    WHERE m.bot_id = s.bot_id AND a.user_id = $1 AND m.status <> 'canceled' AND m.created_at <= s.received_at))
"""
STATUS = """
CASE WHEN $1::uuid IS NULL OR s.planned_at IS NULL THEN s.status
     WHEN own.orders_live = 0 THEN 'settled' ELSE 'planned' END
"""
SETTLED_AT = """
CASE WHEN $1::uuid IS NULL OR s.planned_at IS NULL THEN s.settled_at
     WHEN own.orders_live = 0 THEN greatest(s.planned_at, own.updated_at) END
"""
PART_ORDERS = "CASE WHEN $1::uuid IS NULL OR s.planned_at IS NULL THEN s.orders ELSE own.orders END"
PART = "CASE WHEN $1::uuid IS NULL OR s.planned_at IS NULL THEN s.{0} ELSE own.{0} END AS {0}"

# Who has no part in a repetition is not told of it.
REPEATS = """(
    SELECT jsonb_agg(jsonb_build_object('signal_id', r.signal_id, 'source', r.source) ORDER BY r.signal_id)::text
    FROM signals AS r WHERE r.again_of = s.signal_id AND ($1::uuid IS NULL OR EXISTS (
        SELECT FROM orders AS x JOIN accounts AS y USING (account_id) WHERE x.signal_id = r.signal_id AND y.user_id = $1)))"""

# One statement, so that the signal and its orders are seen at the same moment; the verdicts travel once.
RECEIPT = f"""
SELECT s.signal_id, s.bot_id, coalesce(b.name, '') AS bot_name, {STATUS} AS signal_status, s.action,
       s.symbol AS signal_symbol, s.side AS signal_side, s.code AS signal_code, s.reason AS signal_reason,
       s.not_used, s.source, s.again_of, s.deliveries, s.received_at, s.decided_at, {SETTLED_AT} AS settled_at, s.approval_asked_at,
       s.approval_expires_at, s.approval_venue, s.approval_price, s.answered_at, s.answered_by, s.is_approved,
       s.answer_reason,
       CASE WHEN row_number() OVER (ORDER BY o.account_id, o.leg, o.order_id) = 1 THEN s.verdicts::text END AS verdicts,
       CASE WHEN row_number() OVER (ORDER BY o.account_id, o.leg, o.order_id) = 1 THEN {REPEATS} END AS repeats,
       o.account, o.stop, o.stop_price, {ORDER}
FROM signals AS s
LEFT JOIN bots AS b ON b.bot_id = s.bot_id
{OWN}
LEFT JOIN LATERAL (
    SELECT o.*, a.name AS account, t.initial_stop AS stop_price,
           CASE WHEN t.position_id IS NULL THEN NULL WHEN t.initial_stop IS NULL THEN 'none'
                WHEN t.is_required THEN 'required' ELSE 'optional' END AS stop
    FROM orders AS o LEFT JOIN accounts AS a ON a.account_id = o.account_id
    LEFT JOIN stops AS t ON o.leg = 'entry' AND o.filled_quantity > 0 AND t.position_id = o.position_id
    WHERE o.signal_id = s.signal_id AND ($1::uuid IS NULL OR a.user_id = $1)
) AS o ON true
WHERE s.signal_id = $2 AND {IS_OWN}
ORDER BY o.account_id, o.leg, o.order_id
"""

SIGNAL = f"""
s.signal_id, s.bot_id, coalesce(b.name, '') AS bot_name, {STATUS} AS status, s.received_at,
       {SETTLED_AT} AS settled_at, s.source, s.again_of, s.deliveries, s.action, s.symbol, s.side, s.price, s.code, s.reason,
       {PART.format("accounts")}, {PART.format("orders")}, {PART.format("orders_live")}
"""
SIGNALS_FROM = f"FROM signals AS s LEFT JOIN bots AS b ON b.bot_id = s.bot_id {OWN}"
SIGNALS = f"""
WHERE ($2::uuid IS NULL OR s.bot_id = $2) AND ($3::text IS NULL OR {STATUS} = $3) AND {IS_OWN}
  AND ($6::text IS NULL OR strpos(upper(concat_ws(' ', s.symbol, b.name, s.code, s.reason, s.action, s.side, s.signal_id)), upper($6)) > 0)
"""

ORDER_LINE = f"""
{ORDER}, o.signal_id, o.bot_id, o.venue, o.position_id, o.position_side, o.checks AS questions,
(SELECT p.status FROM positions AS p WHERE p.position_id = o.position_id) AS position_status,
CASE WHEN o.status IN ({LIVE_STATUSES}) THEN o.check_at END AS next_question_at
"""
ORDERS = """
WHERE ($1::bigint IS NULL OR o.account_id = $1) AND ($2::uuid IS NULL OR o.subscription_id = $2)
  AND ($3::uuid IS NULL OR o.signal_id = $3) AND ($4::text IS NULL OR o.status = $4)
  AND ($8::uuid IS NULL OR o.account_id IN (SELECT account_id FROM accounts WHERE user_id = $8))
  AND ($9::text IS NULL
       OR strpos(upper(concat_ws(' ', o.symbol, o.code, o.client_order_id, o.exchange_order_id, o.order_id)), upper($9)) > 0
       OR o.account_id IN (SELECT account_id FROM accounts WHERE strpos(upper(name), upper($9)) > 0)
       OR o.bot_id IN (SELECT bot_id FROM bots WHERE strpos(upper(name), upper($9)) > 0))
"""

PHASES = {
    "opening": f"o.status IN ({LIVE_STATUSES}) AND o.leg = 'entry'",
    "closing": f"o.status IN ({LIVE_STATUSES}) AND o.leg = 'exit'",
    "ended": f"o.status NOT IN ({LIVE_STATUSES})",
}

# The ids of signals begin with the millisecond they arrived in.
ORDER_COUNTS = f"""
WITH mine AS (SELECT account_id FROM accounts WHERE user_id = $1), live AS (
    SELECT leg, status, coalesce(sent_at, planned_at) AS since FROM orders
    WHERE status IN ({LIVE_STATUSES}) AND ($1::uuid IS NULL OR account_id IN (SELECT account_id FROM mine)))
SELECT count(*) FILTER (WHERE leg = 'entry')::int AS opening, count(*) FILTER (WHERE leg = 'exit')::int AS closing,
       count(*) FILTER (WHERE status = 'unresolved')::int AS unresolved,
       min(since) FILTER (WHERE status = 'unresolved') AS unresolved_since,
       (SELECT count(*)::int FROM orders WHERE signal_id >= $2 AND status NOT IN ({LIVE_STATUSES})
        AND ($1::uuid IS NULL OR account_id IN (SELECT account_id FROM mine))) AS ended
FROM live
"""

POSITIONS = """
SELECT * FROM positions
WHERE ($1::bigint IS NULL OR account_id = $1) AND ($2::uuid IS NULL OR bot_id = $2)
  AND ($3::text IS NULL OR status = $3) AND (NOT $4 OR status IN ('pending', 'open', 'closing'))
  AND ($7::uuid IS NULL OR account_id IN (SELECT account_id FROM accounts WHERE user_id = $7))
  AND ($8::text IS NULL OR strpos(upper(symbol), upper($8)) > 0)
  AND ($9::text IS NULL OR strpos(upper(concat_ws(' ', symbol, direction, close_reason, position_id)), upper($9)) > 0
       OR account_id IN (SELECT account_id FROM accounts WHERE strpos(upper(name), upper($9)) > 0)
       OR bot_id IN (SELECT bot_id FROM bots WHERE strpos(upper(name), upper($9)) > 0))
"""

WORKERS = """
SELECT worker_id, role, lease_until > clock_timestamp() AS is_alive, started_at, lease_until FROM workers
WHERE lease_until > clock_timestamp() - interval '1 hour' ORDER BY role, started_at, worker_id
"""

WAITING = """
SELECT (SELECT count(*)::int FROM signals WHERE status IN ('accepted', 'answered')) AS signals,
       (SELECT count(*)::int FROM orders WHERE status IN ('planned', 'unresolved')) AS orders
"""

QUEUES = """
SELECT 'signals' AS name, count(*)::int AS waiting, min(received_at) AS since FROM signals
WHERE status IN ('accepted', 'answered', 'approved')
UNION ALL SELECT 'approvals', count(*)::int, min(approval_asked_at) FROM signals WHERE status = 'pending'
UNION ALL SELECT 'orders', count(*)::int, min(planned_at) FROM orders WHERE status = 'planned'
UNION ALL SELECT 'questions', count(*)::int, min(coalesce(sent_at, planned_at)) FROM orders WHERE status = 'unresolved'
UNION ALL SELECT 'flattens', count(*)::int, min(started_at) FROM flattens WHERE ended_at IS NULL
UNION ALL SELECT 'alerts', count(*)::int, min(due_at) FROM alert_deliveries WHERE status = 'due'
"""

JOURNAL = """
SELECT (SELECT recorded_at FROM journal ORDER BY epoch DESC, xid DESC, seq DESC LIMIT 1) AS last_fact_at,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000 FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_xid IS NOT NULL), 0)::int AS behind_ms
"""

TRADING_HEALTH = """
SELECT coalesce(max(state) FILTER (WHERE level = 'desk'), 'active') AS state, coalesce(max(version), 0) AS version,
       count(*) FILTER (WHERE state <> 'active')::int AS states_set
FROM trading_states
"""

BOTS_HEALTH = """
SELECT coalesce((SELECT state FROM trading_states WHERE level = 'desk'), 'active') AS trading_state,
       (SELECT count(*)::int FROM bots WHERE status = 'active') AS active_bots,
       (SELECT count(*)::int FROM subscriptions AS s JOIN bots AS b USING (bot_id)
        WHERE s.status = 'active' AND b.status = 'active') AS active_subscriptions,
       (SELECT received_at FROM signals ORDER BY signal_id DESC LIMIT 1) AS last_signal_at
"""


class PostgresReceipts:
    """The port `views.receipts.Receipts`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_receipt(self, signal_id: UUID, *, owner: UUID | None) -> Receipt | None:
        rows = await self._pool.fetch(RECEIPT, owner, signal_id)
        if not rows:
            return None
        signal = rows[0]
        return Receipt(
            signal_id=signal["signal_id"],
            bot_id=signal["bot_id"],
            bot_name=signal["bot_name"],
            status=signal["signal_status"],
            is_complete=signal["settled_at"] is not None,
            action=signal["action"],
            symbol=signal["signal_symbol"],
            side=signal["signal_side"],
            code=signal["signal_code"],
            reason=signal["signal_reason"],
            not_used=tuple(signal["not_used"]),
            verdicts=tuple(msgspec.json.decode(signal["verdicts"] or "[]")),
            source=signal["source"],
            again_of=signal["again_of"],
            repeats=msgspec.json.decode(signal["repeats"] or "[]", type=tuple[Repetition, ...]),
            approval=_approval(signal),
            deliveries=signal["deliveries"],
            received_at=signal["received_at"],
            settled_at=signal["settled_at"],
            rows=tuple(_receipt_row(row) for row in rows if row["order_id"] is not None),
        )


class PostgresActivity:
    """The port `views.activity.Activity`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def signals(
        self,
        *,
        owner: UUID | None,
        bot_id: UUID | None,
        status: str | None,
        before: UUID | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[SignalLine]:
        sorted_by = {"status": STATUS, "bot_name": "b.name", "orders": f"({PART_ORDERS})"}.get(
            shape.by or "", f"s.{shape.by}"
        )
        order = order_of(shape, sorted_by, SIGNAL_FIELDS, keys={"s.signal_id": "$4::uuid"}, limit=5, value=7)
        rows = await self._pool.fetch(
            _page(SIGNAL, SIGNALS_FROM, SIGNALS, order, key="s.signal_id" if shape.by else None),
            owner,
            bot_id,
            status,
            before,
            limit,
            shape.search,
            *value_of(shape),
        )
        return [to_value(row, SignalLine) for row in rows]

    async def orders(
        self,
        *,
        owner: UUID | None,
        account_id: int | None,
        subscription_id: UUID | None,
        signal_id: UUID | None,
        status: str | None,
        phase: str | None = None,
        before: OrderPlace | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[OrderLine]:
        place = (None, None) if before is None else (before.signal_id, before.order_id)
        keys = {"o.signal_id": "$5::uuid", "o.order_id": "$6::text"}
        order = order_of(shape, f"o.{shape.by}", ORDER_FIELDS, keys=keys, limit=7, value=10)
        rows = await self._pool.fetch(
            _page(
                ORDER_LINE,
                "FROM orders AS o",
                ORDERS + (f"AND {PHASES[phase]} " if phase else ""),
                order,
                key="o.order_id" if shape.by else None,
            ),
            account_id,
            subscription_id,
            signal_id,
            status,
            *place,
            limit,
            owner,
            shape.search,
            *value_of(shape),
        )
        return [to_value({**row, **_prices(row)}, OrderLine) for row in rows]

    async def order_counts(self, *, owner: UUID | None, now: datetime) -> OrderCounts:
        since = first_uuid7(now - timedelta(days=1))
        return to_value(await self._pool.fetchrow(ORDER_COUNTS, owner, since), OrderCounts)

    async def positions(
        self,
        *,
        owner: UUID | None,
        account_id: int | None,
        bot_id: UUID | None,
        status: str | None,
        live_only: bool,
        symbol: str | None = None,
        before: int | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[PositionLine]:
        order = order_of(
            shape, str(shape.by), POSITION_FIELDS, keys={"position_id": "$5::bigint"}, limit=6, value=10
        )
        rows = await self._pool.fetch(
            POSITIONS + " ".join(order),
            account_id,
            bot_id,
            status,
            live_only,
            before,
            limit,
            owner,
            symbol,
            shape.search,
            *value_of(shape),
        )
        return [position_line(row) for row in rows]


class PostgresHealth:
    """The port `views.health.Health`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def workers(self) -> Sequence[Worker]:
        return [to_value(row, Worker) for row in await self._pool.fetch(WORKERS)]

    async def waiting(self) -> Waiting:
        return to_value(await self._pool.fetchrow(WAITING), Waiting)

    async def queues(self) -> Sequence[Queue]:
        return [to_value(row, Queue) for row in await self._pool.fetch(QUEUES)]

    async def journal(self) -> JournalHealth:
        return to_value(await self._pool.fetchrow(JOURNAL), JournalHealth)

    async def trading_health(self) -> TradingHealth:
        return to_value(await self._pool.fetchrow(TRADING_HEALTH), TradingHealth)

    async def bots_health(self) -> BotsHealth:
        return to_value(await self._pool.fetchrow(BOTS_HEALTH), BotsHealth)


def _page(columns: str, source: str, where: str, order: tuple[str, str, str], *, key: str | None) -> str:
    """
    Write one page's statement; with a ``key`` the lines are found by their keys first.

    Sorting thousands of whole lines to show fifty costs many times what sorting their keys costs.
    """
    beyond, sorted_by, limit = order
    if key is None:
        return f"SELECT {columns} {source} {where} {beyond} {sorted_by} {limit}"
    keys = f"SELECT {key} {source} {where} {beyond} {sorted_by} {limit}"
    return f"SELECT {columns} {source} WHERE {key} = ANY(ARRAY({keys})) {sorted_by}"


def _approval(signal: Any) -> ReceiptApproval | None:
    if signal["approval_asked_at"] is None:
        return None
    return ReceiptApproval(
        asked_at=signal["approval_asked_at"],
        expires_at=signal["approval_expires_at"],
        venue=signal["approval_venue"],
        price_then=signal["approval_price"],
        answered_at=signal["answered_at"],
        answered_by=signal["answered_by"],
        is_approved=signal["is_approved"],
        reason=signal["answer_reason"],
    )


def _receipt_row(row: Any) -> ReceiptRow:
    return ReceiptRow(
        account_id=row["account_id"],
        account=row["account"] or "",
        subscription_id=row["subscription_id"],
        order_id=row["order_id"],
        leg=row["leg"],
        symbol=row["symbol"],
        side=row["side"],
        outcome="pending" if row["status"] in ON_THE_WAY else row["status"],
        code=row["code"],
        reason=row["reason"],
        quantity=row["quantity"],
        filled_quantity=row["filled_quantity"],
        decision_price=row["decision_price"],
        fees=row["fees"],
        client_order_id=row["client_order_id"],
        exchange_order_id=row["exchange_order_id"],
        attempt=row["attempt"],
        decided_ms=_ms_since(row, "decided_at"),
        sent_ms=_ms_since(row, "sent_at"),
        acknowledged_ms=_ms_since(row, "acknowledged_at"),
        filled_ms=_ms_since(row, "filled_at"),  # by the venue's clock: it may run a little before ours
        booked_ms=_ms_since(row, "booked_at"),
        stop=row["stop"],
        stop_price=row["stop_price"],
        **_prices(row),
    )


def _prices(row: Any) -> dict[str, Any]:
    price = average_price(notional=row["filled_notional"], quantity=row["filled_quantity"])
    slippage = slippage_bps(side=row["side"], price=price, decision_price=row["decision_price"])
    return {"average_price": price, "slippage_bps": slippage}


def _ms_since(row: Any, column: str) -> int | None:
    instant: datetime | None = row[column]
    return None if instant is None else to_ms(instant) - to_ms(row["received_at"])


def position_line(row: Any) -> PositionLine:
    """Give a position as lists show it."""
    position = to_value(row, Position)
    prices = {"entry_price": position.entry_price, "exit_price": position.exit_price}
    shown = {name: None if price is None else to_price(price) for name, price in prices.items()}
    return to_value({**row, **shown, "quantity": position.quantity}, PositionLine)

"""What raises alerts and carries them: the journal read for them, what stands in the state, and messages on their way."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from pregao.accounts.sealing import SealError, Vault
from pregao.alerts.audience import Audience, next_channel
from pregao.alerts.conditions import (
    DEAD_SECONDS,
    FAILURES_MIN,
    RESTORED_SECONDS,
    SILENT_SECONDS,
    UNRESOLVED_SECONDS,
    Condition,
)
from pregao.alerts.ports import Address, Batch, ChannelError, Delivery, Queued, WinRate
from pregao.alerts.table import LOSS_CODES, SECOND_FACTOR_RESET, TABLE, AccountName, Names, PositionName
from pregao.domain.alert import AlertKind, AlertLevel, Channel
from pregao.domain.facts import Fact, TradingStateSet
from pregao.domain.trading_state import ScopeLevel
from pregao.edges.postgres.alerts import open_address, queue, read_audience, to_alert, to_channel
from pregao.edges.postgres.journal import Journal, Transaction, decode
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.workers import Lease, Workers

LEASE = "alerts"
CLAIM_SECONDS = 60.0  # longer than a turn may take: what nobody has finished by then is due again
WIN_RATE_DAYS = 30
PASSED_BY_MAX = 500  # transactions without news that are looked through again rather than noted
WINDOWS_KEPT = timedelta(days=7)

# Only what may be told is read as a fact; the rest is passed by in the index. What is not below the oldest running
# transaction may still get a fact before it: it is left for the next look.
NEXT = """
SELECT epoch, xid::text AS xid, seq, kind, fact::text AS fact FROM journal
WHERE (epoch, xid, seq) > ($1, $2::text::xid8, $3) AND (epoch < $4 OR xid < $5::text::xid8) AND kind = ANY($6::text[])
  AND (kind <> 'PositionChanged' OR fact -> 'position' ->> 'status' = 'closed')
  AND (kind <> 'OrderDenied' OR fact ->> 'code' = ANY($7::text[]))
  AND (kind <> 'ExecutionMoved' OR fact ->> 'status' = 'blocked')
  AND (kind <> 'ActionTaken' OR fact ->> 'action' = $9)
ORDER BY epoch, xid, seq LIMIT $8
"""
CURSOR = """
SELECT c.epoch, c.xid::text AS xid, c.seq, desk.epoch AS last_epoch,
       pg_snapshot_xmin(pg_current_snapshot())::text AS below
FROM alert_cursor AS c, desk
"""
MOVE_ON = "UPDATE alert_cursor SET epoch = $1, xid = $2::text::xid8, seq = $3"
WINDOW = "SELECT raised_at FROM alert_windows WHERE dedupe_key = $1 AND user_id IS NOT DISTINCT FROM $2"
KEEP_BACK = """
UPDATE alert_windows SET kept_back = kept_back + 1 WHERE dedupe_key = $1 AND user_id IS NOT DISTINCT FROM $2
"""
OPEN_WINDOW = """
INSERT INTO alert_windows AS w (dedupe_key, user_id, raised_at) VALUES ($1, $2, $3)
ON CONFLICT (dedupe_key, user_id) DO UPDATE SET raised_at = excluded.raised_at, kept_back = 0
RETURNING (SELECT kept_back FROM alert_windows AS former
           WHERE former.dedupe_key = $1 AND former.user_id IS NOT DISTINCT FROM $2) AS kept_back
"""
WIN_RATES = """
SELECT bot_id, sum(wins)::integer AS wins, sum(losses)::integer AS losses FROM daily_results
WHERE bot_id = ANY($1::uuid[]) AND day > $2 GROUP BY bot_id ORDER BY bot_id
"""
STANDING = f"""
SELECT 'breaker_open' AS kind, scope || ' ' || name AS about,
       jsonb_build_object('failures', failure_count::text, 'told_by', told_by) AS numbers, false AS is_worse
FROM breakers WHERE state = 'open'
UNION ALL
SELECT 'worker_dead', worker_id, jsonb_build_object('role', role), NOT EXISTS (
           SELECT FROM workers AS o WHERE o.role = w.role AND o.lease_until > clock_timestamp())
FROM workers AS w
WHERE stopping_since IS NULL AND lease_until < clock_timestamp() AND lease_until > clock_timestamp() - interval '{DEAD_SECONDS} seconds'
UNION ALL
SELECT 'order_unresolved', venue, jsonb_build_object('orders', count(*)::text), false
FROM orders
WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled') AND status = 'unresolved' AND NOT is_dead
  AND planned_at < clock_timestamp() - interval '{UNRESOLVED_SECONDS} seconds'
GROUP BY venue
UNION ALL
SELECT 'feed_silent', s.venue || ' ' || s.symbol,
       jsonb_build_object('positions', count(*)::text, 'last_price_at', coalesce(max(w.price_at)::text, 'never')), false
FROM stops AS s LEFT JOIN watches AS w USING (venue, symbol)
WHERE s.left_at IS NULL AND s.status <> 'disarmed' AND s.stop_price IS NOT NULL
GROUP BY s.venue, s.symbol
HAVING coalesce(max(w.price_at), min(s.held_since)) < clock_timestamp() - interval '{SILENT_SECONDS} seconds'
UNION ALL
SELECT 'screener_failing', coalesce(s.name, 'no strategy'),
       jsonb_build_object('failures', l.failures::text, 'code', l.code), false
FROM screener_looks AS l LEFT JOIN screener_strategies AS s ON s.is_active WHERE l.failures >= {FAILURES_MIN}
UNION ALL
SELECT 'database_restored', max(restored_at)::text, jsonb_build_object('accounts', count(*)::text), false
FROM account_checks WHERE restored_at > clock_timestamp() - interval '{RESTORED_SECONDS} seconds'
HAVING count(*) > 0
"""

STOP_FORGOTTEN = """
UPDATE alert_deliveries AS d SET status = 'failed', code = 'CHANNEL_OFF', reason = 'The channel is switched off.'
WHERE status = 'due' AND NOT EXISTS (
    SELECT FROM alert_channels AS c WHERE c.channel_id = d.channel_id AND c.is_active)
"""
LEFT_TO_SEND = """
SELECT c.*, c.per_minute_max - (
    SELECT count(DISTINCT d.message_id) FROM alert_deliveries AS d
    WHERE d.channel_id = c.channel_id AND d.status = 'sent' AND d.sent_at > clock_timestamp() - interval '1 minute'
) AS messages_left
FROM alert_channels AS c
WHERE c.is_active AND EXISTS (
    SELECT FROM alert_deliveries AS d
    WHERE d.channel_id = c.channel_id AND d.status = 'due' AND d.due_at <= clock_timestamp())
ORDER BY c.place, c.channel_id
"""
# What waits for a second try keeps what was raised later of its subject waiting too.
CLAIM = """
WITH due AS (
    SELECT d.alert_id FROM alert_deliveries AS d
    WHERE d.channel_id = $1 AND d.status = 'due' AND d.due_at <= clock_timestamp()
      AND (d.claimed_until IS NULL OR d.claimed_until <= clock_timestamp() OR d.claimed_by <> $2)
      AND NOT EXISTS (SELECT FROM alert_deliveries AS e
                      WHERE e.channel_id = $1 AND e.status = 'due' AND e.subject = d.subject
                        AND e.alert_id < d.alert_id AND e.due_at > clock_timestamp())
    ORDER BY d.level_rank DESC, d.alert_id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE alert_deliveries AS d SET claimed_by = $2, claimed_until = clock_timestamp() + $4::interval
FROM due JOIN alerts AS a USING (alert_id)
WHERE d.channel_id = $1 AND d.alert_id = due.alert_id
RETURNING d.attempts, d.is_escalation, a.*
"""
SENT = """
UPDATE alert_deliveries
SET status = 'sent', attempts = attempts + 1, sent_at = clock_timestamp(), tried_at = clock_timestamp(), message_id = $3,
    code = NULL, reason = NULL, claimed_until = NULL
WHERE channel_id = $1 AND alert_id = ANY($2::uuid[]) AND status = 'due'
"""
LATER = """
UPDATE alert_deliveries
SET attempts = attempts + 1, due_at = clock_timestamp() + $3::interval, code = $4, reason = $5,
    tried_at = clock_timestamp(), claimed_until = NULL
WHERE channel_id = $1 AND alert_id = ANY($2::uuid[]) AND status = 'due'
"""
PUT_OFF = """
UPDATE alert_deliveries SET due_at = clock_timestamp() + $3::interval, claimed_until = NULL
WHERE channel_id = $1 AND alert_id = ANY($2::uuid[]) AND status = 'due'
"""
FAILED = """
UPDATE alert_deliveries
SET status = 'failed', attempts = attempts + 1, code = $3, reason = $4, tried_at = clock_timestamp(), claimed_until = NULL
WHERE channel_id = $1 AND alert_id = ANY($2::uuid[]) AND status = 'due'
RETURNING alert_id
"""
ESCALATE = """
INSERT INTO alert_deliveries (alert_id, channel_id, status, subject, level_rank, is_escalation)
SELECT alert_id, $2, 'due', subject, level_rank, true FROM alert_deliveries WHERE alert_id = $1 AND channel_id = $3
ON CONFLICT DO NOTHING
"""


class PostgresTelling:
    """The port `alerts.ports.TellingWork`: for one process, under its lease."""

    def __init__(self, journal: Journal, lease: Lease, *, level: AlertLevel) -> None:
        """``level`` is the desk's where nobody has said another."""
        self._journal = journal
        self._lease = lease
        self._level = level
        self._workers = Workers(journal.pool)

    async def hold(self) -> bool:
        return await self._workers.hold(LEASE, self._lease)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["PostgresTellingBook"]:
        async with self._journal.transaction() as transaction:
            yield PostgresTellingBook(transaction, lease=self._lease, level=self._level)


class PostgresTellingBook:
    """The port `alerts.ports.TellingBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, lease: Lease, level: AlertLevel) -> None:
        """Read and append under ``transaction``."""
        self._transaction = transaction
        self._connection = transaction.connection
        self._lease = lease
        self._level = level
        self._standing: dict[str, Condition] | None = None

    async def is_ours(self) -> bool:
        return bool(
            await self._connection.fetchval(
                """
                SELECT true FROM leases
                WHERE name = $1 AND worker_id = $2 AND lease_epoch = $3 AND lease_until > clock_timestamp()
                FOR UPDATE
                """,
                LEASE,
                self._lease.worker_id,
                self._lease.lease_epoch,
            )
        )

    async def next_facts(self, *, limit: int) -> Sequence[Fact]:
        at = await self._connection.fetchrow(CURSOR)
        rows = await self._connection.fetch(
            NEXT,
            at["epoch"],
            at["xid"],
            at["seq"],
            at["last_epoch"],
            at["below"],
            [kind.__name__ for kind in TABLE],
            sorted(LOSS_CODES),
            limit,
            SECOND_FACTOR_RESET,
        )
        if len(rows) == limit:
            last = rows[-1]
            await self._connection.execute(MOVE_ON, last["epoch"], last["xid"], last["seq"])
        elif rows or at["epoch"] < at["last_epoch"] or int(at["below"]) - int(at["xid"]) > PASSED_BY_MAX:
            await self._connection.execute(MOVE_ON, at["last_epoch"], at["below"], 0)
        return [decode(row["kind"], row["fact"]) for row in rows]

    async def names_of(self, facts: Sequence[Fact]) -> Names:
        accounts = await self._connection.fetch(
            "SELECT account_id, name, user_id FROM accounts WHERE account_id = ANY($1::bigint[])",
            [*_ids(facts, "account_id"), *_accounts_of_states(facts)],
        )
        positions = await self._connection.fetch(
            "SELECT position_id, symbol, bot_id FROM positions WHERE position_id = ANY($1::bigint[])",
            _ids(facts, "position_id"),
        )
        bots = await self._connection.fetch("SELECT bot_id, name FROM bots")
        return Names(
            accounts={
                row["account_id"]: AccountName(name=row["name"], user_id=row["user_id"]) for row in accounts
            },
            positions={
                row["position_id"]: PositionName(symbol=row["symbol"], bot_id=row["bot_id"])
                for row in positions
            },
            bots={row["bot_id"]: row["name"] for row in bots},
        )

    async def audience(self) -> Audience:
        return await read_audience(self._connection, level=self._level)

    async def keep_back(
        self, key: str, *, user_id: UUID | None, since: datetime | None, now: datetime
    ) -> int | None:
        last: datetime | None = await self._connection.fetchval(WINDOW, key, user_id)
        if last is not None and (since is None or last > since):
            await self._connection.execute(KEEP_BACK, key, user_id)
            return None
        return await self._connection.fetchval(OPEN_WINDOW, key, user_id, now) or 0

    async def win_rates(self, bot_ids: Sequence[UUID], *, now: datetime) -> Sequence[WinRate]:
        first = (now - timedelta(days=WIN_RATE_DAYS)).date()
        return to_values(await self._connection.fetch(WIN_RATES, list(bot_ids), first), WinRate)

    async def new_conditions(self) -> Sequence[Condition]:
        rows = await self._connection.fetch(STANDING)
        standing = [to_condition(row) for row in rows]
        new = await self._connection.fetch(
            """
            INSERT INTO alert_conditions (dedupe_key) SELECT DISTINCT unnest($1::text[])
            ON CONFLICT DO NOTHING RETURNING dedupe_key
            """,
            [one.key for one in standing],
        )
        self._standing = {one.key: one for one in standing}
        return [self._standing[row["dedupe_key"]] for row in new]

    async def ended_conditions(self) -> Sequence[str]:
        assert self._standing is not None, "what stands is looked at before what is over"
        ended = await self._connection.fetch(
            "DELETE FROM alert_conditions WHERE dedupe_key <> ALL($1::text[]) RETURNING dedupe_key",
            list(self._standing),
        )
        await self._connection.execute(
            "DELETE FROM alert_windows WHERE raised_at < clock_timestamp() - $1::interval", WINDOWS_KEPT
        )
        return sorted(row["dedupe_key"] for row in ended)

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)

    async def queue(self, queued: Sequence[Queued]) -> None:
        if queued:
            await queue(self._connection, queued)


class PostgresOutbox:
    """The port `alerts.ports.Outbox`: for one process, under its lease."""

    def __init__(self, journal: Journal, lease: Lease, *, vault: Vault) -> None:
        """Open addresses with ``vault``."""
        self._journal = journal
        self._lease = lease
        self._vault = vault
        self._workers = Workers(journal.pool)

    async def hold(self) -> bool:
        return await self._workers.hold(LEASE, self._lease)

    async def claim(self, *, per_channel_max: int) -> Sequence[Batch]:
        batches = []
        async with self._journal.pool.acquire() as connection, connection.transaction():
            await connection.execute(STOP_FORGOTTEN)
            for channel in await connection.fetch(LEFT_TO_SEND):
                if channel["messages_left"] <= 0:
                    continue
                rows = await connection.fetch(
                    CLAIM,
                    channel["channel_id"],
                    self._lease.lease_epoch,
                    per_channel_max,
                    timedelta(seconds=CLAIM_SECONDS),
                )
                batches.append(
                    Batch(
                        channel=to_channel(channel),
                        deliveries=[_delivery(row) for row in rows],
                        messages_left=channel["messages_left"],
                    )
                )
        return [one for one in batches if one.deliveries]

    async def find_address(self, channel_id: int) -> Address:
        try:
            address = await open_address(self._journal.pool, channel_id, vault=self._vault)
        except SealError as sealed:
            raise ChannelError(
                "CHANNEL_SEALED",
                f"channel={channel_id} why={str(sealed).partition(':')[0]}. Say its address anew.",
                is_final=True,
            ) from sealed
        if address is None:
            raise ChannelError("CHANNEL_UNUSABLE", f"channel={channel_id}. It has no address.", is_final=True)
        return address

    async def note_sent(self, channel: Channel, alert_ids: Sequence[UUID], *, message_id: UUID) -> None:
        await self._journal.pool.execute(SENT, channel.channel_id, list(alert_ids), message_id)

    async def note_later(
        self, channel: Channel, alert_ids: Sequence[UUID], *, error: ChannelError, seconds: float
    ) -> None:
        await self._journal.pool.execute(
            LATER, channel.channel_id, list(alert_ids), timedelta(seconds=seconds), error.code, error.message
        )

    async def note_put_off(self, channel: Channel, alert_ids: Sequence[UUID], *, seconds: float) -> None:
        await self._journal.pool.execute(
            PUT_OFF, channel.channel_id, list(alert_ids), timedelta(seconds=seconds)
        )

    async def note_failed(self, channel: Channel, alert_ids: Sequence[UUID], *, error: ChannelError) -> None:
        async with self._journal.pool.acquire() as connection, connection.transaction():
            failed = await connection.fetch(
                FAILED, channel.channel_id, list(alert_ids), error.code, error.message
            )
            channels = [to_channel(row) for row in await connection.fetch("SELECT * FROM alert_channels")]
            told = await connection.fetch(
                """
                SELECT d.alert_id, d.channel_id FROM alert_deliveries AS d JOIN alerts AS a USING (alert_id)
                WHERE d.alert_id = ANY($1::uuid[]) AND a.kind <> $2 ORDER BY d.alert_id
                """,
                [row["alert_id"] for row in failed],
                AlertKind.TEST,
            )
            for alert_id, group in groupby(told, key=lambda row: row["alert_id"]):
                had = {row["channel_id"] for row in group}
                then = next_channel(channels, had=had, failed=channel)
                if then is not None:
                    await connection.execute(ESCALATE, alert_id, then.channel_id, channel.channel_id)


def to_condition(row: Any) -> Condition:
    """Give what stands, of a row."""
    return to_value({**row, "numbers": msgspec.json.decode(row["numbers"])}, Condition)


def _delivery(row: Any) -> Delivery:
    return Delivery(
        alert=to_alert(row),
        raised_at=row["raised_at"],
        attempts=row["attempts"],
        is_escalation=row["is_escalation"],
    )


def _accounts_of_states(facts: Sequence[Fact]) -> list[int]:
    return [
        int(fact.subject)
        for fact in facts
        if isinstance(fact, TradingStateSet) and fact.level is ScopeLevel.ACCOUNT
    ]


def _ids(facts: Sequence[Fact], name: str) -> list[int]:
    found = {getattr(fact, name, None) for fact in facts}
    return sorted(one for one in found if one is not None)

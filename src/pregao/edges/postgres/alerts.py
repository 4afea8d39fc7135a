"""The book of alerts and channels as people change it, and what they see of it."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from pregao.accounts.sealing import Credentials, SealedCredentials, Vault
from pregao.alerts.audience import Audience
from pregao.alerts.ports import Address, Queued
from pregao.domain.alert import Alert, AlertKind, AlertLevel, Channel, Mute
from pregao.domain.facts import Fact
from pregao.edges.postgres.credentials import keep
from pregao.edges.postgres.journal import Connection, Journal, Transaction
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.sorting import fetch_lines
from pregao.views.alerts import AlertLine, ChannelLine, DeliveryLine, LogLine
from pregao.views.sorting import ALERT_FIELDS, NEWEST_FIRST, Shape

BELL = "alerts"
CHANGE_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(7234029, hashtext(coalesce($1::uuid::text, '')))"

QUEUE = """
INSERT INTO alert_deliveries (alert_id, channel_id, status, subject, level_rank)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::integer[])
ON CONFLICT DO NOTHING
"""
LET_BE = """
UPDATE alert_deliveries SET status = 'failed', code = 'CHANNEL_FORGOTTEN', reason = 'The channel was deleted.'
WHERE channel_id = $1 AND status = 'due'
"""
# $1 whose, $2 levels, $3 kind, $4 acknowledged
ALERTS = """
SELECT * FROM alerts
WHERE user_id IS NOT DISTINCT FROM $1 AND ($2::text[] IS NULL OR level = ANY($2)) AND ($3::text IS NULL OR kind = $3)
  AND ($4::boolean IS NULL OR (acknowledged_at IS NOT NULL) = $4)
"""
DELIVERIES = """
SELECT d.*, coalesce(c.name, '') AS channel, CASE WHEN d.status = 'due' THEN d.due_at END AS next_at,
       d.message_id IS NOT NULL AND EXISTS (
           SELECT FROM alert_deliveries AS o
           WHERE o.channel_id = d.channel_id AND o.message_id = d.message_id AND o.alert_id <> d.alert_id
             AND o.status = 'sent') AS is_summarized
FROM alert_deliveries AS d LEFT JOIN alert_channels AS c USING (channel_id)
WHERE d.alert_id = ANY($1::uuid[]) ORDER BY c.place NULLS LAST, d.channel_id
"""
LOG = """
SELECT a.alert_id, a.kind, a.level, a.title, a.code AS alert_code, a.about, a.raised_at, d.status, d.attempts, d.tried_at, d.sent_at,
       CASE WHEN d.status = 'due' THEN d.due_at END AS due_at, d.code, d.reason, d.is_escalation
FROM alert_deliveries AS d JOIN alerts AS a USING (alert_id)
WHERE d.channel_id = $1 AND ($2::text IS NULL OR d.status = $2) AND ($3::uuid IS NULL OR d.alert_id < $3)
  AND EXISTS (SELECT FROM alert_channels AS c WHERE c.channel_id = $1 AND c.user_id IS NOT DISTINCT FROM $4)
ORDER BY d.alert_id DESC LIMIT $5
"""
CHANNELS = """
SELECT c.*, coalesce(w.waiting, 0) AS waiting, w.last_sent_at, w.last_failed_at, w.last_code
FROM alert_channels AS c
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'due') AS waiting, max(sent_at) AS last_sent_at,
           max(tried_at) FILTER (WHERE code IS NOT NULL) AS last_failed_at,
           (array_agg(code ORDER BY tried_at DESC) FILTER (WHERE code IS NOT NULL AND tried_at IS NOT NULL))[1] AS last_code
    FROM alert_deliveries AS d WHERE d.channel_id = c.channel_id
) AS w
WHERE c.user_id IS NOT DISTINCT FROM $1 ORDER BY c.place, c.channel_id
"""


async def queue(connection: Connection, queued: Sequence[Queued]) -> None:
    """Put alerts on their way in the connection's open transaction; where one is already, it stays as it is."""
    await connection.execute(
        QUEUE,
        [one.alert.alert_id for one in queued],
        [one.channel_id for one in queued],
        ["muted" if one.is_muted else "due" for one in queued],
        [one.alert.subject for one in queued],
        [one.alert.level.rank for one in queued],
    )


async def read_audience(connection: Connection, *, level: AlertLevel) -> Audience:
    """Give who hears what now; ``level`` counts where nobody has said another."""
    return Audience(
        channels=[to_channel(row) for row in await connection.fetch("SELECT * FROM alert_channels")],
        mutes=to_values(await connection.fetch("SELECT * FROM alert_mutes"), Mute),
        level=await read_level(connection, level=level),
    )


async def read_level(connection: Connection, *, level: AlertLevel) -> AlertLevel:
    """Give the desk's least level; ``level`` where nobody has said another."""
    found = await connection.fetchval("SELECT level FROM alert_levels")
    return level if found is None else AlertLevel(found)


def to_alert(row: Any) -> Alert:
    """Give the alert of a row."""
    return to_value({**row, "numbers": msgspec.json.decode(row["numbers"])}, Alert)


def to_channel(row: Any) -> Channel:
    """Give the channel of a row."""
    return to_value({**row, "shown": msgspec.json.decode(row["shown"])}, Channel)


class PostgresAlertBooks:
    """The port `alerts.ports.AlertBooks`."""

    def __init__(self, journal: Journal, *, vault: Vault, ring: Callable[[], None]) -> None:
        """Seal addresses with ``vault``; call ``ring`` after each commit."""
        self._journal = journal
        self._vault = vault
        self._ring = ring

    async def next_channel_id(self) -> int:
        # Of the accounts' own numbers: what is sealed is kept under them, and goes with every rotation.
        number: int = await self._journal.pool.fetchval("SELECT nextval('account_ids')")
        return number

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresAlertBook"]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(CHANGE_ONE_BY_ONE, owner)
            yield PostgresAlertBook(transaction, owner=owner, vault=self._vault)
        self._ring()


class PostgresAlertBook:
    """The port `alerts.ports.AlertBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None, vault: Vault) -> None:
        """Read under ``transaction`` what is ``owner``'s, or the desk's, and append to it."""
        self._transaction = transaction
        self._connection = transaction.connection
        self._owner = owner
        self._vault = vault

    async def find_alert(self, alert_id: UUID) -> Alert | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM alerts WHERE alert_id = $1 AND user_id IS NOT DISTINCT FROM $2",
            alert_id,
            self._owner,
        )
        return None if row is None else to_alert(row)

    async def channels(self) -> Sequence[Channel]:
        rows = await self._connection.fetch(
            "SELECT * FROM alert_channels WHERE user_id IS NOT DISTINCT FROM $1 ORDER BY place, channel_id",
            self._owner,
        )
        return [to_channel(row) for row in rows]

    async def is_level_set(self) -> bool:
        return bool(await self._connection.fetchval("SELECT EXISTS (SELECT FROM alert_levels)"))

    async def find_mute(self, mute_id: UUID) -> Mute | None:
        row = await self._connection.fetchrow(
            "SELECT * FROM alert_mutes WHERE mute_id = $1 AND user_id IS NOT DISTINCT FROM $2",
            mute_id,
            self._owner,
        )
        return None if row is None else to_value(row, Mute)

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(facts)

    async def keep_address(self, channel_id: int, address: Address) -> None:
        sealed = self._vault.seal(
            Credentials(key="channel", secret=json.dumps(dict(address))), account_id=channel_id
        )
        await keep(self._connection, channel_id, sealed)

    async def forget_address(self, channel_id: int) -> None:
        await self._connection.execute("DELETE FROM credentials WHERE account_id = $1", channel_id)
        await self._connection.execute(LET_BE, channel_id)

    async def queue(self, queued: Sequence[Queued]) -> None:
        await queue(self._connection, queued)


async def open_address(connection: Connection, channel_id: int, *, vault: Vault) -> Address | None:
    """
    Give a channel's address, opened.

    :raises SealError: when it cannot be opened.
    """
    row = await connection.fetchrow(
        "SELECT sealed, wrapped_key, master_key FROM credentials WHERE account_id = $1", channel_id
    )
    if row is None:
        return None
    credentials = vault.unseal(to_value(row, SealedCredentials), account_id=channel_id)
    address: Address = json.loads(credentials.secret)
    return address


class PostgresAlerts:
    """The port `views.alerts.Alerts`."""

    def __init__(self, pool: asyncpg.Pool, *, level: AlertLevel) -> None:
        """Read from ``pool``; ``level`` is the desk's where nobody has said another."""
        self._pool = pool
        self._level = level

    async def alerts(
        self,
        *,
        owner: UUID | None,
        level: AlertLevel | None,
        kind: AlertKind | None,
        is_acknowledged: bool | None,
        before: UUID | None,
        shape: Shape = NEWEST_FIRST,
        limit: int,
    ) -> Sequence[AlertLine]:
        levels = None if level is None else [one for one in AlertLevel if one.reaches(level)]
        rows = await fetch_lines(
            self._pool,
            ALERTS,
            owner,
            levels,
            kind,
            is_acknowledged,
            shape=shape,
            fields=ALERT_FIELDS,
            columns={},
            key="alert_id::uuid",
            after=before,
            searched=("title", "text", "kind", "level", "acknowledged_by"),
            limit=limit,
        )
        return await self._lines(rows)

    async def find_alert(self, alert_id: UUID, *, owner: UUID | None) -> AlertLine | None:
        rows = await self._pool.fetch(
            "SELECT * FROM alerts WHERE alert_id = $1 AND user_id IS NOT DISTINCT FROM $2", alert_id, owner
        )
        lines = await self._lines(rows)
        return lines[0] if lines else None

    async def channels(self, *, owner: UUID | None) -> Sequence[ChannelLine]:
        return [_channel_line(row) for row in await self._pool.fetch(CHANNELS, owner)]

    async def deliveries(
        self,
        *,
        owner: UUID | None,
        channel_id: int,
        status: str | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[LogLine]:
        return to_values(await self._pool.fetch(LOG, channel_id, status, before, owner, limit), LogLine)

    async def mutes(self, *, owner: UUID | None, now: datetime) -> Sequence[Mute]:
        rows = await self._pool.fetch(
            "SELECT * FROM alert_mutes WHERE user_id IS NOT DISTINCT FROM $1 AND until > $2 ORDER BY until, mute_id",
            owner,
            now,
        )
        return to_values(rows, Mute)

    async def level(self) -> AlertLevel:
        return await read_level(self._pool, level=self._level)

    async def _lines(self, rows: Sequence[Any]) -> Sequence[AlertLine]:
        told = await self._pool.fetch(DELIVERIES, [row["alert_id"] for row in rows])
        by_alert: dict[UUID, list[DeliveryLine]] = {}
        for one in told:
            line = to_value({**one, "due_at": one["next_at"]}, DeliveryLine)
            by_alert.setdefault(one["alert_id"], []).append(line)
        return [
            AlertLine(
                alert=to_alert(row),
                raised_at=row["raised_at"],
                acknowledged_at=row["acknowledged_at"],
                acknowledged_by=row["acknowledged_by"],
                deliveries=by_alert.get(row["alert_id"], []),
            )
            for row in rows
        ]


def _channel_line(row: Any) -> ChannelLine:
    has_failed = row["last_failed_at"] is not None and (
        row["last_sent_at"] is None or row["last_failed_at"] > row["last_sent_at"]
    )
    return ChannelLine(
        channel=to_channel(row),
        waiting=row["waiting"],
        sent_at=row["last_sent_at"],
        failed_at=row["last_failed_at"] if has_failed else None,
        code=row["last_code"] if has_failed else None,
    )

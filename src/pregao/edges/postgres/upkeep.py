"""Forget what is over and old, and see whether the desk as a whole is well: the port `views.upkeep.Upkeep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from pregao.domain.clock import EPOCH
from pregao.domain.facts import HealthAlarmed, PastForgotten, RetentionSet
from pregao.domain.order import LIVE
from pregao.domain.upkeep import (
    KEPT_ALERTS_MIN,
    KEPT_POSITIONS_MIN,
    Alarm,
    AlarmName,
    Cutoffs,
    Retention,
    Severity,
    Vitals,
    alarms_of,
    cutoffs_of,
)
from pregao.edges.postgres.cache import PostgresCache
from pregao.edges.postgres.figures import roll
from pregao.edges.postgres.journal import Connection, Journal
from pregao.edges.postgres.rows import to_value
from pregao.views.upkeep import AlarmLine, Forgotten, RetentionLine

POSITIONS_AT_ONCE = 500
OTHERS_AT_ONCE = 1_000  # signals, alerts
FORESEEN_MAX = 100_000  # what is counted before it is done
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7234012)"
DEAD_WORKERS_KEPT = timedelta(days=1)
ROLLS_MAX = 1_000  # of the counting before it: five million facts

# Over, old, none of the newest, and nothing of it may move any more. What is held on the same account and symbol since
# before keeps it too: after a gap the venue is asked for trades from then on, and what was forgotten would be booked again.
POSITIONS = """
SELECT p.position_id FROM positions AS p
WHERE p.position_id < (SELECT position_id FROM positions ORDER BY position_id DESC OFFSET $1 LIMIT 1)
  AND p.closed_at < $2 AND p.status IN ('closed', 'abandoned')
  AND NOT EXISTS (SELECT FROM stops AS s WHERE s.position_id = p.position_id AND s.left_at IS NULL)
  AND NOT EXISTS (SELECT FROM stop_claims AS c WHERE c.position_id = p.position_id
                  AND c.status <> 'executed' AND c.again_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM protections AS l WHERE l.position_id = p.position_id
                  AND l.status IN ('planned', 'unresolved', 'accepted', 'triggering', 'triggered'))
  AND NOT EXISTS (SELECT FROM orders AS o WHERE o.position_id = p.position_id AND o.status = ANY($3::text[]))
  AND NOT EXISTS (SELECT FROM positions AS h WHERE h.account_id = p.account_id AND h.symbol = p.symbol
                  AND h.status IN ('pending', 'open', 'closing') AND h.created_at <= p.closed_at)
ORDER BY p.position_id LIMIT $4
"""
# Ids of signals are in the order of time. $4: positions that are forgotten with them.
SIGNALS = """
SELECT s.signal_id FROM signals AS s
WHERE s.signal_id < $1 AND s.received_at < $2 AND s.settled_at < $2
  AND s.status IN ('refused', 'declined', 'settled')
  AND NOT EXISTS (SELECT FROM orders AS o WHERE o.signal_id = s.signal_id
                  AND (o.status = ANY($3::text[]) OR NOT o.position_id = ANY($4::bigint[])))
ORDER BY s.signal_id LIMIT $5
"""
# Of each audience all but the newest; never what is still on its way to somebody. Their ids are in the order of time, too.
ALERTS = """
WITH audiences AS (
    SELECT u.user_id, (SELECT a.alert_id FROM alerts AS a WHERE a.user_id = u.user_id
                       ORDER BY a.alert_id DESC OFFSET $1 LIMIT 1) AS kept_from FROM users AS u
    UNION ALL
    SELECT NULL, (SELECT a.alert_id FROM alerts AS a WHERE a.user_id IS NULL
                  ORDER BY a.alert_id DESC OFFSET $1 LIMIT 1)
)
SELECT a.alert_id FROM alerts AS a
JOIN audiences AS o ON coalesce(o.user_id, $4) = coalesce(a.user_id, $4) AND a.alert_id < o.kept_from
WHERE a.alert_id < $2 AND a.raised_at < $3
  AND NOT EXISTS (SELECT FROM alert_deliveries AS d WHERE d.alert_id = a.alert_id AND d.status = 'due')
ORDER BY a.alert_id LIMIT $5
"""
NOBODY = UUID(int=0)  # the desk's own people, where audiences are compared
LOOSE = """
SELECT (SELECT count(*)::int FROM deliveries WHERE NOT is_explicit_id AND first_at < $1) AS hashes,
       (SELECT count(*)::int FROM deliveries_turned_away WHERE happened_at < $2) AS turned_away
"""
OTHERS = """
SELECT (SELECT count(*)::int FROM cache_entries WHERE expires_at <= clock_timestamp()) AS cache_entries,
       (SELECT count(*)::int FROM workers WHERE lease_until < clock_timestamp() - $1::interval) AS workers,
       (SELECT count(*)::int FROM screener_runs WHERE run_at < $2) AS screener_runs
"""
# Months before the cutoff; a clear may have left nothing in them. What is there a rebuild reads.
PARTITIONS = """
SELECT c.relname AS name FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.inhparent = 'journal'::regclass AND n.nspname = 'pregao' AND c.relname ~ '^journal_[0-9]{6}$'
  AND c.relname < 'journal_' || to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYYMM')
ORDER BY c.relname
"""
VITALS = """
WITH sent AS (
    SELECT o.status FROM signals AS s JOIN orders AS o USING (signal_id) WHERE s.signal_id >= $1
)
SELECT (SELECT count(*)::int FROM sent WHERE status = 'filled') AS sent_well,
       (SELECT count(*)::int FROM sent WHERE status = 'rejected') AS sent_badly,
       (SELECT count(*)::int FROM workers WHERE role = 'trader' AND lease_until > clock_timestamp()) AS traders,
       (SELECT extract(epoch FROM $2::timestamptz - received_at)::float8 FROM signals
        ORDER BY signal_id DESC LIMIT 1) AS last_signal_seconds
"""
JUDGED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What can be forgotten in one go."""

    position_ids: tuple[int, ...]
    signal_ids: tuple[UUID, ...]
    alert_ids: tuple[UUID, ...]
    hashes: int
    turned_away: int

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to forget."""
        found = self.position_ids, self.signal_ids, self.alert_ids, self.hashes, self.turned_away
        return not any(found)


class PostgresUpkeep:
    """Over one journal; ``standard`` counts until somebody says otherwise."""

    def __init__(self, journal: Journal, *, standard: Retention) -> None:
        """Write through ``journal``."""
        self._journal = journal
        self._standard = standard

    async def retention(self) -> RetentionLine:
        row = await self._journal.pool.fetchrow("SELECT * FROM retentions")
        if row is None:
            return RetentionLine(retention=self._standard, set_by="", set_at=None)
        return RetentionLine(retention=to_value(row, Retention), set_by=row["set_by"], set_at=row["set_at"])

    async def set_retention(
        self, retention: Retention, *, set_by: str, reason: str = "", now: datetime
    ) -> None:
        async with self._journal.transaction() as transaction:
            await transaction.append(
                [RetentionSet(happened_at=now, retention=retention, set_by=set_by, reason=reason)]
            )

    async def alarms(self) -> Sequence[AlarmLine]:
        rows = await self._journal.pool.fetch("SELECT * FROM health_alarms ORDER BY severity, name")
        return [to_value({**row, "numbers": msgspec.json.decode(row["numbers"])}, AlarmLine) for row in rows]

    async def foresee(self, *, now: datetime) -> Forgotten:
        cutoffs = cutoffs_of((await self.retention()).retention, now=now)
        pool = self._journal.pool
        past = await _find_past(pool, cutoffs, positions_max=FORESEEN_MAX, others_max=FORESEEN_MAX)
        others = await pool.fetchrow(OTHERS, DEAD_WORKERS_KEPT, cutoffs.metrics)
        assert others is not None, "counting always gives a row"
        return Forgotten(
            positions=len(past.position_ids),
            signals=len(past.signal_ids),
            hashes=past.hashes,
            turned_away=past.turned_away,
            alerts=len(past.alert_ids),
            journal_partitions=len(await self._former_partitions(cutoffs)),
            **others,
        )

    async def forget(self, *, now: datetime) -> Forgotten:
        cutoffs = cutoffs_of((await self.retention()).retention, now=now)
        # What is counted of a fact is looked up in the state: a desk that was off for a month counts before it forgets.
        await roll(self._journal.pool, rolls_max=ROLLS_MAX)
        positions = signals = hashes = turned_away = alerts = 0
        while (past := await self._forget_some(cutoffs, now=now)) is not None:
            positions += len(past.position_ids)
            signals += len(past.signal_ids)
            hashes += past.hashes
            turned_away += past.turned_away
            alerts += len(past.alert_ids)
        pool = self._journal.pool
        workers = await pool.fetch(
            "DELETE FROM workers WHERE lease_until < clock_timestamp() - $1::interval RETURNING worker_id",
            DEAD_WORKERS_KEPT,
        )
        runs = await pool.fetch(
            "DELETE FROM screener_runs WHERE run_at < $1 RETURNING run_at", cutoffs.metrics
        )
        return Forgotten(
            positions=positions,
            signals=signals,
            hashes=hashes,
            turned_away=turned_away,
            alerts=alerts,
            cache_entries=await self._purge(),
            workers=len(workers),
            screener_runs=len(runs),
            journal_partitions=await self._drop_former(cutoffs),
        )

    async def note_alarms(self, *, now: datetime) -> list[HealthAlarmed]:
        """Write down what began to be wrong, and what no longer is; give both."""
        async with self._journal.transaction() as transaction:
            connection = transaction.connection
            await connection.execute(ONE_AT_A_TIME)
            row = await connection.fetchrow(VITALS, _first_id_at(now - JUDGED), now)
            assert row is not None, "counting always gives a row"
            wrong = {alarm.name: alarm for alarm in alarms_of(Vitals(**row))}
            known = {
                one["name"]: one["severity"]
                for one in await connection.fetch("SELECT name, severity FROM health_alarms")
            }
            told = [_began(alarm, now=now) for name, alarm in wrong.items() if name not in known]
            told += [
                _ended(AlarmName(name), Severity(severity), now=now)
                for name, severity in known.items()
                if name not in wrong
            ]
            await transaction.append(told)
        return told

    async def _forget_some(self, cutoffs: Cutoffs, *, now: datetime) -> _Past | None:
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(ONE_AT_A_TIME)
            past = await _find_past(
                transaction.connection, cutoffs, positions_max=POSITIONS_AT_ONCE, others_max=OTHERS_AT_ONCE
            )
            if past.is_nothing:
                return None
            fact = PastForgotten(
                happened_at=now,
                position_ids=past.position_ids,
                signal_ids=past.signal_ids,
                hashes_before=cutoffs.hashes if past.hashes else None,
                turned_away_before=cutoffs.metrics if past.turned_away else None,
                alert_ids=past.alert_ids,
            )
            await transaction.append([fact])
            # What became of an alert is no state: no fold knows these rows.
            await transaction.connection.execute(
                "DELETE FROM alert_deliveries WHERE alert_id = ANY($1::uuid[])", list(past.alert_ids)
            )
        return past

    async def _purge(self) -> int:
        cache, purged = PostgresCache(self._journal.pool), 0
        while some := await cache.purge():
            purged += some
        return purged

    async def _former_partitions(self, cutoffs: Cutoffs) -> list[str]:
        pool = self._journal.pool
        return [
            row["name"]
            for row in await pool.fetch(PARTITIONS, cutoffs.signals)
            if not await pool.fetchval(f"SELECT EXISTS (SELECT FROM {row['name']})")
        ]

    async def _drop_former(self, cutoffs: Cutoffs) -> int:
        dropped = 0
        for name in await self._former_partitions(cutoffs):
            async with self._journal.pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")  # who writes waits no longer
                await connection.execute(f"DROP TABLE {name}")
            dropped += 1
        return dropped


async def _find_past(
    connection: Connection, cutoffs: Cutoffs, *, positions_max: int, others_max: int
) -> _Past:
    live = sorted(LIVE)
    positions = await connection.fetch(
        POSITIONS, KEPT_POSITIONS_MIN - 1, cutoffs.signals, live, positions_max
    )
    position_ids = tuple(row["position_id"] for row in positions)
    signals = await connection.fetch(
        SIGNALS, _first_id_at(cutoffs.signals), cutoffs.signals, live, list(position_ids), others_max
    )
    alerts = await connection.fetch(
        ALERTS, KEPT_ALERTS_MIN - 1, _first_id_at(cutoffs.alerts), cutoffs.alerts, NOBODY, others_max
    )
    loose = await connection.fetchrow(LOOSE, cutoffs.hashes, cutoffs.metrics)
    assert loose is not None, "counting always gives a row"
    return _Past(
        position_ids=position_ids,
        signal_ids=tuple(row["signal_id"] for row in signals),
        alert_ids=tuple(row["alert_id"] for row in alerts),
        **loose,
    )


def _first_id_at(instant: datetime) -> UUID:
    """Give the smallest id that a signal of this millisecond may have."""
    return UUID(int=((instant - EPOCH) // timedelta(milliseconds=1)) << 80)


def _began(alarm: Alarm, *, now: datetime) -> HealthAlarmed:
    return HealthAlarmed(
        happened_at=now, name=alarm.name, severity=alarm.severity, is_on=True, numbers=alarm.numbers
    )


def _ended(name: AlarmName, severity: Severity, *, now: datetime) -> HealthAlarmed:
    return HealthAlarmed(happened_at=now, name=name, severity=severity, is_on=False, numbers={})

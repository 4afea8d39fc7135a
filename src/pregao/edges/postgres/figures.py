"""
Figures in the database: what the journal tells is counted there, what processes count is added, gauges are their last word.

Any web process answers for all: none keeps a registry of its own.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import asyncpg
import structlog

from pregao.domain.clock import Clock
from pregao.domain.facts import MetricsReset
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.pool import AWAY
from pregao.edges.postgres.rows import encode_json, to_values
from pregao.tally import OWN, Key, Tally
from pregao.views.figures import COUNTERS, MetricLine, Reading

TELL_SECONDS = 2.0
ROLL_SECONDS = 5.0
FACTS_PER_ROLL = 5_000
ROLLS_PER_SCRAPE = 10
GAUGE_SECONDS_MAX = 15.0  # a process that says no more of a gauge has none
RATES = {"deriv_bot_ticks_processed_total": "deriv_bot_ticks_per_second"}
"""Gauges of how fast a counter of this process grows."""

log = structlog.get_logger()

METRICS = "SELECT metric_name, metric_value, last_updated FROM public.signal_metrics ORDER BY metric_name"
# $1: how old a gauge may be. Money is in the accounts' margin asset, as everywhere.
READINGS = """
SELECT name, labels, value::float8 FROM current_tallies()
UNION ALL
SELECT name, labels, sum(value)::float8 FROM process_gauges
WHERE told_at > clock_timestamp() - make_interval(secs => $1) GROUP BY name, labels
UNION ALL
SELECT 'deriv_bot_cache_hit_rate', '{}',
       round(100 * sum(value) FILTER (WHERE labels[2] = 'hit') / nullif(sum(value), 0), 2)::float8
FROM tallies WHERE name = 'deriv_bot_cache_operations_total' AND labels[1] = 'get'
HAVING sum(value) FILTER (WHERE labels[2] = 'hit') > 0
UNION ALL
SELECT 'deriv_bot_current_pnl', ARRAY[t.timeframe], sum(r.pnl_usd)::float8
FROM daily_results AS r JOIN LATERAL timeframes_of(r.day) AS t ON true GROUP BY t.timeframe
UNION ALL
SELECT 'deriv_bot_win_rate', ARRAY[t.timeframe], round(100.0 * sum(r.wins) / nullif(sum(r.wins + r.losses), 0), 2)::float8
FROM daily_results AS r JOIN LATERAL timeframes_of(r.day) AS t ON true GROUP BY t.timeframe
HAVING sum(r.wins + r.losses) > 0
UNION ALL
SELECT l.name, ARRAY[l.strategy], l.value FROM (
    SELECT DISTINCT ON (n.name, r.figures ->> 'strategy') n.name, r.figures ->> 'strategy' AS strategy,
           (r.figures ->> n.field)::float8 AS value
    FROM lab_runs AS r, (VALUES ('deriv_bot_backtest_sharpe_ratio', 'sharpe'),
                                ('deriv_bot_backtest_max_drawdown', 'drawdown_max_pct')) AS n (name, field)
    WHERE r.status = 'done' AND r.figures ? n.field ORDER BY n.name, r.figures ->> 'strategy', r.ended_at DESC) AS l
UNION ALL
SELECT 'pregao_price_age_seconds', ARRAY[venue, symbol], extract(epoch FROM clock_timestamp() - price_at)::float8
FROM watches WHERE price_at IS NOT NULL AND told_at > clock_timestamp() - make_interval(secs => $1)
UNION ALL
SELECT 'pregao_workers', ARRAY[role], count(*)::float8 FROM workers WHERE lease_until > clock_timestamp() GROUP BY role
UNION ALL
SELECT 'pregao_journal_lag_seconds', '{}', coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8
FROM journal, tally_cursors AS k WHERE (journal.epoch, journal.xid) >= (k.epoch, k.xid)
"""
UPTIME = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(started_at)), 0)::float8
FROM workers WHERE lease_until > clock_timestamp()
"""
RESET_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(7234010)"
COUNTED = """
SELECT m.metric_name, m.metric_value + coalesce(z.counted, 0) AS counted
FROM public.signal_metrics AS m LEFT JOIN metric_zeros AS z USING (metric_name) WHERE m.metric_name = ANY($1)
"""
TELL = """
INSERT INTO tallies AS t (name, labels, value, changed_at)
SELECT name, ARRAY(SELECT jsonb_array_elements_text(labels)), value, clock_timestamp()
FROM unnest($1::text[], $2::jsonb[], $3::numeric[]) AS new (name, labels, value)
ORDER BY name, labels
ON CONFLICT (name, labels) DO UPDATE SET value = t.value + excluded.value, changed_at = excluded.changed_at
"""
FORGET_GAUGES = "DELETE FROM process_gauges WHERE told_at < clock_timestamp() - interval '1 minute'"
TELL_GAUGES = """
INSERT INTO process_gauges AS g (worker_id, name, labels, value, told_at)
SELECT $1, name, ARRAY(SELECT jsonb_array_elements_text(labels)), value, clock_timestamp()
FROM unnest($2::text[], $3::jsonb[], $4::numeric[]) AS new (name, labels, value)
ON CONFLICT (worker_id, name, labels) DO UPDATE SET value = excluded.value, told_at = excluded.told_at
"""


async def keep_rolling(pool: asyncpg.Pool) -> None:
    """Count the journal for good every few seconds, so that a look has little left to count; until canceled."""
    while True:
        try:
            await roll(pool)
            await pool.execute(FORGET_GAUGES)
        except AWAY as away:
            log.info("figures.database.away", error=type(away).__name__)
        await asyncio.sleep(ROLL_SECONDS)


async def roll(pool: asyncpg.Pool, *, rolls_max: int = ROLLS_PER_SCRAPE) -> None:
    """Count the journal for good, as far as so many turns come."""
    for _ in range(rolls_max):
        if not await pool.fetchval("SELECT roll_tallies($1)", FACTS_PER_ROLL):
            return


class PostgresTally:
    """Writes down what this process counts."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        worker_id: str,
        tally: Tally = OWN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell in the name of ``worker_id``."""
        self._pool = pool
        self._worker_id = worker_id
        self._tally = tally
        self._monotonic = monotonic
        self._told_at = monotonic()
        self._rated: set[Key] = set()

    async def run(self) -> None:
        """Tell every two seconds until canceled; while the database is away, it is kept."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            try:
                await self.tell()
            except AWAY as away:
                log.info("figures.database.away", error=type(away).__name__)

    async def tell(self) -> None:
        """Add what was counted since the last time, and say how fast it grew."""
        taken = self._tally.take()
        try:
            if taken:
                await self._pool.execute(TELL, *_columns(taken))
        except BaseException:
            self._tally.give_back(taken)
            raise
        now = self._monotonic()
        rates = self._rates(taken, seconds=max(now - self._told_at, 0.001))
        self._told_at = now
        gauges = self._tally.gauges | rates
        if gauges:
            await self._pool.execute(TELL_GAUGES, self._worker_id, *_columns(gauges))
            self._rated = {key for key, value in rates.items() if value}

    def _rates(self, taken: Mapping[Key, float], *, seconds: float) -> dict[Key, float]:
        still = dict.fromkeys(self._rated, 0.0)
        return still | {
            (RATES[name], labels): value / seconds for (name, labels), value in taken.items() if name in RATES
        }


def _columns(rows: Mapping[Key, float]) -> tuple[list[str], list[str], list[Decimal]]:
    names = [name for name, _ in rows]
    labels = [encode_json(labels).decode() for _, labels in rows]
    return names, labels, [Decimal(repr(value)) for value in rows.values()]


class PostgresFigures:
    """The port `views.figures.Figures`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``."""
        self._pool = pool

    async def readings(self) -> Sequence[Reading]:
        await roll(self._pool)  # what is counted for good need not be counted at the next scrape
        rows = await self._pool.fetch(READINGS, GAUGE_SECONDS_MAX)
        return [Reading(name=row["name"], labels=tuple(row["labels"]), value=row["value"]) for row in rows]

    async def metrics(self) -> Sequence[MetricLine]:
        return to_values(await self._pool.fetch(METRICS), MetricLine)

    async def uptime_seconds(self) -> float:
        return float(await self._pool.fetchval(UPTIME))


class PostgresCounterBooks:
    """The port `views.figures.CounterBooks`."""

    def __init__(self, journal: Journal) -> None:
        """Append to ``journal``."""
        self._journal = journal

    async def reset(self, *, set_by: str, clock: Clock) -> None:
        """Have every counter begin at zero now; what is counted from this moment on counts."""
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(RESET_ONE_BY_ONE)
            rows = await transaction.connection.fetch(COUNTED, list(COUNTERS))
            counted = {row["metric_name"]: row["counted"] for row in rows}
            await transaction.append([MetricsReset(happened_at=clock(), counted=counted, set_by=set_by)])

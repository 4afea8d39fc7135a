"""What happened to signals: the journal's events and those that were brought in, read together by time."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import asyncpg

from pregao.domain.facts import HistoryImported, ImportedEvent
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.performance import SUMS
from pregao.edges.postgres.rows import to_value
from pregao.views.history import (
    FORWARD_ERRORS,
    FORWARDED,
    Bucket,
    EventFilter,
    EventLine,
    EventPlace,
    Imported,
    Performer,
    Summary,
    to_bucket,
)
from pregao.views.performance import Results

EVENTS_PER_FACT = 1_000  # a fact is one row of the journal: some hundred kilobytes
TURN_EVENTS = 5_000  # what is compared before others have their turn
COUNTED = ("received", "approved", "rejected", FORWARDED, *FORWARD_ERRORS)
FEW_SIGNALS = 1_000  # so few are looked up one by one; of more, some are found soon on the way back in time

KINDS = {
    "received": ("SignalReceived",),
    "processing": ("SignalAccepted", "DecisionPending", "ApprovalAnswered"),
    "approved": ("DecisionApproved",),
    "rejected": ("SignalRefused", "DecisionDeclined", "OrderDenied"),
    "queued_forwarding": ("OrderPlanned",),
    "forwarding": ("ForwardBegun",),
    FORWARDED: ("OrderAccepted",),
    **dict.fromkeys(FORWARD_ERRORS, ("OrderRejected", "OrderDenied")),
}
"""Facts that may be a step to each status: the view says whether they are, and is asked about no others."""

CERTAIN = frozenset(
    kind for status in ("received", "processing", "approved", "rejected") for kind in KINDS[status]
) - {"OrderDenied"}
"""Facts that are a step to their status whatever else stands there."""

# Word for word what the index says: only then does the planner take it.
STEPS = """
({table}.kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered', 'DecisionApproved',
                'DecisionDeclined', 'ForwardBegun', 'OrderRejected', 'OrderDenied')
 OR {table}.kind = 'OrderPlanned' AND {table}.fact ->> 'venue' = 'webhook'
 OR {table}.kind = 'OrderAccepted' AND {table}.fact ->> 'exchange_order_id' = {table}.fact ->> 'order_id')
"""

# What a destination answered is the end of what is told of its forward.
DETAILS = "concat_ws(': ', nullif(e.details, ''), e.answer)"

# Which facts are looked at, and in which order, the index alone says, as their kinds are named here; the view is asked
# about one after the other (OFFSET 0 keeps the planner from making one join of all), until there are enough.
KEYS = "FROM journal AS k"
TOLD_TEXT = "{}::text IS NOT NULL"  # an argument that is looked at elsewhere, and must be named
ANY_STATUS = TOLD_TEXT.format("$1")
HAS_STATUS = "e.status = $1"  # the first of all conditions
WHOLE = """
CROSS JOIN LATERAL (SELECT * FROM public.signal_events AS one
                    WHERE one.timestamp = k.happened_at AND one.event_id = k.seq OFFSET 0) AS e
"""
OF_SIGNAL = "LEFT JOIN signals AS s ON s.signal_id = k.signal_id"
OWN_COLUMNS = f"""
k.seq AS number, k.happened_at, k.signal_id, s.symbol AS ticker, signal_type_of(s.action, s.side, s.source, s.body) AS signal_type,
e.status, e.location, e.worker_id, {DETAILS} AS details, e.http_status
"""
BROUGHT_IN_COLUMNS = """
e.number, e.happened_at, e.signal_id, e.ticker, e.signal_type, e.status, e.location, e.worker_id, e.details, e.http_status
"""
# A type or ticker is its signal's. The first few say whether they are few.
SIGNALS_MEANT = f"""
SELECT signal_id FROM signals
WHERE ($1::text IS NULL OR symbol = $1) AND ($2::text IS NULL OR signal_type_of(action, side, source, body) = $2)
LIMIT {FEW_SIGNALS + 1}
"""

# What is a step for certain the index alone counts. A signal of many accounts has its orders taken many times, and counts
# once; what was brought in is counted likewise.
PLAIN = {status: sorted(set(KINDS[status]) & CERTAIN) for status in ("received", "approved", "rejected")}
STATUS_OF_KIND = " ".join(
    f"WHEN '{kind}' THEN '{status}'" for status, kinds in PLAIN.items() for kind in kinds
)
PLAIN_KINDS = ", ".join(f"'{kind}'" for kinds in PLAIN.values() for kind in kinds)
BUCKETS = f"""
SELECT bucket, status, count(*)::int AS signals
FROM (
    SELECT width_bucket(happened_at, $1::timestamptz[]) AS bucket, CASE kind {STATUS_OF_KIND} END AS status FROM journal AS k
    WHERE signal_id IS NOT NULL AND kind IN ({PLAIN_KINDS}) AND {STEPS.format(table="k")} AND happened_at >= $2 AND happened_at < $3
) AS own GROUP BY bucket, status
UNION ALL
SELECT bucket, status, count(*)::int
FROM (
    SELECT width_bucket(timestamp, $1::timestamptz[]) AS bucket, status, signal_id FROM public.signal_events
    WHERE timestamp >= $2 AND timestamp < $3 AND status = ANY($4::text[])
      AND kind IN ('OrderAccepted', 'OrderRejected', 'OrderDenied')
    UNION
    SELECT width_bucket(happened_at, $1::timestamptz[]), status, signal_id FROM imported_events
    WHERE happened_at >= $2 AND happened_at < $3 AND status = ANY($4::text[])
) AS each_signal_once GROUP BY bucket, status
"""

OPENED = """
SELECT width_bucket(opened_at, $1::timestamptz[]) AS bucket, count(*)::int AS opened FROM positions
WHERE opened_at >= $2 AND opened_at < $3 GROUP BY bucket
"""
RESULTS = f"""
SELECT width_bucket(d.day::timestamp, $1::timestamp[]) AS bucket, {SUMS} FROM daily_results AS d
WHERE d.day >= $2 AND d.day < $3 GROUP BY bucket
"""

SUBJECTS = {
    "symbol": ("d.symbol", "d.symbol"),
    "bot": ("d.bot_id::text", "coalesce((SELECT name FROM bots AS b WHERE b.bot_id = d.bot_id), '')"),
    "account": (
        "d.account_id::text",
        "coalesce((SELECT name FROM accounts AS a WHERE a.account_id = d.account_id), '')",
    ),
}
ORDERS = {
    "pnl": "pnl_usd DESC",
    "win_rate": "wins::numeric / nullif(wins + losses, 0) DESC NULLS LAST, pnl_usd DESC",
    "closed": "closed DESC, pnl_usd DESC",
}

KNOWN = f"""
SELECT e.timestamp AS happened_at, e.signal_id, e.status, e.worker_id, {DETAILS} AS details, e.http_status
FROM public.signal_events AS e WHERE e.signal_id = ANY($1::uuid[])
UNION ALL
SELECT happened_at, signal_id, status, worker_id, details, http_status
FROM imported_events WHERE signal_id = ANY($1::uuid[])
"""

Identity = tuple[datetime, UUID, str, str, str, int | None]


class PostgresHistory:
    """The port `views.history.History`."""

    def __init__(self, journal: Journal) -> None:
        """Read what ``journal`` holds and folds, and write to it what is brought in."""
        self._journal = journal
        self._pool = journal.pool

    async def events(
        self,
        asked: EventFilter,
        *,
        before: EventPlace | None = None,
        offset: int = 0,
        limit: int,
    ) -> Sequence[EventLine]:
        signal_ids = await self._few_signals(asked)
        statement, arguments = _page(asked, signal_ids=signal_ids, before=before, offset=offset, limit=limit)
        return [to_value(row, EventLine) for row in await self._pool.fetch(statement, *arguments)]

    async def count_events(self, asked: EventFilter, *, at_most: int) -> int:
        own, brought_in, arguments = _conditions(asked, signal_ids=await self._few_signals(asked))
        kinds = set(_kinds_of(asked))
        joined = "" if asked.ticker is None and asked.signal_type is None else OF_SIGNAL
        found = 0
        for source in (
            # What is a step for certain the index alone counts; the rest is asked about where it still matters.
            f"{KEYS} {joined} {own.replace(HAS_STATUS, ANY_STATUS)}{_are(sorted(kinds & CERTAIN))}",
            f"{KEYS} {WHOLE} {joined} {own}{_are(sorted(kinds - CERTAIN))}",
            brought_in,
        ):
            if found < at_most:
                place = len(arguments) + 1
                found += await self._pool.fetchval(
                    f"SELECT count(*) FROM (SELECT 1 {source} LIMIT ${place}) AS counted",
                    *arguments,
                    at_most - found,
                )
        return found

    async def _few_signals(self, asked: EventFilter) -> list[UUID] | None:
        if asked.signal_id is not None or (asked.ticker is None and asked.signal_type is None):
            return None
        rows = await self._pool.fetch(SIGNALS_MEANT, asked.ticker, asked.signal_type)
        return None if len(rows) > FEW_SIGNALS else [row["signal_id"] for row in rows]

    async def buckets(self, begins: Sequence[datetime]) -> Sequence[Bucket]:
        return await _buckets(self._pool, begins)

    async def summaries(self, days: Sequence[date]) -> Sequence[Summary]:
        begins = [datetime.combine(day, time(), UTC) for day in days]
        whole = (begins[0], begins[-1])
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            signals = await _buckets(connection, begins)
            opened = await connection.fetch(OPENED, begins, *whole)
            results = await connection.fetch(
                RESULTS, [datetime.combine(day, time()) for day in days], days[0], days[-1]
            )
        opened_in = {row["bucket"]: row["opened"] for row in opened}
        results_of = {row["bucket"]: to_value(row, Results) for row in results}
        return [
            Summary(
                first_day=first,
                last_day=date.fromordinal(following.toordinal() - 1),
                signals=bucket,
                opened=opened_in.get(number, 0),
                results=results_of.get(number, Results()),
            )
            for number, (first, following, bucket) in enumerate(
                zip(days, days[1:], signals, strict=False), start=1
            )
        ]

    async def performers(
        self, *, owner: UUID | None, by: str, sort: str, first_day: date, last_day: date, limit: int
    ) -> Sequence[Performer]:
        subject, name = SUBJECTS[by]
        rows = await self._pool.fetch(
            f"""
            SELECT * FROM (
                SELECT {subject} AS subject, min({name}) AS name, {SUMS} FROM daily_results AS d
                WHERE d.day BETWEEN $1 AND $2
                  AND ($3::uuid IS NULL OR d.account_id IN (SELECT account_id FROM accounts WHERE user_id = $3))
                GROUP BY 1
            ) AS summed
            WHERE closed > 0 ORDER BY {ORDERS[sort]}, subject LIMIT $4
            """,
            first_day,
            last_day,
            owner,
            limit,
        )
        return [
            Performer(subject=row["subject"], name=row["name"], results=to_value(row, Results))
            for row in rows
        ]

    async def import_events(
        self, events: Sequence[ImportedEvent], *, imported_by: str, now: datetime, is_dry_run: bool
    ) -> Imported:
        async with self._journal.transaction() as transaction:
            connection = transaction.connection
            # Two imports at once must not both find an event missing, nor count on from the same number.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('pregao history import'))")
            new = await _new(connection, events)
            if new and not is_dry_run:
                number = await connection.fetchval("SELECT coalesce(-min(number), 0) FROM imported_events")
                await transaction.append(
                    HistoryImported(
                        happened_at=now,
                        imported_by=imported_by,
                        first_number=number + first + 1,
                        events=tuple(new[first : first + EVENTS_PER_FACT]),
                    )
                    for first in range(0, len(new), EVENTS_PER_FACT)
                )
        return Imported(imported=len(new), known=len(events) - len(new))


def _conditions(asked: EventFilter, *, signal_ids: Sequence[UUID] | None) -> tuple[str, str, list[Any]]:
    """Give what both sources are asked for, each by the names of its columns, and the arguments of both."""
    of_signal = signal_ids is None
    told: list[tuple[str, str, Any]] = [
        (HAS_STATUS, "e.status = {}", asked.status),
        ("k.signal_id = {}", "e.signal_id = {}", asked.signal_id),
        ("s.symbol = {}" if of_signal else TOLD_TEXT, "e.ticker = {}", asked.ticker),
        (
            "signal_type_of(s.action, s.side, s.source, s.body) = {}" if of_signal else TOLD_TEXT,
            "e.signal_type = {}",
            asked.signal_type,
        ),
        ("k.signal_id = ANY({}::uuid[])", "{}::uuid[] IS NOT NULL", signal_ids),
        ("k.happened_at >= {}", "e.happened_at >= {}", asked.since),
        ("k.happened_at < {}", "e.happened_at < {}", asked.until),
    ]
    meant = [one for one in told if one[2] is not None]
    own, brought_in = (
        "".join(f" AND {one[source].format(f'${place}')}" for place, one in enumerate(meant, start=1))
        for source in (0, 1)
    )
    return (
        f"WHERE k.signal_id IS NOT NULL{own}",
        f"FROM imported_events AS e WHERE true{brought_in}",
        [one[2] for one in meant],
    )


def _kinds_of(asked: EventFilter) -> list[str]:
    return _kinds(*([asked.status] if asked.status else KINDS))


def _are(kinds: Iterable[str]) -> str:
    """Name the kinds in the statement: an argument's the planner would not compare with the index's."""
    if not (named := _named(kinds)):
        return " AND false"
    return f" AND k.kind IN ({named}) AND {STEPS.format(table='k')}"


def _named(kinds: Iterable[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in sorted(kinds))


def _kinds(*statuses: str) -> list[str]:
    return sorted({kind for status in statuses for kind in KINDS.get(status, ())})


def _page(
    asked: EventFilter,
    *,
    signal_ids: Sequence[UUID] | None,
    before: EventPlace | None,
    offset: int,
    limit: int,
) -> tuple[str, list[Any]]:
    own, brought_in, arguments = _conditions(asked, signal_ids=signal_ids)
    own += _are(_kinds_of(asked))
    if before is not None:
        here = f"(${len(arguments) + 1}, ${len(arguments) + 2}::bigint)"
        own += f" AND (k.happened_at, k.seq) < {here}"
        brought_in += f" AND (e.happened_at, e.number) < {here}"
        arguments += [before.happened_at, before.number]
    arguments += [limit, offset]
    rest, skipped = f"${len(arguments) - 1}::bigint", f"${len(arguments)}::bigint"
    statement = f"""
        SELECT * FROM (
            (SELECT {OWN_COLUMNS} {KEYS} {WHOLE} {OF_SIGNAL} {own} ORDER BY k.happened_at DESC, k.seq DESC LIMIT {rest} + {skipped})
            UNION ALL
            (SELECT {BROUGHT_IN_COLUMNS} {brought_in}
             ORDER BY e.happened_at DESC, e.number DESC LIMIT {rest} + {skipped})
        ) AS both_sources
        ORDER BY happened_at DESC, number DESC LIMIT {rest} OFFSET {skipped}
    """
    return statement, arguments


async def _buckets(
    connection: asyncpg.Pool | asyncpg.pool.PoolConnectionProxy, begins: Sequence[datetime]
) -> list[Bucket]:
    rows = await connection.fetch(BUCKETS, list(begins), begins[0], begins[-1], COUNTED)
    counts: dict[int, Counter[str]] = {}
    for row in rows:  # a status may come from both halves
        counts.setdefault(row["bucket"], Counter())[row["status"]] += row["signals"]
    return [to_bucket(begin, counts.get(number, {})) for number, begin in enumerate(begins[:-1], start=1)]


async def _new(connection: Any, events: Sequence[ImportedEvent]) -> list[ImportedEvent]:
    """Leave out what is there already; what a file has more often than the desk is new."""
    new: list[ImportedEvent] = []
    for first in range(0, len(events), TURN_EVENTS):
        part = events[first : first + TURN_EVENTS]
        rows = await connection.fetch(KNOWN, list({event.signal_id for event in part}))
        known = Counter(
            (
                row["happened_at"],
                row["signal_id"],
                row["status"],
                row["worker_id"] or "",
                row["details"],
                row["http_status"],
            )
            for row in rows
        )
        known.subtract(_identities(events[:first]))
        for event, identity in zip(part, _identities(part), strict=True):
            if known[identity] > 0:
                known[identity] -= 1
            else:
                new.append(event)
        await asyncio.sleep(0)
    return new


def _identities(events: Iterable[ImportedEvent]) -> list[Identity]:
    return [
        (
            event.happened_at,
            event.signal_id,
            event.status,
            event.worker_id or "",
            event.details,
            event.http_status,
        )
        for event in events
    ]

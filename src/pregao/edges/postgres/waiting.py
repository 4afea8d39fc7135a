"""What waits for somebody: signals nobody has decided or planned, entries and exits whose turn has come."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pregao.decisions.ports import RECONCILE_SECONDS_MAX, Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import DecisionPending
from pregao.edges.postgres.journal import Connection, decode
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import WaitingEntry
from pregao.positions.ports import WaitingExit


async def peek_waiting_signals(connection: Connection, *, limit: int) -> list[WaitingSignal]:
    """Give the signals waiting to be decided or planned, those a person has answered too, oldest first; lock none."""
    rows = await connection.fetch(
        """
        SELECT s.signal_id, s.symbol, s.status = 'approved' AS is_approved, array(
            SELECT DISTINCT a.venue FROM subscriptions AS m JOIN accounts AS a USING (account_id)
            WHERE m.bot_id = s.bot_id) AS venues, (
            SELECT coalesce(jsonb_agg(DISTINCT asked), '[]') FROM (
                SELECT guard->'stop' AS stop FROM bots AS b WHERE b.bot_id = s.bot_id
                UNION ALL
                SELECT custom_guard->'stop' FROM subscriptions AS m WHERE m.bot_id = s.bot_id) AS guards
            CROSS JOIN LATERAL jsonb_build_object('timeframe', stop->'timeframe', 'period', stop->'period') AS asked
            WHERE jsonb_typeof(stop) = 'object') AS measures
        FROM signals AS s WHERE s.status IN ('accepted', 'answered', 'approved')
          -- An entry gives an account that was just taken over time to learn its past; then it is denied there. One that
          -- must be compared keeps nobody else waiting: its owner trades by hand, and a comparison takes seconds.
          AND NOT (s.action = 'enter' AND EXISTS (
              SELECT FROM account_checks AS c JOIN subscriptions AS m USING (account_id)
              WHERE m.bot_id = s.bot_id AND c.unreconciled_since > clock_timestamp() - $2::interval
                AND NOT c.must_compare))
        ORDER BY s.received_at, s.signal_id LIMIT $1
        """,
        limit,
        timedelta(seconds=RECONCILE_SECONDS_MAX),
    )
    return to_values(rows, WaitingSignal)


async def measures(connection: Connection) -> list[Measure]:
    """Give all that stops of bots and subscriptions are measured by."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT stop->>'timeframe' AS timeframe, (stop->>'period')::int AS period FROM (
            SELECT guard->'stop' AS stop FROM bots UNION ALL SELECT custom_guard->'stop' FROM subscriptions) AS guards
        WHERE jsonb_typeof(stop) = 'object'
        """
    )
    return to_values(rows, Measure)


async def claim_waiting_signals(connection: Connection, signal_ids: Sequence[UUID]) -> list[Waiting]:
    """
    Claim those of the signals that still wait, oldest first, as the facts they wait with.

    Only signals that were peeked at are claimed: the price of any other has not been read yet. The rows stay locked
    until the transaction ends; another trader passes them by, and their whole bot with them: a close that overtook the
    entry before it would find nothing to close. The row of an approved one is not locked, its bot is: the ends of its
    first orders are counted there.
    """
    own = await connection.fetch(
        """
        WITH own AS MATERIALIZED (
            SELECT bot_id FROM (SELECT DISTINCT bot_id FROM signals WHERE signal_id = ANY($1::uuid[])) AS asked
            WHERE pg_try_advisory_xact_lock(7234006, hashtext(bot_id::text))
        ), undecided AS MATERIALIZED (
            SELECT signal_id FROM signals JOIN own USING (bot_id)
            WHERE signal_id = ANY($1::uuid[]) AND status IN ('accepted', 'answered')
            ORDER BY received_at, signal_id FOR UPDATE OF signals SKIP LOCKED)
        SELECT signal_id FROM undecided
        UNION ALL
        SELECT signal_id FROM signals JOIN own USING (bot_id)
        WHERE signal_id = ANY($1::uuid[]) AND status = 'approved'
        """,
        signal_ids,
    )
    # Another statement: it sees what whoever had the bot before has committed.
    rows = await connection.fetch(
        """
        SELECT told.kind, told.fact
        FROM signals AS s
        CROSS JOIN LATERAL (
            SELECT journal.kind, journal.fact::text AS fact FROM journal
            WHERE journal.signal_id = s.signal_id
              AND journal.kind = CASE s.status WHEN 'accepted' THEN 'SignalAccepted'
                                               WHEN 'answered' THEN 'ApprovalAnswered' ELSE 'DecisionApproved' END
            ORDER BY seq LIMIT 1) AS told
        WHERE s.signal_id = ANY($1::uuid[]) AND s.status IN ('accepted', 'answered', 'approved') AND NOT EXISTS (
            SELECT FROM signals AS e
            WHERE e.bot_id = s.bot_id AND e.status IN ('accepted', 'answered', 'approved')
              AND NOT e.signal_id = ANY($1::uuid[])
              AND (e.received_at, e.signal_id) < (s.received_at, s.signal_id))
        ORDER BY s.received_at, s.signal_id
        """,
        [row["signal_id"] for row in own],
    )
    return [_to_waiting(row["kind"], row["fact"]) for row in rows]


def _to_waiting(kind: str, fact: str) -> Waiting:
    decoded = decode(kind, fact)
    assert isinstance(decoded, Waiting), "the statement names the three"
    return decoded


async def claim_overdue(connection: Connection, *, now: datetime, limit: int) -> list[DecisionPending]:
    """
    Claim signals that were put to a person and not answered in time; whom somebody answers just now is passed by.

    Whoever asks gives the time: what expires was dated by the same kind of clock, not by PostgreSQL's.
    """
    rows = await connection.fetch(
        """
        SELECT told.fact
        FROM (SELECT signal_id, approval_expires_at FROM signals
              WHERE status = 'pending' AND approval_expires_at <= $1
              ORDER BY approval_expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS s
        CROSS JOIN LATERAL (
            SELECT journal.fact::text AS fact FROM journal
            WHERE journal.signal_id = s.signal_id AND journal.kind = 'DecisionPending' ORDER BY seq LIMIT 1) AS told
        """,
        now,
        limit,
    )
    return [to_pending(row["fact"]) for row in rows]


def to_pending(fact: str) -> DecisionPending:
    """Read what was put to a person back from its JSON."""
    decoded = decode("DecisionPending", fact)
    assert isinstance(decoded, DecisionPending), "the journal's kind says so"
    return decoded


async def settled_signals(connection: Connection, signal_ids: Collection[UUID]) -> list[UUID]:
    """Give those of the signals that are settled."""
    rows = await connection.fetch(
        "SELECT signal_id FROM signals WHERE signal_id = ANY($1::uuid[]) AND settled_at IS NOT NULL",
        list(signal_ids),
    )
    return [row["signal_id"] for row in rows]


async def peek_waiting_entries(connection: Connection, *, limit: int) -> list[tuple[Venue, WaitingEntry]]:
    """Give entries whose position has nothing on its way any more, and where they trade, without locking them."""
    rows = await connection.fetch(
        """
        SELECT o.order_id, o.signal_id, o.bot_id, o.subscription_id, o.account_id, o.symbol, o.side, o.position_id,
               o.send_before, a.venue
        FROM orders AS o JOIN positions AS p USING (position_id) JOIN accounts AS a ON a.account_id = o.account_id
        WHERE o.status = 'deferred' AND o.leg = 'entry'
          AND (p.status IN ('closed', 'abandoned') AND (o.send_before <= clock_timestamp() OR NOT EXISTS (
              SELECT FROM stops AS s WHERE s.position_id = o.position_id AND s.left_at IS NULL)
              AND NOT EXISTS (
              SELECT FROM orders AS x WHERE x.position_id = o.position_id
              AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')))
            OR (p.status = 'open' AND NOT EXISTS (
              SELECT FROM orders AS x WHERE x.position_id = o.position_id AND x.leg = 'exit'
              AND x.status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled'))))
        ORDER BY o.planned_at LIMIT $1
        """,
        limit,
    )
    return [(Venue(row["venue"]), to_value(row, WaitingEntry)) for row in rows]


async def peek_waiting_exits(connection: Connection, *, limit: int) -> list[WaitingExit]:
    """Give the oldest waiting exit of each position that has nothing on its way, without locking them."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (o.position_id) o.position_id, o.signal_id, o.share FROM orders AS o
        WHERE o.status = 'deferred' AND o.leg = 'exit' AND NOT EXISTS (
            SELECT FROM orders AS x WHERE x.position_id = o.position_id
            AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
          AND NOT EXISTS (SELECT FROM account_checks AS c WHERE c.account_id = o.account_id AND c.is_unsure)
        ORDER BY o.position_id, o.planned_at, o.signal_id LIMIT $1
        """,
        limit,
    )
    return to_values(rows, WaitingExit)

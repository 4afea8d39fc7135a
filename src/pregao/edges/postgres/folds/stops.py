"""Folds of what guards a position: its stop, the venue's line, and the claims on its exit."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pregao.domain import facts
from pregao.domain.protection import ENDS, MAY_TRADE
from pregao.domain.stop import Stop
from pregao.edges.postgres.folds.registry import folds
from pregao.edges.postgres.rows import to_json

ANSWER_SECONDS = 7  # the receive window (5 s) and a margin: after it an unanswered line is asked about
TRIGGER_SECONDS = 2  # a line whose price has come is asked about this soon: its report may be lost
REFUSED_SECONDS = 0.5  # until the next try after a refusal, twice as long each time
LIVE = tuple(sorted(MAY_TRADE))


def latest(rows: Sequence[Any], name: str) -> list[Any]:
    """Give the last fact of each thing told of, by its id."""
    told = {getattr(row, name): row for row in rows}
    return [told[key] for key in sorted(told)]


# --- stops ------------------------------------------------------------------------------------------------

INSERT_STOPS = """
INSERT INTO stops (
    position_id, account_id, bot_id, subscription_id, signal_id, venue, symbol, position_side, direction, status, version,
    entry_price, price_tick, initial_stop, stop_price, atr, rule, targets, is_anchor_final, is_required, held_since,
    armed_at, updated_at)
SELECT position_id, account_id, bot_id, subscription_id, signal_id, venue, symbol, position_side, direction, status,
       version, entry_price, price_tick, initial_stop, stop_price, atr, rule, targets, is_anchor_final, is_required,
       held_since, happened_at, happened_at
FROM jsonb_to_recordset($1::jsonb) AS new (
    position_id bigint, account_id bigint, bot_id uuid, subscription_id uuid, signal_id uuid, venue text, symbol text,
    position_side text, direction text, status text, version int, entry_price numeric, price_tick numeric,
    initial_stop numeric, stop_price numeric, atr numeric, rule jsonb, targets jsonb, is_anchor_final boolean,
    is_required boolean, held_since timestamptz, happened_at timestamptz)
ON CONFLICT (position_id) DO UPDATE
SET status = excluded.status, version = excluded.version, entry_price = excluded.entry_price,
    initial_stop = excluded.initial_stop, stop_price = excluded.stop_price, atr = excluded.atr,
    targets = excluded.targets, is_anchor_final = excluded.is_anchor_final, is_required = excluded.is_required,
    updated_at = excluded.updated_at, left_at = NULL
"""
ARMED = ("account_id", "bot_id", "subscription_id", "signal_id", "venue", "symbol", "position_side", "held_since",
         "is_anchor_final", "is_required", "happened_at")  # fmt: skip
STOP = ("position_id", "direction", "status", "version", "entry_price", "price_tick", "initial_stop", "stop_price", "atr",
        "rule", "targets")  # fmt: skip


@folds(facts.StopArmed)
async def _(connection: Any, group: Sequence[facts.StopArmed]) -> None:
    last = {fact.stop.position_id: fact for fact in group}
    rows = [
        {
            **{name: getattr(fact, name) for name in ARMED},
            **{name: getattr(fact.stop, name) for name in STOP},
        }
        for _, fact in sorted(last.items())
    ]
    await connection.execute(INSERT_STOPS, to_json(rows))


WRITE_STOPS = """
UPDATE stops SET status = new.status, version = new.version, stop_price = new.stop_price,
                 initial_stop = coalesce(stops.initial_stop, new.initial_stop),
                 targets = new.targets, updated_at = new.at
FROM jsonb_to_recordset($1::jsonb)
     AS new (position_id bigint, status text, version int, stop_price numeric, initial_stop numeric,
             targets jsonb, at timestamptz)
WHERE stops.position_id = new.position_id
"""


async def _write_stops(connection: Any, stops: Sequence[tuple[Stop, datetime]]) -> None:
    await connection.execute(WRITE_STOPS, _standing(stops))


def _standing(stops: Sequence[tuple[Stop, datetime]]) -> str:
    """Write each stop as it stands after its last fact."""
    last = {stop.position_id: (stop, at) for stop, at in stops}
    rows = [
        {
            "position_id": number,
            "status": stop.status,
            "version": stop.version,
            "stop_price": stop.stop_price,
            "initial_stop": stop.initial_stop,
            "targets": stop.targets,
            "at": at,
        }
        for number, (stop, at) in sorted(last.items())
    ]
    return to_json(rows)


@folds(facts.StopRaised)
async def _(connection: Any, group: Sequence[facts.StopRaised]) -> None:
    """Write the stops, and each move once."""
    await _write_stops(connection, [(fact.stop, fact.happened_at) for fact in group])
    rows = [
        {
            "token": fact.adjustment.adjustment_token,
            "version": fact.stop.version,
            "source": fact.source,
            "moved_at": fact.happened_at,
            **{
                name: getattr(fact.adjustment, name)
                for name in (
                    "position_id", "old_stop", "new_stop", "reason", "current_price", "spans_crossed", "step_index",
                    "span",
                )
            },
        }
        for fact in group
    ]  # fmt: skip
    await connection.execute(
        """
        INSERT INTO stop_moves (token, position_id, old_stop, new_stop, reason, current_price, spans_crossed, step_index,
                                span, version, source, moved_at)
        SELECT token, position_id, old_stop, new_stop, reason, current_price, spans_crossed, step_index, span, version,
               source, moved_at
        FROM jsonb_to_recordset($1::jsonb) AS new (
            token text, position_id bigint, old_stop numeric, new_stop numeric, reason text, current_price numeric,
            spans_crossed int, step_index int, span numeric, version int, source text, moved_at timestamptz)
        """,
        to_json(rows),
    )


@folds(facts.StopChanged)
async def _(connection: Any, group: Sequence[facts.StopChanged]) -> None:
    await _write_stops(connection, [(fact.stop, fact.happened_at) for fact in group])


@folds(facts.StopUnusable)
async def _(_connection: Any, _group: Sequence[facts.StopUnusable]) -> None:
    """Nothing: the claim that follows it is what changes the state."""


@folds(facts.StopDisarmed)
async def _(connection: Any, group: Sequence[facts.StopDisarmed]) -> None:
    await connection.execute(
        """
        UPDATE stops SET status = 'disarmed', version = version + 1, updated_at = new.at
        FROM unnest($1::bigint[], $2::timestamptz[]) AS new (position_id, at)
        WHERE stops.position_id = new.position_id AND stops.status <> 'disarmed'
        """,
        [fact.position_id for fact in latest(group, "position_id")],
        [fact.happened_at for fact in latest(group, "position_id")],
    )


@folds(facts.PositionLeft)
async def _(connection: Any, group: Sequence[facts.PositionLeft]) -> None:
    """Nothing of it is watched, and nothing of it may trade; what was never filled has no row."""
    await connection.execute(
        """
        UPDATE stops
        SET version = version + CASE WHEN status = 'disarmed' THEN 0 ELSE 1 END, status = 'disarmed', left_at = new.at,
            updated_at = new.at, line_id = NULL, line_status = NULL, line_price = NULL, line_quantity = NULL,
            line_at = NULL
        FROM unnest($1::bigint[], $2::timestamptz[]) AS new (position_id, at)
        WHERE stops.position_id = new.position_id AND stops.left_at IS NULL
        """,
        [fact.position_id for fact in latest(group, "position_id")],
        [fact.happened_at for fact in latest(group, "position_id")],
    )


@folds(facts.PositionUnguarded)
async def _(_connection: Any, _group: Sequence[facts.PositionUnguarded]) -> None:
    """Nothing: it is a measurement."""


@folds(facts.PositionGuarded)
async def _(_connection: Any, _group: Sequence[facts.PositionGuarded]) -> None:
    """Nothing: it is a measurement."""


# --- claims -----------------------------------------------------------------------------------------------


# The stops and the claims in one round trip.
CLAIM = f"""
WITH claimed AS (
    INSERT INTO stop_claims (
        token, kind, number, position_id, account_id, signal_id, venue, symbol, version, level, price, price_at,
        estimated_price, source, claimed_by, seen_at, is_from_memory, status, again_at, updated_at)
    SELECT token, kind, number, position_id, account_id, signal_id, venue, symbol, version, level, price, price_at,
           estimated_price, source, claimed_by, seen_at, is_from_memory, 'pending', again_at, happened_at
    FROM jsonb_to_recordset($2::jsonb) AS new (
        token text, kind text, number int, position_id bigint, account_id bigint, signal_id uuid, venue text,
        symbol text, version int, level numeric, price numeric, price_at timestamptz, estimated_price numeric,
        source text, claimed_by text, seen_at timestamptz, is_from_memory boolean, again_at timestamptz,
        happened_at timestamptz)
)
{WRITE_STOPS}
"""


@folds(facts.StopTriggered)
async def _(connection: Any, group: Sequence[facts.StopTriggered]) -> None:
    """Write the claims; a second one on the same level breaks the key, and with it the whole transaction."""
    rows = [
        {
            "position_id": fact.stop.position_id,
            "kind": fact.trigger.kind,
            "number": fact.trigger.number,
            "level": fact.trigger.level,
            "price": fact.trigger.price,
            "version": fact.trigger.version,
            **{
                name: getattr(fact, name)
                for name in (
                    "token", "account_id", "signal_id", "venue", "symbol", "price_at", "estimated_price", "source",
                    "claimed_by", "seen_at", "is_from_memory", "again_at", "happened_at",
                )
            },
        }
        for fact in group
    ]  # fmt: skip
    await connection.execute(
        CLAIM, _standing([(fact.stop, fact.happened_at) for fact in group]), to_json(rows)
    )


@folds(facts.GuardrailBlocked)
async def _(connection: Any, group: Sequence[facts.GuardrailBlocked]) -> None:
    """What keeps an exit here blocks its claim until it is looked at again; what changes how it leaves is only told."""
    for fact in group:
        await connection.execute(
            """
            UPDATE stop_claims
            SET status = CASE WHEN $4::timestamptz IS NULL OR status = 'executed' THEN status ELSE 'blocked' END,
                again_at = coalesce($4, again_at), code = $5, reason = $6,
                questions = questions + ($5 = 'STALE_PRICE')::int, updated_at = $7
            WHERE token = $1 AND kind = $2 AND number = $3
            """,
            fact.token,
            fact.kind,
            fact.number,
            fact.again_at,
            fact.guardrail,
            " ".join(f"{name}={value}" for name, value in fact.numbers.items()),
            fact.happened_at,
        )


# Parts of a statement that writes orders of claims, by their rows as JSON.
CLOSE_FOR_CLAIMS = """
executions AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset({rows}::jsonb)
    AS new (token text, kind text, number int, attempt int, is_bounded boolean, order_id text,
            position_id bigint, signal_id uuid, is_new boolean, at timestamptz)
), closing AS (
    UPDATE positions SET status = 'closing', exit_signal_id = last.signal_id, updated_at = last.at
    FROM (SELECT DISTINCT ON (position_id) position_id, signal_id, at FROM executions ORDER BY position_id, at DESC) AS last
    WHERE positions.position_id = last.position_id AND positions.status IN ('open', 'closing')
), counted AS (
    UPDATE signals SET orders_live = coalesce(orders_live, 0) + more.orders
    FROM (SELECT signal_id, count(*)::int AS orders FROM executions WHERE is_new GROUP BY signal_id) AS more
    WHERE signals.signal_id = more.signal_id
), submitted AS (
    UPDATE stop_claims AS c
    SET status = 'submitted', attempts = new.attempt, order_id = new.order_id, is_bounded = new.is_bounded,
        again_at = NULL, updated_at = new.at
    FROM executions AS new
    WHERE (c.token, c.kind, c.number) = (new.token, new.kind, new.number) AND c.status <> 'executed'
)
"""


def executions_of(exits: Sequence[facts.OrderPlanned]) -> str:
    """
    Write the claims that have an order on its way now, which closes.

    It counts among those of the signal that opened the position.
    """
    return to_json(
        [
            {
                "token": fact.execution.token,
                "kind": fact.execution.kind,
                "number": fact.execution.number,
                "attempt": fact.execution.attempt,
                "is_bounded": fact.execution.limit_price is not None,
                "order_id": fact.order_id,
                "position_id": fact.position_id,
                "signal_id": fact.signal_id,
                "is_new": fact.attempt == 1,
                "at": fact.happened_at,
            }
            for fact in exits
            if fact.execution is not None
        ]
    )


@folds(facts.ExecutionMoved)
async def _(connection: Any, group: Sequence[facts.ExecutionMoved]) -> None:
    last = {(fact.token, fact.kind, fact.number): fact for fact in group}
    await connection.execute(
        """
        UPDATE stop_claims AS c
        SET status = new.status, code = new.code, reason = new.reason, exit_price = new.price,
            slippage_percent = new.slippage_percent, again_at = new.again_at, updated_at = new.happened_at,
            executed_at = CASE WHEN new.status = 'executed' THEN new.happened_at END
        FROM jsonb_to_recordset($1::jsonb)
             AS new (token text, kind text, number int, status text, code text, reason text, price numeric,
                     slippage_percent numeric, again_at timestamptz, happened_at timestamptz)
        WHERE (c.token, c.kind, c.number) = (new.token, new.kind, new.number) AND c.status <> 'executed'
        """,
        to_json(list(last.values())),
    )


# --- the venue's line -------------------------------------------------------------------------------------


@folds(facts.ProtectionPlanned)
async def _(connection: Any, group: Sequence[facts.ProtectionPlanned]) -> None:
    """Write the protective order, and that it is its stop's line now."""
    await connection.execute(
        """
        WITH new AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset($1::jsonb) AS new (
                protection_id text, position_id bigint, account_id bigint, signal_id uuid, venue text, symbol text,
                kind text, number int, version int, stop_version int, side text, position_side text,
                trigger_price numeric, quantity numeric, signed_at_ms bigint, recv_window_ms int, owner text,
                lease_epoch bigint, happened_at timestamptz)
        ), noted AS (
            UPDATE stops SET line_id = new.protection_id, line_status = 'planned', line_price = new.trigger_price,
                             line_quantity = new.quantity, line_at = NULL
            FROM new WHERE stops.position_id = new.position_id AND new.kind = 'stop'
        )
        INSERT INTO protections (
            protection_id, position_id, account_id, signal_id, venue, symbol, kind, number, version, stop_version, side,
            position_side, trigger_price, quantity, status, signed_at_ms, recv_window_ms, owner, lease_epoch, planned_at,
            updated_at, check_at)
        SELECT protection_id, position_id, account_id, signal_id, venue, symbol, kind, number, version, stop_version, side,
               position_side, trigger_price, quantity, 'planned', signed_at_ms, recv_window_ms, owner, lease_epoch,
               happened_at, happened_at, happened_at + $2::interval
        FROM new ON CONFLICT (protection_id) DO NOTHING
        """,
        to_json(group),
        timedelta(seconds=ANSWER_SECONDS),
    )


@folds(facts.ProtectionAccepted)
async def _(connection: Any, group: Sequence[facts.ProtectionAccepted]) -> None:
    """Keep the times and the venue's id even where its price came before the answer."""
    await connection.execute(
        """
        WITH new AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset($1::jsonb) AS new (
                protection_id text, position_id bigint, exchange_protection_id text, sent_at timestamptz,
                acknowledged_at timestamptz, happened_at timestamptz)
        ), noted AS (
            UPDATE stops SET line_status = 'accepted', refusals = 0 FROM new
            WHERE (stops.position_id, stops.line_id) = (new.position_id, new.protection_id)
              AND stops.line_status IN ('planned', 'unresolved')
        )
        UPDATE protections AS p
        SET status = CASE WHEN p.status IN ('planned', 'unresolved') THEN 'accepted' ELSE p.status END,
            exchange_protection_id = new.exchange_protection_id, sent_at = coalesce(new.sent_at, p.sent_at),
            acknowledged_at = new.acknowledged_at, updated_at = new.happened_at, code = NULL, reason = NULL,
            check_at = CASE WHEN p.status IN ('planned', 'unresolved') THEN NULL ELSE p.check_at END
        FROM new WHERE p.protection_id = new.protection_id
        """,
        to_json(latest(group, "protection_id")),
    )


@folds(facts.ProtectionRejected)
async def _(connection: Any, group: Sequence[facts.ProtectionRejected]) -> None:
    """No line stands; the next is tried later with each refusal."""
    await connection.execute(
        """
        WITH new AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset($1::jsonb)
            AS new (protection_id text, position_id bigint, code text, reason text, happened_at timestamptz)
        ), noted AS (
            UPDATE stops
            SET line_id = NULL, line_status = NULL, line_price = NULL, line_quantity = NULL, refusals = refusals + 1,
                line_at = new.happened_at + $2::interval * 2 ^ least(refusals, 6)
            FROM new WHERE (stops.position_id, stops.line_id) = (new.position_id, new.protection_id)
        )
        UPDATE protections AS p
        SET status = 'rejected', code = new.code, reason = new.reason, ended_at = new.happened_at,
            updated_at = new.happened_at, check_at = NULL
        FROM new WHERE p.protection_id = new.protection_id AND p.status IN ('planned', 'unresolved')
        """,
        to_json(latest(group, "protection_id")),
        timedelta(seconds=REFUSED_SECONDS),
    )


@folds(facts.ProtectionUnresolved)
async def _(connection: Any, group: Sequence[facts.ProtectionUnresolved]) -> None:
    """It is asked about; what is provably dead makes room for the next one."""
    await connection.execute(
        """
        WITH new AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset($1::jsonb)
            AS new (protection_id text, position_id bigint, code text, reason text, is_dead boolean,
                    ask_at timestamptz, happened_at timestamptz)
        ), noted AS (
            UPDATE stops
            SET line_id = CASE WHEN NOT is_dead THEN line_id END,
                line_status = CASE WHEN NOT is_dead THEN 'unresolved' END,
                line_price = CASE WHEN NOT is_dead THEN line_price END,
                line_quantity = CASE WHEN NOT is_dead THEN line_quantity END,
                line_at = CASE WHEN is_dead THEN new.ask_at END
            FROM new WHERE (stops.position_id, stops.line_id) = (new.position_id, new.protection_id)
              AND stops.line_status IN ('planned', 'unresolved')
        )
        UPDATE protections AS p
        SET status = CASE WHEN is_dead THEN 'dead' ELSE 'unresolved' END, code = new.code, reason = new.reason,
            ended_at = CASE WHEN is_dead THEN new.happened_at END, updated_at = new.happened_at,
            check_at = CASE WHEN NOT is_dead THEN new.ask_at END
        FROM new WHERE p.protection_id = new.protection_id AND p.status IN ('planned', 'unresolved')
        """,
        to_json(latest(group, "protection_id")),
    )


@folds(facts.ProtectionMoved)
async def _(connection: Any, group: Sequence[facts.ProtectionMoved]) -> None:
    """Where it ended, the stop has no line any more, and may have another at once."""
    await connection.execute(
        """
        WITH new AS MATERIALIZED (
            SELECT new.*, status = ANY($2::text[]) AS is_end FROM jsonb_to_recordset($1::jsonb)
            AS new (protection_id text, position_id bigint, status text, triggered_order_id text, reason text,
                    happened_at timestamptz)
        ), noted AS (
            UPDATE stops
            SET line_id = CASE WHEN NOT is_end THEN line_id END, line_status = CASE WHEN NOT is_end THEN new.status END,
                line_price = CASE WHEN NOT is_end THEN line_price END,
                line_quantity = CASE WHEN NOT is_end THEN line_quantity END
            FROM new WHERE (stops.position_id, stops.line_id) = (new.position_id, new.protection_id)
        )
        UPDATE protections AS p
        SET status = new.status, triggered_order_id = coalesce(new.triggered_order_id, p.triggered_order_id),
            reason = nullif(new.reason, ''), ended_at = CASE WHEN is_end THEN new.happened_at END,
            updated_at = new.happened_at, check_at = CASE WHEN NOT is_end THEN new.happened_at + $3::interval END
        FROM new WHERE p.protection_id = new.protection_id AND (
            p.status = ANY($4::text[]) OR (p.status = 'rejected' AND new.status IN ('triggered', 'finished')))
        """,
        to_json(latest(group, "protection_id")),
        [status.value for status in sorted(ENDS)],
        timedelta(seconds=TRIGGER_SECONDS),
        list(LIVE),
    )

"""Folds of signals: they arrive, are read, and are decided."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import column, folds
from pregao.edges.postgres.rows import to_json


@folds(facts.DeliveryTurnedAway)
async def _(connection: Any, group: Sequence[facts.DeliveryTurnedAway]) -> None:
    await connection.execute(
        """
        INSERT INTO deliveries_turned_away (webhook_path, source_address, body_sha256, body_size, happened_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
        """,
        column(group, "webhook_path"),
        column(group, "source_address"),
        column(group, "body_sha256"),
        column(group, "body_size"),
        column(group, "happened_at"),
    )


@folds(facts.SignalReceived)
async def _(connection: Any, group: Sequence[facts.SignalReceived]) -> None:
    await connection.execute(
        """
        INSERT INTO signals (signal_id, bot_id, status, received_at, body, content_type, source, source_address)
        SELECT signal_id, bot_id, 'received', received_at, body, content_type, source, source_address
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bytea[], $5::text[], $6::text[], $7::text[])
             AS new (signal_id, bot_id, received_at, body, content_type, source, source_address)
        """,
        column(group, "signal_id"),
        column(group, "bot_id"),
        column(group, "happened_at"),
        column(group, "body"),
        column(group, "content_type"),
        column(group, "source"),
        column(group, "source_address"),
    )
    # Intake has already claimed the key in this transaction; a rebuild has not. Both end with this row.
    latest = {(fact.bot_id, fact.dedupe_key): fact for fact in group}
    rows = [latest[key] for key in sorted(latest)]
    await connection.execute(
        """
        INSERT INTO deliveries (bot_id, dedupe_key, signal_id, first_at, is_explicit_id)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::boolean[])
             AS new (bot_id, dedupe_key, signal_id, first_at, is_explicit_id)
        WHERE NOT EXISTS (SELECT FROM deliveries AS known WHERE known.bot_id = new.bot_id
                          AND known.dedupe_key = new.dedupe_key AND known.signal_id = new.signal_id)
        ON CONFLICT (bot_id, dedupe_key) DO UPDATE
        SET signal_id = excluded.signal_id, first_at = excluded.first_at, is_explicit_id = excluded.is_explicit_id
        WHERE deliveries.signal_id <> excluded.signal_id
        """,
        column(rows, "bot_id"),
        column(rows, "dedupe_key"),
        column(rows, "signal_id"),
        column(rows, "happened_at"),
        column(rows, "is_explicit_id"),
    )


@folds(facts.SignalRepeated)
async def _(connection: Any, group: Sequence[facts.SignalRepeated]) -> None:
    await connection.execute(
        """
        UPDATE signals SET deliveries = deliveries + more.times
        FROM (SELECT signal_id, count(*) AS times FROM unnest($1::uuid[]) AS again (signal_id)
              GROUP BY signal_id) AS more
        WHERE signals.signal_id = more.signal_id
        """,
        column(group, "signal_id"),
    )


@folds(facts.SignalAccepted)
async def _(connection: Any, group: Sequence[facts.SignalAccepted]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = 'accepted', read_at = new.read_at, action = new.action, symbol = new.symbol, side = new.side,
            price = new.price, not_used = new.not_used, stop_percent = new.stop_percent,
            target_percent = new.target_percent, again_of = (new.again #>> '{before,-1}')::uuid
        FROM ROWS FROM (
            jsonb_to_recordset($1::jsonb) AS (signal_id uuid, happened_at timestamptz),
            jsonb_to_recordset($2::jsonb) AS (action text, symbol text, side text, price numeric, not_used text[],
                                              stop_percent numeric, target_percent numeric, again jsonb)
        ) AS new (signal_id, read_at, action, symbol, side, price, not_used, stop_percent, target_percent, again)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'received'
        """,
        to_json(group),
        to_json([fact.instruction for fact in group]),
    )
    by_hand = [fact for fact in group if fact.instruction.risk is not None]
    if by_hand:
        await connection.execute(
            """
            INSERT INTO trades_by_hand (signal_id, asked_at, subscription_id, symbol, side, capital, risk_percent,
                                        stop_price, target_price, strategy)
            SELECT * FROM ROWS FROM (
                jsonb_to_recordset($1::jsonb) AS (signal_id uuid, happened_at timestamptz),
                jsonb_to_recordset($2::jsonb) AS (subscription_id uuid, symbol text, side text),
                jsonb_to_recordset($3::jsonb) AS (capital numeric, risk_percent numeric, stop_price numeric,
                                                  target_price numeric, strategy text)
            ) AS new
            """,
            to_json(by_hand),
            to_json([fact.instruction for fact in by_hand]),
            to_json([fact.instruction.risk for fact in by_hand]),
        )


@folds(facts.SignalRefused)
async def _(connection: Any, group: Sequence[facts.SignalRefused]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = 'refused', code = new.code, reason = new.reason, read_at = new.at, settled_at = new.at,
            accounts = 0, orders = 0, orders_live = 0
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) AS new (signal_id, code, reason, at)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'received'
        """,
        column(group, "signal_id"),
        column(group, "code"),
        column(group, "reason"),
        column(group, "happened_at"),
    )


# --- it is decided ----------------------------------------------------------------------------------------


def _verdicts(fact: facts.DecisionPending | facts.DecisionApproved | facts.DecisionDeclined) -> str:
    return msgspec.json.encode(fact.verdicts).decode()


@folds(facts.DecisionPending)
async def _(connection: Any, group: Sequence[facts.DecisionPending]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = 'pending', verdicts = new.verdicts::jsonb, approval_asked_at = new.at,
            approval_venue = new.venue, approval_price = new.price, approval_expires_at = new.expires_at
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::numeric[], $6::timestamptz[])
             AS new (signal_id, at, verdicts, venue, price, expires_at)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'accepted'
        """,
        column(group, "signal_id"),
        column(group, "happened_at"),
        [_verdicts(fact) for fact in group],
        column(group, "venue"),
        column(group, "price"),
        column(group, "expires_at"),
    )


@folds(facts.ApprovalAnswered)
async def _(connection: Any, group: Sequence[facts.ApprovalAnswered]) -> None:
    """Keep the first answer: there is no second."""
    await connection.execute(
        """
        UPDATE signals
        SET status = 'answered', answered_at = new.at, answered_by = new.answered_by, is_approved = new.is_approved,
            answer_reason = new.reason
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::boolean[], $5::text[])
             AS new (signal_id, at, answered_by, is_approved, reason)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'pending'
        """,
        column(group, "signal_id"),
        column(group, "happened_at"),
        column(group, "answered_by"),
        column(group, "is_approved"),
        column(group, "reason"),
    )


@folds(facts.DecisionApproved)
async def _(connection: Any, group: Sequence[facts.DecisionApproved]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = 'approved', decided_at = new.at, verdicts = new.verdicts::jsonb, action = new.action
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[]) AS new (signal_id, at, verdicts, action)
        WHERE signals.signal_id = new.signal_id AND signals.status IN ('accepted', 'answered')
        """,
        column(group, "signal_id"),
        column(group, "happened_at"),
        [_verdicts(fact) for fact in group],
        [fact.instruction.action for fact in group],  # an entry may be traded as a close
    )


@folds(facts.DecisionDeclined)
async def _(connection: Any, group: Sequence[facts.DecisionDeclined]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = 'declined', decided_at = new.at, settled_at = new.at, verdicts = new.verdicts::jsonb,
            code = new.code, reason = new.reason, accounts = 0, orders = 0, orders_live = 0
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
             AS new (signal_id, at, verdicts, code, reason)
        WHERE signals.signal_id = new.signal_id AND signals.status IN ('accepted', 'answered')
        """,
        column(group, "signal_id"),
        column(group, "happened_at"),
        [_verdicts(fact) for fact in group],
        column(group, "code"),
        column(group, "reason"),
    )

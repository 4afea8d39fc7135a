"""
One fold per fact: how each changes the state, many rows in one statement.

A fold uses nothing but its facts and the state, so replaying the journal gives the same state again.
Table names are unqualified on purpose: the rebuild runs the same folds in a schema of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from pregao.domain import facts
from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import Fact
from pregao.domain.position import Position
from pregao.domain.user import User
from pregao.edges.postgres.rows import encode_json, json_names

ANSWER_SECONDS = 7  # the receive window (5 s) and a margin: after it an unanswered attempt is asked about
FILL_SECONDS = 2  # a market order fills at once: a fill not told by then was missed by the stream

AnyFact = TypeVar("AnyFact", bound=Fact)
Answer = TypeVar("Answer", facts.OrderAccepted, facts.OrderUnresolved)
Fold = Callable[[Any, Sequence[Any]], Awaitable[None]]
FOLDS: dict[type[Fact], Fold] = {}


async def fold(kind: type[Fact], group: Sequence[Fact], *, connection: Any) -> None:
    """Fold facts of one kind into the state, in their order."""
    await FOLDS[kind](connection, group)


def folds(kind: type[AnyFact]) -> Callable[[Fold], Fold]:
    """Register the fold of a kind of fact."""

    def register(function: Fold) -> Fold:
        FOLDS[kind] = function
        return function

    return register


def _column(rows: Sequence[Any], name: str) -> list[Any]:
    return [getattr(row, name) for row in rows]


def _firsts(rows: Sequence[AnyFact], *names: str) -> list[AnyFact]:
    """
    Give the first fact of each thing told of, for folds that the second would not change any more.

    An UPDATE takes any of several source rows for one target: which one must not be left to the plan.
    """
    told: dict[Any, AnyFact] = {}
    for row in rows:
        told.setdefault(attrgetter(*names)(row), row)
    return list(told.values())


# --- who trades -------------------------------------------------------------------------------------------


def _upsert(table: str, key: str, value_type: type) -> str:
    """Write a row whole; its creation time stays."""
    names = [field.name for field in fields(value_type)]
    json = json_names(value_type)
    places = ", ".join(
        f"${i}::text::jsonb" if name in json else f"${i}" for i, name in enumerate(names, start=2)
    )
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*names, "updated_at") if name != key)
    return (
        f"INSERT INTO {table} (created_at, updated_at, {', '.join(names)}) VALUES ($1, $1, {places}) "
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


def _columns_of(value: Any) -> list[Any]:
    """Give a value's fields as its row takes them."""
    json = json_names(type(value))
    return [
        encode_json(getattr(value, field.name)).decode() if field.name in json else getattr(value, field.name)
        for field in fields(value)
    ]


UPSERT_USER = _upsert("users", "user_id", User)
UPSERT_ACCOUNT = _upsert("accounts", "account_id", Account)
UPSERT_BOT = _upsert("bots", "bot_id", Bot)
UPSERT_SUBSCRIPTION = _upsert("subscriptions", "subscription_id", Subscription)


@folds(facts.UserConfigured)
async def _(connection: Any, group: Sequence[facts.UserConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_USER, fact.happened_at, *_columns_of(fact.user))


@folds(facts.AccountConfigured)
async def _(connection: Any, group: Sequence[facts.AccountConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_ACCOUNT, fact.happened_at, *_columns_of(fact.account))


@folds(facts.BotConfigured)
async def _(connection: Any, group: Sequence[facts.BotConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_BOT, fact.happened_at, *_columns_of(fact.bot))


@folds(facts.SubscriptionConfigured)
async def _(connection: Any, group: Sequence[facts.SubscriptionConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_SUBSCRIPTION, fact.happened_at, *_columns_of(fact.subscription))


@folds(facts.BotForgotten)
async def _(connection: Any, group: Sequence[facts.BotForgotten]) -> None:
    bot_ids = _column(group, "bot_id")
    await connection.execute("DELETE FROM subscriptions WHERE bot_id = ANY($1::uuid[])", bot_ids)
    await connection.execute("DELETE FROM bots WHERE bot_id = ANY($1::uuid[])", bot_ids)


@folds(facts.ActionTaken)
async def _(connection: Any, group: Sequence[facts.ActionTaken]) -> None:
    await connection.execute(
        """
        INSERT INTO admin_actions (action_id, happened_at, user_id, principal, source_address, user_agent, method, path,
                                   action, targets, status, error_code, duration_ms)
        SELECT action_id, happened_at, user_id, principal, source_address, user_agent, method, path, action,
               targets::jsonb, status, error_code, duration_ms
        FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::text[], $10::text[], $11::int[], $12::text[], $13::int[])
             AS new (action_id, happened_at, user_id, principal, source_address, user_agent, method, path, action,
                     targets, status, error_code, duration_ms)
        """,
        _column(group, "action_id"),
        _column(group, "happened_at"),
        _column(group, "user_id"),
        _column(group, "principal"),
        _column(group, "source_address"),
        _column(group, "user_agent"),
        _column(group, "method"),
        _column(group, "path"),
        _column(group, "action"),
        [msgspec.json.encode(fact.targets).decode() for fact in group],
        _column(group, "status"),
        _column(group, "error_code"),
        _column(group, "duration_ms"),
    )


# --- a signal arrives -------------------------------------------------------------------------------------


@folds(facts.DeliveryTurnedAway)
async def _(connection: Any, group: Sequence[facts.DeliveryTurnedAway]) -> None:
    await connection.execute(
        """
        INSERT INTO deliveries_turned_away (webhook_path, source_address, body_sha256, body_size, happened_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
        """,
        _column(group, "webhook_path"),
        _column(group, "source_address"),
        _column(group, "body_sha256"),
        _column(group, "body_size"),
        _column(group, "happened_at"),
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
        _column(group, "signal_id"),
        _column(group, "bot_id"),
        _column(group, "happened_at"),
        _column(group, "body"),
        _column(group, "content_type"),
        _column(group, "source"),
        _column(group, "source_address"),
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
        _column(rows, "bot_id"),
        _column(rows, "dedupe_key"),
        _column(rows, "signal_id"),
        _column(rows, "happened_at"),
        _column(rows, "is_explicit_id"),
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
        _column(group, "signal_id"),
    )


@folds(facts.SignalAccepted)
async def _(connection: Any, group: Sequence[facts.SignalAccepted]) -> None:
    asked = [fact.instruction for fact in group]
    await connection.execute(
        """
        UPDATE signals
        SET status = 'accepted', read_at = new.read_at, action = new.action, symbol = new.symbol, side = new.side,
            price = new.price,
            not_used = CASE WHEN new.not_used = '' THEN '{}'::text[] ELSE string_to_array(new.not_used, ',') END
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[])
             AS new (signal_id, read_at, action, symbol, side, price, not_used)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'received'
        """,
        _column(group, "signal_id"),
        _column(group, "happened_at"),
        _column(asked, "action"),
        _column(asked, "symbol"),
        _column(asked, "side"),
        _column(asked, "price"),
        [",".join(instruction.not_used) for instruction in asked],
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
        _column(group, "signal_id"),
        _column(group, "code"),
        _column(group, "reason"),
        _column(group, "happened_at"),
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
        _column(group, "signal_id"),
        _column(group, "happened_at"),
        [_verdicts(fact) for fact in group],
        _column(group, "venue"),
        _column(group, "price"),
        _column(group, "expires_at"),
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
        _column(group, "signal_id"),
        _column(group, "happened_at"),
        _column(group, "answered_by"),
        _column(group, "is_approved"),
        _column(group, "reason"),
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
        _column(group, "signal_id"),
        _column(group, "happened_at"),
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
        _column(group, "signal_id"),
        _column(group, "happened_at"),
        [_verdicts(fact) for fact in group],
        _column(group, "code"),
        _column(group, "reason"),
    )


# --- one order per account --------------------------------------------------------------------------------


@folds(facts.SignalPlanned)
async def _(connection: Any, group: Sequence[facts.SignalPlanned]) -> None:
    await connection.execute(
        """
        UPDATE signals
        SET status = CASE WHEN new.orders = 0 THEN 'settled' ELSE 'planned' END,
            planned_at = new.at, accounts = new.accounts, orders = new.orders, orders_live = new.orders,
            settled_at = CASE WHEN new.orders = 0 THEN new.at END
        FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[]) AS new (signal_id, at, accounts, orders)
        WHERE signals.signal_id = new.signal_id AND signals.status = 'approved'
        """,
        _column(group, "signal_id"),
        _column(group, "happened_at"),
        _column(group, "accounts"),
        _column(group, "orders"),
    )


# The reserved position, the order and its attempt, from one copy of the values.
INSERT_ORDERS = """
WITH planned AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::numeric[], $7::int[])
         AS own (order_id, client_order_id, subscription_id, account_id, position_id, quantity, run)
    JOIN unnest($8::int[], $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                $16::boolean[], $17::int[], $18::text[], $19::numeric[], $20::numeric[], $21::timestamptz[],
                $22::timestamptz[], $23::bigint[], $24::int[], $25::text[], $26::bigint[]) WITH ORDINALITY
         AS alike (attempt, signal_id, bot_id, venue, leg, symbol, side, position_side, reduce_only, leverage,
                   margin_mode, margin_usd, decision_price, send_before, planned_at, signed_at_ms, recv_window_ms,
                   owner, lease_epoch, run) USING (run)
), reserved AS (
    INSERT INTO positions (
        position_id, account_id, bot_id, subscription_id, signal_id, symbol, position_side, direction, status,
        leverage, entered_quantity, exited_quantity, entry_notional, exit_notional, fees, realized_pnl, created_at,
        updated_at)
    SELECT position_id, account_id, bot_id, subscription_id, signal_id, symbol, position_side,
           CASE side WHEN 'buy' THEN 'long' ELSE 'short' END, 'pending', leverage, 0, 0, 0, 0, 0, 0, planned_at,
           planned_at
    FROM planned WHERE leg = 'entry' AND attempt = 1
    ORDER BY account_id, symbol, position_side
    ON CONFLICT (position_id) DO NOTHING
), ordered AS (
    INSERT INTO orders (
        order_id, attempt, client_order_id, signal_id, bot_id, subscription_id, account_id, venue, leg, position_id,
        symbol, side, position_side, quantity, reduce_only, leverage, margin_mode, margin_usd, decision_price,
        send_before, planned_at, status, updated_at, check_at)
    SELECT order_id, attempt, client_order_id, signal_id, bot_id, subscription_id, account_id, venue, leg, position_id,
           symbol, side, position_side, quantity, reduce_only, leverage, margin_mode, margin_usd, decision_price,
           send_before, planned_at, 'planned', planned_at, planned_at + $27::interval
    FROM planned
    ON CONFLICT (order_id) DO UPDATE
    SET attempt = excluded.attempt, client_order_id = excluded.client_order_id, quantity = excluded.quantity,
        position_id = excluded.position_id, margin_usd = excluded.margin_usd, send_before = excluded.send_before,
        decision_price = excluded.decision_price, side = excluded.side, position_side = excluded.position_side,
        venue = excluded.venue, reduce_only = excluded.reduce_only, leverage = excluded.leverage,
        margin_mode = excluded.margin_mode, status = 'planned', is_dead = false, code = NULL, reason = NULL,
        exchange_order_id = NULL, updated_at = excluded.updated_at, check_at = excluded.check_at
    WHERE orders.status IN ('deferred', 'planned', 'unresolved') AND excluded.attempt > orders.attempt
)
INSERT INTO attempts (
    order_id, attempt, client_order_id, signed_at_ms, recv_window_ms, owner, lease_epoch, planned_at)
SELECT order_id, attempt, client_order_id, signed_at_ms, recv_window_ms, owner, lease_epoch, planned_at FROM planned
"""
OWN_COLUMNS = ("order_id", "client_order_id", "subscription_id", "account_id", "position_id", "quantity")
ALIKE_COLUMNS = (
    "attempt", "signal_id", "bot_id", "venue", "leg", "symbol", "side", "position_side", "reduce_only", "leverage",
    "margin_mode", "margin_usd", "decision_price", "send_before", "happened_at", "signed_at_ms", "recv_window_ms",
    "owner", "lease_epoch",
)  # fmt: skip


@folds(facts.OrderPlanned)
async def _(connection: Any, group: Sequence[facts.OrderPlanned]) -> None:
    """Mark the position an exit closes; then reserve that of each entry, and write the orders and attempts."""
    exits = [fact for fact in group if fact.leg == "exit"]
    if exits:
        await connection.execute(
            """
            UPDATE positions SET status = 'closing', exit_signal_id = new.signal_id, updated_at = new.at
            FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS new (position_id, signal_id, at)
            WHERE positions.position_id = new.position_id AND positions.status IN ('open', 'closing')
            """,
            _column(exits, "position_id"),
            _column(exits, "signal_id"),
            _column(exits, "happened_at"),
        )
    runs, alike = _runs(group, ALIKE_COLUMNS)
    await connection.execute(
        INSERT_ORDERS,
        *(_column(group, name) for name in OWN_COLUMNS),
        runs,
        *alike,
        timedelta(seconds=ANSWER_SECONDS),
    )


def _runs(rows: Sequence[Any], names: Sequence[str]) -> tuple[list[int], list[list[Any]]]:
    """
    Give the number of each row's run, from 1, and the runs' values by column.

    Rows that follow each other and agree in all of ``names`` are one run: what they share travels once.
    """
    numbers: list[int] = []
    values: list[tuple[Any, ...]] = []
    for shared, alike in groupby(rows, key=attrgetter(*names)):
        values.append(shared)
        numbers.extend(len(values) for _ in alike)
    return numbers, [list(column) for column in zip(*values, strict=True)]


@folds(facts.OrderDenied)
async def _(connection: Any, group: Sequence[facts.OrderDenied]) -> None:
    ended = await connection.fetch(
        """
        INSERT INTO orders (order_id, attempt, signal_id, bot_id, subscription_id, account_id, leg, symbol, side,
                            position_id, status, code, reason, planned_at, updated_at)
        SELECT order_id, 0, signal_id, bot_id, subscription_id, account_id, leg, symbol, side, position_id,
               'denied', code, reason, at, at
        FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                    $9::bigint[], $10::text[], $11::text[], $12::timestamptz[])
             AS new (order_id, signal_id, bot_id, subscription_id, account_id, leg, symbol, side, position_id, code,
                     reason, at)
        ON CONFLICT (order_id) DO UPDATE
        SET status = 'denied', code = excluded.code, reason = excluded.reason, updated_at = excluded.updated_at,
            check_at = NULL
        WHERE orders.status IN ('deferred', 'planned', 'unresolved')
        RETURNING signal_id, status, xmax <> 0 AS was_counted
        """,
        _column(group, "order_id"),
        _column(group, "signal_id"),
        _column(group, "bot_id"),
        _column(group, "subscription_id"),
        _column(group, "account_id"),
        _column(group, "leg"),
        _column(group, "symbol"),
        _column(group, "side"),
        _column(group, "position_id"),
        _column(group, "code"),
        _column(group, "reason"),
        _column(group, "happened_at"),
    )
    # A denial at planning was never among the signal's live orders; an order that was there before is.
    await _settle(connection, [row["signal_id"] for row in ended if row["was_counted"]], group)


@folds(facts.OrderDeferred)
async def _(connection: Any, group: Sequence[facts.OrderDeferred]) -> None:
    """Write the order that waits; a position that is not being closed yet learns of the exit that will."""
    await connection.execute(
        """
        INSERT INTO orders (order_id, attempt, signal_id, bot_id, subscription_id, account_id, leg, symbol, side,
                            position_id, send_before, share, status, code, reason, planned_at, updated_at)
        SELECT order_id, 0, signal_id, bot_id, subscription_id, account_id, leg, symbol, side, position_id,
               send_before, share, 'deferred', code, reason, at, at
        FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                    $9::bigint[], $10::timestamptz[], $11::numeric[], $12::text[], $13::text[], $14::timestamptz[])
             AS new (order_id, signal_id, bot_id, subscription_id, account_id, leg, symbol, side, position_id,
                     send_before, share, code, reason, at)
        ON CONFLICT (order_id) DO NOTHING
        """,
        _column(group, "order_id"),
        _column(group, "signal_id"),
        _column(group, "bot_id"),
        _column(group, "subscription_id"),
        _column(group, "account_id"),
        _column(group, "leg"),
        _column(group, "symbol"),
        _column(group, "side"),
        _column(group, "position_id"),
        _column(group, "send_before"),
        _column(group, "share"),
        _column(group, "code"),
        _column(group, "reason"),
        _column(group, "happened_at"),
    )
    exits = _firsts([fact for fact in group if fact.leg == "exit"], "position_id")
    await connection.execute(
        """
        UPDATE positions SET exit_signal_id = coalesce(exit_signal_id, new.signal_id), updated_at = new.at
        FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS new (position_id, signal_id, at)
        WHERE positions.position_id = new.position_id
        """,
        _column(exits, "position_id"),
        _column(exits, "signal_id"),
        _column(exits, "happened_at"),
    )


async def _settle(connection: Any, signal_ids: Sequence[Any], group: Sequence[Any]) -> None:
    """Count orders that ended; the signal is settled when its last one has, at that fact's time."""
    if not signal_ids:
        return
    ended_at = {fact.signal_id: fact.happened_at for fact in group}
    await connection.execute(
        """
        UPDATE signals
        SET orders_live = orders_live - ended.times,
            status = CASE WHEN orders_live = ended.times THEN 'settled' ELSE status END,
            settled_at = CASE WHEN orders_live = ended.times THEN ended.at ELSE settled_at END
        FROM (SELECT signal_id, count(*)::int AS times, max(at) AS at
              FROM unnest($1::uuid[], $2::timestamptz[]) AS one (signal_id, at) GROUP BY signal_id) AS ended
        WHERE signals.signal_id = ended.signal_id
        """,
        signal_ids,
        [ended_at[signal_id] for signal_id in signal_ids],
    )


@folds(facts.OrderAccepted)
async def _(connection: Any, group: Sequence[facts.OrderAccepted]) -> None:
    """Keep the times and the venue's id even where a fill was told before the answer."""
    group = _latest_answers(group)
    await connection.execute(
        """
        UPDATE orders
        SET status = CASE WHEN status IN ('planned', 'unresolved') THEN 'accepted' ELSE status END,
            exchange_order_id = new.exchange_order_id, sent_at = coalesce(new.sent_at, orders.sent_at),
            acknowledged_at = new.acknowledged_at, is_dead = false, code = NULL, reason = NULL,
            updated_at = new.at,
            check_at = CASE WHEN status IN ('planned', 'unresolved', 'accepted') THEN new.at + $7::interval ELSE check_at END
        FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
             AS new (order_id, attempt, exchange_order_id, sent_at, acknowledged_at, at)
        WHERE orders.order_id = new.order_id AND orders.attempt = new.attempt
        """,
        _column(group, "order_id"),
        _column(group, "attempt"),
        _column(group, "exchange_order_id"),
        _column(group, "sent_at"),
        _column(group, "acknowledged_at"),
        _column(group, "happened_at"),
        timedelta(seconds=FILL_SECONDS),
    )


def _latest_answers(group: Sequence[Answer]) -> list[Answer]:
    """Give the last word on each attempt, with when it was sent: it may be answered and found by asking at once."""
    latest: dict[tuple[str, int], Answer] = {}
    for fact in group:
        before = latest.get((fact.order_id, fact.attempt))
        sent_at = before.sent_at if before and fact.sent_at is None else fact.sent_at
        latest[fact.order_id, fact.attempt] = fact if before is None else replace(fact, sent_at=sent_at)
    return list(latest.values())


@folds(facts.OrderRejected)
async def _(connection: Any, group: Sequence[facts.OrderRejected]) -> None:
    group = _firsts(group, "order_id", "attempt")
    ended = await connection.fetch(
        """
        UPDATE orders
        SET status = 'rejected', code = new.code, reason = new.reason, updated_at = new.at, check_at = NULL
        FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::timestamptz[])
             AS new (order_id, attempt, code, reason, at)
        WHERE orders.order_id = new.order_id AND orders.attempt = new.attempt
          AND orders.status IN ('planned', 'unresolved')
        RETURNING orders.signal_id
        """,
        _column(group, "order_id"),
        _column(group, "attempt"),
        _column(group, "code"),
        _column(group, "reason"),
        _column(group, "happened_at"),
    )
    await _settle(connection, [row["signal_id"] for row in ended], group)


@folds(facts.OrderUnresolved)
async def _(connection: Any, group: Sequence[facts.OrderUnresolved]) -> None:
    group = _latest_answers(group)
    await connection.execute(
        """
        UPDATE orders
        SET status = 'unresolved', code = new.code, reason = new.reason, is_dead = new.is_dead,
            sent_at = coalesce(new.sent_at, orders.sent_at), updated_at = new.at, check_at = new.ask_at
        FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[],
                    $7::timestamptz[], $8::timestamptz[])
             AS new (order_id, attempt, code, reason, is_dead, sent_at, ask_at, at)
        WHERE orders.order_id = new.order_id AND orders.attempt = new.attempt
          AND orders.status IN ('planned', 'unresolved')
        """,
        _column(group, "order_id"),
        _column(group, "attempt"),
        _column(group, "code"),
        _column(group, "reason"),
        _column(group, "is_dead"),
        _column(group, "sent_at"),
        _column(group, "ask_at"),
        _column(group, "happened_at"),
    )


@folds(facts.OrderEnded)
async def _(connection: Any, group: Sequence[facts.OrderEnded]) -> None:
    group = _firsts(group, "order_id")
    ended = await connection.fetch(
        """
        UPDATE orders SET status = new.status, updated_at = new.at, check_at = NULL
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (order_id, status, at)
        WHERE orders.order_id = new.order_id
          AND orders.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        RETURNING orders.signal_id
        """,
        _column(group, "order_id"),
        _column(group, "status"),
        _column(group, "happened_at"),
    )
    await _settle(connection, [row["signal_id"] for row in ended], group)


# --- fills and positions ----------------------------------------------------------------------------------


@folds(facts.FillBooked)
async def _(connection: Any, group: Sequence[facts.FillBooked]) -> None:
    trades = [fact.trade for fact in group]
    await connection.execute(
        """
        INSERT INTO fills (account_id, symbol, trade_id, exchange_order_id, order_id, signal_id, position_id, side,
                           position_side, price, quantity, commission, commission_asset, fee, fee_rate, is_maker,
                           traded_at, booked_at, foreign_quantity)
        SELECT * FROM unnest(
            $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::text[],
            $9::text[], $10::numeric[], $11::numeric[], $12::numeric[], $13::text[], $14::numeric[], $15::numeric[],
            $16::boolean[], $17::timestamptz[], $18::timestamptz[], $19::numeric[])
        """,
        _column(group, "account_id"),
        _column(trades, "symbol"),
        _column(trades, "trade_id"),
        _column(trades, "exchange_order_id"),
        _column(group, "order_id"),
        _column(group, "signal_id"),
        _column(group, "position_id"),
        _column(trades, "side"),
        _column(trades, "position_side"),
        _column(trades, "price"),
        _column(trades, "quantity"),
        _column(trades, "commission"),
        _column(trades, "commission_asset"),
        _column(group, "fee"),
        _column(group, "fee_rate"),
        _column(trades, "is_maker"),
        _column(trades, "traded_at"),
        _column(group, "happened_at"),
        _column(group, "foreign_quantity"),
    )
    ours = [fact for fact in group if fact.order_id is not None]
    if not ours:
        return
    filled = await connection.fetch(
        """
        UPDATE orders
        SET filled_quantity = filled_quantity + new.quantity, filled_notional = filled_notional + new.notional,
            fees = orders.fees + new.fee, filled_at = greatest(orders.filled_at, new.traded_at), booked_at = new.at,
            exchange_order_id = coalesce(orders.exchange_order_id, new.exchange_order_id), updated_at = new.at,
            code = CASE WHEN status <> 'unresolved' THEN code END,  -- a fill answers what was asked
            reason = CASE WHEN status <> 'unresolved' THEN reason END,
            status = CASE
                WHEN status IN ('canceled', 'expired', 'rejected', 'denied') THEN status
                WHEN filled_quantity + new.quantity >= orders.quantity THEN 'filled'
                ELSE 'partially_filled' END,
            check_at = CASE WHEN filled_quantity + new.quantity < orders.quantity THEN new.at + $7::interval END
        FROM (SELECT order_id, min(exchange_order_id) AS exchange_order_id, sum(quantity) AS quantity,
                     sum(notional) AS notional, sum(fee) AS fee, max(traded_at) AS traded_at, max(at) AS at
              FROM unnest($1::text[], $2::numeric[], $3::numeric[], $4::numeric[], $5::timestamptz[],
                          $6::timestamptz[], $8::text[])
                   AS one (order_id, quantity, notional, fee, traded_at, at, exchange_order_id)
              GROUP BY order_id) AS new
        WHERE orders.order_id = new.order_id
        RETURNING orders.signal_id, orders.status,
                  orders.filled_quantity - new.quantity < orders.quantity AS was_short
        """,
        _column(ours, "order_id"),
        [fact.trade.quantity for fact in ours],
        [fact.trade.quantity * fact.trade.price for fact in ours],
        _column(ours, "fee"),
        [fact.trade.traded_at for fact in ours],
        _column(ours, "happened_at"),
        timedelta(seconds=FILL_SECONDS),
        [fact.trade.exchange_order_id for fact in ours],
    )
    done = [row["signal_id"] for row in filled if row["status"] == "filled" and row["was_short"]]
    await _settle(connection, done, group)


@folds(facts.ForeignPositionSeen)
async def _(connection: Any, group: Sequence[facts.ForeignPositionSeen]) -> None:
    """Write what is there now; of several sights in one batch the last counts."""
    latest = {(fact.account_id, fact.symbol, fact.position_side): fact for fact in group}
    rows = [latest[key] for key in sorted(latest)]
    await connection.execute(
        """
        INSERT INTO foreign_positions (account_id, symbol, position_side, quantity, seen_at)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::numeric[], $5::timestamptz[])
        ON CONFLICT (account_id, symbol, position_side) DO UPDATE
        SET quantity = excluded.quantity, seen_at = excluded.seen_at
        """,
        _column(rows, "account_id"),
        _column(rows, "symbol"),
        _column(rows, "position_side"),
        _column(rows, "quantity"),
        _column(rows, "happened_at"),
    )


# A position counts on the UTC day it closed: as it stood before is taken off its day, as it stands now is put on its
# own. So what closes, reopens by a late fill and closes again counts once, and a fact told twice changes nothing.
CHANGE_POSITIONS = """
WITH changed AS (
    UPDATE positions
    SET status = told.status, entered_quantity = told.entered_quantity, exited_quantity = told.exited_quantity,
        entry_notional = told.entry_notional, exit_notional = told.exit_notional, fees = told.fees,
        realized_pnl = told.realized_pnl, opened_at = told.opened_at, closed_at = told.closed_at,
        exit_signal_id = told.exit_signal_id, close_reason = told.close_reason, updated_at = told.at
    FROM unnest($1::bigint[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[],
                $8::numeric[], $9::timestamptz[], $10::timestamptz[], $11::uuid[], $12::text[], $13::timestamptz[])
         AS told (position_id, status, entered_quantity, exited_quantity, entry_notional, exit_notional, fees,
                  realized_pnl, opened_at, closed_at, exit_signal_id, close_reason, at)
    WHERE positions.position_id = told.position_id
    RETURNING old AS before, new AS after
), counted AS (
    INSERT INTO daily_results AS known (
        subscription_id, day, symbol, bot_id, account_id, closed, wins, losses, pnl_usd, gross_pnl_usd, fees_usd,
        loss_usd, notional_usd)
    SELECT (one).subscription_id, ((one).closed_at AT TIME ZONE 'UTC')::date, (one).symbol, (one).bot_id,
           (one).account_id, sum(times), sum(times * ((one).realized_pnl > 0)::int),
           sum(times * ((one).realized_pnl < 0)::int), sum(times * (one).realized_pnl),
           sum(times * CASE (one).direction WHEN 'long' THEN (one).exit_notional - (one).entry_notional
                                            ELSE (one).entry_notional - (one).exit_notional END),
           sum(times * (one).fees), sum(times * greatest(-(one).realized_pnl, 0)), sum(times * (one).entry_notional)
    FROM changed CROSS JOIN LATERAL (VALUES (-1, before), (1, after)) AS counting (times, one)
    WHERE (one).status = 'closed'
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3
    ON CONFLICT (subscription_id, day, symbol) DO UPDATE
    SET closed = known.closed + excluded.closed, wins = known.wins + excluded.wins,
        losses = known.losses + excluded.losses, pnl_usd = known.pnl_usd + excluded.pnl_usd,
        gross_pnl_usd = known.gross_pnl_usd + excluded.gross_pnl_usd, fees_usd = known.fees_usd + excluded.fees_usd,
        loss_usd = known.loss_usd + excluded.loss_usd, notional_usd = known.notional_usd + excluded.notional_usd
    RETURNING subscription_id, day, symbol, closed, forgiven_usd
)
SELECT subscription_id, day, symbol FROM counted WHERE closed = 0 AND forgiven_usd = 0
"""


@folds(facts.PositionChanged)
async def _(connection: Any, group: Sequence[facts.PositionChanged]) -> None:
    """Write each position and what it counts as; of several changes in one batch the last counts."""
    latest = {fact.position.position_id: fact for fact in group}
    changes = [latest[key] for key in sorted(latest)]
    rows: list[Position] = [fact.position for fact in changes]
    emptied = await connection.fetch(
        CHANGE_POSITIONS,
        _column(rows, "position_id"),
        _column(rows, "status"),
        _column(rows, "entered_quantity"),
        _column(rows, "exited_quantity"),
        _column(rows, "entry_notional"),
        _column(rows, "exit_notional"),
        _column(rows, "fees"),
        _column(rows, "realized_pnl"),
        _column(rows, "opened_at"),
        _column(rows, "closed_at"),
        _column(rows, "exit_signal_id"),
        _column(rows, "close_reason"),
        _column(changes, "happened_at"),
    )
    for row in emptied:  # all that had closed there has reopened
        await connection.execute(
            "DELETE FROM daily_results WHERE subscription_id = $1 AND day = $2 AND symbol = $3", *row
        )


@folds(facts.DailyLossForgiven)
async def _(connection: Any, group: Sequence[facts.DailyLossForgiven]) -> None:
    """Add to what was forgiven there; the last word on why stays."""
    for fact in sorted(group, key=attrgetter("subscription_id", "day", "symbol")):
        await connection.execute(
            """
            UPDATE daily_results SET forgiven_usd = forgiven_usd + $4, forgiven_by = $5, forgiven_reason = $6
            WHERE subscription_id = $1 AND day = $2 AND symbol = $3
            """,
            fact.subscription_id,
            fact.day,
            fact.symbol,
            fact.amount_usd,
            fact.forgiven_by,
            fact.reason,
        )


@folds(facts.ExitRequested)
async def _(_connection: Any, _group: Sequence[facts.ExitRequested]) -> None:
    """Nothing: the order that follows it, or its denial, is what changes the state."""


@folds(facts.EntryRequested)
async def _(_connection: Any, _group: Sequence[facts.EntryRequested]) -> None:
    """Nothing: the attempt that follows it, or its denial, is what changes the state."""

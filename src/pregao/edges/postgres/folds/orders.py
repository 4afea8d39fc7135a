"""Folds of orders: planned, denied, deferred, answered, ended."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import column, firsts, folds
from pregao.edges.postgres.folds.stops import CLOSE_FOR_CLAIMS, executions_of
from pregao.edges.postgres.rows import as_array, encode_json

ANSWER_SECONDS = 7  # the receive window (5 s) and a margin: after it an unanswered attempt is asked about
FILL_SECONDS = 1.5  # a market order fills at once: a fill not told by then was missed by the stream

Answer = TypeVar("Answer", facts.OrderAccepted, facts.OrderUnresolved)


@folds(facts.SignalPlanned)
async def _(connection: Any, group: Sequence[facts.SignalPlanned]) -> None:
    """Count a part; with the last one the signal is planned, and settled when nothing of it is on its way."""
    for number in sorted({fact.part for fact in group}):
        part = [fact for fact in group if fact.part == number]
        await connection.execute(
            """
            UPDATE signals
            SET parts = new.part, first_account_id = new.first_account_id, last_account_id = new.last_account_id,
                accounts = coalesce(signals.accounts, 0) + new.accounts,
                orders = coalesce(signals.orders, 0) + new.orders,
                orders_live = coalesce(signals.orders_live, 0) + new.orders,
                planned_at = CASE WHEN is_whole THEN new.at END,
                status = CASE WHEN NOT is_whole THEN status
                              WHEN coalesce(signals.orders_live, 0) + new.orders = 0 THEN 'settled' ELSE 'planned' END,
                settled_at = CASE WHEN is_whole AND coalesce(signals.orders_live, 0) + new.orders = 0 THEN new.at END
            FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::int[], $6::bigint[], $7::bigint[],
                        $8::boolean[])
                 AS new (signal_id, at, accounts, orders, part, first_account_id, last_account_id, is_whole)
            WHERE signals.signal_id = new.signal_id AND signals.status = 'approved' AND signals.parts < new.part
            """,
            column(part, "signal_id"),
            column(part, "happened_at"),
            column(part, "accounts"),
            column(part, "orders"),
            column(part, "part"),
            column(part, "first_account_id"),
            column(part, "last_account_id"),
            column(part, "is_whole"),
        )


# The reserved position and the order with its attempt, from one copy of the values.
WRITE_ORDERS = """
WITH planned AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text::text[], $2::text::text[], $3::uuid[], $4::text::bigint[], $5::text::bigint[],
                $6::text::numeric[], $7::text::int[])
         AS own (order_id, client_order_id, subscription_id, account_id, position_id, quantity, run)
    JOIN unnest($8::int[], $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                $16::boolean[], $17::int[], $18::text[], $19::numeric[], $20::numeric[], $21::timestamptz[],
                $22::timestamptz[], $23::bigint[], $24::int[], $25::text[], $26::bigint[], $28::jsonb[]) WITH ORDINALITY
         AS alike (attempt, signal_id, bot_id, venue, leg, symbol, side, position_side, reduce_only, leverage,
                   margin_mode, margin_usd, decision_price, send_before, planned_at, signed_at_ms, recv_window_ms,
                   owner, lease_epoch, execution, run) USING (run)
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
){and_more}
INSERT INTO orders (
    order_id, attempt, client_order_id, signal_id, bot_id, subscription_id, account_id, venue, leg, position_id,
    symbol, side, position_side, quantity, reduce_only, leverage, margin_mode, margin_usd, decision_price,
    send_before, signed_at_ms, recv_window_ms, owner, lease_epoch, planned_at, status, updated_at, check_at, execution)
SELECT order_id, attempt, client_order_id, signal_id, bot_id, subscription_id, account_id, venue, leg, position_id,
       symbol, side, position_side, quantity, reduce_only, leverage, margin_mode, margin_usd, decision_price,
       send_before, signed_at_ms, recv_window_ms, owner, lease_epoch, planned_at, 'planned', planned_at,
       planned_at + $27::interval, execution
FROM planned
ON CONFLICT (order_id) DO UPDATE
SET attempt = excluded.attempt, client_order_id = excluded.client_order_id, quantity = excluded.quantity,
    position_id = excluded.position_id, margin_usd = excluded.margin_usd, send_before = excluded.send_before,
    decision_price = excluded.decision_price, side = excluded.side, position_side = excluded.position_side,
    venue = excluded.venue, reduce_only = excluded.reduce_only, leverage = excluded.leverage,
    margin_mode = excluded.margin_mode, signed_at_ms = excluded.signed_at_ms,
    recv_window_ms = excluded.recv_window_ms, owner = excluded.owner, lease_epoch = excluded.lease_epoch,
    status = 'planned', is_dead = false, code = NULL, reason = NULL, exchange_order_id = NULL,
    updated_at = excluded.updated_at, check_at = excluded.check_at, checks = 0, execution = excluded.execution
WHERE orders.status IN ('deferred', 'planned', 'unresolved') AND excluded.attempt > orders.attempt
"""
INSERT_ORDERS = WRITE_ORDERS.format(and_more="")
INSERT_EXITS_OF_CLAIMS = WRITE_ORDERS.format(and_more=", " + CLOSE_FOR_CLAIMS.format(rows="$29"))
OWN_COLUMNS = ("order_id", "client_order_id", "subscription_id", "account_id", "position_id", "quantity")
AS_ARRAYS: tuple[Callable[[Sequence[Any]], Any], ...] = (
    as_array,
    as_array,
    list,
    as_array,
    as_array,
    as_array,
)  # how each is sent: a UUID's text is dear
ALIKE_COLUMNS = (
    "attempt", "signal_id", "bot_id", "venue", "leg", "symbol", "side", "position_side", "reduce_only", "leverage",
    "margin_mode", "margin_usd", "decision_price", "send_before", "happened_at", "signed_at_ms", "recv_window_ms",
    "owner", "lease_epoch", "execution",
)  # fmt: skip
NO_ORDERS: tuple[Any, ...] = (
    *(send([]) for send in AS_ARRAYS),
    as_array([]),
    *([] for _ in ALIKE_COLUMNS[:-1]),
    timedelta(0),
    [],
)
"""What `INSERT_ORDERS` is asked with for none at all."""


@folds(facts.OrderPlanned)
async def _(connection: Any, group: Sequence[facts.OrderPlanned]) -> None:
    """Mark the position an exit closes; then reserve that of each entry, and write the orders."""
    exits = [fact for fact in group if fact.leg == "exit" and fact.execution is None]
    if exits:
        await connection.execute(
            """
            UPDATE positions SET status = 'closing', exit_signal_id = new.signal_id, updated_at = new.at
            FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS new (position_id, signal_id, at)
            WHERE positions.position_id = new.position_id AND positions.status IN ('open', 'closing')
            """,
            column(exits, "position_id"),
            column(exits, "signal_id"),
            column(exits, "happened_at"),
        )
    runs, (*alike, executions) = _runs(group, ALIKE_COLUMNS)
    written = (
        *(send(column(group, name)) for name, send in zip(OWN_COLUMNS, AS_ARRAYS, strict=True)),
        as_array(runs),
        *alike,
        timedelta(seconds=ANSWER_SECONDS),
        [None if execution is None else encode_json(execution).decode() for execution in executions],
    )
    if any(executions):
        await connection.execute(INSERT_EXITS_OF_CLAIMS, *written, executions_of(group))
    else:
        await connection.execute(INSERT_ORDERS, *written)


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
        column(group, "order_id"),
        column(group, "signal_id"),
        column(group, "bot_id"),
        column(group, "subscription_id"),
        column(group, "account_id"),
        column(group, "leg"),
        column(group, "symbol"),
        column(group, "side"),
        column(group, "position_id"),
        column(group, "code"),
        column(group, "reason"),
        column(group, "happened_at"),
    )
    # A denial at planning was never among the signal's live orders; an order that was there before is.
    await settle(connection, [row["signal_id"] for row in ended if row["was_counted"]], group)


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
        column(group, "order_id"),
        column(group, "signal_id"),
        column(group, "bot_id"),
        column(group, "subscription_id"),
        column(group, "account_id"),
        column(group, "leg"),
        column(group, "symbol"),
        column(group, "side"),
        column(group, "position_id"),
        column(group, "send_before"),
        column(group, "share"),
        column(group, "code"),
        column(group, "reason"),
        column(group, "happened_at"),
    )
    exits = firsts([fact for fact in group if fact.leg == "exit"], "position_id")
    await connection.execute(
        """
        UPDATE positions SET exit_signal_id = coalesce(exit_signal_id, new.signal_id), updated_at = new.at
        FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS new (position_id, signal_id, at)
        WHERE positions.position_id = new.position_id
        """,
        column(exits, "position_id"),
        column(exits, "signal_id"),
        column(exits, "happened_at"),
    )


async def settle(connection: Any, signal_ids: Sequence[Any], group: Sequence[Any]) -> None:
    """
    Count orders that ended; the signal is settled when its last one has, at that fact's time.

    A signal that is being planned is not settled yet, whatever has become of its first parts.
    """
    if not signal_ids:
        return
    ended_at = {fact.signal_id: fact.happened_at for fact in group}
    await connection.execute(
        """
        UPDATE signals
        SET orders_live = orders_live - ended.times,
            status = CASE WHEN orders_live = ended.times AND status = 'planned' THEN 'settled' ELSE status END,
            settled_at = CASE WHEN orders_live = ended.times AND status = 'planned' THEN ended.at ELSE settled_at END
        FROM (SELECT signal_id, count(*)::int AS times, max(at) AS at
              FROM unnest($1::uuid[], $2::timestamptz[]) AS one (signal_id, at) GROUP BY signal_id) AS ended
        WHERE signals.signal_id = ended.signal_id
        """,
        signal_ids,
        [ended_at[signal_id] for signal_id in signal_ids],
    )


@folds(facts.OrderAccepted)
async def _(connection: Any, group: Sequence[facts.OrderAccepted]) -> None:
    """
    Keep the times and the venue's id even where a fill was told before the answer.

    What is asked from here on is where the fill is: however often it was asked whether there is an order at all.
    """
    group = _latest_answers(group)
    await connection.execute(
        """
        UPDATE orders
        SET status = CASE WHEN status IN ('planned', 'unresolved') THEN 'accepted' ELSE status END,
            exchange_order_id = new.exchange_order_id, sent_at = coalesce(new.sent_at, orders.sent_at),
            acknowledged_at = new.acknowledged_at, is_dead = false, code = NULL, reason = NULL,
            updated_at = new.at,
            check_at = CASE WHEN status IN ('planned', 'unresolved', 'accepted') THEN new.at + $7::interval ELSE check_at END,
            checks = CASE WHEN status IN ('planned', 'unresolved') THEN 0 ELSE checks END
        FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
             AS new (order_id, attempt, exchange_order_id, sent_at, acknowledged_at, at)
        WHERE orders.order_id = new.order_id AND orders.attempt = new.attempt
        """,
        column(group, "order_id"),
        column(group, "attempt"),
        column(group, "exchange_order_id"),
        column(group, "sent_at"),
        column(group, "acknowledged_at"),
        column(group, "happened_at"),
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
    group = firsts(group, "order_id", "attempt")
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
        column(group, "order_id"),
        column(group, "attempt"),
        column(group, "code"),
        column(group, "reason"),
        column(group, "happened_at"),
    )
    await settle(connection, [row["signal_id"] for row in ended], group)


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
        column(group, "order_id"),
        column(group, "attempt"),
        column(group, "code"),
        column(group, "reason"),
        column(group, "is_dead"),
        column(group, "sent_at"),
        column(group, "ask_at"),
        column(group, "happened_at"),
    )


@folds(facts.OrderEnded)
async def _(connection: Any, group: Sequence[facts.OrderEnded]) -> None:
    group = firsts(group, "order_id")
    ended = await connection.fetch(
        """
        UPDATE orders SET status = new.status, updated_at = new.at, check_at = NULL
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (order_id, status, at)
        WHERE orders.order_id = new.order_id
          AND orders.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        RETURNING orders.signal_id
        """,
        column(group, "order_id"),
        column(group, "status"),
        column(group, "happened_at"),
    )
    await settle(connection, [row["signal_id"] for row in ended], group)

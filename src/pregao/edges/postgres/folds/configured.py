"""Folds of who trades: users, accounts, bots, subscriptions, and what an operator did."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec

from pregao.domain import facts
from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.user import User
from pregao.edges.postgres.folds.registry import column, folds
from pregao.edges.postgres.rows import encode_json, json_names


def upsert(table: str, key: str, value_type: type) -> str:
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


def columns_of(value: Any) -> list[Any]:
    """Give a value's fields as its row takes them."""
    json = json_names(type(value))
    return [
        encode_json(getattr(value, field.name)).decode() if field.name in json else getattr(value, field.name)
        for field in fields(value)
    ]


UPSERT_USER = upsert("users", "user_id", User)
UPSERT_ACCOUNT = upsert("accounts", "account_id", Account)
UPSERT_BOT = upsert("bots", "bot_id", Bot)
UPSERT_SUBSCRIPTION = upsert("subscriptions", "subscription_id", Subscription)


@folds(facts.UserConfigured)
async def _(connection: Any, group: Sequence[facts.UserConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_USER, fact.happened_at, *columns_of(fact.user))


@folds(facts.AccountConfigured)
async def _(connection: Any, group: Sequence[facts.AccountConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_ACCOUNT, fact.happened_at, *columns_of(fact.account))


@folds(facts.BotConfigured)
async def _(connection: Any, group: Sequence[facts.BotConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_BOT, fact.happened_at, *columns_of(fact.bot))


@folds(facts.SubscriptionConfigured)
async def _(connection: Any, group: Sequence[facts.SubscriptionConfigured]) -> None:
    for fact in group:
        await connection.execute(UPSERT_SUBSCRIPTION, fact.happened_at, *columns_of(fact.subscription))


@folds(facts.BotForgotten)
async def _(connection: Any, group: Sequence[facts.BotForgotten]) -> None:
    bot_ids = column(group, "bot_id")
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
        column(group, "action_id"),
        column(group, "happened_at"),
        column(group, "user_id"),
        column(group, "principal"),
        column(group, "source_address"),
        column(group, "user_agent"),
        column(group, "method"),
        column(group, "path"),
        column(group, "action"),
        [msgspec.json.encode(fact.targets).decode() for fact in group],
        column(group, "status"),
        column(group, "error_code"),
        column(group, "duration_ms"),
    )


@folds(facts.TradingStateSet)
async def _(connection: Any, group: Sequence[facts.TradingStateSet]) -> None:
    """Write what stands there now; the last word counts."""
    latest = {(fact.level, fact.subject): fact for fact in group}
    rows = [latest[key] for key in sorted(latest)]
    await connection.execute(
        """
        INSERT INTO trading_states (level, subject, name, state, block_exits, reason, version, set_by, user_id,
                                    is_by_staff, source_address, set_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::bigint[],
                             $8::text[], $9::uuid[], $10::boolean[], $11::text[], $12::timestamptz[])
        ON CONFLICT (level, subject) DO UPDATE
        SET name = excluded.name, state = excluded.state, block_exits = excluded.block_exits,
            reason = excluded.reason, version = excluded.version, set_by = excluded.set_by,
            user_id = excluded.user_id, is_by_staff = excluded.is_by_staff,
            source_address = excluded.source_address, set_at = excluded.set_at
        """,
        column(rows, "level"),
        column(rows, "subject"),
        column(rows, "name"),
        column(rows, "state"),
        column(rows, "block_exits"),
        column(rows, "reason"),
        column(rows, "version"),
        column(rows, "set_by"),
        column(rows, "user_id"),
        column(rows, "is_by_staff"),
        column(rows, "source_address"),
        column(rows, "happened_at"),
    )


@folds(facts.DatabaseCleared)
async def _(_connection: Any, _group: Sequence[facts.DatabaseCleared]) -> None:
    """Nothing: what it deleted is in no fact any more."""

"""Folds of what people are told: alerts, channels, mutes, the least level."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from pregao.domain import facts
from pregao.domain.alert import Channel, Mute
from pregao.edges.postgres.folds.registry import column, folds
from pregao.edges.postgres.rows import encode_json

CHANNEL_COLUMNS = [field.name for field in fields(Channel)]
MUTE_COLUMNS = [field.name for field in fields(Mute)]


@folds(facts.AlertRaised)
async def _(connection: Any, group: Sequence[facts.AlertRaised]) -> None:
    rows = [fact.alert for fact in group]
    await connection.execute(
        """
        INSERT INTO alerts (alert_id, kind, level, title, text, numbers, dedupe_key, subject, user_id, account_id, bot_id,
                            repeats, code, about, raised_at)
        SELECT alert_id, kind, level, title, text, numbers::jsonb, dedupe_key, subject, user_id, account_id, bot_id,
               repeats, code, about, raised_at
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::uuid[], $10::bigint[], $11::uuid[], $12::integer[], $13::text[], $14::text[],
                    $15::timestamptz[])
             AS new (alert_id, kind, level, title, text, numbers, dedupe_key, subject, user_id, account_id, bot_id,
                     repeats, code, about, raised_at)
        """,
        column(rows, "alert_id"),
        column(rows, "kind"),
        column(rows, "level"),
        column(rows, "title"),
        column(rows, "text"),
        [encode_json(alert.numbers).decode() for alert in rows],
        column(rows, "dedupe_key"),
        column(rows, "subject"),
        column(rows, "user_id"),
        column(rows, "account_id"),
        column(rows, "bot_id"),
        column(rows, "repeats"),
        column(rows, "code"),
        column(rows, "about"),
        column(group, "happened_at"),
    )


@folds(facts.AlertAcknowledged)
async def _(connection: Any, group: Sequence[facts.AlertAcknowledged]) -> None:
    """Write who was the first."""
    for fact in group:
        await connection.execute(
            """
            UPDATE alerts SET acknowledged_at = $2, acknowledged_by = $3
            WHERE alert_id = $1 AND acknowledged_at IS NULL
            """,
            fact.alert_id,
            fact.happened_at,
            fact.acknowledged_by,
        )


@folds(facts.ChannelConfigured)
async def _(connection: Any, group: Sequence[facts.ChannelConfigured]) -> None:
    changes = ", ".join(f"{name} = excluded.{name}" for name in CHANNEL_COLUMNS if name != "channel_id")
    places = ", ".join(
        f"${number}::text::jsonb" if name == "shown" else f"${number}"
        for number, name in enumerate(CHANNEL_COLUMNS, start=2)
    )
    for fact in group:
        told = {name: getattr(fact.channel, name) for name in CHANNEL_COLUMNS}
        await connection.execute(
            f"""
            INSERT INTO alert_channels (created_at, updated_at, {", ".join(CHANNEL_COLUMNS)}) VALUES ($1, $1, {places})
            ON CONFLICT (channel_id) DO UPDATE SET {changes}, updated_at = excluded.updated_at
            """,
            fact.happened_at,
            *({**told, "shown": encode_json(told["shown"]).decode()}).values(),
        )


@folds(facts.ChannelForgotten)
async def _(connection: Any, group: Sequence[facts.ChannelForgotten]) -> None:
    await connection.execute(
        "DELETE FROM alert_channels WHERE channel_id = ANY($1::bigint[])", column(group, "channel_id")
    )


@folds(facts.AlertsMuted)
async def _(connection: Any, group: Sequence[facts.AlertsMuted]) -> None:
    places = ", ".join(f"${number}" for number in range(2, len(MUTE_COLUMNS) + 2))
    for fact in group:
        await connection.execute(
            f"INSERT INTO alert_mutes (muted_at, {', '.join(MUTE_COLUMNS)}) VALUES ($1, {places})",
            fact.happened_at,
            *(getattr(fact.mute, name) for name in MUTE_COLUMNS),
        )


@folds(facts.AlertsUnmuted)
async def _(connection: Any, group: Sequence[facts.AlertsUnmuted]) -> None:
    await connection.execute(
        "DELETE FROM alert_mutes WHERE mute_id = ANY($1::uuid[])", column(group, "mute_id")
    )


@folds(facts.AlertLevelSet)
async def _(connection: Any, group: Sequence[facts.AlertLevelSet]) -> None:
    """Write what was said last."""
    last = group[-1]
    await connection.execute(
        """
        INSERT INTO alert_levels (level, set_by, set_at) VALUES ($1, $2, $3)
        ON CONFLICT (only_one) DO UPDATE
        SET level = excluded.level, set_by = excluded.set_by, set_at = excluded.set_at
        """,
        last.level,
        last.set_by,
        last.happened_at,
    )

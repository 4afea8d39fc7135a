"""What models said last of each symbol, and whose bots ask for it. No fold: it may be lost at any time, and is said anew."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from pregao.domain.bot import Bot
from pregao.domain.prediction import Foretold
from pregao.edges.postgres.rows import to_value, to_values
from pregao.views.predictions import FateLine, FilteredEntry, ModelBoard

# A process that was held up does not put an older candle's word in the place of a newer one's.
KEEP = """
INSERT INTO predictions (model, symbol, timeframe, model_id, direction, confidence, bar_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (model, symbol) DO UPDATE
SET timeframe = excluded.timeframe, model_id = excluded.model_id, direction = excluded.direction,
    confidence = excluded.confidence, bar_at = excluded.bar_at, expires_at = excluded.expires_at,
    made_at = excluded.made_at
WHERE predictions.bar_at <= excluded.bar_at OR predictions.model_id <> excluded.model_id
"""
FIND = "SELECT * FROM predictions WHERE model = $1 AND symbol = $2 AND expires_at > $3"
WANTED = """
SELECT DISTINCT model_filter ->> 'model' AS model FROM bots
WHERE status = 'active' AND jsonb_typeof(model_filter) = 'object' ORDER BY model
"""


# An entry that another check stopped would not have been traded without the filter either; one that became a close was no entry.
FILTERED = """
SELECT j.happened_at AS decided_at, s.symbol, s.side, v.verdict ->> 'passed' = 'true' AS has_passed,
       v.verdict -> 'numbers' ->> 'foretold' <> 'unknown' AS is_known,
       coalesce((SELECT sum(p.realized_pnl) FROM positions AS p WHERE p.signal_id = j.signal_id), 0) AS earned
FROM journal AS j JOIN signals AS s USING (signal_id)
CROSS JOIN LATERAL (SELECT verdict FROM jsonb_array_elements(j.fact -> 'verdicts') AS verdict
                    WHERE verdict ->> 'check' = 'MODEL') AS v
WHERE j.kind IN ('DecisionApproved', 'DecisionDeclined') AND j.signal_id IS NOT NULL AND j.happened_at >= $2
  AND s.bot_id = $1 AND s.action = 'enter'
  AND (j.kind = 'DecisionApproved' AND v.verdict ->> 'passed' = 'true' OR j.fact ->> 'code' = 'MODEL_DECLINED')
ORDER BY j.happened_at, j.seq
"""
FATES = f"""
SELECT fate, count(met.decided_at)::int AS entries, coalesce(sum(met.earned), 0) AS earned_usd
FROM unnest(ARRAY['passed', 'unfiltered', 'denied']) WITH ORDINALITY AS fates (fate, place)
LEFT JOIN ({FILTERED}) AS met
     ON fate = CASE WHEN NOT met.has_passed THEN 'denied' WHEN met.is_known THEN 'passed' ELSE 'unfiltered' END
GROUP BY fate, place ORDER BY place
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteringBot:
    """As much of a bot as its scoreboard needs."""

    bot_id: UUID
    name: str
    default_stop_loss_pct: Decimal
    default_take_profit_pct: Decimal


async def find_foretold(
    connection: asyncpg.Connection, model: str, symbol: str | None, *, now: datetime
) -> Foretold | None:
    """Give what a model says of a symbol; None where it says nothing that is fresh."""
    row = await connection.fetchrow(FIND, model, symbol, now)
    return None if row is None else to_value(row, Foretold)


async def keep_foretold(connection: asyncpg.Connection | asyncpg.Pool, said: Foretold) -> None:
    """Put what a model says in the place of what it said before."""
    await connection.execute(
        KEEP,
        said.model,
        said.symbol,
        said.timeframe,
        said.model_id,
        said.direction,
        said.confidence,
        said.bar_at,
        said.expires_at,
    )


async def models_wanted(connection: asyncpg.Connection | asyncpg.Pool) -> list[str]:
    """Give the names of the models that filter entries of active bots."""
    return [row["model"] for row in await connection.fetch(WANTED)]


async def find_filtering_bot(connection: asyncpg.Connection, words: str) -> FilteringBot | None:
    """Give the bot that has this id or name; None where there is none."""
    row = await connection.fetchrow(
        "SELECT * FROM bots WHERE bot_id::text = $1 OR name = $1 ORDER BY status = 'archived', created_at LIMIT 1",
        words,
    )
    return None if row is None else to_value(row, FilteringBot)


async def find_board(
    connection: asyncpg.pool.PoolConnectionProxy, bot_id: UUID, *, since: datetime
) -> ModelBoard | None:
    """Give what a bot's model says and what became of its entries; None when there is no such bot."""
    row = await connection.fetchrow("SELECT * FROM bots WHERE bot_id = $1", bot_id)
    if row is None:
        return None
    bot = to_value(row, Bot)
    model = None if bot.model_filter is None else bot.model_filter.model
    said = await connection.fetch("SELECT * FROM predictions WHERE model = $1 ORDER BY symbol", model)
    return ModelBoard(
        bot_id=bot.bot_id,
        bot_name=bot.name,
        model_filter=bot.model_filter,
        said=tuple(to_values(said, Foretold)),
        fates=tuple(to_values(await connection.fetch(FATES, bot_id, since), FateLine)),
    )


async def entries_filtered(
    connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, bot_id: UUID, *, since: datetime
) -> list[FilteredEntry]:
    """Give a bot's entries that only the filter stood before, oldest first, with what their positions came to."""
    return to_values(await connection.fetch(FILTERED, bot_id, since), FilteredEntry)

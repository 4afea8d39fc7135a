"""What models said last of each symbol, and whose bots ask for it. No fold: it may be lost at any time, and is said anew."""

from datetime import datetime

import asyncpg

from pregao.domain.prediction import Foretold
from pregao.edges.postgres.rows import to_value

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

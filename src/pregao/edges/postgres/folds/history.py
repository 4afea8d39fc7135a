"""Folds of what was brought in from elsewhere."""

from collections.abc import Sequence
from typing import Any

from pregao.domain import facts
from pregao.edges.postgres.folds.registry import folds
from pregao.edges.postgres.rows import to_json


@folds(facts.HistoryImported)
async def _(connection: Any, group: Sequence[facts.HistoryImported]) -> None:
    for fact in group:
        await connection.execute(
            """
            INSERT INTO imported_events (number, happened_at, signal_id, ticker, signal_type, status, location,
                                         worker_id, details, http_status, imported_by, imported_at)
            SELECT -($2 + place - 1), happened_at, signal_id, ticker, signal_type, status, location, worker_id, details,
                   http_status, $3, $4
            FROM ROWS FROM (jsonb_to_recordset($1::jsonb)
                AS (happened_at timestamptz, signal_id uuid, ticker text, signal_type text, status text, location text,
                    worker_id text, details text, http_status integer)) WITH ORDINALITY
                AS new (happened_at, signal_id, ticker, signal_type, status, location, worker_id, details, http_status,
                        place)
            """,
            to_json(fact.events),
            fact.first_number,
            fact.imported_by,
            fact.happened_at,
        )

"""How the desk's own settings changed, read from the journal: the facts that set them are few, and have an index of their own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from pregao.views.setting_changes import SETTINGS, SettingChange, ValueChanged

ABOUT = frozenset({"happened_at", "set_by", "reason"})  # of a fact, and no setting

# The kinds stand here word for word, as in the index: only then does the planner take it.
CHANGES = f"""
SELECT * FROM (
    SELECT seq, happened_at, kind, fact::text AS fact,
           lag(fact::text) OVER (PARTITION BY kind ORDER BY seq) AS former
    FROM journal WHERE kind IN ({", ".join(f"'{kind}'" for kind in SETTINGS)}) AND ($1::text IS NULL OR kind = $1)
) AS told
WHERE $2::bigint IS NULL OR seq < $2 ORDER BY seq DESC LIMIT $3
"""


class PostgresSettingChanges:
    """The port `views.setting_changes.SettingChanges`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def changes(
        self, *, setting: str | None, before: int | None, limit: int
    ) -> Sequence[SettingChange]:
        kind = next((kind for kind, name in SETTINGS.items() if name == setting), None)
        return [_change(row) for row in await self._pool.fetch(CHANGES, kind, before, limit)]


def _change(row: Mapping[str, Any]) -> SettingChange:
    fact = msgspec.json.decode(row["fact"])
    former = {} if row["former"] is None else dict(_values(msgspec.json.decode(row["former"])))
    return SettingChange(
        change_id=row["seq"],
        changed_at=row["happened_at"],
        setting=SETTINGS[row["kind"]],
        set_by=fact["set_by"],
        reason=fact.get("reason", ""),
        values=[
            ValueChanged(field=field, old=former.get(field), new=new)
            for field, new in _values(fact)
            if former.get(field) != new
        ],
    )


def _values(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if name in ABOUT:
            continue
        if isinstance(value, dict):
            yield from _values(value)
        else:
            yield (
                name,
                "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value),
            )

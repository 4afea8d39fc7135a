"""Positions with what guards them, from their rows and their facts."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from uuid import UUID

import asyncpg

from pregao.domain.account import Venue
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX
from pregao.domain.position import Position
from pregao.domain.stop import Target
from pregao.domain.stop_rule import StopRule
from pregao.edges.postgres.guarded import GUARDED
from pregao.edges.postgres.journal import decode
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.views import position_line
from pregao.views.guard_story import (
    ExecutionLine,
    ExecutionPlace,
    GuardEvent,
    PositionStory,
    StopFilter,
    StopLine,
    told_by,
)
from pregao.views.guarded import GuardedLine
from pregao.views.trips import FillLine

EVENTS_MAX = 2_000  # of one position: a stop that trails for a month stays below

POSITION = """
SELECT p.*, a.name AS account_name, a.venue FROM positions AS p JOIN accounts AS a USING (account_id)
WHERE p.position_id = $1 AND ($2::uuid IS NULL OR a.user_id = $2)
"""
RULE = "SELECT signal_id, rule::text AS rule, targets::text AS targets FROM stops WHERE position_id = $1"
FILLS = """
SELECT account_id, symbol, trade_id, exchange_order_id, order_id, signal_id, position_id, side, position_side, price,
       quantity, fee, commission, commission_asset, is_maker, traded_at, booked_at
FROM fills WHERE position_id = $1 ORDER BY traded_at, trade_id
"""
# The story of the signal that opened it has them; other accounts' are left out before a fact is read.
EVENTS = f"""
SELECT seq, kind, fact::text AS fact FROM journal
WHERE signal_id = ANY($1::uuid[]) AND account_id = $2
  AND coalesce(fact ->> 'position_id', fact #>> '{{stop,position_id}}') = $3::bigint::text
  AND kind IN ('StopArmed', 'StopRaised', 'StopChanged', 'StopTriggered', 'StopUnusable', 'StopDisarmed', 'ExecutionMoved',
               'GuardrailBlocked', 'PositionLeft', 'PositionUnguarded', 'PositionGuarded', 'ProtectionPlanned',
               'ProtectionAccepted', 'ProtectionRejected', 'ProtectionUnresolved', 'ProtectionMoved')
ORDER BY seq DESC LIMIT {EVENTS_MAX}
"""

CHOSEN = """
($1::uuid IS NULL OR a.user_id = $1) AND ($2::bigint IS NULL OR s.account_id = $2)
AND ($3::text IS NULL OR strpos(upper(s.symbol), upper($3)) > 0) AND ($4::text IS NULL OR s.status = $4)
"""
STOPS = f"""
SELECT s.position_id, s.account_id, a.name AS account_name, s.venue, s.symbol, s.direction, s.status, s.version,
       s.is_required, s.entry_price, s.initial_stop, s.stop_price, s.atr, s.rule::text AS rule, s.targets::text AS targets,
       s.line_status, s.line_price, s.armed_at, s.updated_at, CASE s.direction WHEN 'long' THEN w.bid ELSE w.ask END AS price
FROM stops AS s JOIN accounts AS a USING (account_id)
LEFT JOIN watches AS w ON w.venue = s.venue AND w.symbol = s.symbol
    AND w.price_at > clock_timestamp() - interval '{PRICE_AGE_SECONDS_MAX} s'
WHERE s.left_at IS NULL AND {CHOSEN} AND ($5::bigint IS NULL OR s.position_id < $5)
ORDER BY s.position_id DESC LIMIT $6
"""
EXECUTIONS = f"""
SELECT s.*, a.name AS account_name FROM stop_claims AS s JOIN accounts AS a USING (account_id)
WHERE {CHOSEN} AND ($5::timestamptz IS NULL OR (s.seen_at, s.token, s.kind, s.number) < ($5, $6::text, $7::text, $8::int))
ORDER BY s.seen_at DESC, s.token DESC, s.kind DESC, s.number DESC LIMIT $9
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    rule: StopRule
    targets: tuple[Target, ...]


class PostgresGuardStories:
    """The port `views.guard_story.GuardStories`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Read from ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def find_story(self, position_id: int, *, owner: UUID | None) -> PositionStory | None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(POSITION, position_id, owner)
            if row is None:
                return None
            position = to_value(row, Position)
            guard = await connection.fetchrow(GUARDED, [position_id])
            asked = await connection.fetchrow(RULE, position_id)
            fills = await connection.fetch(FILLS, position_id)
            signals = {position.signal_id, position.signal_id if asked is None else asked["signal_id"]}
            told = await connection.fetch(EVENTS, list(signals), position.account_id, position_id)
        stop = None if asked is None else to_value(asked, _Asked)
        return PositionStory(
            position=position_line(row),
            account_name=row["account_name"],
            venue=Venue(row["venue"]),
            guard=None if guard is None else to_value(guard, GuardedLine),
            rule=None if stop is None else stop.rule,
            targets=() if stop is None else stop.targets,
            fills=to_values(fills, FillLine),
            events=_events(told),
        )

    async def stops(self, asked: StopFilter, *, before: int | None, limit: int) -> Sequence[StopLine]:
        return to_values(await self._pool.fetch(STOPS, *astuple(asked), before, limit), StopLine)

    async def executions(
        self, asked: StopFilter, *, before: ExecutionPlace | None, limit: int
    ) -> Sequence[ExecutionLine]:
        place = (None, None, None, None) if before is None else astuple(before)
        return to_values(await self._pool.fetch(EXECUTIONS, *astuple(asked), *place, limit), ExecutionLine)


def _events(rows: Sequence[asyncpg.Record]) -> list[GuardEvent]:
    told = (told_by(decode(row["kind"], row["fact"]), seq=row["seq"]) for row in reversed(rows))
    return [one for one in told if one is not None]

"""The guards of positions, as their steps need them: whoever reads them has locked the positions they belong to."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from pregao.bots.by_hand import BY_HAND_PATH
from pregao.domain.bot import Bot
from pregao.domain.position import Position
from pregao.domain.protection import MAY_TRADE
from pregao.domain.signal import Risked
from pregao.domain.stop import Stop
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_value
from pregao.orders.ports import Member
from pregao.stops.asked import asked_of, said_by_hand, said_by_strategy
from pregao.stops.claims import order_of_claim
from pregao.stops.ports import ArmedStop, Asked, Claimed, Guard, Line

STANDING = [status.value for status in sorted(MAY_TRADE)]

# All that guards positions in one round trip, for whoever exits asks this twice; joined to nothing, because a plan that is
# made once knows nothing of how many there are. A target that did not come to its bound is watched again: its claim is over.
GUARDS = """
SELECT 'armed' AS kind, position_id, to_jsonb(s) || jsonb_build_object('stop', to_jsonb(s)) AS told
FROM stops AS s WHERE position_id = ANY($1::bigint[])
UNION ALL
SELECT 'line', position_id, to_jsonb(p) FROM protections AS p
WHERE position_id = ANY($1::bigint[]) AND status = ANY($2::text[])
UNION ALL
SELECT 'made', position_id, to_jsonb(max(version)) FROM protections
WHERE position_id = ANY($1::bigint[]) GROUP BY position_id
UNION ALL
SELECT 'claim', c.position_id, to_jsonb(c) || jsonb_build_object(
           'order_status', o.status, 'filled_quantity', coalesce(o.filled_quantity, 0),
           'filled_notional', coalesce(o.filled_notional, 0))
FROM stop_claims AS c LEFT JOIN orders AS o USING (order_id)
WHERE c.position_id = ANY($1::bigint[]) AND c.status <> 'executed' AND NOT (c.status = 'failed' AND c.again_at IS NULL)
UNION ALL
SELECT 'entering', position_id, NULL FROM orders
WHERE position_id = ANY($1::bigint[]) AND leg = 'entry'
  AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
"""

# Read as their types, so that a number of JSON is the decimal it was.
_armed = msgspec.json.Decoder(ArmedStop)
_line = msgspec.json.Decoder(Line)
_claim = msgspec.json.Decoder(Claimed)


@dataclass(slots=True)
class Found:
    """What of the books guards one position."""

    armed: ArmedStop | None = None
    lines: list[Line] = field(default_factory=list)
    lines_made: int = 0
    claims: list[Claimed] = field(default_factory=list)
    is_entering: bool = False

    def add(self, kind: str, told: str) -> None:
        """Take one row of ``GUARDS``."""
        match kind:
            case "armed":
                self.armed = _armed.decode(told)
            case "line":
                self.lines.append(_line.decode(told))
            case "made":
                self.lines_made = int(told)
            case "claim":
                self.claims.append(_claim.decode(told))
            case _:
                self.is_entering = True

    def armed_guard(self) -> Guard | None:
        """Give the guard of a position that has been armed; None for another."""
        if self.armed is None:
            return None
        return Guard(
            armed=self.armed,
            asked=Asked(rule=self.armed.stop.rule, is_required=self.armed.is_required),
            venue=self.armed.venue,
            lines=tuple(sorted(self.lines, key=lambda line: line.version)),
            lines_made=self.lines_made,
            claims=tuple(sorted(self.claims, key=order_of_claim)),
            is_entering=self.is_entering,
        )


async def read_guards(
    connection: Connection,
    positions: Sequence[Position],
    *,
    members_of: Callable[[Collection[UUID]], Awaitable[Mapping[UUID, Member]]],
    bot_of: Callable[[UUID], Awaitable[Bot]],
) -> dict[int, Guard]:
    """Give what guards each of the positions, by id; the settings are read for those that are not armed yet."""
    found = {position.position_id: Found() for position in positions}
    for row in await connection.fetch(GUARDS, sorted(found), STANDING):
        found[row["position_id"]].add(row["kind"], row["told"])
    bare = [one for one in positions if found[one.position_id].armed is None]
    members = await members_of({one.subscription_id for one in bare}) if bare else {}
    bots = {bot_id: await bot_of(bot_id) for bot_id in {one.bot_id for one in bare}}
    risks = await _risks(connection, bare, bots=bots)
    levels = await _levels(connection, bare, bots=bots)
    guards = {}
    for one in positions:
        guard = found[one.position_id].armed_guard()
        if guard is None:
            member, risk = members[one.subscription_id], risks.get(one.signal_id)
            asked = asked_of(bots[one.bot_id], member.subscription, symbol=one.symbol)
            asked = asked if risk is None else said_by_hand(asked, risk)
            if one.signal_id in levels:
                asked = said_by_strategy(asked, **levels[one.signal_id])
            # Nothing else is there before a stop is.
            is_entering = found[one.position_id].is_entering
            guard = Guard(armed=None, asked=asked, venue=member.account.venue, is_entering=is_entering)
        guards[one.position_id] = guard
    return guards


async def _risks(
    connection: Connection,
    positions: Sequence[Position],
    *,
    bots: Mapping[UUID, Bot],
) -> dict[UUID, Risked]:
    """Give what people risked with positions that are to be armed, by the signal that opened them."""
    by_hand = [one.signal_id for one in positions if bots[one.bot_id].webhook_path == BY_HAND_PATH]
    if not by_hand:
        return {}
    rows = await connection.fetch(
        "SELECT * FROM trades_by_hand WHERE signal_id = ANY($1::uuid[])", sorted(by_hand)
    )
    return {row["signal_id"]: to_value(row, Risked) for row in rows}


async def _levels(
    connection: Connection, positions: Sequence[Position], *, bots: Mapping[UUID, Bot]
) -> dict[UUID, dict[str, Any]]:
    """Give the stops and targets that strategies say of positions that are to be armed, by the signal that opened them."""
    fed = [one.signal_id for one in positions if bots[one.bot_id].takes_strategies]
    if not fed:
        return {}
    rows = await connection.fetch(
        "SELECT signal_id, stop_percent, target_percent FROM signals WHERE signal_id = ANY($1::uuid[])",
        sorted(fed),
    )
    names = ("stop_percent", "target_percent")
    return {row["signal_id"]: {name: row[name] for name in names} for row in rows}


async def read_armed(connection: Connection, position_ids: Sequence[int]) -> dict[int, ArmedStop]:
    """Give the stops of positions, by id; those that were never filled have none."""
    rows = await connection.fetch("SELECT * FROM stops WHERE position_id = ANY($1::bigint[])", position_ids)
    return {row["position_id"]: to_armed(row) for row in rows}


async def read_lines(
    connection: Connection, protection_ids: Sequence[str]
) -> dict[str, tuple[Line, ArmedStop]]:
    """Give our protective orders of these ids, ended ones too, each with its stop."""
    rows = await connection.fetch(
        "SELECT * FROM protections WHERE protection_id = ANY($1::text[])", protection_ids
    )
    armed = await read_armed(connection, sorted({row["position_id"] for row in rows})) if rows else {}
    return {
        row["protection_id"]: (to_value(row, Line), armed[row["position_id"]])
        for row in rows
        if row["position_id"] in armed
    }


def to_armed(row: Mapping[str, Any]) -> ArmedStop:
    """Read a row of ``stops``."""
    columns = dict(row)
    for name in ("rule", "targets"):
        columns[name] = msgspec.json.decode(columns[name])
    return msgspec.convert({**columns, "stop": msgspec.convert(columns, Stop)}, ArmedStop)

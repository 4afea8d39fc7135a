"""The guards of positions, as their steps need them: whoever reads them has locked the positions they belong to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from pregao.stops.asked import asked_of, said_by_hand
from pregao.stops.ports import ArmedStop, Claimed, Guard, Line

STANDING = [status.value for status in sorted(MAY_TRADE)]

LINES = """
SELECT made.position_id, made.lines_made, p.protection_id, p.account_id, p.signal_id, p.venue, p.symbol, p.kind,
       p.number, p.version, p.stop_version, p.trigger_price, p.quantity, p.status, p.signed_at_ms, p.recv_window_ms,
       p.checks
FROM (SELECT position_id, max(version) AS lines_made FROM protections WHERE position_id = ANY($1::bigint[])
      GROUP BY position_id) AS made
LEFT JOIN protections AS p ON p.position_id = made.position_id AND p.status = ANY($2::text[])
ORDER BY p.version
"""
# A target that did not come to its bound is watched again: its claim is over.
CLAIMS = """
SELECT c.*, o.status AS order_status, coalesce(o.filled_quantity, 0) AS filled_quantity,
       coalesce(o.filled_notional, 0) AS filled_notional
FROM stop_claims AS c LEFT JOIN orders AS o USING (order_id)
WHERE c.position_id = ANY($1::bigint[]) AND c.status <> 'executed' AND NOT (c.status = 'failed' AND c.again_at IS NULL)
ORDER BY c.seen_at, c.token, c.kind, c.number
"""
ENTERING = """
SELECT DISTINCT position_id FROM orders
WHERE position_id = ANY($1::bigint[]) AND leg = 'entry'
  AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
"""


async def read_guards(
    connection: Connection,
    positions: Sequence[Position],
    *,
    members: Mapping[UUID, Member],
    bots: Mapping[UUID, Bot],
) -> dict[int, Guard]:
    """Give what guards each of the positions, by id; ``members`` by subscription, ``bots`` by id are theirs."""
    ids = sorted(position.position_id for position in positions)
    armed = await read_armed(connection, ids)
    risks = await _risks(connection, positions, armed=armed, bots=bots)
    entering = {row["position_id"] for row in await connection.fetch(ENTERING, ids)}
    lines: dict[int, list[Line]] = defaultdict(list)
    made: dict[int, int] = {}
    claims: dict[int, list[Claimed]] = defaultdict(list)
    if armed:  # nothing else is there before a stop is
        for row in await connection.fetch(LINES, sorted(armed), STANDING):
            made[row["position_id"]] = row["lines_made"]
            if row["protection_id"] is not None:
                lines[row["position_id"]].append(to_value(row, Line))
        for row in await connection.fetch(CLAIMS, sorted(armed)):
            claims[row["position_id"]].append(to_value(row, Claimed))
    guards = {}
    for one in positions:
        number, member = one.position_id, members[one.subscription_id]
        asked = asked_of(bots[one.bot_id], member.subscription, symbol=one.symbol)
        risk = risks.get(one.signal_id)
        guards[number] = Guard(
            armed=armed.get(number),
            asked=asked if risk is None else said_by_hand(asked, risk),
            venue=member.account.venue,
            lines=tuple(lines[number]),
            lines_made=made.get(number, 0),
            claims=tuple(claims[number]),
            is_entering=number in entering,
        )
    return guards


async def _risks(
    connection: Connection,
    positions: Sequence[Position],
    *,
    armed: Mapping[int, ArmedStop],
    bots: Mapping[UUID, Bot],
) -> dict[UUID, Risked]:
    """Give what people risked with those of the positions that are to be armed, by the signal that opened them."""
    by_hand = [
        one.signal_id
        for one in positions
        if one.position_id not in armed and bots[one.bot_id].webhook_path == BY_HAND_PATH
    ]
    if not by_hand:
        return {}
    rows = await connection.fetch(
        "SELECT * FROM trades_by_hand WHERE signal_id = ANY($1::uuid[])", sorted(by_hand)
    )
    return {row["signal_id"]: to_value(row, Risked) for row in rows}


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

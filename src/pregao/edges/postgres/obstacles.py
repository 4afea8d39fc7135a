"""What keeps an entry out of an account: holdings of strangers, an unknown past, what is about to leave, a person's act."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from pregao.domain.order import PositionSide
from pregao.edges.postgres.journal import Connection
from pregao.orders.ports import Grounded, Obstacles

# Of the symbols in $2, and of the signals in $3; '' is any symbol.
OBSTACLES = """
SELECT account_id, symbol, NULL::uuid AS forgotten, position_side, quantity, NULL::uuid AS subscription_id, NULL AS code,
       NULL AS reason, false AS is_unreconciled, NULL::bigint AS leaving
FROM foreign_positions
WHERE account_id = ANY($1::bigint[]) AND symbol = ANY($2::text[]) AND quantity <> 0
UNION ALL
SELECT account_id, '', NULL, NULL, NULL, NULL, NULL, NULL, true, NULL FROM account_checks
WHERE account_id = ANY($1::bigint[]) AND unreconciled_since IS NOT NULL
UNION ALL
SELECT c.account_id, '', g.signal_id, NULL, NULL, NULL, NULL, NULL, false, NULL
FROM account_checks AS c JOIN signals AS g ON c.restored_at >= g.received_at
WHERE c.account_id = ANY($1::bigint[]) AND c.restored_at IS NOT NULL AND g.signal_id = ANY($3::uuid[])
UNION ALL
SELECT s.account_id, s.symbol, NULL, s.position_side, NULL, NULL, NULL, NULL, false, s.position_id
FROM stops AS s JOIN positions AS p USING (position_id)
WHERE s.account_id = ANY($1::bigint[]) AND s.symbol = ANY($2::text[]) AND s.left_at IS NULL
  AND p.status IN ('closed', 'abandoned')
UNION ALL
SELECT x.account_id, x.symbol, NULL, p.position_side, NULL, NULL, NULL, NULL, false, p.position_id
FROM orders AS x JOIN positions AS p USING (position_id)
WHERE x.account_id = ANY($1::bigint[]) AND x.symbol = ANY($2::text[])
  AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled') AND p.status IN ('closed', 'abandoned')
UNION ALL
(SELECT account_id, symbol, NULL, NULL, NULL, subscription_id, code, reason, false, NULL FROM grounded
 WHERE account_id = ANY($1::bigint[]) AND (symbol = '' OR symbol = ANY($2::text[])) ORDER BY place DESC)
"""


async def read_obstacles(
    connection: Connection, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
) -> dict[UUID, Obstacles]:
    """Give what keeps the entry of each of these signals, on its symbol, out of these accounts."""
    rows = await connection.fetch(OBSTACLES, account_ids, list(set(symbols.values())), list(symbols))
    return {
        signal_id: _to_obstacles(
            [row for row in rows if row["symbol"] in ("", symbol) and row["forgotten"] in (None, signal_id)]
        )
        for signal_id, symbol in symbols.items()
    }


def _to_obstacles(rows: Sequence[Mapping[str, Any]]) -> Obstacles:
    return Obstacles(
        foreign={
            (row["account_id"], PositionSide(row["position_side"])): row["quantity"]
            for row in rows
            if row["quantity"] is not None
        },
        unreconciled=frozenset(row["account_id"] for row in rows if row["is_unreconciled"]),
        forgotten=frozenset(row["account_id"] for row in rows if row["forgotten"] is not None),
        grounded={
            (row["account_id"], row["subscription_id"]): Grounded(code=row["code"], reason=row["reason"])
            for row in rows
            if row["code"] is not None
        },
        leaving={  # of several the one that came last
            (row["account_id"], PositionSide(row["position_side"])): row["leaving"]
            for row in sorted((one for one in rows if one["leaving"] is not None), key=itemgetter("leaving"))
        },
    )

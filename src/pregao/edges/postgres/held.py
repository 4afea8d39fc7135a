"""What each account holds, and what is kept ready for it: streams that are followed, prices that are kept fresh."""

from datetime import datetime

from pregao.domain.account import Venue
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_values
from pregao.positions.compare import HeldHere

LATE_SIGNALS = 200  # whose symbols are kept fresh


async def held_positions(connection: Connection, account_id: int) -> tuple[bool, list[HeldHere]]:
    """
    Give what the books hold on an account, ours and foreign, by symbol and position side, longs minus shorts.

    The first value says whether nothing of the account is on its way: only then can it be compared with the venue's.
    """
    rows = await connection.fetch(
        """
        SELECT symbol, position_side, sum(ours) AS ours, sum(seen) AS seen FROM (
            SELECT symbol, position_side,
                   (entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END AS ours, 0 AS seen
            FROM positions WHERE account_id = $1 AND closed_at IS NULL
            UNION ALL
            SELECT symbol, position_side, 0, quantity FROM foreign_positions WHERE account_id = $1
        ) AS told GROUP BY symbol, position_side
        """,
        account_id,
    )
    is_busy = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM orders WHERE account_id = $1
                       AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
        """,
        account_id,
    )
    return not is_busy, to_values(rows, HeldHere)


async def held_symbols(connection: Connection, account_id: int) -> list[tuple[Venue, str, datetime]]:
    """
    Give (venue, symbol, since when) of what the account holds, and of what an order of it may still trade.

    That the last fill was booked says nothing about those before it: they may have been told to nobody. What becomes of
    an order in doubt is known when every trade is, also where its position is closed.
    """
    rows = await connection.fetch(
        """
        SELECT a.venue, asked.symbol, min(asked.since) AS since
        FROM (
            SELECT symbol, created_at AS since FROM positions WHERE account_id = $1 AND closed_at IS NULL
            UNION ALL
            SELECT symbol, planned_at FROM orders
            WHERE account_id = $1 AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
        ) AS asked, accounts AS a
        WHERE a.account_id = $1
        GROUP BY a.venue, asked.symbol
        """,
        account_id,
    )
    return [(Venue(row["venue"]), row["symbol"], row["since"]) for row in rows]


async def accounts_to_follow(connection: Connection) -> list[tuple[int, Venue]]:
    """Give the accounts whose user streams are to be followed: active ones, and those holding something."""
    rows = await connection.fetch(
        """
        SELECT account_id, venue FROM accounts AS a
        WHERE venue <> 'webhook'  -- which tells nothing
          AND (is_active OR EXISTS (SELECT FROM positions AS p WHERE p.account_id = a.account_id
                                    AND p.closed_at IS NULL))
        ORDER BY account_id
        """,
    )
    return [(row["account_id"], Venue(row["venue"])) for row in rows]


async def symbols_to_watch(connection: Connection) -> set[str]:
    """Give the symbols that are likely to trade next: of bots tied to one, of late signals, of what is held."""
    rows = await connection.fetch(
        """
        SELECT trading_symbol AS symbol FROM bots WHERE trading_symbol IS NOT NULL AND status = 'active'
        UNION SELECT symbol FROM positions WHERE closed_at IS NULL AND leverage > 0  -- not one that was forwarded
        UNION (SELECT symbol FROM signals AS s WHERE symbol IS NOT NULL
                 AND EXISTS (SELECT FROM subscriptions AS m JOIN accounts AS a USING (account_id)
                             WHERE m.bot_id = s.bot_id AND a.venue <> 'webhook')
               ORDER BY signal_id DESC LIMIT $1)
        """,
        LATE_SIGNALS,
    )
    return {row["symbol"] for row in rows}

"""The books as planning, booking and updating need them: locked rows, read under the transaction they change in."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import OrderPlanned
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.domain.venue import VenueTrade
from pregao.edges.postgres.journal import Connection, decode
from pregao.edges.postgres.rows import to_value, to_values
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import Member

LIVE = "('pending', 'open', 'closing')"

# Planning for an account is one at a time: its row is the lock that makes every limit on it hold.
LOCK_MEMBERS = """
SELECT s.*, a.name, a.venue, a.position_mode, a.margin_mode, a.margin_asset, a.is_active
FROM subscriptions AS s JOIN accounts AS a USING (account_id)
WHERE s.bot_id = $1
ORDER BY s.account_id
FOR NO KEY UPDATE OF a, s
"""

COUNT_LIVE = f"""
SELECT subscription_id, count(*)::int AS live FROM positions
WHERE bot_id = $1 AND status IN {LIVE}
GROUP BY subscription_id
"""


class PostgresBooks:
    """The ports of orders, fills, positions and decisions, over one open transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction open on ``connection``."""
        self._connection = connection

    # --- decisions and orders ---

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot."""
        row = await self._connection.fetchrow("SELECT * FROM bots WHERE bot_id = $1", bot_id)
        assert row is not None, f"BOT_UNKNOWN: bot_id={bot_id}"
        return to_value(row, Bot)

    async def members(self, bot_id: UUID) -> list[Member]:
        """Lock and give every account subscribed to the bot, by account id."""
        rows = await self._connection.fetch(LOCK_MEMBERS, bot_id)
        live = {
            row["subscription_id"]: row["live"] for row in await self._connection.fetch(COUNT_LIVE, bot_id)
        }
        return [
            Member(
                account=to_value(row, Account),
                subscription=to_value(row, Subscription),
                live_positions=live.get(row["subscription_id"], 0),
            )
            for row in map(dict, rows)
        ]

    async def live_positions(self, *, account_ids: Sequence[int], symbol: str) -> list[Position]:
        """Give the live positions of these accounts on a symbol, whoever opened them."""
        rows = await self._connection.fetch(
            f"SELECT * FROM positions WHERE account_id = ANY($1::bigint[]) AND symbol = $2 AND status IN {LIVE}",
            account_ids,
            symbol,
        )
        return to_values(rows, Position)

    async def live_positions_of_bot(self, bot_id: UUID) -> list[Position]:
        """Lock and give the bot's live positions on all symbols."""
        rows = await self._connection.fetch(
            f"SELECT * FROM positions WHERE bot_id = $1 AND status IN {LIVE} ORDER BY position_id FOR NO KEY UPDATE",
            bot_id,
        )
        return to_values(rows, Position)

    async def entering_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        """Give those of the positions whose entry may still fill; their rows must be locked."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT position_id FROM orders
            WHERE position_id = ANY($1::bigint[]) AND leg = 'entry'
              AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
            """,
            position_ids,
        )
        return frozenset(row["position_id"] for row in rows)

    async def new_position_ids(self, count: int) -> list[int]:
        """Give so many fresh position ids."""
        rows = await self._connection.fetch(
            "SELECT nextval('position_ids') AS id FROM generate_series(1, $1)", count
        )
        return [row["id"] for row in rows]

    async def planned_orders(self, order_ids: Sequence[str]) -> dict[str, OrderPlanned]:
        """Give the last planned attempt of each of these orders, as its fact."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT ON (journal.fact ->> 'order_id') journal.fact::text AS fact
            FROM journal JOIN orders USING (signal_id)
            WHERE orders.order_id = ANY($1::text[]) AND journal.kind = 'OrderPlanned'
              AND journal.fact ->> 'order_id' = orders.order_id
            ORDER BY journal.fact ->> 'order_id', (journal.fact ->> 'attempt')::int DESC
            """,
            order_ids,
        )
        facts = [decode("OrderPlanned", row["fact"]) for row in rows]
        return {fact.order_id: fact for fact in facts if isinstance(fact, OrderPlanned)}

    async def open_attempts(self, order_ids: Sequence[str]) -> dict[str, int | None]:
        """Lock orders and give the attempt each stands at; None where it must not be tried again."""
        rows = await self._connection.fetch(
            """
            SELECT order_id, attempt, status IN ('deferred', 'planned', 'unresolved') AS is_open FROM orders
            WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR NO KEY UPDATE
            """,
            order_ids,
        )
        return {row["order_id"]: row["attempt"] if row["is_open"] else None for row in rows}

    async def accounts(self, account_ids: Sequence[int]) -> dict[int, Account]:
        """Give accounts by id."""
        rows = await self._connection.fetch(
            "SELECT * FROM accounts WHERE account_id = ANY($1::bigint[])", account_ids
        )
        return {row["account_id"]: to_value(row, Account) for row in rows}

    async def untold_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> list[VenueTrade]:
        """Give those of the venue's trades that are not booked here."""
        booked = await self.booked(
            [(account_id, symbol, trade.trade_id, trade.exchange_order_id) for trade in trades],
        )
        return [t for t in trades if (account_id, symbol, t.trade_id, t.exchange_order_id) not in booked]

    async def held_quantity(self, *, account_id: int, symbol: str) -> Decimal:
        """Give what our books hold on an account and symbol, signed: longs minus shorts."""
        held: Decimal = await self._connection.fetchval(
            f"""
            SELECT coalesce(sum((entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END), 0)
            FROM positions WHERE account_id = $1 AND symbol = $2 AND status IN {LIVE}
            """,
            account_id,
            symbol,
        )
        return held

    # --- fills ---

    async def booked(self, keys: Sequence[FillKey]) -> frozenset[FillKey]:
        """Give those of the keys that are booked already."""
        if not keys:
            return frozenset()
        accounts, symbols, trade_ids, order_ids = zip(*keys, strict=True)
        rows = await self._connection.fetch(
            """
            SELECT account_id, symbol, trade_id, exchange_order_id FROM fills
            JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
                 AS told (account_id, symbol, trade_id, exchange_order_id)
            USING (account_id, symbol, trade_id, exchange_order_id)
            """,
            accounts,
            symbols,
            trade_ids,
            order_ids,
        )
        return frozenset(tuple(row) for row in rows)

    async def lock_orders(self, order_ids: Sequence[str]) -> dict[str, OwnOrder]:
        """Lock and give orders by our order id."""
        rows = await self._connection.fetch(
            """
            SELECT order_id, signal_id, position_id, quantity, filled_quantity FROM orders
            WHERE order_id = ANY($1::text[]) AND quantity IS NOT NULL
            ORDER BY order_id FOR NO KEY UPDATE
            """,
            order_ids,
        )
        return {row["order_id"]: to_value(row, OwnOrder) for row in rows}

    async def open_position(
        self, *, account_id: int, symbol: str, position_side: PositionSide
    ) -> OpenPosition | None:
        """Lock and give the live position there, if any."""
        row = await self._connection.fetchrow(
            f"""
            SELECT * FROM positions
            WHERE account_id = $1 AND symbol = $2 AND position_side = $3 AND status IN {LIVE}
            FOR NO KEY UPDATE
            """,
            account_id,
            symbol,
            position_side,
        )
        if row is None:
            return None
        position = to_value(row, Position)
        return OpenPosition(
            position_id=position.position_id,
            entry_side=position.direction.entry_side,
            quantity=position.quantity,
            opened_at=position.opened_at,
        )

    async def margin_assets(self, account_ids: Sequence[int]) -> dict[int, str]:
        """Give the margin asset of each account."""
        rows = await self._connection.fetch(
            "SELECT account_id, margin_asset FROM accounts WHERE account_id = ANY($1::bigint[])", account_ids
        )
        return {row["account_id"]: row["margin_asset"] for row in rows}

    # --- positions ---

    async def traded_positions(self, position_ids: Sequence[int]) -> frozenset[int]:
        """Give those of the positions that an order on its way may still change; their rows must be locked."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT position_id FROM orders
            WHERE position_id = ANY($1::bigint[])
              AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
            """,
            position_ids,
        )
        return frozenset(row["position_id"] for row in rows)

    async def lock_positions(self, position_ids: Sequence[int]) -> dict[int, Position]:
        """Lock and give positions by id, in the order of their ids."""
        rows = await self._connection.fetch(
            "SELECT * FROM positions WHERE position_id = ANY($1::bigint[]) ORDER BY position_id FOR NO KEY UPDATE",
            position_ids,
        )
        return {row["position_id"]: to_value(row, Position) for row in rows}

"""The books as planning, booking and updating need them: locked rows, read under the transaction they change in."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from pregao.decisions.ports import NewerSignal, Record
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot
from pregao.domain.execution import close_reason
from pregao.domain.facts import OrderPlanned
from pregao.domain.order import PositionSide
from pregao.domain.position import Position
from pregao.domain.prediction import Foretold
from pregao.domain.risk_rules import RiskRules
from pregao.domain.screener import Listing
from pregao.domain.signal import Instruction
from pregao.domain.trading_state import ScopeState, TradingStates
from pregao.domain.user import User
from pregao.domain.venue import VenueTrade
from pregao.edges.postgres import exits, guards, members, predictions, records, screener
from pregao.edges.postgres.journal import Connection, Transaction, decode
from pregao.edges.postgres.members import KnownMembers
from pregao.edges.postgres.obstacles import read_obstacles
from pregao.edges.postgres.on_the_way import read_on_the_way
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.seen import Seen
from pregao.edges.postgres.usage import LIVE, read_usage
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import (
    NOT_BEGUN,
    Member,
    Obstacles,
    OnTheWay,
    Part,
    Progress,
    Usage,
    WaitingEntry,
)
from pregao.positions.ports import WaitingExit
from pregao.stops.limits import TenantLimits
from pregao.stops.ports import ArmedStop, ExitScene, Guard, Line

LOCK_BOTS = "SELECT * FROM bots WHERE bot_id = ANY($1::uuid[]) ORDER BY bot_id FOR NO KEY UPDATE"
LOCK_LIVE = f"""
SELECT FROM positions WHERE bot_id = ANY($1::uuid[]) AND {LIVE} AND ($2::text[] IS NULL OR symbol = ANY($2))
ORDER BY position_id FOR NO KEY UPDATE
"""

WAITING_ENTRIES = """
SELECT order_id, signal_id, bot_id, subscription_id, account_id, symbol, side, position_id, send_before
FROM orders WHERE bot_id = $1 AND subscription_id = ANY($2::uuid[]) AND status = 'deferred' AND leg = 'entry'
ORDER BY order_id FOR NO KEY UPDATE
"""


class PostgresBooks:
    """The ports of orders, fills, positions and decisions, over one open transaction."""

    def __init__(
        self,
        connection: Connection,
        *,
        known_members: KnownMembers | None = None,
        transaction: Transaction | None = None,
    ) -> None:
        """Use the transaction open on ``connection``; ``known_members`` outlive it, what was seen in it does not."""
        self._connection = connection
        self._transaction = transaction
        self._known_members = known_members or KnownMembers()
        self._limited_users: dict[UUID, User] | None = None

    @property
    def _seen(self) -> Seen:
        # Outside a transaction nothing stays as it was read.
        return Seen() if self._transaction is None else self._transaction.seen

    async def _write_journal(self) -> None:
        """Let a statement that reads the journal find what this transaction has decided."""
        if self._transaction is not None:
            await self._transaction.flush()

    # --- decisions and orders ---

    async def get_bot(self, bot_id: UUID) -> Bot:
        """Give the bot."""
        if (known := self._seen.bots.get(bot_id)) is not None:
            return known
        row = await self._connection.fetchrow("SELECT * FROM bots WHERE bot_id = $1", bot_id)
        assert row is not None, f"BOT_UNKNOWN: bot_id={bot_id}"
        return to_value(row, Bot)

    async def lock_bots(
        self, bot_ids: Collection[UUID], *, symbols: Collection[str] | None
    ) -> dict[UUID, int]:
        """
        Lock several bots and all that planning for them looks at: each kind of row at once, in one order.

        What is held of other symbols is left to whoever books its fills.

        Two batches that took them signal by signal, in different orders, would wait for each other; so would a batch
        and whoever books fills for several of their positions.
        """
        rows = await self._connection.fetch(LOCK_BOTS, list(bot_ids))
        self._seen.bots.update({bot.bot_id: bot for bot in to_values(rows, Bot)})
        users = await self._connection.fetch(members.LOCK_USERS, list(bot_ids))
        rows_of: dict[UUID, list[Any]] = {bot_id: [] for bot_id in bot_ids}
        for row in await self._connection.fetch(members.LOCK_MEMBERS, list(bot_ids)):
            rows_of[row["bot_id"]].append(row)
        if not users:
            self._seen.members.update(rows_of)
        await self._connection.execute(LOCK_LIVE, list(bot_ids), None if symbols is None else sorted(symbols))
        return {bot_id: len(rows) for bot_id, rows in rows_of.items()}

    async def trading_states(self) -> TradingStates:
        """Give all states that are not active, and keep others from changing one until the transaction ends."""
        seen = self._seen
        if seen.states is None:
            rows = await self._connection.fetch("SELECT * FROM lock_trading_states()")
            seen.states = TradingStates(to_values(rows, ScopeState))
        return seen.states

    async def lock_bot(self, bot_id: UUID) -> Bot:
        """Lock the bot's row, and give it as it stands then: before any account, as planning locks those."""
        known = self._seen.bots
        if bot_id not in known:
            rows = await self._connection.fetch(LOCK_BOTS, [bot_id])
            assert rows, f"BOT_UNKNOWN: bot_id={bot_id}"
            known[bot_id] = to_value(rows[0], Bot)
        return known[bot_id]

    async def read_record(self, bot: Bot, instruction: Instruction, *, now: datetime) -> Record:
        """Give what the bot's settings ask of its past, in one statement."""
        return await records.read_record(self._connection, bot, instruction, now=now)

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        """Count the bot's positions on the symbol, live or about to be, that an order on the entry's side would reduce."""
        return await records.count_against(self._connection, instruction, bot_id=bot_id)

    async def find_listing(self, symbol: str | None) -> Listing:
        """Give what the screener's list says of a symbol."""
        return await screener.find_listing(self._connection, symbol)

    async def find_foretold(self, model: str, symbol: str | None, *, now: datetime) -> Foretold | None:
        """Give what a model of the lab says of a symbol, if it is fresh."""
        return await predictions.find_foretold(self._connection, model, symbol, now=now)

    async def find_newer_against(
        self, signal_id: UUID, *, bot_id: UUID, instruction: Instruction
    ) -> NewerSignal | None:
        """Give the latest signal that came after this entry, was traded, and went against it."""
        await self._write_journal()
        return await records.find_newer_against(
            self._connection, signal_id, bot_id=bot_id, instruction=instruction
        )

    async def main_venue(self, bot_id: UUID) -> Venue | None:
        """Give the venue where most of the bot's active subscriptions trade; of equals the first by name."""
        found = await self._connection.fetchval(
            """
            SELECT a.venue FROM subscriptions AS s JOIN accounts AS a USING (account_id)
            WHERE s.bot_id = $1 AND s.status = 'active' AND a.is_active
            GROUP BY a.venue ORDER BY count(*) DESC, a.venue LIMIT 1
            """,
            bot_id,
        )
        return None if found is None else Venue(found)

    async def members(self, bot_id: UUID) -> list[Member]:
        """Lock and give every account subscribed to the bot, by account id; first their users who have limits."""
        self._limited_users = await members.limited_users(self._connection, bot_id, is_locked=True)
        return await members.lock_members(self._connection, bot_id, known=self._known_members)

    async def progress(self, signal_id: UUID) -> Progress:
        """Give how far a signal is planned."""
        if signal_id in self._seen.unplanned:
            return NOT_BEGUN
        row = await self._connection.fetchrow(
            "SELECT parts, first_account_id, last_account_id FROM signals WHERE signal_id = $1", signal_id
        )
        return NOT_BEGUN if row is None else to_value(row, Progress)

    async def next_part(
        self,
        bot_id: UUID,
        *,
        after: Progress,
        start: int,
        limit: int,
        few: int | None = None,
        only: Collection[UUID] | None = None,
    ) -> Part:
        """Lock and give whose turn it is; first their users who have limits."""
        locked, known = self._seen.members.get(bot_id), self._known_members
        if locked is not None and after == NOT_BEGUN and only is None:
            self._limited_users = {}  # a bot's members are seen only where nobody of them has any
            return await members.first_part(
                self._connection, locked, start=start, limit=limit, few=few, known=known
            )
        self._limited_users = await members.limited_users(self._connection, bot_id, is_locked=True)
        return await members.lock_part(
            self._connection, bot_id, after=after, start=start, limit=limit, few=few, only=only, known=known
        )

    async def members_named(self, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
        """Give members by subscription, without locking them."""
        return await members.members_named(self._connection, subscription_ids)

    async def usage(
        self,
        bot_id: UUID,
        *,
        subscription_ids: Sequence[UUID],
        symbols: Collection[str],
        day: date,
        rules: Mapping[UUID, RiskRules] | None = None,
        is_counted: bool = True,
    ) -> Usage:
        """Give what has been used of the limits; ``next_part`` has locked what they hang on, or nobody has."""
        users = self._limited_users
        if users is None:
            users = await members.limited_users(self._connection, bot_id, is_locked=False)
        return await read_usage(
            self._connection,
            bot_id,
            subscription_ids=subscription_ids,
            symbols=symbols,
            day=day,
            rules=rules,
            is_counted=is_counted,
            users=users,
        )

    async def live_positions(self, *, account_ids: Sequence[int], symbols: Collection[str]) -> list[Position]:
        """Give the live positions of these accounts on these symbols, whoever opened them."""
        rows = await self._connection.fetch(
            f"SELECT * FROM positions WHERE account_id = ANY($1::bigint[]) AND symbol = ANY($2::text[]) AND {LIVE}",
            account_ids,
            list(symbols),
        )
        return to_values(rows, Position)

    async def obstacles(
        self, symbols: Mapping[UUID, str], *, account_ids: Sequence[int]
    ) -> dict[UUID, Obstacles]:
        """Give what keeps the entry of each of these signals, on its symbol, out of these accounts."""
        return await read_obstacles(self._connection, symbols, account_ids=account_ids)

    async def entered_before(
        self, signal_ids: Collection[UUID], *, subscription_ids: Collection[UUID]
    ) -> frozenset[UUID]:
        """Give those of the subscriptions on which an entry of these signals has traded, or still may."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT subscription_id FROM orders
            WHERE signal_id = ANY($1::uuid[]) AND subscription_id = ANY($2::uuid[])
              AND leg = 'entry' AND (filled_quantity > 0 OR status NOT IN ('denied', 'rejected'))
            """,
            list(signal_ids),
            list(subscription_ids),
        )
        return frozenset(row["subscription_id"] for row in rows)

    async def waiting_entries(self, bot_id: UUID, *, subscription_ids: Sequence[UUID]) -> list[WaitingEntry]:
        """Lock and give entries of the bot's subscriptions that wait until a position is closed."""
        rows = await self._connection.fetch(WAITING_ENTRIES, bot_id, subscription_ids)
        return to_values(rows, WaitingEntry)

    async def live_positions_of_bot(
        self, bot_id: UUID, *, subscription_ids: Sequence[UUID], symbols: Collection[str] | None
    ) -> list[Position]:
        """Lock and give the live positions of the bot's subscriptions on these symbols; None is all."""
        rows = await self._connection.fetch(
            f"""
            SELECT * FROM positions WHERE bot_id = $1 AND subscription_id = ANY($2::uuid[]) AND {LIVE}
              AND ($3::text[] IS NULL OR symbol = ANY($3))
            ORDER BY position_id FOR NO KEY UPDATE
            """,
            bot_id,
            subscription_ids,
            None if symbols is None else sorted(symbols),
        )
        return to_values(rows, Position)

    async def on_the_way(self, position_ids: Sequence[int]) -> dict[int, OnTheWay]:
        """Give what is on its way of each position that has something; their rows must be locked."""
        known = self._seen.ways
        if all(number in known for number in position_ids):
            return {number: way for number in position_ids if (way := known[number]) is not None}
        return await read_on_the_way(self._connection, position_ids)

    async def new_position_ids(self, count: int) -> list[int]:
        """Give so many fresh position ids."""
        rows = await self._connection.fetch(
            "SELECT nextval('position_ids') AS id FROM generate_series(1, $1)", count
        )
        return [row["id"] for row in rows]

    async def planned_orders(self, order_ids: Sequence[str]) -> dict[str, OrderPlanned]:
        """Give the last planned attempt of each of these orders, as its fact."""
        await self._write_journal()
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

    async def attempts_of_claims(self, position_ids: Sequence[int]) -> dict[str, int | None]:
        """Give the orders of claims on these positions by id, as `open_attempts` does; the positions must be locked."""
        known = self._seen.attempts
        if any(number not in known for number in position_ids):
            return await exits.attempts_of_claims(self._connection, position_ids)
        return {identity: attempt for number in position_ids for identity, attempt in known[number].items()}

    async def accounts(self, account_ids: Sequence[int]) -> dict[int, Account]:
        """Give accounts by id."""
        known = self._seen.accounts
        if any(number not in known for number in account_ids):
            rows = await self._connection.fetch(
                "SELECT * FROM accounts WHERE account_id = ANY($1::bigint[])", account_ids
            )
            known.update({row["account_id"]: to_value(row, Account) for row in rows})
        return {number: known[number] for number in account_ids if number in known}

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
            FROM positions WHERE account_id = $1 AND symbol = $2 AND {LIVE}
            """,
            account_id,
            symbol,
        )
        return held

    async def exit_scene(self, positions: Sequence[Position], *, since: datetime) -> ExitScene:
        """Give what exits of these locked positions are judged by; what they are planned by is read with it."""
        seen = self._seen
        numbers = {one.position_id for one in positions}
        if seen.scene is not None and numbers <= seen.staged:
            return seen.scene
        scene, ways, attempts = await exits.read_exit_scene(self._connection, positions, since=since)
        seen.accounts.update(scene.accounts)
        seen.ways.update(ways)
        seen.attempts.update(attempts)
        seen.states = scene.states
        seen.scene, seen.staged = scene, frozenset(numbers)
        return scene

    async def tenant_limits(self, users: Collection[UUID]) -> dict[UUID, TenantLimits]:
        """Give what the exits of these tenants are held to."""
        return await exits.tenant_limits(self._connection, users)

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
            SELECT order_id, signal_id, position_id, quantity, filled_quantity,
                   CASE WHEN execution IS NOT NULL THEN (
                       SELECT CASE WHEN c.kind = 'target' THEN 'take_profit'
                                   WHEN c.level IS DISTINCT FROM s.initial_stop THEN 'trailing_stop' ELSE 'stop_loss' END
                       FROM stop_claims AS c JOIN stops AS s USING (position_id)
                       WHERE c.position_id = orders.position_id AND c.order_id = orders.order_id) END AS close_reason
            FROM orders WHERE order_id = ANY($1::text[]) AND quantity IS NOT NULL
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
            WHERE account_id = $1 AND symbol = $2 AND position_side = $3 AND {LIVE}
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

    async def guarded_positions(self, position_ids: Sequence[int]) -> dict[int, OpenPosition]:
        """Lock and give positions that a protective order of ours guards or guarded."""
        positions = await self.lock_positions(position_ids)
        stops = await guards.read_armed(self._connection, sorted(positions))
        return {
            number: OpenPosition(
                position_id=number,
                entry_side=position.direction.entry_side,
                quantity=position.quantity,
                opened_at=position.opened_at,
                signal_id=position.signal_id,
                close_reason=close_reason(stops[number].stop),
            )
            for number, position in positions.items()
            if number in stops
        }

    async def is_entering(self, position_id: int) -> bool:
        """Say whether an order on its way may still enter the position, whose row is locked."""
        found: bool = await self._connection.fetchval(
            """
            SELECT exists(SELECT FROM orders WHERE position_id = $1 AND leg = 'entry'
                          AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
            """,
            position_id,
        )
        return found

    async def margin_assets(self, account_ids: Sequence[int]) -> dict[int, str]:
        """Give the margin asset of each account."""
        rows = await self._connection.fetch(
            "SELECT account_id, margin_asset FROM accounts WHERE account_id = ANY($1::bigint[])", account_ids
        )
        return {row["account_id"]: row["margin_asset"] for row in rows}

    # --- positions ---

    async def guards(self, positions: Sequence[Position]) -> dict[int, Guard]:
        """Give what guards each of the positions, by id; their rows must be locked."""
        if not positions:
            return {}
        return await guards.read_guards(
            self._connection,
            positions,
            members_of=partial(members.known_members, self._connection, known=self._known_members),
            bot_of=self.get_bot,
        )

    async def lines(self, protection_ids: Sequence[str]) -> dict[str, tuple[Line, ArmedStop]]:
        """Give our protective orders of these ids, ended ones too, each with its stop."""
        return await guards.read_lines(self._connection, protection_ids)

    async def last_trades(self, position_ids: Sequence[int]) -> dict[int, datetime]:
        """Give when the last booked trade of each position was; the fills that close it are booked already."""
        rows = await self._connection.fetch(
            "SELECT position_id, max(traded_at) AS last FROM fills WHERE position_id = ANY($1::bigint[]) GROUP BY 1",
            position_ids,
        )
        return {row["position_id"]: row["last"] for row in rows}

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
        known = self._seen.locked
        if all(number in known for number in position_ids):
            return {number: known[number] for number in sorted(set(position_ids))}
        rows = await self._connection.fetch(
            "SELECT * FROM positions WHERE position_id = ANY($1::bigint[]) ORDER BY position_id FOR NO KEY UPDATE",
            position_ids,
        )
        locked = {row["position_id"]: to_value(row, Position) for row in rows}
        known.update(locked)
        return locked

    async def waiting_exits(self, position_ids: Sequence[int]) -> dict[int, WaitingExit]:
        """Give the oldest exit that waits, of each of these positions that has one; their rows must be locked."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT ON (position_id) position_id, signal_id, share FROM orders
            WHERE position_id = ANY($1::bigint[]) AND status = 'deferred' AND leg = 'exit'
            ORDER BY position_id, planned_at, signal_id
            """,
            position_ids,
        )
        return {row["position_id"]: to_value(row, WaitingExit) for row in rows}

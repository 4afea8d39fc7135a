"""The books as planning, booking and updating need them: locked rows, read under the transaction they change in."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from pregao.decisions.checks import goes_against
from pregao.decisions.ports import NOTHING_DONE, NewerSignal, Record
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import OrderPlanned
from pregao.domain.money import ZERO
from pregao.domain.order import PositionSide
from pregao.domain.position import Direction, Position
from pregao.domain.prediction import Foretold
from pregao.domain.risk_rules import RiskRules
from pregao.domain.screener import Listing
from pregao.domain.signal import Instruction
from pregao.domain.stop import close_reason
from pregao.domain.trading_state import ScopeState, TradingStates
from pregao.domain.user import User
from pregao.domain.venue import VenueTrade
from pregao.edges.postgres import exits, guards, predictions, screener
from pregao.edges.postgres.drawdowns import over_limit
from pregao.edges.postgres.journal import Connection, Transaction, decode
from pregao.edges.postgres.on_the_way import read_on_the_way
from pregao.edges.postgres.risk import risk_records
from pregao.edges.postgres.rows import to_value, to_values
from pregao.edges.postgres.seen import Seen
from pregao.fills.ports import FillKey, OpenPosition, OwnOrder
from pregao.orders.ports import (
    NOT_BEGUN,
    NOTHING_USED,
    Grounded,
    Member,
    Obstacles,
    OnTheWay,
    Part,
    Progress,
    Tally,
    Usage,
    WaitingEntry,
)
from pregao.positions.ports import WaitingExit
from pregao.stops.limits import TenantLimits
from pregao.stops.ports import ArmedStop, ExitScene, Guard, Line

KNOWN_MEMBERS_MAX = 50_000  # about 100 MB

K = TypeVar("K")

LIVE = "closed_at IS NULL"  # pending, open or closing: what the indexes of live positions say too

# Whose limits hold for several accounts: the user's row is the lock that makes them hold.
LIMITED_USERS = """
SELECT * FROM users
WHERE (max_positions IS NOT NULL OR max_daily_loss_usd IS NOT NULL OR risk_capital_usd IS NOT NULL)
  AND user_id IN (SELECT a.user_id FROM subscriptions AS s JOIN accounts AS a USING (account_id)
                  WHERE s.bot_id = ANY($1::uuid[]))
ORDER BY user_id
"""
LOCK_USERS = f"{LIMITED_USERS} FOR NO KEY UPDATE"

MEMBERS = """
SELECT s.*, a.name, a.venue, a.position_mode, a.margin_mode, a.margin_asset, a.is_active, a.user_id
FROM subscriptions AS s JOIN accounts AS a USING (account_id)
"""
# Planning for an account is one at a time: its row is the lock that makes every limit on it hold. Of each row only
# its version is read: what has not changed since is known.
MEMBER_VERSIONS = """
SELECT s.subscription_id, s.xmin::text || '/' || a.xmin::text AS version, s.bot_id, s.account_id
FROM subscriptions AS s JOIN accounts AS a USING (account_id)
"""
LOCK_MEMBERS = f"""{MEMBER_VERSIONS}
WHERE s.bot_id = ANY($1::uuid[]) ORDER BY s.account_id, s.bot_id FOR NO KEY UPDATE OF a, s
"""

# The next accounts of a round that begins at the account $2, or at the place $3 when it has not begun; all after $4.
LOCK_PART = """
WITH own AS (
    SELECT subscription_id, account_id, row_number() OVER (ORDER BY account_id) - 1 AS place, count(*) OVER () AS members
    FROM subscriptions WHERE bot_id = $1 AND ($6::uuid[] IS NULL OR subscription_id = ANY($6))
), began AS MATERIALIZED (
    SELECT coalesce($2::bigint, (SELECT account_id FROM own WHERE place = $3::bigint % members)) AS account_id
), part AS MATERIALIZED (
    SELECT own.subscription_id, own.account_id, began.account_id AS first_account_id,
           own.account_id < began.account_id AS comes_round
    FROM own, began
    WHERE $4::bigint IS NULL
       OR CASE WHEN $4 >= began.account_id THEN own.account_id > $4 OR own.account_id < began.account_id
               ELSE own.account_id > $4 AND own.account_id < began.account_id END
    ORDER BY comes_round, own.account_id LIMIT $5
)
SELECT s.subscription_id, s.xmin::text || '/' || a.xmin::text AS version, s.account_id, part.first_account_id,
       part.comes_round
FROM part JOIN subscriptions AS s USING (subscription_id) JOIN accounts AS a ON a.account_id = s.account_id
ORDER BY s.account_id FOR NO KEY UPDATE OF a, s
"""

LOCK_BOTS = "SELECT * FROM bots WHERE bot_id = ANY($1::uuid[]) ORDER BY bot_id FOR NO KEY UPDATE"
LOCK_LIVE = f"""
SELECT FROM positions WHERE bot_id = ANY($1::uuid[]) AND {LIVE} AND ($2::text[] IS NULL OR symbol = ANY($2))
ORDER BY position_id FOR NO KEY UPDATE
"""

# What is lost is known when a position closes; what its parts have lost counts before, on the days they were closed.
LOST_IN_PART = """
coalesce(sum(-p.realized_pnl) FILTER (WHERE p.realized_pnl < 0 AND p.exited_quantity > 0 AND EXISTS (
    SELECT FROM fills AS f WHERE f.position_id = p.position_id AND f.side = CASE p.direction WHEN 'long' THEN 'sell' ELSE 'buy' END
    AND (f.traded_at AT TIME ZONE 'UTC')::date = {day})), 0)
"""
# An entry that is still on its way would open its position again, however it was closed: it keeps its place until then.
MAY_OPEN_AGAIN = """closed_at IS NOT NULL AND position_id = ANY(ARRAY(
    SELECT x.position_id FROM orders AS x
    WHERE x.leg = 'entry' AND x.status IN ('planned', 'unresolved', 'accepted', 'partially_filled')))"""
# By subscription for those in $4, and of the whole bot, where the subscription is null; by symbol for those in $2.
HERE = "CASE WHEN symbol = ANY($2::text[]) THEN symbol END"
USED = f"""
(SELECT subscription_id, {HERE} AS here, count(*)::int AS positions,
       {LOST_IN_PART.format(day="$3")} AS loss_usd
FROM positions AS p WHERE bot_id = $1 AND {LIVE}
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
UNION ALL
(SELECT subscription_id, {HERE} AS here, count(*)::int AS positions, 0 AS loss_usd
FROM positions WHERE bot_id = $1 AND {MAY_OPEN_AGAIN}
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
UNION ALL
(SELECT subscription_id, {HERE} AS here, 0 AS positions, sum(counted_loss_usd) AS loss_usd
FROM daily_results WHERE bot_id = $1 AND day = $3
GROUP BY GROUPING SETS ((subscription_id, {HERE}), ({HERE}))
HAVING subscription_id IS NULL OR subscription_id = ANY($4::uuid[]))
"""
OF_USERS = f"""
SELECT a.user_id,
       count(p.*)::int + (SELECT count(*)::int FROM positions JOIN accounts AS o USING (account_id)
                          WHERE o.user_id = a.user_id AND {MAY_OPEN_AGAIN}) AS positions,
       {LOST_IN_PART.format(day="$2")}
       + coalesce((SELECT sum(r.counted_loss_usd) FROM daily_results AS r JOIN accounts AS o USING (account_id)
                   WHERE o.user_id = a.user_id AND r.day = $2), 0) AS loss_usd
FROM accounts AS a LEFT JOIN positions AS p ON p.account_id = a.account_id AND p.{LIVE}
WHERE a.user_id = ANY($1::uuid[])
GROUP BY a.user_id
"""

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

WAITING_ENTRIES = """
SELECT order_id, signal_id, bot_id, subscription_id, account_id, symbol, side, position_id, send_before
FROM orders WHERE bot_id = $1 AND subscription_id = ANY($2::uuid[]) AND status = 'deferred' AND leg = 'entry'
ORDER BY order_id FOR NO KEY UPDATE
"""

AGAINST = f"""(
           SELECT count(*)::int FROM positions
           WHERE bot_id = $1 AND symbol = $2 AND direction = {{direction}} AND {LIVE}
       ) + (
           SELECT count(*)::int FROM orders
           WHERE bot_id = $1 AND symbol = $2 AND side = {{side}} AND status = 'deferred' AND leg = 'entry')"""

# A part that nothing asks for is not read. The first two go by the index signals_entered.
# What is replayed on paper is no entry of the bot's: nothing real may wait for it.
ENTERED = "action = 'enter' AND status IN ('approved', 'planned', 'settled') AND source <> 'replay'"
RECORD = f"""
SELECT CASE WHEN $3::timestamptz IS NOT NULL THEN (
           SELECT max(decided_at) FROM signals
           WHERE bot_id = $1 AND symbol = $2 AND decided_at > $3 AND {ENTERED}) END AS last_entry_at,
       CASE WHEN $5 THEN (
           SELECT count(*)::int FROM signals WHERE bot_id = $1 AND decided_at >= $4 AND {ENTERED})
       ELSE 0 END AS entries_today,
       CASE WHEN $6 THEN (
           SELECT count(*)::int FROM positions WHERE bot_id = $1 AND {LIVE})
       ELSE 0 END AS live_positions,
       CASE WHEN $6 THEN (
           SELECT count(*)::int FROM positions WHERE bot_id = $1 AND symbol = $2 AND {LIVE})
       ELSE 0 END AS positions_here,
       CASE WHEN $7 THEN (
           SELECT coalesce(sum(counted_loss_usd), 0) FROM daily_results
           WHERE bot_id = $1 AND day = ($4 AT TIME ZONE 'UTC')::date
       ) + (
           SELECT {LOST_IN_PART.format(day="($4 AT TIME ZONE 'UTC')::date")}
           FROM positions AS p WHERE bot_id = $1 AND {LIVE})
       ELSE 0 END AS loss_today_usd,
       CASE WHEN $8 THEN {AGAINST.format(direction="$9", side="$10")} ELSE 0 END AS positions_against
"""
COUNT_AGAINST = f"SELECT {AGAINST.format(direction='$3', side='$4')}"

# A share closed, one subscription closed by the desk, or what is sent again to some, leaves the bot where it was. Nothing is joined: no estimate of
# how much came later may make it read all the bot ever had. It goes by the index signals_of_bot from the question on.
NEWER_AGAINST = """
SELECT n.signal_id, n.action, n.received_at
FROM signals AS n
WHERE n.bot_id = $2 AND n.received_at >= (SELECT received_at FROM signals WHERE signal_id = $1)
  AND (n.received_at, n.signal_id) > ((SELECT received_at FROM signals WHERE signal_id = $1), $1)
  AND n.status IN ('approved', 'planned', 'settled')
  AND (n.symbol = $3 OR n.action = 'close_all')
  AND (n.side = $4 OR n.side IS NULL)
  AND (SELECT coalesce(j.fact #>> '{instruction,share}', j.fact #>> '{instruction,subscription_id}',
                       j.fact #>> '{instruction,again}')
       FROM journal AS j WHERE j.signal_id = n.signal_id AND j.kind = 'DecisionApproved' ORDER BY j.seq LIMIT 1) IS NULL
ORDER BY n.received_at DESC, n.signal_id DESC LIMIT 1
"""


class KnownMembers:
    """Members as last read, by the version of their rows: a thousand that nobody changed need not be read again."""

    def __init__(self, *, members_max: int = KNOWN_MEMBERS_MAX) -> None:
        """Know nobody yet, and ``members_max`` at most."""
        self._members_max = members_max
        self._members: dict[UUID, tuple[str, Member]] = {}

    def find(self, subscription_id: UUID, *, version: str) -> Member | None:
        """Give the member if it is known in this version."""
        known = self._members.get(subscription_id)
        return known[1] if known is not None and known[0] == version else None

    def keep(self, subscription_id: UUID, member: Member, *, version: str) -> None:
        """Know a member in this version; the one that has been known longest may be forgotten for it."""
        self._members.pop(subscription_id, None)
        if len(self._members) >= self._members_max:
            del self._members[next(iter(self._members))]
        self._members[subscription_id] = version, member


class PostgresBooks:
    """The ports of orders, fills, positions and decisions, over one open transaction."""

    def __init__(
        self,
        connection: Connection,
        *,
        known_members: "KnownMembers | None" = None,
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
        users = await self._connection.fetch(LOCK_USERS, list(bot_ids))
        members: dict[UUID, list[Any]] = {bot_id: [] for bot_id in bot_ids}
        for row in await self._connection.fetch(LOCK_MEMBERS, list(bot_ids)):
            members[row["bot_id"]].append(row)
        if not users:
            self._seen.members.update(members)
        await self._connection.execute(LOCK_LIVE, list(bot_ids), None if symbols is None else sorted(symbols))
        return {bot_id: len(rows) for bot_id, rows in members.items()}

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
        assert instruction.side is not None, "an entry has a side"
        other_side = instruction.side.opposite
        is_asked = (
            bot.cooldown_seconds > 0
            or bot.max_entries_per_day is not None
            or bot.global_max_positions is not None
            or bot.global_max_daily_loss_usd is not None
            or goes_against(bot, instruction)
        )
        if not is_asked:
            return NOTHING_DONE
        row = await self._connection.fetchrow(
            RECORD,
            bot.bot_id,
            instruction.symbol,
            now - timedelta(seconds=bot.cooldown_seconds) if bot.cooldown_seconds else None,
            datetime.combine(now.astimezone(UTC), time(), UTC),
            bot.max_entries_per_day is not None,
            bot.global_max_positions is not None,
            bot.global_max_daily_loss_usd is not None,
            goes_against(bot, instruction),
            Direction.of_entry(other_side),
            other_side,
        )
        assert row is not None, "one row of counts"
        return to_value(row, Record)

    async def count_against(self, instruction: Instruction, *, bot_id: UUID) -> int:
        """Count the bot's positions on the symbol, live or about to be, that an order on the entry's side would reduce."""
        assert instruction.side is not None, "an entry has a side"
        other_side = instruction.side.opposite
        count: int = await self._connection.fetchval(
            COUNT_AGAINST, bot_id, instruction.symbol, Direction.of_entry(other_side), other_side
        )
        return count

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
        assert instruction.side is not None, "an entry has a side"
        await self._write_journal()
        row = await self._connection.fetchrow(
            NEWER_AGAINST, signal_id, bot_id, instruction.symbol, instruction.side.opposite
        )
        return None if row is None else to_value(row, NewerSignal)

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
        self._limited_users = await self._users(LOCK_USERS, bot_id)
        rows = await self._connection.fetch(LOCK_MEMBERS, [bot_id])
        return await self._members({row[0]: row[1] for row in rows})

    async def progress(self, signal_id: UUID) -> Progress:
        """Give how far a signal is planned."""
        if signal_id in self._seen.unplanned:
            return NOT_BEGUN
        row = await self._connection.fetchrow(
            "SELECT parts, first_account_id, last_account_id FROM signals WHERE signal_id = $1", signal_id
        )
        return NOT_BEGUN if row is None else to_value(row, Progress)

    async def next_part(
        self, bot_id: UUID, *, after: Progress, start: int, limit: int, only: Collection[UUID] | None = None
    ) -> Part:
        """Lock and give whose turn it is; first their users who have limits."""
        locked = self._seen.members.get(bot_id)
        if locked is not None and after == NOT_BEGUN and only is None:
            return await self._first_part(locked, start=start, limit=limit)
        self._limited_users = await self._users(LOCK_USERS, bot_id)
        rows = await self._connection.fetch(
            LOCK_PART,
            bot_id,
            after.first_account_id,
            start,
            after.last_account_id,
            limit + 1,
            None if only is None else list(only),
        )
        # The locks are taken by account id, the turns come round from the first; one more shows whether any is left.
        rows = sorted(rows, key=itemgetter("comes_round", "account_id"))
        members = await self._members({row[0]: row[1] for row in rows[:limit]})
        return Part(
            members=members,
            progress=Progress(
                parts=after.parts + 1,
                first_account_id=rows[0]["first_account_id"] if rows else after.first_account_id,
                last_account_id=members[-1].account.account_id if members else after.last_account_id,
            ),
            is_last=len(rows) <= limit,
        )

    async def _first_part(self, locked: Sequence[Mapping[str, Any]], *, start: int, limit: int) -> Part:
        """Give the first part of a bot whose members are locked already, with nobody's limits among them."""
        self._limited_users = {}
        place = start % max(1, len(locked))
        turns = [*locked[place:], *locked[:place]]
        members = await self._members({row["subscription_id"]: row["version"] for row in turns[:limit]})
        return Part(
            members=members,
            progress=Progress(
                parts=1,
                first_account_id=turns[0]["account_id"] if turns else None,
                last_account_id=members[-1].account.account_id if members else None,
            ),
            is_last=len(turns) <= limit,
        )

    async def _members(self, versions: Mapping[UUID, str]) -> list[Member]:
        known = self._known_members
        members = {one: known.find(one, version=version) for one, version in versions.items()}
        changed = [one for one, member in members.items() if member is None]
        read = await self.members_named(changed) if changed else {}
        for subscription_id, member in read.items():
            known.keep(subscription_id, member, version=versions[subscription_id])
        return [member or read[subscription_id] for subscription_id, member in members.items()]

    async def members_named(self, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
        """Give members by subscription, without locking them."""
        rows = await self._connection.fetch(
            f"{MEMBERS} WHERE s.subscription_id = ANY($1::uuid[])", list(subscription_ids)
        )
        return {row["subscription_id"]: _to_member(row) for row in rows}

    async def _known(self, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
        """Give members by subscription, without locking them; those that have not changed are not read again."""
        rows = await self._connection.fetch(
            f"{MEMBER_VERSIONS} WHERE s.subscription_id = ANY($1::uuid[])", list(subscription_ids)
        )
        members = await self._members({row["subscription_id"]: row["version"] for row in rows})
        return {one.subscription.subscription_id: one for one in members}

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
            users = await self._users(LIMITED_USERS, bot_id)
        asked = bot_id, list(symbols), day, subscription_ids
        rows = await self._connection.fetch(USED, *asked) if is_counted else []
        of_bot = [row for row in rows if row["subscription_id"] is None]
        own = [row for row in rows if row["subscription_id"] is not None]
        measured = [user.user_id for user in users.values() if user.risk_capital_usd is not None]
        of_users = await self._connection.fetch(OF_USERS, list(users), day) if users else []
        return Usage(
            of_bot=_total(of_bot),
            of_bot_on=_summed(of_bot, by=_here),
            of_subscriptions=_summed(own, by=itemgetter("subscription_id")),
            of_subscriptions_on=_summed(own, by=_subscription_here),
            of_users={
                row["user_id"]: Tally(positions=row["positions"], loss_usd=row["loss_usd"])
                for row in of_users
            },
            limited_users=users,
            months=await over_limit(self._connection, measured, day=day) if measured else {},
            records=await risk_records(self._connection, rules, day=day) if rules else {},
        )

    async def _users(self, query: str, bot_id: UUID) -> dict[UUID, User]:
        users = to_values(await self._connection.fetch(query, [bot_id]), User)
        return {user.user_id: user for user in users}

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
        rows = await self._connection.fetch(
            OBSTACLES, account_ids, list(set(symbols.values())), list(symbols)
        )
        return {
            signal_id: _to_obstacles(
                [
                    row
                    for row in rows
                    if row["symbol"] in ("", symbol) and row["forgotten"] in (None, signal_id)
                ]
            )
            for signal_id, symbol in symbols.items()
        }

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
            members_of=self._known,
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


def _to_member(row: Mapping[str, Any]) -> Member:
    columns = dict(row)
    return Member(account=to_value(columns, Account), subscription=to_value(columns, Subscription))


def _total(rows: Iterable[Mapping[str, Any]]) -> Tally:
    told = list(rows)
    return Tally(
        positions=sum(row["positions"] for row in told),
        loss_usd=sum((row["loss_usd"] for row in told), ZERO),
    )


def _summed(
    rows: Iterable[Mapping[str, Any]], *, by: Callable[[Mapping[str, Any]], K | None]
) -> dict[K, Tally]:
    """Add up rows by what ``by`` gives; those for which it gives None are left out."""
    tallies: dict[K, Tally] = {}
    for row in rows:
        key = by(row)
        if key is None:
            continue
        before = tallies.get(key, NOTHING_USED)
        tallies[key] = Tally(
            positions=before.positions + row["positions"], loss_usd=before.loss_usd + row["loss_usd"]
        )
    return tallies


def _here(row: Mapping[str, Any]) -> str | None:
    symbol: str | None = row["here"]
    return symbol


def _subscription_here(row: Mapping[str, Any]) -> tuple[UUID, str] | None:
    return None if row["here"] is None else (row["subscription_id"], row["here"])


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

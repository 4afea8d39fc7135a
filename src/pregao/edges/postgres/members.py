"""Who follows a bot: locked in one order, and read again only where a row has changed."""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Subscription
from pregao.domain.user import User
from pregao.edges.postgres.journal import Connection
from pregao.edges.postgres.rows import to_value, to_values
from pregao.orders.ports import Member, Part, Progress, size_of_part

KNOWN_MEMBERS_MAX = 50_000  # about 100 MB

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

    async def read(self, connection: Connection, versions: Mapping[UUID, str]) -> list[Member]:
        """Give members in their order; those that have not changed are not read again."""
        members = {one: self.find(one, version=version) for one, version in versions.items()}
        changed = [one for one, member in members.items() if member is None]
        read = await members_named(connection, changed) if changed else {}
        for subscription_id, member in read.items():
            self.keep(subscription_id, member, version=versions[subscription_id])
        return [member or read[subscription_id] for subscription_id, member in members.items()]


async def limited_users(connection: Connection, bot_id: UUID, *, is_locked: bool) -> dict[UUID, User]:
    """Give those who have limits of their own among a bot's followers."""
    query = LOCK_USERS if is_locked else LIMITED_USERS
    users = to_values(await connection.fetch(query, [bot_id]), User)
    return {user.user_id: user for user in users}


async def lock_members(connection: Connection, bot_id: UUID, *, known: KnownMembers) -> list[Member]:
    """Lock and give every account subscribed to the bot, by account id."""
    rows = await connection.fetch(LOCK_MEMBERS, [bot_id])
    return await known.read(connection, {row[0]: row[1] for row in rows})


async def members_named(connection: Connection, subscription_ids: Collection[UUID]) -> dict[UUID, Member]:
    """Give members by subscription, without locking them."""
    rows = await connection.fetch(
        f"{MEMBERS} WHERE s.subscription_id = ANY($1::uuid[])", list(subscription_ids)
    )
    return {row["subscription_id"]: _to_member(row) for row in rows}


async def known_members(
    connection: Connection, subscription_ids: Collection[UUID], *, known: KnownMembers
) -> dict[UUID, Member]:
    """Give members by subscription, without locking them; those that have not changed are not read again."""
    rows = await connection.fetch(
        f"{MEMBER_VERSIONS} WHERE s.subscription_id = ANY($1::uuid[])", list(subscription_ids)
    )
    members = await known.read(connection, {row["subscription_id"]: row["version"] for row in rows})
    return {one.subscription.subscription_id: one for one in members}


async def lock_part(
    connection: Connection,
    bot_id: UUID,
    *,
    after: Progress,
    start: int,
    limit: int,
    few: int | None,
    only: Collection[UUID] | None,
    known: KnownMembers,
) -> Part:
    """Lock and give whose turn it is."""
    rows = await connection.fetch(
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
    size = size_of_part(len(rows), limit=limit, few=few)
    members = await known.read(connection, {row[0]: row[1] for row in rows[:size]})
    return Part(
        members=members,
        progress=Progress(
            parts=after.parts + 1,
            first_account_id=rows[0]["first_account_id"] if rows else after.first_account_id,
            last_account_id=members[-1].account.account_id if members else after.last_account_id,
        ),
        is_last=len(rows) <= limit,
    )


async def first_part(
    connection: Connection,
    locked: Sequence[Mapping[str, Any]],
    *,
    start: int,
    limit: int,
    few: int | None,
    known: KnownMembers,
) -> Part:
    """Give the first part of a bot whose members are locked already."""
    place = start % max(1, len(locked))
    turns = [*locked[place:], *locked[:place]]
    size = size_of_part(len(turns), limit=limit, few=few)
    members = await known.read(connection, {row["subscription_id"]: row["version"] for row in turns[:size]})
    return Part(
        members=members,
        progress=Progress(
            parts=1,
            first_account_id=turns[0]["account_id"] if turns else None,
            last_account_id=members[-1].account.account_id if members else None,
        ),
        is_last=len(turns) <= limit,
    )


def _to_member(row: Mapping[str, Any]) -> Member:
    columns = dict(row)
    return Member(account=to_value(columns, Account), subscription=to_value(columns, Subscription))

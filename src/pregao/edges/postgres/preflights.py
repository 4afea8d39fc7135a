"""What pre-flight found out about each account: kept by whoever looks, read by whoever plans or asks."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from pregao.accounts.found import Follows
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.preflight import CheckResult, Light, codes_of, light_of
from pregao.edges.postgres.rows import encode_json, to_value
from pregao.views.preflight import CheckLine, Preflight

BELL = "preflight"
CLAIM_SECONDS = 60.0  # whoever claimed an account and died is followed by another look then
LATELY_SIGNALS = 20  # of a bot: their symbols are likely to come again

# Who waits goes first, then who has waited longest.
CLAIM = """
WITH due AS (
    SELECT p.account_id FROM preflights AS p JOIN accounts AS a USING (account_id)
    WHERE a.venue = ANY($1::text[]) AND (p.asked_at IS NOT NULL OR a.is_active) AND p.due_at <= clock_timestamp()
      AND (p.asked_at IS NOT NULL OR NOT $4)
    ORDER BY p.asked_at, p.due_at LIMIT $2
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE preflights AS p SET due_at = clock_timestamp() + $3::interval
FROM due WHERE p.account_id = due.account_id
RETURNING p.account_id, p.asked_at, p.fixes
"""
ENTER_NEW = """
INSERT INTO preflights (account_id) SELECT account_id FROM accounts AS a
WHERE venue = ANY($1::text[]) AND is_active
  AND NOT EXISTS (SELECT FROM preflights AS p WHERE p.account_id = a.account_id)
ON CONFLICT DO NOTHING
"""
# When anything of what is checked was changed last.
SETTINGS_OF = """
greatest(a.updated_at, (SELECT sealed_at FROM credentials AS c WHERE c.account_id = a.account_id),
         (SELECT max(greatest(s.updated_at, b.updated_at)) FROM subscriptions AS s JOIN bots AS b USING (bot_id)
          WHERE s.account_id = a.account_id))
"""
CALL_CHANGED = f"""
UPDATE preflights AS p SET due_at = clock_timestamp() FROM accounts AS a
WHERE a.account_id = p.account_id AND a.venue = ANY($1::text[]) AND a.is_active AND p.due_at > clock_timestamp()
  AND p.settings_of IS DISTINCT FROM {SETTINGS_OF}
"""
CALL_REJECTED = """
UPDATE preflights AS p SET due_at = least(p.due_at, clock_timestamp()) FROM orders AS o
WHERE o.order_id = ANY($1::text[]) AND o.status = 'rejected' AND o.leg = 'entry' AND p.account_id = o.account_id
"""
FOLLOWED = """
SELECT s.subscription_id, s.bot_id FROM subscriptions AS s JOIN bots AS b USING (bot_id)
WHERE s.account_id = $1 AND s.status = 'active' AND b.status <> 'archived' ORDER BY s.subscription_id
"""
LATELY = """
SELECT bot_id, symbol FROM unnest($1::uuid[]) AS asked (bot_id), LATERAL (
    SELECT symbol, max(received_at) AS at FROM (
        SELECT symbol, received_at FROM signals AS g
        WHERE g.bot_id = asked.bot_id AND action = 'enter' AND symbol IS NOT NULL AND status NOT IN ('refused', 'declined')
        ORDER BY received_at DESC LIMIT $2) AS latest
    GROUP BY symbol) AS named
ORDER BY bot_id, at DESC
"""
IS_QUIET = """
SELECT NOT EXISTS (SELECT FROM positions WHERE account_id = $1 AND closed_at IS NULL AND ($2::text IS NULL OR symbol = $2))
   AND NOT EXISTS (SELECT FROM orders WHERE account_id = $1 AND ($2::text IS NULL OR symbol = $2)
                   AND status IN ('planned', 'unresolved', 'accepted', 'partially_filled'))
"""
KEEP_CHECKS = """
INSERT INTO preflight_checks AS c (account_id, name, subscription_id, symbol, place, result, code, numbers, remedy, denies,
                                   checked_at, since)
SELECT $1, name, subscription_id, symbol, place, result, code, numbers, remedy, denies, clock_timestamp(), clock_timestamp()
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::int[], $6::text[], $7::text[], $8::jsonb[], $9::text[], $10::boolean[])
     AS told (name, subscription_id, symbol, place, result, code, numbers, remedy, denies)
ON CONFLICT (account_id, name, subscription_id, symbol) DO UPDATE
SET place = excluded.place, result = excluded.result, code = excluded.code, numbers = excluded.numbers,
    remedy = excluded.remedy, denies = excluded.denies, checked_at = excluded.checked_at,
    since = CASE WHEN (c.result, c.code) = (excluded.result, excluded.code) THEN c.since ELSE excluded.since END
"""
GROUND = """
INSERT INTO grounded (account_id, subscription_id, symbol, place, code, reason)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[])
"""
KEEP = """
INSERT INTO preflights AS p (account_id, due_at, checked_at, light, light_codes, settings_of)
VALUES ($1, clock_timestamp() + $2::interval, clock_timestamp(), $3, $4, $6)
ON CONFLICT (account_id) DO UPDATE
SET due_at = CASE WHEN p.asked_at IS DISTINCT FROM $5 THEN p.due_at ELSE excluded.due_at END, settings_of = excluded.settings_of, checked_at = excluded.checked_at, light = excluded.light,
    light_codes = excluded.light_codes,
    asked_at = CASE WHEN p.asked_at IS DISTINCT FROM $5 THEN p.asked_at END,
    fixes = p.fixes AND p.asked_at IS DISTINCT FROM $5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An account to look at; ``asked_at`` says that somebody waits, ``fixes`` that he wants the position mode set."""

    account_id: int
    asked_at: datetime | None
    fixes: bool


async def claim_due(
    pool: asyncpg.Pool, venues: Collection[Venue], *, limit: int, only_asked: bool = False
) -> list[Due]:
    """Claim accounts that are due, those first for which somebody waits; no other trader gets them for a minute."""
    names = list(venues)
    rows = await pool.fetch(CLAIM, names, limit, timedelta(seconds=CLAIM_SECONDS), only_asked)
    return [Due(account_id=row["account_id"], asked_at=row["asked_at"], fixes=row["fixes"]) for row in rows]


async def call_changed(pool: asyncpg.Pool, venues: Collection[Venue]) -> None:
    """Make those due that are new, and those that were changed since they were looked at."""
    names = list(venues)
    await pool.execute(ENTER_NEW, names)
    await pool.execute(CALL_CHANGED, names)


async def call_soon(pool: asyncpg.Pool, account_ids: Collection[int]) -> None:
    """Make these accounts due: what was known of them may not hold any more."""
    await pool.execute(
        "UPDATE preflights SET due_at = least(due_at, clock_timestamp()) WHERE account_id = ANY($1::bigint[])",
        list(account_ids),
    )


async def call_rejected(pool: asyncpg.Pool, order_ids: Collection[str]) -> None:
    """Make the accounts due whose entries among these orders were rejected: something is not as it was found."""
    await pool.execute(CALL_REJECTED, list(order_ids))


async def put_off(pool: asyncpg.Pool, account_id: int, *, seconds: float) -> None:
    """Look at the account that much later: nothing could be asked now."""
    await pool.execute(
        "UPDATE preflights SET due_at = clock_timestamp() + $2 WHERE account_id = $1",
        account_id,
        timedelta(seconds=seconds),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An account with its active subscriptions, their bots, and what those have traded lately."""

    account: Account
    follows: Sequence[Follows]
    settings_of: datetime  # when any of it was changed last


async def read_followed(pool: asyncpg.Pool, account_id: int) -> Followed:
    """Give an account with all that it follows; what is changed while this reads makes it due again."""
    found = await pool.fetchrow(
        f"SELECT a.*, {SETTINGS_OF} AS settings_of FROM accounts AS a WHERE account_id = $1", account_id
    )
    pairs = await pool.fetch(FOLLOWED, account_id)
    bot_ids = list({row["bot_id"] for row in pairs})
    bots = {
        row["bot_id"]: to_value(row, Bot)
        for row in await pool.fetch("SELECT * FROM bots WHERE bot_id = ANY($1::uuid[])", bot_ids)
    }
    subscriptions = await pool.fetch(
        "SELECT * FROM subscriptions WHERE subscription_id = ANY($1::uuid[]) ORDER BY subscription_id",
        [row["subscription_id"] for row in pairs],
    )
    lately: defaultdict[UUID, list[str]] = defaultdict(list)
    for row in await pool.fetch(LATELY, bot_ids, LATELY_SIGNALS):
        lately[row["bot_id"]].append(row["symbol"])
    follows = [
        Follows(
            bot=bots[row["bot_id"]], subscription=to_value(row, Subscription), lately=lately[row["bot_id"]]
        )
        for row in subscriptions
        if row["bot_id"] in bots
    ]
    return Followed(account=to_value(found, Account), follows=follows, settings_of=found["settings_of"])


async def is_quiet(pool: asyncpg.Pool, account_id: int, symbol: str | None) -> bool:
    """Say whether the books hold nothing and have nothing on its way, on a symbol or on the whole account."""
    quiet: bool = await pool.fetchval(IS_QUIET, account_id, symbol)
    return quiet


async def keep(
    pool: asyncpg.Pool,
    due: Due,
    results: Sequence[CheckResult],
    *,
    seconds: float,
    settings_of: datetime,
) -> Light | None:
    """Keep the results in place of the former ones, and look again after so long; give the light."""
    light = light_of(results)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            KEEP_CHECKS,
            due.account_id,
            [one.check for one in results],
            [one.subscription_id for one in results],
            [one.symbol for one in results],
            list(range(len(results))),
            [one.result for one in results],
            [one.code for one in results],
            [encode_json(one.numbers).decode() for one in results],
            [one.remedy for one in results],
            [one.denies for one in results],
        )
        await connection.execute(
            "DELETE FROM preflight_checks WHERE account_id = $1 AND checked_at < transaction_timestamp()",
            due.account_id,
        )
        await connection.execute("DELETE FROM grounded WHERE account_id = $1", due.account_id)
        if denying := [one for one in results if one.denies]:
            await connection.execute(
                GROUND,
                due.account_id,
                [one.subscription_id for one in denying],
                [one.symbol for one in denying],
                list(range(len(denying))),
                [one.code for one in denying],
                [one.reason for one in denying],
            )
        await connection.execute(
            KEEP,
            due.account_id,
            timedelta(seconds=seconds),
            light,
            codes_of(results),
            due.asked_at,
            settings_of,
        )
    return light


class PostgresPreflights:
    """The port `views.preflight.Preflights`."""

    def __init__(self, pool: asyncpg.Pool, *, ring: Callable[[], None]) -> None:
        """Read and ask through ``pool``; ``ring`` tells the traders that somebody waits."""
        self._pool = pool
        self._ring = ring

    async def of(self, account_id: int) -> Preflight:
        row = await self._pool.fetchrow("SELECT * FROM preflights WHERE account_id = $1", account_id)
        checks = await self._pool.fetch(
            """
            SELECT c.*, b.name AS bot_name FROM preflight_checks AS c
            LEFT JOIN subscriptions AS s USING (subscription_id) LEFT JOIN bots AS b USING (bot_id)
            WHERE c.account_id = $1 ORDER BY place
            """,
            account_id,
        )
        return Preflight(
            account_id=account_id,
            light=None if row is None or row["light"] is None else Light(row["light"]),
            light_codes=() if row is None else tuple(row["light_codes"]),
            checked_at=None if row is None else row["checked_at"],
            next_check_at=None if row is None else row["due_at"],
            checks=[_line(one) for one in checks],
        )

    async def ask(self, account_id: int, *, fixes: bool) -> datetime:
        asked_at: datetime = await self._pool.fetchval(
            """
            INSERT INTO preflights AS p (account_id, asked_at, fixes) VALUES ($1, clock_timestamp(), $2)
            ON CONFLICT (account_id) DO UPDATE
            SET asked_at = excluded.asked_at, due_at = clock_timestamp(), fixes = p.fixes OR excluded.fixes
            RETURNING asked_at
            """,
            account_id,
            fixes,
        )
        self._ring()
        return asked_at

    async def is_checked(self, account_id: int, *, since: datetime) -> bool:
        checked: bool | None = await self._pool.fetchval(
            "SELECT checked_at > $2 AND (asked_at IS NULL OR asked_at > $2) FROM preflights WHERE account_id = $1",
            account_id,
            since,
        )
        return bool(checked)

    async def has_traders(self) -> bool:
        found: bool = await self._pool.fetchval(
            "SELECT EXISTS (SELECT FROM workers WHERE role = 'trader' AND lease_until > clock_timestamp())"
        )
        return found


def _line(row: asyncpg.Record) -> CheckLine:
    numbers = row["numbers"]
    told = {**dict(row), "numbers": msgspec.json.decode(numbers) if isinstance(numbers, str) else numbers}
    return to_value({**told, "check": told["name"]}, CheckLine)

"""What a proof of the stops reads: claims, stops and lines off the desk's PostgreSQL, and what the monitors say meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import asyncpg

from pregao.domain.clock import to_ms
from pregao.domain.protection import MAY_TRADE
from pregao.edges.postgres.pool import AWAY
from pregao.proof.desk import ProofDesk, ask, speaking_to
from pregao.proof.exits import OwnClaim, OwnExit, OwnGuards, OwnPosition, VenueGuards, to_venue_guards
from pregao.proof.unguarded import Watched

LOOK_SECONDS = 0.25

CLAIMS = """
SELECT token, kind, number, version, position_id, status, code, source, seen_at, updated_at FROM stop_claims
"""
TOLD = """
SELECT (fact #>> '{stop,position_id}')::bigint AS position_id, fact #>> '{trigger,kind}' AS kind,
       (fact #>> '{trigger,number}')::int AS number, (fact #>> '{trigger,version}')::int AS version
FROM journal WHERE kind = 'StopTriggered'
"""
POSITIONS = """
SELECT p.position_id, p.account_id, p.symbol, p.position_side, p.status, s.armed_at,
       (s.position_id IS NULL OR s.left_at IS NOT NULL) AS is_left
FROM positions AS p LEFT JOIN stops AS s USING (position_id)
"""
EXITS = """
SELECT o.order_id, a.client_order_id, o.execution ->> 'token' AS token, o.execution ->> 'kind' AS kind,
       (o.execution ->> 'number')::int AS number, o.position_id, a.planned_at,
       coalesce(lead(a.planned_at) OVER (PARTITION BY o.order_id ORDER BY a.attempt), o.updated_at) AS known_at
FROM orders AS o JOIN attempts AS a USING (order_id) WHERE o.execution IS NOT NULL
"""
# A position that filled after its round's prices had moved may see the next round's opposite signal first.
CLOSED_BY_SIGNALS = """
SELECT DISTINCT position_id FROM orders WHERE leg = 'exit' AND execution IS NULL AND status = 'filled'
"""
ENTRIES = "SELECT order_id FROM orders WHERE leg = 'entry'"
FILLS = "SELECT account_id, symbol, trade_id, position_id FROM fills WHERE position_id IS NOT NULL"
MOVES = "SELECT count(*) FROM stop_moves"
STANDING = "SELECT protection_id FROM protections WHERE status = ANY($1::text[])"
WATCHES = """
SELECT w.symbol, w.told_at, w.price_at, l.lease_until FROM watches AS w
JOIN leases AS l ON l.name = 'watch:' || w.venue || ':' || w.symbol AND l.worker_id = w.worker_id
"""
UNDER_WAY = """
SELECT DISTINCT symbol FROM positions WHERE status IN ('pending', 'open', 'closing')
UNION SELECT symbol FROM stops WHERE left_at IS NULL
"""
ARMED = "SELECT count(*) FROM stops WHERE symbol = ANY($1::text[]) AND left_at IS NULL AND status = 'armed'"


Clock = Callable[[int], int]
"""Gives the exchange's milliseconds for those of our processes."""


async def read_guards(connection: asyncpg.Connection, *, true_ms: Clock) -> OwnGuards:
    """Read what the desk has written, timed by the exchange's clock."""
    return OwnGuards(
        claims=[
            OwnClaim(
                **{name: row[name] for name in ("token", "kind", "number", "version", "position_id")},
                **{name: row[name] for name in ("status", "code", "source")},
                seen_ms=true_ms(to_ms(row["seen_at"])),
                ended_ms=true_ms(to_ms(row["updated_at"])) if row["status"] == "failed" else None,
            )
            for row in await connection.fetch(CLAIMS)
        ],
        told=Counter(tuple(row) for row in await connection.fetch(TOLD)),
        positions=[
            OwnPosition(
                position_id=row["position_id"],
                place=(row["account_id"], row["symbol"], row["position_side"]),
                status=row["status"],
                armed_ms=_ms(row["armed_at"], true_ms=true_ms),
                is_left=row["is_left"],
            )
            for row in await connection.fetch(POSITIONS)
        ],
        exits=[
            OwnExit(
                order_id=row["order_id"],
                client_order_id=row["client_order_id"],
                claim=(row["token"], row["kind"], row["number"]),
                position_id=row["position_id"],
                planned_ms=true_ms(to_ms(row["planned_at"])),
                known_ms=true_ms(to_ms(row["known_at"])),
            )
            for row in await connection.fetch(EXITS)
        ],
        entries=frozenset(row["order_id"] for row in await connection.fetch(ENTRIES)),
        closed_by_signals=frozenset(row["position_id"] for row in await connection.fetch(CLOSED_BY_SIGNALS)),
        fills={tuple(row)[:3]: row["position_id"] for row in await connection.fetch(FILLS)},
        standing=[row["protection_id"] for row in await connection.fetch(STANDING, sorted(MAY_TRADE))],
        moves=await connection.fetchval(MOVES),
    )


async def read_venue_guards(desk: ProofDesk, *, keys: Mapping[int, str]) -> VenueGuards:
    """Read what the paper exchange has written."""
    async with speaking_to(desk.paper_url, seconds_max=30) as client:
        page = await ask(client, "GET", "/paper/books")
    return to_venue_guards(page, accounts={key: account_id for account_id, key in keys.items()})


class Witness:
    """Looks four times a second at what the monitors say; a database that is away says nothing, and nothing is counted."""

    def __init__(self, desk: ProofDesk, *, true_ms: Clock) -> None:
        """Nothing is seen yet; ``true_ms`` knows how far our processes' clocks are ahead just now."""
        self._true_ms = true_ms
        self.watched: dict[tuple[str, int], Watched] = {}
        self._desk = desk

    async def keep(self) -> None:
        """Look until canceled."""
        connection: asyncpg.Connection | None = None
        while True:
            try:
                if connection is None or connection.is_closed():
                    connection = await self._desk.connect()
                async with asyncio.timeout(1.0):
                    self._see(await connection.fetch(WATCHES))
            except AWAY:
                if connection is not None:
                    connection.terminate()
                connection = None
            await asyncio.sleep(LOOK_SECONDS)

    def _see(self, rows: list[Any]) -> None:
        for row in rows:
            one = Watched(
                symbol=row["symbol"],
                told_ms=self._true_ms(to_ms(row["told_at"])),
                price_ms=_ms(row["price_at"], true_ms=self._true_ms),
                lease_until_ms=to_ms(row["lease_until"]),
            )
            self.watched[one.symbol, one.told_ms] = one  # the newest look has the latest lease


def _ms(at: datetime | None, *, true_ms: Clock) -> int | None:
    return None if at is None else true_ms(to_ms(at))

"""What a proof reads: the desk's books off its PostgreSQL, its receipts off its API, the exchange's books off its own."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import httpx

from pregao.domain.money import ZERO
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.proof.compare import LEDGER, Difference, OwnBooks, OwnOrder, VenueBooks, to_venue_books
from pregao.proof.desk import ProofDesk, ask, speaking_to

RECEIPTS_AT_ONCE = 8

LIVE = "SELECT order_id FROM orders WHERE status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled')"
UNSETTLED = "SELECT signal_id FROM signals WHERE settled_at IS NULL AND status <> 'refused'"
DOUBTED = "SELECT account_id FROM account_checks WHERE unreconciled_since IS NOT NULL"
SIGNALS = "SELECT signal_id FROM signals"
ORDERS = "SELECT order_id, signal_id, account_id, leg, status, code, attempt FROM orders"
CLIENT_ORDER_IDS = """
SELECT client_order_id FROM attempts UNION ALL SELECT protection_id FROM protections
"""  # what a protective order triggers into bears its id
FILLS = """
SELECT account_id, symbol, trade_id, exchange_order_id, side, position_side, price, quantity FROM fills
"""
POSITIONS = """
SELECT account_id, symbol, position_side,
       sum((entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END) AS quantity
FROM positions GROUP BY account_id, symbol, position_side
"""
FOREIGN = "SELECT account_id, symbol, position_side, quantity FROM foreign_positions"
POSITIONS_UNLIKE_FILLS = """
SELECT p.position_id FROM positions AS p
LEFT JOIN LATERAL (
    SELECT sum(own) FILTER (WHERE side = CASE p.direction WHEN 'long' THEN 'buy' ELSE 'sell' END) AS entered,
           sum(own) FILTER (WHERE side = CASE p.direction WHEN 'long' THEN 'sell' ELSE 'buy' END) AS exited
    FROM (SELECT *, quantity - foreign_quantity AS own FROM fills) AS fills WHERE fills.position_id = p.position_id) AS f ON true
WHERE p.entered_quantity <> coalesce(f.entered, 0) OR p.exited_quantity <> coalesce(f.exited, 0)
"""


async def is_quiet(connection: asyncpg.Connection) -> bool:
    """
    Say whether nothing is on its way any more, as far as the desk knows.

    An account that the desk itself doubts takes no entries, and is compared when the minute has weight for it again.
    """
    return not await connection.fetchval(
        f"SELECT EXISTS ({LIVE}) OR EXISTS ({UNSETTLED}) OR EXISTS ({DOUBTED})"
    )


async def read_own(connection: asyncpg.Connection) -> OwnBooks:
    """Read what the desk has written."""
    orders = {
        row["order_id"]: OwnOrder(**{**dict(row), "signal_id": str(row["signal_id"])})
        for row in await connection.fetch(ORDERS)
    }
    positions = await connection.fetch(POSITIONS)
    foreign = await connection.fetch(FOREIGN)
    return OwnBooks(
        orders=orders,
        client_order_ids={row["client_order_id"] for row in await connection.fetch(CLIENT_ORDER_IDS)},
        fills=[tuple(row) for row in await connection.fetch(FILLS)],
        positions={tuple(row)[:3]: row["quantity"] for row in positions if row["quantity"] != ZERO},
        foreign={tuple(row)[:3]: row["quantity"] for row in foreign},
        positions_unlike_fills=[row["position_id"] for row in await connection.fetch(POSITIONS_UNLIKE_FILLS)],
        live_orders=[row["order_id"] for row in await connection.fetch(LIVE)],
        signal_ids={str(row["signal_id"]) for row in await connection.fetch(SIGNALS)},
        unsettled_signals=[str(row["signal_id"]) for row in await connection.fetch(UNSETTLED)],
    )


async def compare_journal(desk: ProofDesk) -> list[Difference]:
    """Give where the desk's state is not the fold of its own journal."""
    journal = await open_journal(desk.database_url, connections_max=1)
    try:
        found = await compare_with_journal(journal)
    finally:
        await journal.pool.close()
    return [
        Difference(LEDGER, f"state unlike the journal: {one.table}: {one.example}")
        for one in found.differences
    ]


async def read_venue(desk: ProofDesk, *, keys: Mapping[int, str]) -> VenueBooks:
    """Read what the paper exchange has written."""
    async with speaking_to(desk.paper_url, seconds_max=30) as client:
        page = await ask(client, "GET", "/paper/books")
    return to_venue_books(page, accounts={key: account_id for account_id, key in keys.items()})


async def read_finished(desk: ProofDesk, signal_ids: Iterable[str]) -> set[str]:
    """Give those of the signals whose receipt is complete."""
    finished: set[str] = set()
    gate = asyncio.Semaphore(RECEIPTS_AT_ONCE)

    async def look(client: httpx.AsyncClient, signal_id: str) -> None:
        async with gate:
            answer = await client.get(f"/api/v1/signals/{signal_id}/receipt")
        receipt: dict[str, Any] = answer.json() if answer.is_success else {}
        if receipt.get("is_complete"):
            finished.add(signal_id)

    async with desk.client() as client:
        await asyncio.gather(*(look(client, signal_id) for signal_id in signal_ids))
    return finished

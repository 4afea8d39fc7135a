"""One-time tickets for websockets, in a table that every web process sees."""

from datetime import datetime

import asyncpg

from pregao.accounts.sessions import Ticket
from pregao.edges.postgres.rows import to_value

ISSUE = """
WITH forgotten AS (DELETE FROM live_tickets WHERE expires_at < $3::timestamptz - interval '1 hour')
INSERT INTO live_tickets (ticket_sha256, token_sha256, expires_at) VALUES ($1, $2, $3)
"""
REDEEM = "DELETE FROM live_tickets WHERE ticket_sha256 = $1 RETURNING *"


class PostgresTickets:
    """The port `accounts.ports.Tickets`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use ``pool``, whose search path must be our schema."""
        self._pool = pool

    async def issue(self, ticket: Ticket) -> None:
        await self._pool.execute(ISSUE, ticket.ticket_sha256, ticket.token_sha256, ticket.expires_at)

    async def redeem(self, ticket_sha256: str, *, now: datetime) -> Ticket | None:
        row = await self._pool.fetchrow(REDEEM, ticket_sha256)
        if row is None or row["expires_at"] <= now:
            return None
        return to_value(row, Ticket)

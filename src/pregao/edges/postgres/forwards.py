"""What is posted to webhooks, and what is written of it before and after."""

from collections.abc import Sequence

from pregao.domain.clock import Clock
from pregao.domain.desk import Desk
from pregao.domain.facts import ForwardBegun
from pregao.domain.forward import Parcel
from pregao.domain.order import order_of
from pregao.domain.venue import OrderAttempt
from pregao.edges.postgres.group_commit import GroupCommit
from pregao.edges.postgres.intake import AWAY
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.rows import to_value
from pregao.orders.ports import Forward

PARCELS = """
SELECT o.order_id, o.signal_id, o.leg, o.symbol AS ticker, s.price, s.received_at, s.body, a.destination
FROM orders AS o JOIN signals AS s USING (signal_id) JOIN accounts AS a ON a.account_id = o.account_id
WHERE o.order_id = ANY($1::text[]) AND a.destination <> 'null'
"""

# Only the worker that planned an attempt posts it, while its lease lasts, once.
MAY_LEAVE = """
SELECT o.order_id, o.attempt, o.signal_id, o.account_id
FROM orders AS o JOIN unnest($1::text[], $2::int[]) AS asked (order_id, attempt) USING (order_id, attempt)
WHERE o.status = 'planned' AND o.owner = $3 AND o.lease_epoch = $4
  AND EXISTS (SELECT FROM workers WHERE worker_id = $3 AND lease_epoch = $4 AND lease_until > clock_timestamp())
  AND NOT EXISTS (SELECT FROM forwards AS f WHERE f.order_id = o.order_id AND f.attempt = o.attempt)
ORDER BY o.order_id FOR NO KEY UPDATE OF o
"""

FORWARD = """
SELECT f.begun_at IS NOT NULL AS has_left,
       o.owner <> $3 AND EXISTS (SELECT FROM workers AS w WHERE w.worker_id = o.owner AND w.lease_epoch = o.lease_epoch
                                 AND w.lease_until > clock_timestamp()) AS is_others,
       coalesce((a.destination ->> 'honours_idempotency')::boolean, false) AS honours_idempotency
FROM orders AS o JOIN accounts AS a USING (account_id) LEFT JOIN forwards AS f USING (order_id, attempt)
WHERE o.order_id = $1 AND o.attempt = $2
"""


class PostgresForwards:
    """The ports `orders.ports.Parcels` and `orders.ports.Forwards`, for one worker."""

    def __init__(self, journal: Journal, *, desk: Desk, clock: Clock) -> None:
        """Write under the lease named in ``desk``."""
        self._journal = journal
        self._desk = desk
        self._clock = clock
        self._found: GroupCommit[str, Parcel | None] = GroupCommit(self._find, fails_all=AWAY)
        self._begun: GroupCommit[OrderAttempt, bool] = GroupCommit(self._begin, fails_all=AWAY)

    async def find_parcel(self, order_id: str) -> Parcel | None:
        return await self._found.submit(order_id)

    async def begin(self, attempt: OrderAttempt) -> bool:
        return await self._begun.submit(attempt)

    async def find_forward(self, order_id: str, *, attempt: int, owner: str) -> Forward | None:
        row = await self._journal.pool.fetchrow(FORWARD, order_id, attempt, owner)
        return None if row is None else to_value(row, Forward)

    async def close(self) -> None:
        """Return when everything is written."""
        await self._found.close()
        await self._begun.close()

    async def _find(self, order_ids: Sequence[str]) -> list[Parcel | None]:
        rows = await self._journal.pool.fetch(PARCELS, order_ids)
        found = {row["order_id"]: to_value(row, Parcel) for row in rows}
        return [found.get(order_id) for order_id in order_ids]

    async def _begin(self, batch: Sequence[OrderAttempt]) -> list[bool]:
        named = [order_of(one.client_order_id) for one in batch]
        asked = [own for own in named if own is not None]
        async with self._journal.transaction() as transaction:
            rows = await transaction.connection.fetch(
                MAY_LEAVE,
                [order_id for order_id, _ in asked],
                [attempt for _, attempt in asked],
                self._desk.owner,
                self._desk.lease_epoch,
            )
            await transaction.append(
                ForwardBegun(
                    happened_at=self._clock(),
                    order_id=row["order_id"],
                    attempt=row["attempt"],
                    signal_id=row["signal_id"],
                    account_id=row["account_id"],
                    owner=self._desk.owner,
                    lease_epoch=self._desk.lease_epoch,
                )
                for row in rows
            )
        leaving = {(row["order_id"], row["attempt"]) for row in rows}
        return [own in leaving for own in named]

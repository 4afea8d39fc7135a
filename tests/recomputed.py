"""
What was earned, worked out again from the fills by code that shares nothing with the desk's.

Of the orders it takes only whose a fill is and which leg; everything that is a number comes from fills.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from uuid import UUID

import asyncpg

FILLS = """
SELECT f.position_id, f.symbol, f.side, f.price, f.quantity - f.foreign_quantity AS quantity, f.fee, f.traded_at,
       o.subscription_id, o.leg
FROM fills AS f LEFT JOIN orders AS o USING (order_id)
WHERE f.position_id IS NOT NULL
"""


@dataclass
class Trip:
    """One position that was entered and exited whole."""

    subscription_id: UUID
    symbol: str
    closed_at: datetime
    gross: Decimal
    pnl: Decimal
    fees: Decimal
    notional: Decimal

    @property
    def day(self) -> date:
        return self.closed_at.astimezone(UTC).date()


@dataclass
class Sums:
    closed: int = 0
    wins: int = 0
    losses: int = 0
    pnl: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    loss: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)

    def count(self, trip: Trip) -> None:
        self.closed += 1
        self.wins += trip.pnl > 0
        self.losses += trip.pnl < 0
        self.pnl += trip.pnl
        self.gross += trip.gross
        self.fees += trip.fees
        self.loss -= min(trip.pnl, Decimal(0))
        self.notional += trip.notional

    @property
    def win_rate(self) -> Decimal | None:
        decided = self.wins + self.losses
        return rounded(Decimal(100 * self.wins) / decided, 2) if decided else None


def rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def summed(trips: list[Trip]) -> Sums:
    sums = Sums()
    for trip in trips:
        sums.count(trip)
    return sums


async def round_trips(pool: asyncpg.Pool) -> list[Trip]:
    """Give every position that was closed, in no order."""
    fills = defaultdict(list)
    for fill in await pool.fetch(FILLS):
        fills[fill["position_id"]].append(fill)
    found = []
    for told in fills.values():
        [subscription_id] = {fill["subscription_id"] for fill in told if fill["subscription_id"]}
        [entry_side] = {fill["side"] for fill in told if fill["leg"] == "entry"}
        entries = [fill for fill in told if fill["side"] == entry_side]
        exits = [fill for fill in told if fill["side"] != entry_side]
        if sum(fill["quantity"] for fill in entries) != sum(fill["quantity"] for fill in exits):
            continue
        paid, got = (sum(fill["price"] * fill["quantity"] for fill in leg) for leg in (entries, exits))
        fees = sum(fill["fee"] for fill in told)
        gross = got - paid if entry_side == "buy" else paid - got
        found.append(
            Trip(
                subscription_id=subscription_id,
                symbol=told[0]["symbol"],
                closed_at=max(fill["traded_at"] for fill in told),
                gross=gross,
                pnl=(gross - fees).quantize(Decimal("0.00000001"), ROUND_HALF_EVEN),
                fees=fees,
                notional=paid,
            )
        )
    return found


async def daily_sums(pool: asyncpg.Pool) -> dict[tuple[UUID, date, str], Sums]:
    """Give the sums of what closed, by subscription, UTC day and symbol."""
    sums: dict[tuple[UUID, date, str], Sums] = defaultdict(Sums)
    for trip in await round_trips(pool):
        sums[trip.subscription_id, trip.day, trip.symbol].count(trip)
    return dict(sums)

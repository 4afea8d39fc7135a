"""Folds of a batch give what folding its facts one by one would, whatever plan the database chooses."""

from dataclasses import replace
from uuid import UUID

import pytest

from pregao.domain.facts import OrderDeferred, OrderEnded, OrderRejected, OrderUnresolved
from pregao.domain.order import Leg, OrderStatus
from tests.builders import BOT_ID, held
from tests.edges.http.api.test_receipts import SIGNAL_ID, accepted, after, planned
from tests.edges.postgres.test_daily_results import change

ORDERS = 40  # enough that the database may choose any join


def answered(number: int):
    return accepted(number)


def found(number: int):
    return replace(accepted(number), happened_at=after(50), sent_at=None, acknowledged_at=after(50))


def unresolved(number: int, *, at: int, is_sent: bool) -> OrderUnresolved:
    return OrderUnresolved(
        happened_at=after(at),
        order_id=f"p{number}",
        attempt=1,
        code="TIMEOUT",
        reason=f"nothing at {at}",
        is_dead=False,
        sent_at=after(5) if is_sent else None,
        ask_at=after(at),
    )


def rejected(number: int, code: str) -> OrderRejected:
    return OrderRejected(
        happened_at=after(30),
        order_id=f"p{number}",
        attempt=1,
        signal_id=SIGNAL_ID,
        position_id=number,
        code=code,
        reason="refused",
    )


def ended(number: int, status: OrderStatus) -> OrderEnded:
    return OrderEnded(
        happened_at=after(30),
        order_id=f"p{number}",
        signal_id=SIGNAL_ID,
        position_id=number,
        status=status,
        ended_at=after(30),
    )


TWICE = {
    "answered and found": lambda number: (answered(number), found(number)),
    "unresolved": lambda number: (
        unresolved(number, at=40, is_sent=True), unresolved(number, at=60, is_sent=False),
    ),
    "rejected": lambda number: (rejected(number, "-2019"), rejected(number, "-4003")),
    "ended": lambda number: (ended(number, OrderStatus.CANCELED), ended(number, OrderStatus.EXPIRED)),
}  # fmt: skip


async def orders(journal) -> list[tuple]:
    return [tuple(row) for row in await journal.pool.fetch("SELECT * FROM orders ORDER BY order_id")]


async def put(journal, *facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


class TestBatch:
    @pytest.mark.parametrize("told", TWICE.values(), ids=TWICE)
    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the other way round"])
    async def test_comes_to_the_same_as_one_by_one(self, journal, told, order):
        numbers = range(1, ORDERS + 1)
        twice = [told(number)[place] for place in order for number in numbers]
        plans = [planned(number) for number in numbers]
        await put(journal, *plans)
        for fact in twice:
            await put(journal, fact)
        one_by_one = await orders(journal)
        await journal.pool.execute("TRUNCATE orders, positions")

        await put(journal, *plans)
        await put(journal, *twice)

        assert await orders(journal) == one_by_one

    async def test_lets_the_first_of_two_waiting_closes_be_the_one_a_position_waits_for(self, journal):
        await put(journal, planned(1))
        await change(journal, held())
        closes = [
            OrderDeferred(
                happened_at=after(10 + number),
                order_id=f"x{number}",
                signal_id=UUID(int=number),
                bot_id=BOT_ID,
                subscription_id=UUID(int=1),
                account_id=1,
                leg=Leg.EXIT,
                code="ENTRY_ON_ITS_WAY",
                reason="waits",
                symbol="BTCUSDT",
                side=None,
                position_id=1,
                send_before=None,
                share=None,
            )
            for number in (7, 3, 5)
        ]

        await put(journal, *closes)

        waits_for = await journal.pool.fetchval("SELECT exit_signal_id FROM positions")
        assert waits_for == UUID(int=7)

"""Folds of a batch give what folding its facts one by one would, whatever plan the database chooses."""

from dataclasses import replace
from uuid import UUID

import pytest

from pregao.domain.facts import (
    OrderDeferred,
    OrderEnded,
    OrderRejected,
    OrderUnresolved,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionRejected,
    ProtectionUnresolved,
)
from pregao.domain.order import Leg, OrderStatus
from pregao.domain.protection import ProtectionStatus, RefusalCause
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


PAST = """
INSERT INTO stops (
    position_id, account_id, bot_id, subscription_id, signal_id, venue, symbol, position_side, direction, status, version,
    entry_price, price_tick, rule, targets, is_anchor_final, is_required, held_since, armed_at, updated_at, line_id, line_status)
SELECT number, number, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'paper', 'BTCUSDT', 'BOTH', 'long', 'armed', 1,
       100, 0.1, jsonb_build_object('wide', repeat('x', 600)), '[]', true, true, now(), now(), now(), 'p' || number, 'planned'
FROM generate_series(1, 20000) AS number
"""


class TestPast:
    async def test_what_a_venue_says_of_a_protective_order_reads_the_stop_of_no_other_position(self, journal):
        of_seven = {
            "happened_at": after(1),
            "protection_id": "p7",
            "position_id": 7,
            "account_id": 1,
            "signal_id": SIGNAL_ID,
        }
        told = [
            ProtectionUnresolved(**of_seven, code="TIMEOUT", reason="", is_dead=False, ask_at=after(2)),
            ProtectionAccepted(
                **of_seven, exchange_protection_id="77", sent_at=None, acknowledged_at=after(1)
            ),
            ProtectionMoved(
                **of_seven,
                status=ProtectionStatus.TRIGGERED,
                triggered_order_id=None,
                reason="",
                reported_at=after(1),
            ),
            ProtectionRejected(**of_seven, code="-2021", reason="", cause=RefusalCause.PRICE_PASSED),
        ]
        await journal.pool.execute(PAST)
        await journal.pool.execute("ANALYZE stops")

        async with journal.transaction() as transaction:
            await transaction.append(told)
            read = await transaction.connection.fetchrow(
                "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'stops'"
            )

        assert read["seq_tup_read"] == 0
        assert 0 < read["idx_tup_fetch"] <= 2 * len(told)
        changed = await journal.pool.fetch("SELECT position_id FROM stops WHERE line_id IS NULL")
        assert [row["position_id"] for row in changed] == [7]

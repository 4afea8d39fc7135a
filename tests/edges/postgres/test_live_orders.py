"""Orders that may have traded unheard are asked about by one trader at a time, ever more slowly."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pregao.domain.facts import OrderAccepted
from pregao.domain.order import Leg
from pregao.edges.postgres.live_orders import claim_due_orders, explain_trades
from pregao.edges.postgres.workers import Workers
from tests.builders import configured, trade
from tests.rooms.orders.test_send import order


def now() -> datetime:
    return datetime.now(UTC)


async def put(journal, facts) -> None:
    async with journal.transaction() as transaction:
        await transaction.append(facts)


class TestClaimDueOrders:
    async def test_gives_an_order_to_one_trader_and_puts_its_next_question_off(self, journal):
        await put(journal, [*configured(), order(happened_at=now() - timedelta(seconds=8))])

        async with journal.transaction() as one, journal.transaction() as other:
            first, second = await asyncio.gather(
                claim_due_orders(one.connection, limit=5), claim_due_orders(other.connection, limit=5)
            )
        again = await claim_due_orders(journal.pool, limit=5)

        assert [len(first) + len(second), len(again)] == [1, 0]

    async def test_leaves_an_order_that_is_being_sent_to_its_sender(self, journal):
        """Nobody asks before the venue must have answered: the receive window and a margin."""
        await put(journal, [*configured(), order(happened_at=now() - timedelta(seconds=5))])

        assert await claim_due_orders(journal.pool, limit=5) == []

    @pytest.mark.parametrize(("leg", "is_asked_sooner"), [(Leg.ENTRY, True), (Leg.EXIT, False)])
    async def test_asks_about_what_a_silent_sender_may_have_sent_before_its_answer_is_due(
        self, journal, leg, is_asked_sooner
    ):
        """It may have filled, and nothing guards it; that an exit never left is known no sooner for that."""
        planned = order(leg=leg, happened_at=now() - timedelta(seconds=2))
        await put(journal, [*configured(), planned])
        workers = Workers(journal.pool)
        lease = await workers.enter(worker_id=planned.owner, role="trader")
        assert await claim_due_orders(journal.pool, limit=5) == []
        due_at = await journal.pool.fetchval("SELECT check_at FROM orders")

        await journal.pool.execute(
            "UPDATE workers SET lease_until = clock_timestamp() + interval '6.5 seconds' WHERE worker_id = $1",
            lease.worker_id,
        )

        assert [one.order_id for one in await claim_due_orders(journal.pool, limit=5)] == [planned.order_id]
        assert await claim_due_orders(journal.pool, limit=5) == []
        asked_at = await journal.pool.fetchval("SELECT check_at FROM orders")
        assert (asked_at < due_at) is is_asked_sooner

    @pytest.mark.parametrize(
        ("leg", "pauses"),
        [(Leg.ENTRY, (1, 2, 4, 8, 15, 30, 30)), (Leg.EXIT, (1.5, 4, 2, 2, 2, 4, 8, 15, 30, 30))],
    )
    async def test_asks_ever_more_slowly_about_an_exit_as_soon_as_its_window_has_closed(
        self, journal, leg, pauses
    ):
        """What an exit was to close stands open meanwhile: one second, and six and a half, after it left."""
        await put(journal, [*configured(), order(leg=leg, happened_at=now() - timedelta(hours=1))])

        for seconds in pauses:
            before = await journal.pool.fetchval(
                "UPDATE orders SET check_at = clock_timestamp() RETURNING check_at"
            )
            [claimed] = await claim_due_orders(journal.pool, limit=5)
            due_at, after = await journal.pool.fetchrow("SELECT check_at, clock_timestamp() FROM orders")

            assert claimed.leg is leg
            assert before <= due_at - timedelta(seconds=seconds) <= after

    @pytest.mark.parametrize("news", ["another attempt", "it was accepted"])
    async def test_asks_quickly_again_when_there_is_something_new_to_ask(self, journal, news):
        """A venue's read that lags would else be followed by half a minute in which nobody knows what filled."""
        long_ago = now() - timedelta(hours=1)
        planned = order(happened_at=long_ago)
        await put(journal, [*configured(), planned])
        for _ in range(6):
            await journal.pool.execute("UPDATE orders SET check_at = clock_timestamp()")
            await claim_due_orders(journal.pool, limit=5)

        again = replace(planned, attempt=2, client_order_id=planned.order_id + "2")
        accepted = OrderAccepted(
            happened_at=long_ago,
            order_id=planned.order_id,
            attempt=1,
            exchange_order_id="77",
            sent_at=long_ago,
            acknowledged_at=long_ago,
        )
        await put(journal, [again if news == "another attempt" else accepted])
        [claimed] = await claim_due_orders(journal.pool, limit=5)

        assert claimed.checks == 0
        pause = await journal.pool.fetchval("SELECT check_at - clock_timestamp() FROM orders")
        assert pause <= timedelta(seconds=1)

    async def test_asks_every_second_at_first_whether_an_accepted_entry_has_filled(self, journal):
        """A market order fills at once; it stands open until a read that lags no more shows it."""
        await put(journal, [*configured(), order(happened_at=now() - timedelta(hours=1))])
        await journal.pool.execute("UPDATE orders SET status = 'accepted'")

        pauses = []
        for _ in range(4):
            await journal.pool.execute("UPDATE orders SET check_at = clock_timestamp()")
            await claim_due_orders(journal.pool, limit=5)
            pauses.append(
                await journal.pool.fetchval(
                    "SELECT round(extract(epoch FROM check_at - now()))::int FROM orders"
                )
            )

        assert pauses == [1, 1, 1, 2]


class TestExplainTrades:
    async def explained(self, journal, **changes):
        told = trade(client_order_id="", exchange_order_id="77")
        await put(journal, [*configured(), order()])
        if changes:
            names = ", ".join(f"{name} = ${place}" for place, name in enumerate(changes, 1))
            await journal.pool.execute(f"UPDATE orders SET {names}", *changes.values())
        found, may_be_ours = await explain_trades(journal.pool, account_id=1, symbol="BTCUSDT", trades=[told])
        return [one.client_order_id for one in found], may_be_ours

    async def test_names_the_order_that_the_venue_s_id_belongs_to(self, journal):
        told = await self.explained(journal, exchange_order_id="77", status="accepted")

        assert told == ([order().client_order_id], False)

    async def test_leaves_out_what_may_belong_to_an_order_not_acknowledged_yet(self, journal):
        """Booked as foreign it would be wrong for ever; asked about, the order tells it itself."""
        assert await self.explained(journal) == ([], True)

    async def test_says_what_is_certainly_not_ours(self, journal):
        assert await self.explained(journal, exchange_order_id="5", status="filled") == ([], False)

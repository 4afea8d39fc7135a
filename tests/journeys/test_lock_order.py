"""Whoever plans and whoever books want the same rows at the same moment: they take turns, and never wait in a circle."""

import asyncio
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from pregao.domain.facts import AccountConfigured, BotConfigured, FillReported, SubscriptionConfigured
from pregao.domain.order import Side
from pregao.domain.signal import Action
from tests.builders import account, arrival, bot, configured, instruction, subscription
from tests.journeys.conftest import now

SECONDS_MAX = 10.0  # before a statement is given up after fifteen, and all goes on
WAITING = """
SELECT count(*) = $1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def endless_circles(database: str) -> None:
    """PostgreSQL ends one of those in a circle after a second, and all goes on; here it must show."""
    connection = await asyncpg.connect(database)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '10min'")
    await connection.close()


@pytest.mark.usefixtures("endless_circles")
class TestLockOrder:
    async def test_a_batch_of_signals_and_a_batch_of_fills_want_the_same_positions(self, desk):
        desk.exchange.list_also("ETHUSDT", price="3000")
        await desk.put(configured(now=now(), custom_leverage=10, custom_margin_usd=Decimal(50)))
        trader = await desk.start_trader()
        desk.exchange.stream_is_down = True
        entries = [await desk.signal(instruction(now=now(), symbol=one)) for one in ("BTCUSDT", "ETHUSDT")]
        await desk.until("SELECT count(*) = 2 FROM orders WHERE status = 'accepted'")
        await _ask_nothing(desk)
        first, second = (
            row["symbol"] for row in await desk.rows("SELECT symbol FROM positions ORDER BY position_id")
        )
        fills = _fills(desk, last=2)

        async with desk.journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM positions WHERE symbol = $1 FOR UPDATE", first)
            booking = asyncio.create_task(_wait_for(trader.floor.record(fills)))
            await desk.until(WAITING, 1)
            facts = [
                arrival(instruction(side=Side.SELL, now=now(), symbol=one), now=now())
                for one in (second, first)
            ]
            await desk.put([fact for one in facts for fact in one])
            desk.ring()
            await desk.until(WAITING, 2)
        await booking
        desk.exchange.stream_is_down = False
        await desk.settled(*entries, *(one[0].signal_id for one in facts), seconds_max=SECONDS_MAX)

        rows = await desk.rows("SELECT direction, status FROM positions ORDER BY position_id")
        assert sorted(map(tuple, rows)) == [("long", "closed")] * 2 + [("short", "open")] * 2

    async def test_a_signal_takes_the_place_of_an_entry_whose_close_is_being_booked(self, desk):
        await desk.put(configured(now=now(), custom_leverage=10, custom_margin_usd=Decimal(50)))
        trader = await desk.start_trader()
        entry = await desk.signal(instruction(now=now()))
        await desk.settled(entry)
        desk.exchange.stream_is_down = True
        reverse = await desk.signal(instruction(side=Side.SELL, now=now()))
        await desk.until("SELECT count(*) = 1 FROM orders WHERE leg = 'exit' AND status = 'accepted'")
        await _ask_nothing(desk)
        fills = _fills(desk, last=1)

        async with desk.journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM signals WHERE signal_id = $1 FOR UPDATE", reverse)
            booking = asyncio.create_task(_wait_for(trader.floor.record(fills)))
            await desk.until(WAITING, 1)
            close = await desk.signal(instruction(Action.CLOSE, now=now()))
            await desk.until(WAITING, 2)
        await booking
        desk.exchange.stream_is_down = False
        await desk.settled(reverse, close, seconds_max=SECONDS_MAX)

        [position] = await desk.rows("SELECT direction, status FROM positions")
        assert tuple(position) == ("long", "closed")

    async def test_entries_that_waited_and_a_batch_of_signals_want_the_same_accounts(self, desk):
        first, second = UUID(int=1), UUID(int=2)
        followed = {first: 2, second: 1}  # by bot: the one has the other's place in the line of accounts
        facts = [AccountConfigured(happened_at=now(), account=account(number)) for number in (1, 2)]
        for bot_id, number in followed.items():
            own = subscription(number, bot_id=bot_id, subscription_id=UUID(int=10 + number))
            facts += [
                BotConfigured(happened_at=now(), bot=bot(bot_id=bot_id, webhook_path=f"bot-{number}")),
                SubscriptionConfigured(happened_at=now(), subscription=own),
            ]
        await desk.put(facts)
        trader = await desk.start_trader()
        entries = [await desk.signal(instruction(now=now()), bot_id=bot_id) for bot_id in followed]
        await desk.settled(*entries)
        desk.exchange.stream_is_down = True
        # What waits is planned in the order it came: here not in the order of the bots.
        reverses = [
            await desk.signal(instruction(side=Side.SELL, now=now()), bot_id=bot_id)
            for bot_id in reversed(followed)
        ]
        await desk.until("SELECT count(*) = 2 FROM orders WHERE leg = 'exit' AND status = 'accepted'")
        await _ask_nothing(desk)
        fills = _fills(desk, last=2)

        async with desk.journal.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM accounts WHERE account_id = 1 FOR UPDATE")
            await trader.floor.record(fills)
            await desk.until(WAITING, 1)
            later = [arrival(instruction(now=now()), bot_id=bot_id, now=now()) for bot_id in followed]
            await desk.put([fact for one in later for fact in one])
            desk.ring()
            await desk.until(WAITING, 2)
        desk.exchange.stream_is_down = False
        await desk.settled(*reverses, *(one[0].signal_id for one in later), seconds_max=SECONDS_MAX)

        rows = await desk.rows("SELECT direction, status FROM positions ORDER BY position_id")
        assert (
            sorted(map(tuple, rows))
            == [("long", "closed")] * 2 + [("long", "open")] * 2 + [("short", "closed")] * 2
        )


async def _ask_nothing(desk) -> None:
    """What no stream has told is not asked for either: the test books it itself."""
    await desk.rows("UPDATE orders SET check_at = NULL")


def _fills(desk, *, last: int) -> list[FillReported]:
    return [
        FillReported(happened_at=now(), account_id=number, trade=trade)
        for number, trade in desk.exchange.trades[-last:]
    ]


async def _wait_for(future: asyncio.Future) -> None:
    await future

"""Two signals decided at once must not both take the last place; and a close finds what is just being entered."""

import asyncio
from decimal import Decimal
from itertools import cycle, islice
from uuid import UUID

import pytest

from pregao.domain.bot import Directions
from pregao.domain.order import Side
from pregao.edges.postgres.waiting import peek_waiting_signals
from tests.builders import bot, configured, instruction
from tests.fake_exchange import instrument
from tests.journeys.conftest import now

SYMBOLS = ["BTCUSDT", "ETHUSDT", "LTCUSDT", "SOLUSDT"]


async def decide_apart(desk, *batches) -> None:
    """
    Let each batch of signals be decided by a trader of its own, all at the same moment.

    Whoever finds that another decides for the bot just then comes back, as traders do.
    """

    async def decide_all(trader, batch) -> None:
        while True:
            waiting = await peek_waiting_signals(desk.journal.pool, limit=100)
            left = [one for one in waiting if one.signal_id in batch]
            if not left:
                return
            await trader.arrivals.decide(left)

    traders = [(await desk.make_trader(f"trader-{number}"))[0] for number in range(len(batches))]
    await asyncio.gather(*(decide_all(trader, batch) for trader, batch in zip(traders, batches, strict=True)))
    for trader in traders:
        await asyncio.gather(*trader.floor._tasks)


async def codes(desk, signals) -> list:
    rows = await desk.rows("SELECT code FROM signals WHERE signal_id = ANY($1::uuid[])", signals)
    return sorted((row["code"] for row in rows), key=str)


class TestTwoSignalsAtOnce:
    @pytest.mark.parametrize(
        ("changes", "symbols", "code"),
        [
            ({"cooldown_seconds": 3_600}, ["BTCUSDT"], "COOLDOWN_DECLINED"),
            ({"max_entries_per_day": 1}, ["BTCUSDT"], "DAILY_ENTRIES_DECLINED"),
            ({"global_max_positions": 1}, SYMBOLS, "GLOBAL_POSITIONS_DECLINED"),
        ],
    )
    async def test_pass_a_limit_of_one_only_once(self, desk, changes, symbols, code):
        for symbol in SYMBOLS:
            desk.exchange.prices[symbol] = Decimal("95200.0")
            desk.exchange.instruments_known[symbol] = instrument(symbol)
        await desk.put(configured(bots=[bot(**changes)], now=now()))
        signals = [
            await desk.signal(instruction(symbol=symbol, now=now())) for symbol in islice(cycle(symbols), 4)
        ]

        await decide_apart(desk, *([one] for one in signals))

        assert await codes(desk, signals) == sorted([code, code, code, None], key=str)
        assert len(desk.exchange.submitted) == 1

    async def test_of_two_bots_in_two_orders_never_wait_for_each_other_in_a_circle(self, desk):
        """A circle would be cut by the server after a second, and one batch decided anew."""
        bots = [
            bot(cooldown_seconds=1),
            bot(bot_id=UUID(int=2), webhook_path="another-bots-path", cooldown_seconds=1),
        ]
        await desk.put(configured(bots=bots, now=now()))
        ids = [bots[number].bot_id for number in (0, 1, 1, 0)]

        for _ in range(5):
            a, b, c, d = [await desk.signal(instruction(now=now()), bot_id=bot_id) for bot_id in ids]
            await decide_apart(desk, [a, b], [c, d])

        assert await desk.rows("SELECT signal_id FROM signals WHERE status = 'accepted'") == []


class TestDirectionFilter:
    async def test_a_sell_under_buy_only_closes_what_a_buy_decided_at_the_same_moment_enters(self, desk):
        """F059: decided without the bot's lock, the sell would see nothing held and be lost."""
        await desk.put(configured(bots=[bot(allowed_directions=Directions.BUY_ONLY)], accounts=2, now=now()))
        bought = await desk.signal(instruction(now=now()))
        sold = await desk.signal(instruction(side=Side.SELL, now=now()))
        await desk.start_trader()

        await desk.settled(bought, sold)

        [signal] = await desk.rows("SELECT * FROM signals WHERE signal_id = $1", sold)
        assert (signal["status"], signal["action"], signal["side"]) == ("settled", "close", "sell")
        assert {row["status"] for row in await desk.rows("SELECT status FROM positions")} == {"closed"}
        assert [desk.exchange.quantity(number, "BTCUSDT") for number in (1, 2)] == [Decimal(0)] * 2

    async def test_a_buy_under_sell_only_is_filtered_when_nothing_is_held(self, desk):
        await desk.put(configured(bots=[bot(allowed_directions=Directions.SELL_ONLY)], now=now()))
        await desk.start_trader()

        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)

        [signal] = await desk.rows("SELECT * FROM signals WHERE signal_id = $1", bought)
        assert (signal["status"], signal["code"]) == ("declined", "DIRECTION_DECLINED")
        assert await desk.orders(bought) == []
        assert desk.exchange.submitted == []

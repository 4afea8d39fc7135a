"""A signal of many accounts is planned in parts: whatever happens between two of them, each account trades it once."""

import asyncio
from collections import Counter
from decimal import Decimal

import pytest

from pregao.domain.signal import Action
from tests.builders import bot, configured, instruction, state_set
from tests.journeys.conftest import FIRST_PART, now
from tests.journeys.test_recovery import LATE_SECONDS, Died, Story

ACCOUNTS = 8


class Begun(Story):
    """A desk with eight accounts, and a signal of which the first three are planned and nothing is sent."""

    async def begin_parts(self, **bot_changes) -> None:
        self.exchange.clock.forward(-LATE_SECONDS)
        now = self.exchange.clock()
        await self.desk.put(configured(accounts=ACCOUNTS, bots=[bot(**bot_changes)], now=now))
        self.trader, _ = await self.desk.make_trader("trader-1")
        await self.arrive(Action.ENTER)
        await self.run_planning()

    async def fill_what_is_planned(self) -> None:
        planned = await self.planned()
        for order in planned:
            await self.send(order)
        while await self.outcomes() != {("filled", None): len(planned)}:
            await asyncio.sleep(0.02)

    async def signal(self):
        [row] = await self.desk.rows("SELECT * FROM signals WHERE signal_id = $1", self.signal_id)
        return row

    async def finish_with_another(self) -> None:
        self.exchange.clock.forward(LATE_SECONDS)
        await self.desk.start_trader("trader-2")
        await self.desk.settled(self.signal_id)

    async def outcomes(self) -> Counter:
        return Counter((row["status"], row["code"]) for row in await self.desk.orders(self.signal_id))


@pytest.fixture
async def begun(desk) -> Begun:
    story = Begun(desk)
    await story.begin_parts()
    return story


class TestParts:
    async def test_the_first_stands_alone_and_the_signal_is_not_planned_yet(self, begun):
        signal = await begun.signal()

        assert (signal["status"], signal["accounts"], signal["planned_at"]) == ("approved", FIRST_PART, None)
        assert len(await begun.planned()) == FIRST_PART
        assert await begun.desk.facts("DecisionApproved", "SignalPlanned") == [
            "DecisionApproved",
            "SignalPlanned",
        ]

    async def test_are_finished_by_whoever_comes_next_each_account_once(self, begun):
        """The first trader died between two parts: nothing of the first one had left."""
        await begun.finish_with_another()

        assert await begun.outcomes() == {("filled", None): ACCOUNTS}
        signal = await begun.signal()
        assert (signal["accounts"], signal["orders"], signal["orders_live"], signal["parts"]) == (8, 8, 0, 2)
        held = {begun.exchange.quantity(number, "BTCUSDT") for number in range(1, ACCOUNTS + 1)}
        assert held == {Decimal("0.005")}

    async def test_one_that_dies_before_its_commit_leaves_no_trace(self, begun):
        once = await begun.desk.state()

        await begun.run_planning(dies=Died)

        assert await begun.desk.state() == once
        await begun.finish_with_another()
        assert await begun.outcomes() == {("filled", None): ACCOUNTS}

    async def test_nothing_more_is_planned_of_a_whole_signal(self, begun):
        await begun.run_planning()
        once = await begun.desk.state()

        assert await begun.run_planning() == []
        assert await begun.desk.state() == once

    async def test_the_signal_is_not_settled_when_its_first_part_is(self, begun):
        await begun.fill_what_is_planned()

        signal = await begun.signal()

        assert (signal["status"], signal["orders_live"], signal["settled_at"]) == ("approved", 0, None)

    async def test_a_signal_whose_last_part_sends_nothing_settles_with_it(self, begun):
        await begun.fill_what_is_planned()
        await begun.desk.put([state_set(now=now())])

        await begun.finish_with_another()

        assert await begun.outcomes() == {
            ("filled", None): FIRST_PART,
            ("denied", "TRADING_HALTED"): ACCOUNTS - FIRST_PART,
        }

    async def test_a_close_waits_until_the_entry_before_it_is_planned_whole(self, begun):
        """A close between two parts would close three accounts and leave five to enter after it."""
        bought = begun.signal_id
        await begun.arrive(Action.CLOSE)
        assert await begun.run_planning() == []

        await begun.finish_with_another()

        assert await begun.outcomes() == {("filled", None): ACCOUNTS}
        assert {row["status"] for row in await begun.desk.orders(bought)} == {"filled"}
        assert {begun.exchange.quantity(number, "BTCUSDT") for number in range(1, 9)} == {0}

    async def test_a_limit_of_the_bot_counts_over_all_of_them(self, desk):
        story = Begun(desk)
        await story.begin_parts(global_max_positions=4)

        await story.finish_with_another()

        assert await story.outcomes() == {("filled", None): 4, ("denied", "POSITIONS_AT_LIMIT"): 4}

    async def test_what_cannot_be_planned_is_denied_and_what_was_planned_trades(self, begun):
        await begun.fill_what_is_planned()
        await begun.desk.rows("ALTER TABLE grounded RENAME TO grounded_elsewhere")

        await begun.finish_with_another()

        assert await begun.outcomes() == {
            ("filled", None): FIRST_PART,
            ("denied", "DESK_FAILED"): ACCOUNTS - FIRST_PART,
        }

    @pytest.mark.parametrize("accounts", [1, FIRST_PART, ACCOUNTS])
    async def test_closes_that_wait_together_close_each_symbol_once(self, desk, accounts):
        """They are planned in one go where the bot has few accounts, else each in parts; buys between them stay buys."""
        symbols = ["BTCUSDT", *(f"S{number}USDT" for number in range(5))]
        for symbol in symbols[1:]:
            desk.exchange.list_also(symbol, price="3000")
        await desk.put(configured(accounts=accounts, now=now(), max_concurrent_positions=10))
        await desk.start_trader("trader-1")
        bought = [await desk.signal(instruction(now=now(), symbol=symbol)) for symbol in symbols[:5]]
        await desk.settled(*bought)
        await desk.stop()
        asked = [
            *(instruction(Action.CLOSE, symbol=symbol, now=now()) for symbol in symbols[:3]),
            instruction(now=now(), symbol=symbols[5]),
            *(instruction(Action.CLOSE, symbol=symbol, now=now()) for symbol in (*symbols[2:5], symbols[5])),
        ]

        sent = [await desk.signal(one) for one in asked]
        await desk.start_trader("trader-2")
        await desk.settled(*sent)

        codes = [{row["code"] for row in await desk.orders(signal_id)} for signal_id in sent]
        assert codes.pop(4) <= {"NOTHING_OPEN", "EXIT_IN_FLIGHT"}, "the symbol is being closed already"
        assert codes == [{None}] * 7
        for symbol in symbols:
            assert {desk.exchange.quantity(number, symbol) for number in range(1, accounts + 1)} == {0}

    async def test_two_traders_plan_one_signal_once(self, desk):
        accounts = 2 * FIRST_PART * 32  # three parts
        await desk.put(configured(accounts=accounts, now=now()))
        for name in ("trader-1", "trader-2"):
            await desk.start_trader(name)

        signals = [
            await desk.signal(instruction(action, now=now())) for action in (Action.ENTER, Action.CLOSE)
        ]
        await desk.settled(*signals)

        for signal_id in signals:
            rows = await desk.orders(signal_id)
            assert Counter(row["status"] for row in rows) == {"filled": accounts}
            assert len({row["account_id"] for row in rows}) == accounts

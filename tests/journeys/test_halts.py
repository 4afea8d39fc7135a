"""
A trader is told to stop: what has not left stays here, what is on the wire gets its answer, exits go on.

F092, seen from inside: the halt is done when nothing it forbids can leave any more, and that is on the worker's row.
"""

import asyncio
from decimal import Decimal

from pregao.domain.bot import SameSide
from pregao.domain.facts import AccountConfigured
from pregao.domain.order import Side
from pregao.domain.position import PositionStatus
from pregao.domain.signal import Action
from pregao.domain.trading_state import DESK, TradingState, scope_of_account, scope_of_user
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.trading_states import PostgresTradingStates
from tests.builders import account, configured, instruction, state_set, user
from tests.journeys.conftest import now

HALTED, REDUCING, ACTIVE = TradingState.HALTED, TradingState.REDUCING, TradingState.ACTIVE


async def say(desk, scope=DESK, *, version=1, is_heard=True, **changes):
    """Set a state as the API would, and ring."""
    await desk.put([state_set(scope, now=desk.exchange.clock(), version=version, **changes)])
    if is_heard:
        for doorbell in desk._doorbells:
            doorbell.ring("states")


async def waiting_for(desk, version=1):
    return await PostgresTradingStates(desk.journal.pool).unseen_by(version)


async def acknowledged(desk, version=1, *, seconds_max=5):
    async with asyncio.timeout(seconds_max):
        while await waiting_for(desk, version):
            await asyncio.sleep(0.01)


async def submitted(desk, count):
    async with asyncio.timeout(5):
        while len(desk.exchange.submitted) < count:
            await asyncio.sleep(0.005)


async def codes(desk, signal_id):
    return [(row["status"], row["code"]) for row in await desk.orders(signal_id)]


class TestTheTrader:
    async def test_f092_takes_back_what_waits_and_acknowledges_when_the_wire_is_silent(self, desk):
        await desk.put(configured(accounts=4, now=now()))
        await desk.start_trader(orders_in_flight_max=1)
        answer = desk.exchange.hold_next()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)

        await say(desk)
        await desk.until(
            "SELECT count(*) = 3 FROM orders WHERE status = 'denied' AND code = 'TRADING_HALTED'"
        )
        while_on_the_wire = await waiting_for(desk)
        answer.set()
        await acknowledged(desk)

        assert while_on_the_wire == ["trader-1"]
        await desk.settled(bought)
        assert len(desk.exchange.submitted) == 1
        assert sorted(await codes(desk, bought)) == [("denied", "TRADING_HALTED")] * 3 + [("filled", None)]
        assert await desk.rows("SELECT FROM positions WHERE status = 'pending'") == []
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_f092_acknowledges_what_has_no_answer_once_that_is_known(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        desk.exchange.lose_next_answer()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)

        await say(desk)
        await acknowledged(desk)

        await desk.settled(bought)
        assert await codes(desk, bought) == [("filled", None)]

    async def test_x11_lets_exits_leave_and_keeps_them_when_they_are_blocked(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))

        await say(desk, block_exits=True)
        await acknowledged(desk)
        kept = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(kept)
        await say(desk, version=2)
        await acknowledged(desk, 2)
        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(closed)

        assert await codes(desk, kept) == [("denied", "EXITS_BLOCKED")]
        assert await codes(desk, closed) == [("filled", None)]
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_takes_back_an_exit_that_waits_when_exits_are_blocked(self, desk):
        await desk.put(configured(accounts=2, now=now()))
        await desk.start_trader(orders_in_flight_max=1)
        await desk.settled(await desk.signal(instruction(now=now())))
        answer = desk.exchange.hold_next()
        closing = await desk.signal(instruction(Action.CLOSE, now=now()))
        await submitted(desk, 3)

        await say(desk, block_exits=True)
        await desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'denied' AND code = 'EXITS_BLOCKED'")
        answer.set()
        await acknowledged(desk)

        await desk.settled(closing)
        statuses = [row["status"] for row in await desk.rows("SELECT status FROM positions ORDER BY status")]
        assert statuses == [PositionStatus.CLOSED, PositionStatus.OPEN]

    async def test_lets_what_is_on_its_way_go_on_when_it_only_reduces(self, desk):
        await desk.put(configured(accounts=3, now=now()))
        await desk.start_trader(orders_in_flight_max=1)
        answer = desk.exchange.hold_next()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)

        await say(desk, state=REDUCING)
        await acknowledged(desk)
        answer.set()
        await desk.settled(bought)
        later = await desk.signal(instruction(now=now(), symbol="BTCUSDT"))
        await desk.until("SELECT status = 'declined' FROM signals WHERE signal_id = $1", later)

        assert await codes(desk, bought) == [("filled", None)] * 3

    async def test_f092_stops_the_accounts_of_one_user_and_no_others(self, desk):
        facts = configured(accounts=3, now=now())
        ana = user()
        facts.append(AccountConfigured(happened_at=now(), account=account(2, user_id=ana.user_id)))
        await desk.put(facts)
        await desk.start_trader(orders_in_flight_max=1)
        answer = desk.exchange.hold_next()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)
        [first] = [attempt.account_id for attempt in desk.exchange.submitted]

        await say(desk, scope_of_user(ana.user_id))
        if first == 2:
            answer.set()
        await acknowledged(desk)
        answer.set()
        await desk.settled(bought)

        stopped = [row["account_id"] for row in await desk.orders(bought) if row["status"] == "denied"]
        assert stopped == ([] if first == 2 else [2])

    async def test_f092_looks_within_a_second_though_nobody_rings(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        await acknowledged(desk, 0)

        await say(desk, is_heard=False)

        await acknowledged(desk, seconds_max=2)

    async def test_f092_stays_halted_through_a_restart(self, desk):
        await desk.put(configured(accounts=2, now=now()))
        await desk.start_trader(orders_in_flight_max=1)
        desk.exchange.hold_next()
        bought = await desk.signal(instruction(now=now()))
        await submitted(desk, 1)
        await say(desk, scope_of_account(1), is_heard=False)
        await say(desk, scope_of_account(2), version=2, is_heard=False)
        await desk.kill()

        desk.exchange.clock.forward(10)
        await desk.start_trader("trader-2")
        await desk.settled(bought)

        assert await codes(desk, bought) == [("denied", "TRADING_HALTED")] * 2
        assert desk.exchange.orders == []

    async def test_trades_again_when_resumed(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        await say(desk)
        await acknowledged(desk)
        await say(desk, version=2, state=ACTIVE)
        await acknowledged(desk, 2)

        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)

        assert await codes(desk, bought) == [("filled", None)]


class TestWaitingEntries:
    async def test_f092_are_denied_when_the_close_they_wait_for_is_done(self, desk):
        """A reverse under way: its exit goes on, its entry must not."""
        await desk.put(configured(accounts=1, now=now(), custom_same_side=SameSide.IGNORE))
        await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        answer = desk.exchange.hold_next()
        turned = await desk.signal(instruction(now=now(), side=Side.SELL))
        await submitted(desk, 2)

        await say(desk)
        answer.set()
        await desk.settled(turned)

        assert sorted(await codes(desk, turned)) == [("denied", "TRADING_HALTED"), ("filled", None)]
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal(0)

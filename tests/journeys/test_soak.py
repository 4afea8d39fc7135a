"""Two traders on one database, an exchange that fails as it likes, a database that goes away: nothing gets lost."""

import asyncio
import contextlib
import os
import random
import sys
from decimal import Decimal

import asyncpg
import pytest

from pregao.domain.order import Side
from pregao.domain.signal import Action
from pregao.domain.venue import OutcomeUnknown, StreamGap
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.trading.trouble import AWAY
from tests.builders import configured, instruction
from tests.journeys.conftest import now

ACCOUNTS = 8
SIGNALS = 40
SYMBOLS = {"BTCUSDT": "95200", "ETHUSDT": "3000", "LTCUSDT": "80"}
QUIET_SECONDS_MAX = 40.0

UNFINISHED = """
SELECT 'signal ' || signal_id || ' ' || status || ' ' || orders_live FROM signals WHERE settled_at IS NULL
UNION ALL
SELECT 'order ' || concat_ws(' ', order_id, account_id, symbol, leg, attempt, status, code, is_dead, quantity, filled_quantity, checks, check_at - now())
FROM orders WHERE status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled')
UNION ALL
SELECT 'position ' || concat_ws(' ', position_id, account_id, symbol, status, entered_quantity, exited_quantity)
FROM positions WHERE status IN ('pending', 'closing')
"""
HELD = """
SELECT account_id, symbol,
       sum((entered_quantity - exited_quantity) * CASE direction WHEN 'long' THEN 1 ELSE -1 END) AS quantity
FROM positions GROUP BY account_id, symbol
"""


class Storm:
    """Everything that can go wrong, from one seed."""

    def __init__(self, desk, chance: random.Random) -> None:
        self.desk = desk
        self.chance = chance
        self.traders: list = []

    async def tell(self, report) -> None:
        """Let one trader's stream tell it, both, or none; sometimes twice."""
        heard = self.chance.choice([[0], [1], [0, 1], [1, 0], [0, 0], []])
        for number in heard:
            with contextlib.suppress(*AWAY):
                await self.traders[number].take(report)

    async def disturb(self, _attempt) -> None:
        """Before an order arrives: wait, lose it, or have none of it."""
        await asyncio.sleep(self.chance.random() * 0.03)
        exchange, dice = self.desk.exchange, self.chance.random()
        if dice < 0.05:
            raise OutcomeUnknown("TIMEOUT", "no answer")
        if dice < 0.15:
            exchange.lose_next_answer(_attempt.account_id)
        elif dice < 0.22:
            exchange.busy_next(_attempt.account_id)
        elif dice < 0.25:
            exchange.refuse_next(account_id=_attempt.account_id)
        exchange.fills_per_order = self.chance.choice([1, 1, 2, 3])

    async def send_signals(self) -> None:
        for _ in range(SIGNALS):
            symbol = self.chance.choice(list(SYMBOLS))
            if self.chance.random() < 0.5:
                side = self.chance.choice([Side.BUY, Side.SELL])
                asked = instruction(now=now(), symbol=symbol, side=side)
            else:
                share = self.chance.choice([None, None, Decimal("0.5")])
                asked = instruction(Action.CLOSE, now=now(), symbol=symbol, share=share)
            with contextlib.suppress(*AWAY):  # nobody was told that this one was taken
                await self.desk.signal(asked)
            await asyncio.sleep(self.chance.random() * 0.3)

    async def cut_the_database(self) -> None:
        """Three times, end every connection there is, whatever it is doing."""
        for _ in range(3):
            await asyncio.sleep(0.5 + self.chance.random() * 2)
            connection = await asyncpg.connect(self.desk.dsn)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await connection.close()

    async def trade_by_hand(self) -> None:
        """Somebody sells a part of what we hold, and the streams may tell it or not."""
        for _ in range(6):
            await asyncio.sleep(self.chance.random())
            account_id = self.chance.randint(1, ACCOUNTS)
            held = self.desk.exchange.quantity(account_id, "ETHUSDT")
            if abs(held) > Decimal("0.002"):
                await self.desk.exchange.trade(
                    account_id,
                    symbol="ETHUSDT",
                    side=Side.SELL if held > 0 else Side.BUY,
                    quantity=Decimal("0.001"),
                )


async def quiet(desk) -> None:
    """Wait until nothing is under way any more."""
    by = asyncio.get_running_loop().time() + QUIET_SECONDS_MAX
    while rows := [row[0] for row in await desk.rows(UNFINISHED)]:
        assert asyncio.get_running_loop().time() < by, rows
        await asyncio.sleep(0.1)


@pytest.mark.extra
class TestSoak:
    async def test_ends_with_every_signal_settled_and_the_books_of_the_venue(self, desk, capsys):
        seed = int(os.environ.get("PREGAO_TEST_SEED", random.randrange(10_000)))
        with capsys.disabled():  # a failure is repeated with this seed
            sys.stdout.write(f"\nPREGAO_TEST_SEED={seed} ")
        storm = Storm(desk, random.Random(seed))
        for symbol, price in SYMBOLS.items():
            desk.exchange.list_also(symbol, price=price)
        await desk.put(configured(accounts=ACCOUNTS, now=now(), max_concurrent_positions=3))
        storm.traders = [await desk.start_trader("trader-1"), await desk.start_trader("trader-2")]
        desk.exchange.tell = storm.tell
        desk.exchange.before_each = storm.disturb

        await asyncio.gather(storm.send_signals(), storm.cut_the_database(), storm.trade_by_hand())
        desk.exchange.before_each = None
        for account_id in range(1, ACCOUNTS + 1):
            gap = StreamGap(account_id=account_id, connected_at=now())
            await asyncio.gather(*(trader.take(gap) for trader in storm.traders))
        await quiet(desk)
        while any(trader.floor.doubts._gaps or trader.floor._tasks for trader in storm.traders):
            await asyncio.sleep(0.1)

        for row in await desk.rows(HELD):
            at_venue = desk.exchange.quantity(row["account_id"], row["symbol"])
            assert at_venue == row["quantity"], (row["account_id"], row["symbol"])
        sent = [order.client_order_id for _, order in desk.exchange.orders]
        assert len(sent) == len(set(sent))
        executed = {order.client_order_id[:27] for _, order in desk.exchange.orders}
        assert len(executed) == len(sent), "an order was executed by two of its attempts"
        assert (await compare_with_journal(desk.journal)).differences == ()

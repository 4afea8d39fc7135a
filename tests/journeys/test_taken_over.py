"""Another trader takes a venue's accounts over: it asks what happened there before it opens anything on them."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from pregao.decisions.ports import RECONCILE_SECONDS_MAX
from pregao.domain.account import Venue
from pregao.domain.order import Leg, Side, client_order_id, order_id
from pregao.domain.signal import Action
from pregao.domain.venue import RetryLater, StreamGap
from pregao.edges.postgres import checks
from pregao.edges.postgres.journal import desk_id
from pregao.proof.books import is_quiet
from pregao.trading.doubts import GAP_SECONDS
from tests.builders import configured, instruction
from tests.fake_exchange import FakeExchange
from tests.journeys.conftest import now

STRANGERS = "p" + "z" * 26 + "1"  # of an order of ours whose signal was forgotten, too


@pytest.fixture
async def holding(desk):
    """A desk whose first account holds bitcoin and whose second holds nothing; its trader died, nobody listens."""
    await desk.put(configured(accounts=2, now=now()))
    desk.exchange.list_also("ETHUSDT", price="3000")
    await desk.start_trader()
    await desk.settled(await desk.signal(instruction(now=now())))
    await desk.kill()
    desk.exchange.stream_is_down = True
    await desk.exchange.trade(2, side=Side.SELL, quantity=Decimal("0.005"))
    trader = await desk.start_trader("trader-2")
    await trader.gaps.close(2)
    await desk.until("SELECT count(*) = 1 FROM positions WHERE status = 'closed'")
    return desk, trader


class TestTakenOver:
    async def test_an_entry_waits_until_the_past_is_known(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        entry = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
        await asyncio.sleep(1.2)
        assert await desk.orders(entry) == []

        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(entry)

        assert [row["status"] for row in await desk.orders(entry)] == ["filled", "filled"]

    async def test_an_account_whose_past_stays_unknown_opens_nothing_and_the_others_trade(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        entry = await desk.signal(instruction(now=now(), symbol="ETHUSDT"))
        await desk.settled(entry, seconds_max=RECONCILE_SECONDS_MAX + 10)

        orders = await desk.orders(entry)
        assert [(row["status"], row["code"]) for row in orders] == [
            ("denied", "ACCOUNT_NOT_RECONCILED"),
            ("filled", None),
        ]

    async def test_a_close_waits_for_nothing(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        await desk.settled(await desk.signal(instruction(Action.CLOSE, now=now())), seconds_max=3)

        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_what_was_closed_by_hand_meanwhile_is_known_before_the_next_entry(self, holding):
        """Believing the old books, the entry would have been taken for an add, and ignored."""
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))

        entry = await desk.signal(instruction(now=now()))
        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(entry)

        assert [row["status"] for row in await desk.orders(entry)] == ["filled", "filled"]
        reasons = await desk.rows("SELECT close_reason FROM positions WHERE status = 'closed'")
        assert [row["close_reason"] for row in reasons] == ["closed_outside", "closed_outside"]

    async def test_a_second_take_over_keeps_the_first_ones_doubt(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)
        [before] = await desk.rows("SELECT * FROM account_checks")

        await trader.take_over(Venue.PAPER)

        [after] = await desk.rows("SELECT * FROM account_checks")
        assert (before["account_id"], after["unreconciled_since"]) == (1, before["unreconciled_since"])


class TestLiquidated:
    @pytest.mark.parametrize(
        ("sent_as", "reason"),
        [
            ("autoclose-1762957200000", "liquidated"),
            ("adl_autoclose", "deleveraged"),
            ("settlement_autoclose-1762957200000", "settled"),
            ("web_5kLqPz", "closed_outside"),
        ],
    )
    async def test_the_position_says_who_closed_it(self, holding, sent_as, reason):
        desk, trader = holding
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"), client_order_id=sent_as)

        await trader.take(StreamGap(account_id=1, connected_at=now()))

        await desk.until("SELECT count(*) = 0 FROM positions WHERE closed_at IS NULL")
        [position] = await desk.rows("SELECT close_reason FROM positions WHERE account_id = 1")
        assert position["close_reason"] == reason


class TestComparedInTurn:
    async def test_every_account_is_looked_at_without_being_asked(self, holding):
        desk, trader = holding
        await trader.take_over(Venue.PAPER)

        await desk.until("SELECT count(*) = 2 FROM account_checks WHERE agreed_at IS NOT NULL")

    async def test_what_somebody_bought_unseen_is_found_and_keeps_entries_out(self, holding):
        desk, trader = holding
        await desk.exchange.trade(2, side=Side.BUY, quantity=Decimal("0.003"))
        await trader.take_over(Venue.PAPER)

        await desk.until("SELECT count(*) = 1 FROM foreign_positions WHERE quantity = 0.003", seconds_max=30)

        await desk.until(
            "SELECT agreed_at IS NULL AND checked_at IS NOT NULL FROM account_checks WHERE account_id = 2"
        )

    async def test_two_traders_share_the_round(self, holding):
        desk, _ = holding
        await checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=0)

        claims = await asyncio.gather(
            *(checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=2) for _ in range(4))
        )

        assert sorted(account for claimed in claims for account in claimed) == [1, 2]

    async def test_holding_accounts_come_back_sooner_than_flat_ones(self, holding):
        desk, _ = holding
        await checks.claim_due(desk.journal.pool, [Venue.PAPER], limit=2)

        rows = await desk.rows(
            "SELECT due_at - clock_timestamp() AS pause FROM account_checks ORDER BY account_id"
        )

        assert rows[0]["pause"] < timedelta(seconds=checks.CHECK_HOLDING_SECONDS) < rows[1]["pause"]


class TradedWhileLookedAt(FakeExchange):
    """Its owner sells right after the positions were read, once."""

    async def positions(self, *, account_id, symbol=None):
        held = await super().positions(account_id=account_id, symbol=symbol)
        if not self.trades:
            await self.trade(account_id, side=Side.SELL, quantity=Decimal("0.003"))
            await asyncio.sleep(0.1)
        return held


class ReadsThePast(FakeExchange):
    """Its first read of positions shows the account as it was before its trades."""

    async def positions(self, *, account_id, symbol=None):
        held = await super().positions(account_id=account_id, symbol=symbol)
        self.asked["positions"] += 1
        return [] if self.asked["positions"] == 1 else held


class AnswersEverySecondTime(FakeExchange):
    """Once something has traded, every second read of positions finds the minute's weight used up."""

    async def positions(self, *, account_id, symbol=None):
        self.asked["positions"] += bool(self.trades)
        if self.trades and self.asked["positions"] % 2 == 0:
            raise RetryLater("WEIGHT_NEARLY_USED", "later", retry_after_seconds=1.0)
        return await super().positions(account_id=account_id, symbol=symbol)


class TestTradedByHand:
    async def test_nothing_is_entered_on_top_from_the_moment_it_is_told_and_the_others_trade(self, desk):
        """Before it counts as foreign it must be seen twice, seconds apart: an entry came in between."""
        await desk.put(configured(accounts=2, now=now()))
        await desk.start_trader()
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.003"))
        await desk.until("SELECT count(*) = 1 FROM fills")

        entry = await desk.signal(instruction(now=now()))
        await desk.settled(entry, seconds_max=3)

        codes = [(row["status"], row["code"]) for row in await desk.orders(entry)]
        assert codes == [("denied", "ACCOUNT_NOT_RECONCILED"), ("filled", None)]

    async def test_a_look_that_began_before_it_does_not_let_entries_in(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange = TradedWhileLookedAt(clock=desk.exchange.clock)
        trader = await desk.start_trader()

        trader.floor.doubts.compare_now(1)
        await desk.until("SELECT count(*) = 1 FROM fills")
        await asyncio.sleep(0.3)

        [check] = await desk.rows("SELECT must_compare, checked_at FROM account_checks")
        assert tuple(check) == (True, None)

    async def test_a_read_that_lags_behind_it_does_not_let_entries_in(self, desk):
        """An entry came in between and closed what the owner had bought: the books kept what no exit could close any more."""
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange = ReadsThePast(clock=desk.exchange.clock)
        await desk.start_trader()
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.003"))
        await desk.until("SELECT count(*) = 1 FROM account_checks WHERE must_compare")
        while not desk.exchange.asked["positions"]:
            await asyncio.sleep(0.05)

        entry = await desk.signal(instruction(now=now()))
        await desk.settled(entry, seconds_max=30)

        assert [row["code"] for row in await desk.orders(entry)] == ["ACCOUNT_NOT_RECONCILED"]
        assert not await is_quiet(desk.journal.pool)
        await desk.until("SELECT count(*) = 1 FROM foreign_positions WHERE quantity = -0.003", seconds_max=30)
        await desk.until("SELECT count(*) = 0 FROM account_checks WHERE must_compare")
        assert await is_quiet(desk.journal.pool)

    async def test_what_was_seen_counts_also_where_the_venue_did_not_answer_in_between(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        exchange = desk.exchange = AnswersEverySecondTime(clock=desk.exchange.clock)
        trader = await desk.start_trader()
        await exchange.trade(1, side=Side.SELL, quantity=Decimal("0.003"))

        for looks in (2, 3):
            while exchange.asked["positions"] < looks - 1:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)  # what it saw is written
            trader.floor.doubts.compare_now(1)

        await desk.until("SELECT count(*) = 1 FROM foreign_positions WHERE quantity = -0.003", seconds_max=30)
        assert exchange.asked["positions"] < 5

    async def test_a_close_by_hand_keeps_nothing_out(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.005"))
        await desk.until("SELECT count(*) = 1 FROM positions WHERE status = 'closed'")

        again = await desk.signal(instruction(now=now()))
        await desk.settled(again)

        assert [row["status"] for row in await desk.orders(again)] == ["filled"]


class TestRestored:
    """A backup was put back: the books have forgotten orders that were sent."""

    async def test_what_was_bought_and_forgotten_is_not_bought_again(self, desk):
        await desk.put(configured(accounts=2, now=now()))
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.005"))  # ours, once
        trader = await desk.start_trader()
        await checks.mark_forgotten(desk.journal.pool)
        await trader.take_over(Venue.PAPER)
        entry = await desk.signal(instruction(now=now()))
        for account_id in (1, 2):
            await trader.take(StreamGap(account_id=account_id, connected_at=now()))

        await desk.settled(entry, seconds_max=30)

        first, second = await desk.orders(entry)
        assert first["code"] in ("ACCOUNT_NOT_RECONCILED", "FOREIGN_POSITION")
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.005")
        await desk.until(
            "SELECT count(*) = 0 FROM account_checks WHERE unreconciled_since IS NOT NULL", seconds_max=30
        )
        again = await desk.signal(instruction(now=now()))
        await desk.settled(again)
        assert [row["code"] for row in await desk.orders(again)] == [
            "FOREIGN_POSITION",
            "SAME_SIDE_OPEN" if second["status"] == "filled" else None,
        ]

    async def test_an_exit_that_was_sent_and_forgotten_is_not_sent_again(self, desk):
        """The close was there before the backup, its order was not; meanwhile something else was bought again."""
        past = await Past.of(desk)
        close = await past.arrive(Action.CLOSE)
        await past.send_and_forget(close, Side.SELL, "0.005")
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.004"), client_order_id=STRANGERS)

        await past.put_back()
        await desk.settled(close, seconds_max=30)

        [order] = await desk.orders(close)
        assert (order["status"], order["code"], order["attempt"]) == ("denied", "NOTHING_OPEN", 0)
        assert [row["close_reason"] for row in await desk.rows("SELECT close_reason FROM positions")] == [
            "signal"
        ]
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.004")

    async def test_an_exit_waits_until_the_trades_are_told_and_then_closes_what_is_left(self, desk):
        past = await Past.of(desk)
        await desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.002"), client_order_id=STRANGERS)
        trader = await past.put_back(is_told=False)
        close = await past.arrive(Action.CLOSE)
        await desk.until("SELECT count(*) = 1 FROM orders WHERE code = 'ACCOUNT_NOT_RECONCILED'")
        await asyncio.sleep(1.2)
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.003")

        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(close)

        [order] = await desk.orders(close)
        assert (order["status"], order["quantity"]) == ("filled", Decimal("0.003"))
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_a_stream_that_cannot_be_followed_keeps_no_exit_waiting(self, desk):
        past = await Past.of(desk)
        await past.put_back(is_told=False)

        await desk.settled(await past.arrive(Action.CLOSE), seconds_max=GAP_SECONDS + 10)

        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_a_share_that_was_closed_and_forgotten_is_not_closed_twice(self, desk):
        past = await Past.of(desk)
        close = await past.arrive(Action.CLOSE, share=Decimal("0.4"))
        await past.send_and_forget(close, Side.SELL, "0.002")

        await past.put_back()
        await desk.settled(close)

        [order] = await desk.orders(close)
        assert (order["status"], order["code"]) == ("denied", "EXIT_BEFORE_RESTORE")
        assert desk.exchange.quantity(1, "BTCUSDT") == Decimal("0.003")

    async def test_a_rest_is_closed_under_a_number_that_was_never_sent(self, desk):
        """The venue ended the forgotten close early: what it left is closed, and nothing is found under one id twice."""
        past = await Past.of(desk)
        close = await past.arrive(Action.CLOSE)
        await past.send_and_forget(close, Side.SELL, "0.003")

        await past.put_back()
        await desk.settled(close)

        [order] = await desk.orders(close)
        assert (order["status"], order["quantity"]) == ("filled", Decimal("0.002"))
        assert order["client_order_id"] != await past.id_of(close)
        assert desk.exchange.quantity(1, "BTCUSDT") == 0

    async def test_a_dead_attempt_is_not_given_up_before_a_forgotten_later_one_is_known(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        desk.exchange.fail_next(RetryLater("-1008", "busy", retry_after_seconds=30))
        await desk.start_trader()
        entry = await desk.signal(instruction(now=now()))
        await desk.until("SELECT count(*) = 1 FROM orders WHERE is_dead")
        await desk.kill()
        await desk.rows("UPDATE orders SET check_at = clock_timestamp()")
        past = Past(desk, await desk_id(desk.journal))
        [planned] = await desk.orders(entry)
        second = client_order_id(planned["order_id"], attempt=2)
        await desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.005"), client_order_id=second)

        trader = await past.put_back(is_told=False)
        await asyncio.sleep(1.0)
        await trader.take(StreamGap(account_id=1, connected_at=now()))
        await desk.settled(entry)

        [order] = await desk.orders(entry)
        assert (order["status"], order["attempt"]) == ("filled", 1)
        [position] = await desk.rows("SELECT status, entered_quantity FROM positions")
        assert tuple(position) == ("open", Decimal("0.005"))

    async def test_a_signal_from_before_it_opens_nothing_and_one_from_after_it_does(self, desk):
        """Entered and closed in the forgotten time, it would be entered a second time."""
        await desk.put(configured(accounts=1, now=now()))
        entry = await desk.signal(instruction(now=now()))
        await checks.mark_forgotten(desk.journal.pool)
        await checks.mark_reconciled(desk.journal.pool, 1)
        await checks.note_check(desk.journal.pool, 1, agrees=True)
        await desk.start_trader()

        await desk.settled(entry)
        later = await desk.signal(instruction(now=now()))
        await desk.settled(later)

        assert [row["code"] for row in await desk.orders(entry)] == ["SIGNAL_BEFORE_RESTORE"]
        assert [row["status"] for row in await desk.orders(later)] == ["filled"]

    async def test_what_a_forgotten_order_closed_and_what_an_own_one_opened_are_told_in_their_order(
        self, desk
    ):
        """The entry was known, its fill was not; told first, the forgotten close would have closed nothing."""
        desk.exchange.stream_is_down = True
        await desk.put(configured(accounts=1, now=now()))
        executed = desk.exchange.hang_after_next()
        await desk.start_trader()
        entry = await desk.signal(instruction(now=now()))
        await executed.wait()
        await desk.kill()
        past = Past(desk, await desk_id(desk.journal))
        close = await past.arrive(Action.CLOSE)
        await past.send_and_forget(close, Side.SELL, "0.005")

        await past.put_back()
        await desk.settled(entry, close)

        [position] = await desk.rows("SELECT status, entered_quantity, exited_quantity FROM positions")
        assert tuple(position) == ("closed", Decimal("0.005"), Decimal("0.005"))


class Past:
    """What a desk with one account did after its backup was made: the venue knows, the books do not."""

    def __init__(self, desk, desk_uuid) -> None:
        self.desk = desk
        self.desk_uuid = desk_uuid

    @classmethod
    async def of(cls, desk) -> "Past":
        """Let a desk buy 0.005 bitcoin, and end."""
        await desk.put(configured(accounts=1, now=now()))
        await desk.start_trader()
        await desk.settled(await desk.signal(instruction(now=now())))
        await desk.kill()
        return cls(desk, await desk_id(desk.journal))

    async def arrive(self, action, **changes):
        return await self.desk.signal(instruction(action, now=now(), **changes))

    async def id_of(self, signal_id, *, attempt: int = 1) -> str:
        [position] = await self.desk.rows("SELECT position_id FROM positions")
        own = order_id(
            desk_id=self.desk_uuid,
            signal_id=signal_id,
            account_id=1,
            leg=Leg.EXIT,
            position_id=position["position_id"],
        )
        return client_order_id(own, attempt=attempt)

    async def send_and_forget(self, signal_id, side, quantity: str, *, attempt: int = 1) -> None:
        await self.desk.exchange.trade(
            1,
            side=side,
            quantity=Decimal(quantity),
            client_order_id=await self.id_of(signal_id, attempt=attempt),
        )

    async def put_back(self, *, is_told: bool = True):
        """Put the backup back: it is noticed, and another trader begins."""
        self.desk.exchange.stream_is_down = False
        await checks.mark_forgotten(self.desk.journal.pool)
        trader = await self.desk.start_trader("trader-9")
        await trader.take_over(Venue.PAPER)
        if is_told:
            await trader.take(StreamGap(account_id=1, connected_at=now()))
        return trader

"""A thousand random signals over thirty accounts at a venue that misbehaves: afterwards all books agree (F055)."""

import asyncio
import os
import random
from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import AccountConfigured, BotConfigured, SubscriptionConfigured
from pregao.domain.order import LIVE, Side, order_of
from pregao.domain.signal import Action
from pregao.domain.venue import StreamGap
from pregao.edges.postgres.performance import PostgresPerformances
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.views import PostgresReceipts
from tests.builders import account, arrival, bot, instruction, subscription
from tests.journeys.conftest import now
from tests.recomputed import Sums, daily_sums, round_trips, summed

SIGNALS = 1_000
ACCOUNTS = 30
BOTS = 10
FOLLOWERS = 4  # accounts per bot, more than are planned at once; each account follows one or two bots
SYMBOLS = {"BTCUSDT": "95200.0", "ETHUSDT": "3000.0", "SOLUSDT": "150.0", "LTCUSDT": "80.0"}
SEED = int(os.environ.get("PREGAO_TEST_SEED", "20261121"))


def say(line: str) -> None:
    """Show up where the test fails: the seed replays the run."""
    print(line)  # noqa: T201


class Trouble:
    """Makes a venue misbehave by chance, and remembers how often it did."""

    def __init__(self, exchange, chance: random.Random) -> None:
        self._exchange = exchange
        self._chance = chance
        self.hits: Counter[str] = Counter()

    def arrange(self, account_ids) -> None:
        for account_id in account_ids:
            fault = self._chance.choices(
                ["none", "lost_answer", "lost_order", "refused", "busy", "delayed", "parts"],
                weights=[80, 5, 3, 4, 4, 3, 1],
            )[0]
            self.hits[fault] += 1
            match fault:
                case "lost_answer":
                    self._exchange.lose_next_answer(account_id)
                case "lost_order":
                    self._exchange.lose_next_order(account_id)
                case "refused":
                    self._exchange.refuse_next(account_id=account_id)
                case "busy":
                    self._exchange.busy_next(account_id)
                case "delayed":
                    self._exchange.delay_next(self._chance.uniform(0.001, 0.05), account_id)
                case "parts":
                    self._exchange.fills_per_order = self._chance.choice([1, 2, 3])

    def move_prices(self) -> None:
        for symbol, price in self._exchange.prices.items():
            drift = Decimal(self._chance.randint(-30, 30)) / 10_000
            self._exchange.prices[symbol] = (price * (1 + drift)).quantize(Decimal("0.1"))


def desk_of(chance: random.Random) -> tuple[list[Bot], list[Subscription]]:
    bots = [bot(bot_id=UUID(int=1_000 + number), webhook_path=f"bot-{number}") for number in range(BOTS)]
    subscriptions = []
    for number, one in enumerate(bots):
        followers = [(number * 3 + place) % ACCOUNTS + 1 for place in range(FOLLOWERS)]
        subscriptions += [
            subscription(
                account_id,
                bot_id=one.bot_id,
                subscription_id=UUID(int=10_000 * (number + 1) + account_id),
                custom_leverage=chance.choice([None, 5, 20]),
                custom_margin_usd=chance.choice([None, Decimal(20), Decimal(120)]),
                max_concurrent_positions=chance.choice([1, 2, 3, 3]),
            )
            for account_id in followers
        ]
    return bots, subscriptions


class Sender:
    """Mostly buys and closes in turn, as a strategy does; sometimes it does anything."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._is_open: set[tuple[UUID, str]] = set()

    def asks(self, bot_id: UUID, now):
        chance = self._chance
        symbol = list(SYMBOLS)[(bot_id.int + chance.choice([0, 0, 0, 1])) % len(SYMBOLS)]
        action = Action.CLOSE if (bot_id, symbol) in self._is_open else Action.ENTER
        action = chance.choices(
            [action, Action.ENTER, Action.CLOSE, Action.CLOSE_ALL], weights=[85, 6, 6, 3]
        )[0]
        if action is Action.ENTER:
            self._is_open.add((bot_id, symbol))
        else:
            self._is_open.discard((bot_id, symbol))
        share = chance.choice([None, None, None, Decimal("0.5")]) if action is Action.CLOSE else None
        return instruction(
            action,
            side=chance.choice(list(Side)),
            now=now,
            send_before=now + timedelta(minutes=10),  # a busy machine may be far behind
            symbol=None if action is Action.CLOSE_ALL else symbol,
            share=share,
        )


@pytest.mark.long
class TestThousandSignals:
    async def test_reconcile_to_the_last_decimal(self, desk):
        say(f"PREGAO_TEST_SEED={SEED}")
        chance = random.Random(SEED)
        exchange = desk.exchange
        exchange.clock.forward(
            -SIGNALS // 20 - 10
        )  # it is helped along: what got lost is believed so in time
        for symbol, price in SYMBOLS.items():
            exchange.list_also(symbol, price=price)
        bots, subscriptions = desk_of(chance)
        await desk.put(
            [
                *(BotConfigured(happened_at=now(), bot=one) for one in bots),
                *(AccountConfigured(happened_at=now(), account=account(n)) for n in range(1, ACCOUNTS + 1)),
                *(SubscriptionConfigured(happened_at=now(), subscription=one) for one in subscriptions),
            ]
        )
        followers = {
            one.bot_id: [s.account_id for s in subscriptions if s.bot_id == one.bot_id] for one in bots
        }
        trouble = Trouble(exchange, chance)
        trader = await desk.start_trader()

        signals = await self._send_all(desk, trader, trouble, followers, chance)
        await self._come_to_rest(desk, trader)

        say(f"faults: {dict(trouble.hits)}")
        assert all(trouble.hits[name] for name in ("lost_answer", "lost_order", "refused", "busy", "parts"))
        await self._counters_agree(desk, signals, followers)
        await self._receipts_agree(desk, signals, followers)
        await self._fills_agree(desk)
        await self._positions_agree(desk)
        await self._nothing_happened_twice(desk)
        await self._results_agree(desk)
        await self._executions_agree(desk)
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def _send_all(self, desk, trader, trouble, followers, chance) -> dict[UUID, UUID]:
        signals: dict[UUID, UUID] = {}
        sender = Sender(chance)
        for burst in range(SIGNALS // 20):
            desk.exchange.stream_is_down = burst % 10 in (4, 5)
            if burst % 10 == 6:
                for account_id in range(1, ACCOUNTS + 1):
                    await trader.take(StreamGap(account_id=account_id, connected_at=desk.exchange.clock()))
            sent_at = desk.exchange.clock()
            facts = []
            for _ in range(20):
                bot_id = chance.choice(list(followers))
                trouble.arrange(chance.sample(followers[bot_id], 2))
                facts += arrival(sender.asks(bot_id, sent_at), bot_id=bot_id, now=sent_at)
                signals[facts[-2].signal_id] = bot_id
            trouble.move_prices()
            await desk.put(facts)
            desk.ring()
            desk.exchange.clock.forward(1)
            await self._let_most_settle(desk)
        desk.exchange.stream_is_down = False
        return signals

    async def _let_most_settle(self, desk) -> None:
        """A flood would only meet orders in flight: every account's next signal comes when most are through."""
        for _ in range(20):
            await asyncio.sleep(0.04)
            if await desk.journal.pool.fetchval("SELECT count(*) < 8 FROM signals WHERE settled_at IS NULL"):
                return

    async def _come_to_rest(self, desk, trader) -> None:
        """What was lost is only believed lost when its window has closed; the clock is helped along."""
        try:
            await asyncio.wait_for(self._settle_all(desk), timeout=300)
        except TimeoutError:
            stuck = await desk.rows(
                "SELECT * FROM orders WHERE status = ANY($1)", [one.value for one in LIVE]
            )
            raise AssertionError(f"never settled: {[dict(row) for row in stuck[:3]]}") from None
        while trader.floor._tasks:
            await asyncio.gather(*trader.floor._tasks, return_exceptions=True)

    async def _settle_all(self, desk) -> None:
        while await desk.journal.pool.fetchval("SELECT count(*) FROM signals WHERE settled_at IS NULL"):
            await self._let_orders_leave(desk)
            desk.exchange.clock.forward(1)
            await desk.rows(
                """
                UPDATE orders SET check_at = clock_timestamp() WHERE order_id IN (
                    SELECT order_id FROM orders WHERE check_at > clock_timestamp()
                    ORDER BY order_id FOR UPDATE SKIP LOCKED)
                """
            )
            await asyncio.sleep(0.3)

    async def _let_orders_leave(self, desk) -> None:
        """On a slow machine an attempt's window must not close before it was sent, or none ever is."""
        for _ in range(20):
            if not await desk.journal.pool.fetchval("SELECT count(*) FROM orders WHERE status = 'planned'"):
                return
            await asyncio.sleep(0.05)

    async def _counters_agree(self, desk, signals, followers) -> None:
        rows = await desk.rows(
            """
            SELECT s.signal_id, s.bot_id, s.status, s.accounts, s.orders, s.orders_live,
                   count(DISTINCT o.account_id) AS seen,
                   (SELECT count(DISTINCT fact ->> 'order_id') FROM journal AS j WHERE j.signal_id = s.signal_id
                      AND j.kind IN ('OrderPlanned', 'OrderDeferred')) AS planned
            FROM signals AS s LEFT JOIN orders AS o USING (signal_id) GROUP BY s.signal_id
            """
        )
        assert {row["signal_id"] for row in rows} == set(signals)
        for row in rows:
            assert (row["status"], row["orders_live"]) == ("settled", 0), dict(row)
            assert row["orders"] == row["planned"], dict(row)
            assert row["accounts"] == row["seen"] == len(followers[row["bot_id"]]), dict(row)

    async def _receipts_agree(self, desk, signals, followers) -> None:
        """Every subscriber is in the receipt, with an end: filled, failed or skipped."""
        receipts = PostgresReceipts(desk.journal.pool)
        outcomes: Counter[str] = Counter()
        for signal_id, bot_id in signals.items():
            receipt = await receipts.find_receipt(signal_id, owner=None)
            outcomes.update(row.outcome for row in receipt.rows)
            success = receipt.count("filled")
            failed = receipt.count("rejected", "expired", "canceled", "partially_filled")
            skipped = receipt.count("denied")
            assert receipt.is_complete
            assert success + failed + skipped == len(receipt.rows)
            assert {row.account_id for row in receipt.rows} == set(followers[bot_id])
        say(f"outcomes: {dict(outcomes)}")
        codes = await desk.rows(
            "SELECT leg, code, count(*) FROM orders GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 12"
        )
        say(f"codes: {[tuple(row) for row in codes]}")
        assert outcomes["filled"] > SIGNALS, "a run in which hardly anything trades proves nothing"

    async def _fills_agree(self, desk) -> None:
        """Each trade of the venue is booked once; each order's sums are those of its trades."""
        booked = await desk.rows("SELECT * FROM fills")
        told = {(number, one.trade_id): one for number, one in desk.exchange.trades}

        assert {(row["account_id"], row["trade_id"]) for row in booked} == set(told)
        assert len(booked) == len(told)
        sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        for row in booked:
            trade = told[row["account_id"], row["trade_id"]]
            assert (row["price"], row["quantity"], row["fee"]) == (
                trade.price,
                trade.quantity,
                trade.commission,
            )
            before = sums[row["order_id"]]
            sums[row["order_id"]] = [
                before[0] + trade.quantity, before[1] + trade.quantity * trade.price, before[2] + trade.commission,
            ]  # fmt: skip
        for order in await desk.rows("SELECT * FROM orders WHERE filled_quantity > 0"):
            assert [order["filled_quantity"], order["filled_notional"], order["fees"]] == sums.pop(
                order["order_id"]
            )
        assert not sums

    async def _positions_agree(self, desk) -> None:
        held: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for row in await desk.rows("SELECT * FROM positions"):
            quantity = row["entered_quantity"] - row["exited_quantity"]
            assert row["status"] in ("open", "closed", "abandoned"), dict(row)
            assert (quantity == 0) is (row["status"] != "open"), dict(row)
            held[row["account_id"], row["symbol"]] += quantity if row["direction"] == "long" else -quantity
        for account_id in range(1, ACCOUNTS + 1):
            for symbol in SYMBOLS:
                assert held[account_id, symbol] == desk.exchange.quantity(account_id, symbol)
        earned = await desk.rows("SELECT sum(realized_pnl) AS pnl FROM positions WHERE status = 'closed'")
        flows = await desk.rows(
            """
            SELECT sum(CASE f.side WHEN 'sell' THEN 1 ELSE -1 END * f.price * f.quantity - f.fee) AS pnl
            FROM fills AS f JOIN positions USING (position_id) WHERE status = 'closed'
            """
        )
        assert earned[0]["pnl"] == flows[0]["pnl"].quantize(Decimal("0.00000001"))

    async def _nothing_happened_twice(self, desk) -> None:
        submitted = Counter(attempt.client_order_id for attempt in desk.exchange.submitted)
        executed = Counter(order_of(order.client_order_id)[0] for _, order in desk.exchange.orders)
        known = {row["client_order_id"] for row in await desk.rows("SELECT client_order_id FROM attempts")}

        assert {name: times for name, times in submitted.items() if times > 1} == {}
        assert {name: times for name, times in executed.items() if times > 1} == {}
        assert set(submitted) <= known, "an order that the journal does not know was sent"
        legs = await desk.rows(
            """
            SELECT signal_id, account_id, leg, position_id FROM orders WHERE filled_quantity > 0
            GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
            """
        )
        assert legs == []

    async def _results_agree(self, desk) -> None:
        """F055: what each subscription earned is what its fills say, in the table, the views and the figures."""
        expected = await daily_sums(desk.journal.pool)
        found = {
            (row["subscription_id"], row["day"], row["symbol"]): Sums(
                row["closed"], row["wins"], row["losses"], row["pnl_usd"], row["gross_pnl_usd"], row["fees_usd"],
                row["loss_usd"], row["notional_usd"],
            )
            for row in await desk.rows("SELECT * FROM daily_results")
        }  # fmt: skip
        assert found == expected
        trips = await round_trips(desk.journal.pool)
        say(f"closed: {summed(trips)}")
        assert len(trips) > SIGNALS / 2, "a run in which hardly anything closes proves nothing"
        views = {row["id"]: row for row in await desk.rows("SELECT * FROM public.bot_subscriptions")}
        history = await desk.rows("SELECT * FROM public.bot_pnl_history ORDER BY snapshot_date")
        latest = {row["subscription_id"]: row for row in history}
        for subscription_id, view in views.items():
            own = summed([trip for trip in trips if trip.subscription_id == subscription_id])
            told = (view["total_pnl_usd"], view["win_count"], view["loss_count"])
            assert told == (own.pnl, own.wins, own.losses), dict(view)
            if own.closed:
                snapshot = latest[subscription_id]
                assert (snapshot["cumulative_pnl_usd"], snapshot["cumulative_trades"]) == (
                    own.pnl,
                    own.closed,
                )
                assert snapshot["win_rate_pct"] == own.win_rate
        trades = await desk.rows("SELECT * FROM public.bot_trades WHERE status = 'closed'")
        assert sorted(row["pnl_usd"] for row in trades) == sorted(trip.pnl for trip in trips)

    async def _executions_agree(self, desk) -> None:
        """F055, B-14: executed, failed, skipped and pending are all that came; nothing is counted twice."""
        counts: dict[UUID, Counter[str]] = defaultdict(Counter)
        for order in await desk.rows("SELECT subscription_id, status, filled_quantity FROM orders"):
            if order["filled_quantity"] > 0:
                did = "executed"
            elif order["status"] in LIVE:
                did = "pending"
            else:
                did = "skipped" if order["status"] == "denied" else "failed"
            counts[order["subscription_id"]][did] += 1
        performances = PostgresPerformances(desk.journal.pool)
        views = {row["id"]: row for row in await desk.rows("SELECT * FROM public.bot_subscriptions")}
        today = now().date()
        for subscription_id, own in counts.items():
            found = await performances.find_subscription_performance(
                subscription_id, owner=None, first_day=today - timedelta(days=1), last_day=today
            )
            assert asdict(found.executions) == {
                "received": own.total(), **{name: own[name] for name in ("executed", "failed", "skipped", "pending")}
            }  # fmt: skip
            view = views[subscription_id]
            assert view["total_signals_received"] == own.total()
            assert (
                view["total_orders_executed"],
                view["total_orders_failed"],
                view["total_orders_skipped"],
            ) == (
                own["executed"],
                own["failed"],
                own["skipped"],
            )

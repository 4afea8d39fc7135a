"""What an account holds decides what a signal does: reversed, added to, replaced, closed in parts, foreign."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.bot import OppositeSide, SameSide
from pregao.domain.facts import AccountConfigured, FillReported, SubscriptionConfigured
from pregao.domain.order import OrderStatus, PositionMode, Side
from pregao.domain.signal import Action
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.market.live import PRICE_AGE_SECONDS_MAX
from pregao.trading.doubts import GAP_SECONDS
from tests.builders import configured, instruction
from tests.journeys.conftest import now

STEP = Decimal("0.005")  # 10x on 50 USD at 95,200, to the step


class Story:
    """One account that follows a bot; signals are waited for."""

    def __init__(self, desk) -> None:
        self.desk = desk

    async def begin(self, *, accounts: int = 1, hedged: bool = False, **rules) -> None:
        facts = configured(
            accounts=accounts, now=now(), custom_leverage=10, custom_margin_usd=Decimal(50), **rules
        )
        if hedged:
            facts = [
                replace(fact, account=replace(fact.account, position_mode=PositionMode.HEDGE))
                if isinstance(fact, AccountConfigured)
                else fact
                for fact in facts
            ]
        await self.desk.put(facts)
        await self.desk.start_trader()

    async def say(self, action: Action = Action.ENTER, side: Side | None = Side.BUY, **changes) -> UUID:
        asked = instruction(action, now=now(), **changes)
        signal_id = await self.desk.signal(
            replace(asked, side=side if action is Action.ENTER else asked.side)
        )
        await self.desk.settled(signal_id)
        return signal_id

    async def rows_of(self, signal_id: UUID):
        rows = await self.desk.orders(signal_id)
        return sorted((row["leg"], row["status"], row["code"]) for row in rows)

    async def positions(self):
        rows = await self.desk.rows("SELECT * FROM positions ORDER BY position_id")
        return [
            (row["direction"], row["status"], row["entered_quantity"] - row["exited_quantity"])
            for row in rows
        ]

    async def agrees(self, *, accounts: int = 1) -> bool:
        """Say whether books, venue and journal agree."""
        for number in range(1, accounts + 1):
            held = await self.desk.rows(
                """
                SELECT coalesce(sum((entered_quantity - exited_quantity)
                                    * CASE direction WHEN 'long' THEN 1 ELSE -1 END), 0) AS held
                FROM positions WHERE account_id = $1 AND status IN ('pending', 'open', 'closing')
                """,
                number,
            )
            if held[0]["held"] != self.desk.exchange.quantity(number, "BTCUSDT"):
                return False
        return (await compare_with_journal(self.desk.journal)).differences == ()


@pytest.fixture
def story(desk) -> Story:
    return Story(desk)


class TestReverse:
    @pytest.mark.parametrize("hedged", [False, True])
    async def test_f053_an_opposite_signal_closes_and_enters_the_other_way(self, story, hedged):
        await story.begin(hedged=hedged)
        await story.say()

        signal_id = await story.say(side=Side.SELL)

        assert await story.rows_of(signal_id) == [("entry", "filled", None), ("exit", "filled", None)]
        assert await story.positions() == [("long", "closed", 0), ("short", "open", STEP)]
        assert await story.agrees()

    async def test_f053_many_accounts_reverse_each_exactly_once(self, story):
        await story.begin(accounts=40)
        await story.say()

        signal_id = await story.say(side=Side.SELL)

        rows = await story.rows_of(signal_id)
        assert rows == [("entry", "filled", None)] * 40 + [("exit", "filled", None)] * 40
        assert len(story.desk.exchange.submitted) == 3 * 40
        assert await story.agrees(accounts=40)

    async def test_f053_a_reverse_that_comes_while_the_entry_fills_exits_whatever_fills(self, story):
        await story.begin()
        held_back = story.desk.exchange.hold_next()
        first = await story.desk.signal(instruction(now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders")

        second = await story.desk.signal(instruction(side=Side.SELL, now=now()))
        await story.desk.until("SELECT count(*) = 3 FROM orders")
        held_back.set()
        await story.desk.settled(first, second)

        assert await story.positions() == [("long", "closed", 0), ("short", "open", STEP)]
        assert await story.agrees()

    async def test_f053_says_reverse_incomplete_when_the_close_leaves_something(self, story):
        await story.begin()
        await story.say()
        story.desk.exchange.stream_is_down = True
        story.desk.exchange.stay_silent()
        signal_id = await story.desk.signal(instruction(side=Side.SELL, now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE leg = 'exit' AND status = 'accepted'")

        story.desk.exchange.end_last_order(OrderStatus.EXPIRED, filled="0.002")
        story.desk.exchange.stay_silent(silent=False)
        await story.desk.settled(signal_id)

        assert await story.rows_of(signal_id) == [
            ("entry", "denied", "REVERSE_INCOMPLETE"),
            ("exit", "expired", None),
        ]
        assert await story.positions() == [("long", "open", Decimal("0.003"))]

    async def test_f053_a_close_that_comes_while_the_reverse_waits_leaves_the_account_flat(self, story):
        await story.begin()
        await story.say()
        held_back = story.desk.exchange.hold_next()
        reverse = await story.desk.signal(instruction(side=Side.SELL, now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")

        close = await story.desk.signal(instruction(Action.CLOSE, now=now()))
        await story.desk.until(
            "SELECT count(*) = 1 FROM orders WHERE status = 'denied' AND code = 'CLOSED_MEANWHILE'"
        )
        held_back.set()
        await story.desk.settled(reverse, close)

        assert await story.positions() == [("long", "closed", 0)]
        assert await story.agrees()

    async def test_f051_a_reverse_whose_limits_cannot_be_looked_up_closes_and_does_not_enter(self, story):
        await story.begin()
        await story.say()
        held_back = story.desk.exchange.hold_next()
        signal_id = await story.desk.signal(instruction(side=Side.SELL, now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")

        await story.desk.rows("ALTER TABLE daily_results RENAME COLUMN counted_loss_usd TO mislaid")
        held_back.set()
        await story.desk.settled(signal_id)

        assert await story.rows_of(signal_id) == [
            ("entry", "denied", "DESK_FAILED"),
            ("exit", "filled", None),
        ]
        assert await story.positions() == [("long", "closed", 0)]

    async def test_f052_two_reverses_that_end_at_once_share_the_places_there_are(self, story):
        """Both entries waited, and one place is left: whoever is planned second must see the first."""
        desk = story.desk
        desk.exchange.list_also("ETHUSDT", price="3000")
        await story.begin(max_concurrent_positions=2)
        await story.say()
        await story.say(symbol="ETHUSDT")
        desk.exchange.stream_is_down = True
        reverses = [
            await desk.signal(instruction(side=Side.SELL, symbol=symbol, now=now()))
            for symbol in ("BTCUSDT", "ETHUSDT")
        ]
        await desk.until("SELECT count(*) = 2 FROM orders WHERE leg = 'exit' AND status = 'accepted'")
        [narrower] = configured(now=now(), custom_leverage=10, custom_margin_usd=Decimal(50))[-1:]
        assert isinstance(narrower, SubscriptionConfigured)
        await desk.put(
            [replace(narrower, subscription=replace(narrower.subscription, max_concurrent_positions=1))]
        )

        await desk.traders[0].floor.record(
            [
                FillReported(happened_at=now(), account_id=number, trade=trade)
                for number, trade in desk.exchange.trades[-2:]
            ]
        )
        desk.exchange.stream_is_down = False
        await desk.settled(*reverses)

        assert sorted(status for _, status, _ in await story.positions()) == ["closed", "closed", "open"]
        [denied] = await desk.rows("SELECT code FROM orders WHERE leg = 'entry' AND status = 'denied'")
        assert denied["code"] == "POSITIONS_AT_LIMIT"

    async def test_opposite_close_only_closes(self, story):
        await story.begin(custom_opposite_side=OppositeSide.CLOSE)
        await story.say()

        signal_id = await story.say(side=Side.SELL)

        assert await story.rows_of(signal_id) == [("exit", "filled", None)]
        assert await story.positions() == [("long", "closed", 0)]


class TestSameSide:
    async def test_f053_adds_into_one_position(self, story):
        await story.begin(custom_same_side=SameSide.ADD)
        await story.say()

        await story.say()

        assert await story.positions() == [("long", "open", 2 * STEP)]
        assert await story.agrees()

    async def test_f053_an_add_that_is_refused_leaves_the_position_as_it_was(self, story):
        await story.begin(custom_same_side=SameSide.ADD)
        await story.say()
        story.desk.exchange.refuse_next()

        signal_id = await story.say()

        assert await story.rows_of(signal_id) == [("entry", "rejected", "-2019")]
        assert await story.positions() == [("long", "open", STEP)]

    async def test_f053_replaces_by_a_new_position(self, story):
        await story.begin(custom_same_side=SameSide.REPLACE)
        await story.say()

        signal_id = await story.say()

        assert await story.rows_of(signal_id) == [("entry", "filled", None), ("exit", "filled", None)]
        assert await story.positions() == [("long", "closed", 0), ("long", "open", STEP)]


class TestShares:
    async def test_a_full_close_behind_the_close_of_a_share_closes_the_rest(self, story):
        await story.begin()
        await story.say()
        held_back = story.desk.exchange.hold_next()
        share = await story.desk.signal(instruction(Action.CLOSE, share=Decimal("0.4"), now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE leg = 'exit'")

        whole = await story.desk.signal(instruction(Action.CLOSE, now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")
        held_back.set()
        await story.desk.settled(share, whole)

        fills = await story.desk.rows("SELECT quantity FROM fills WHERE side = 'sell' ORDER BY booked_at")
        assert [row["quantity"] for row in fills] == [Decimal("0.002"), Decimal("0.003")]
        assert await story.positions() == [("long", "closed", 0)]

    async def test_a_share_that_waits_for_the_entry_closes_only_the_share(self, story):
        await story.begin()
        held_back = story.desk.exchange.hold_next()
        entry = await story.desk.signal(instruction(now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders")

        share = await story.desk.signal(instruction(Action.CLOSE, share=Decimal("0.4"), now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")
        held_back.set()
        await story.desk.settled(entry, share)

        assert await story.positions() == [("long", "open", Decimal("0.003"))]

    async def test_a_share_that_waits_longer_than_a_price_is_fresh_closes_only_the_share(self, story):
        await story.begin()
        held_back = story.desk.exchange.hold_next()
        entry = await story.desk.signal(instruction(now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders")
        share = await story.desk.signal(instruction(Action.CLOSE, share=Decimal("0.4"), now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")

        story.desk.exchange.clock.forward(PRICE_AGE_SECONDS_MAX + 1)
        held_back.set()
        await story.desk.settled(entry, share)

        assert await story.positions() == [("long", "open", Decimal("0.003"))]

    async def test_a_share_too_small_to_close_holds_up_nobody_behind_it(self, story):
        await story.begin()
        held_back = story.desk.exchange.hold_next()
        entry = await story.desk.signal(instruction(now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders")
        small = await story.desk.signal(instruction(Action.CLOSE, share=Decimal("0.1"), now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")
        whole = await story.desk.signal(instruction(Action.CLOSE, now=now()))
        await story.desk.until("SELECT count(*) = 2 FROM orders WHERE status = 'deferred'")

        held_back.set()
        await story.desk.settled(entry, small, whole)

        assert await story.rows_of(small) == [("exit", "denied", "QUANTITY_BELOW_MINIMUM")]
        assert await story.rows_of(whole) == [("exit", "filled", None)]
        assert await story.positions() == [("long", "closed", 0)]

    async def test_a_share_too_small_to_close_leaves_the_position_closable(self, story):
        await story.begin()
        held_back = story.desk.exchange.hold_next()
        entry = await story.desk.signal(instruction(now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders")
        small = await story.desk.signal(instruction(Action.CLOSE, share=Decimal("0.1"), now=now()))
        await story.desk.until("SELECT count(*) = 1 FROM orders WHERE status = 'deferred'")
        held_back.set()
        await story.desk.settled(entry, small)

        await story.say(Action.CLOSE)

        assert await story.positions() == [("long", "closed", 0)]


class TestForeign:
    async def test_what_somebody_bought_by_hand_keeps_entries_out_until_it_is_sold(self, story):
        await story.begin()
        await story.desk.exchange.trade(1, side=Side.BUY, quantity=Decimal("0.3"))
        await story.desk.until("SELECT coalesce(sum(quantity), 0) = 0.3 FROM foreign_positions")

        signal_id = await story.say()
        assert await story.rows_of(signal_id) == [("entry", "denied", "FOREIGN_POSITION")]

        await story.desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.3"))
        await story.desk.until("SELECT coalesce(sum(quantity), 0) = 0 FROM foreign_positions")
        signal_id = await story.say()
        assert await story.rows_of(signal_id) == [("entry", "filled", None)]

    @pytest.mark.parametrize(
        ("by_hand", "outcome"),
        [("0.005", ("exit", "rejected", "-2022")), ("0.003", ("exit", "expired", None))],
    )
    async def test_f057_a_close_that_finds_less_than_is_held_asks_what_a_hand_has_closed(
        self, story, by_hand, outcome
    ):
        """Nobody told of that trade: without asking, the rest would be held in the books for ever."""
        await story.begin()
        await story.say()
        story.desk.exchange.stream_is_down = True
        await story.desk.exchange.trade(1, side=Side.SELL, quantity=Decimal(by_hand))
        story.desk.exchange.stream_is_down = False

        signal_id = await story.say(Action.CLOSE)
        story.desk.exchange.clock.forward(GAP_SECONDS)
        await story.desk.until("SELECT status = 'closed' FROM positions")

        assert await story.rows_of(signal_id) == [outcome]
        assert await story.agrees()

    async def test_f053_a_larger_sale_by_hand_closes_ours_outside_and_leaves_the_rest_foreign(self, story):
        await story.begin()
        await story.say()

        await story.desk.exchange.trade(1, side=Side.SELL, quantity=Decimal("0.02"))
        await story.desk.until("SELECT coalesce(sum(quantity), 0) = -0.015 FROM foreign_positions")

        [position] = await story.desk.rows("SELECT status, close_reason FROM positions")
        assert tuple(position) == ("closed", "closed_outside")
        assert (await compare_with_journal(story.desk.journal)).differences == ()

"""The engine, one behaviour at a time: what it takes, what it refuses and with which code."""

from decimal import Decimal

import pytest

from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.domain.venue import MarginMode
from pregao.simulation.books import AlgoStatus, OrderKind
from pregao.simulation.commands import (
    CancelAlgo,
    CancelOrder,
    ModifyOrder,
    SetCountdown,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
)
from pregao.simulation.refusals import ExchangeError
from tests.simulation.exchange_stories import KEY, Story


def refusal_of(act):
    with pytest.raises(ExchangeError) as caught:
        act()
    return caught.value.code


class TestPlaceOrder:
    def test_fills_a_market_buy_at_the_ask_and_charges_the_taker_fee(self):
        story = Story()

        order = story.order(Side.BUY, "0.01")

        assert (order.status, order.average_price) == (OrderStatus.FILLED, Decimal(90_000))
        assert story.position().quantity == Decimal("0.01")
        assert story.account.wallet == Decimal("9999.55")

    def test_fills_a_market_sell_at_the_bid(self):
        assert Story().order(Side.SELL, "0.01").average_price == Decimal("89999.9")

    def test_fills_in_parts_what_is_larger_than_the_quoted_depth(self):
        story = Story(balance="1000000", depth_usdt="900")

        story.order(Side.BUY, "0.05")

        prices = [(fill.price, fill.quantity) for fill in story.account.fills]
        assert prices == [
            (Decimal("90000.0"), Decimal("0.010")),
            (Decimal("90000.1"), Decimal("0.020")),
            (Decimal("90000.2"), Decimal("0.020")),
        ]

    def test_gives_trade_ids_and_order_ids_that_only_grow(self):
        story = Story()

        orders = [story.order(Side.BUY, "0.002") for _ in range(3)]

        numbers = [order.order_id for order in orders]
        trades = [fill.trade_id for fill in story.account.fills]
        assert numbers == sorted(set(numbers))
        assert trades == sorted(set(trades))

    @pytest.mark.parametrize(
        ("quantity", "changes", "code"),
        [
            ("0", {}, -4003),
            ("-1", {}, -4003),
            ("0.0105", {}, -1111),
            ("500", {}, -4005),
            ("0.001", {}, -4164),
            ("5", {}, -2019),
            ("0.01", {"limit": "90000.05"}, -1111),
            ("0.01", {"limit": "0"}, -4001),
            ("0.01", {"limit": "99000"}, -4016),
            ("0.01", {"limit": "70000", "side": Side.SELL}, -4024),
            ("0.01", {"limit": "90000", "time_in_force": ""}, -1102),
            ("0.01", {"limit": "90000", "time_in_force": "ABC"}, -1115),
            ("0.01", {"limit": "90000", "time_in_force": "GTX"}, -5022),
            ("0.01", {"limit": "90000", "time_in_force": "GTD"}, -1130),
            ("0.01", {"client_order_id": "has a space"}, -4015),
            ("0.01", {"client_order_id": "x" * 37}, -4015),
            ("0.01", {"position_side": PositionSide.LONG}, -4061),
            ("0.01", {"reduce_only": True}, -2022),
            ("0.01", {"symbol": "NOPEUSDT"}, -1121),
        ],
    )
    def test_refuses_by_code_and_changes_nothing(self, quantity, changes, code):
        story = Story()
        side = changes.pop("side", Side.BUY)

        assert refusal_of(lambda: story.order(side, quantity, **changes)) == code
        assert (story.account.orders, story.account.fills) == ({}, [])

    def test_refuses_a_price_between_two_ticks(self):
        """XRPUSDT has four digits and a step of one tenth: five digits are too many, 0.05 is between steps."""
        story = Story()

        assert refusal_of(lambda: story.order(Side.BUY, "10.05", symbol="XRPUSDT")) == -1111

    def test_refuses_a_market_order_when_the_best_price_is_far_from_the_mark(self):
        story = Story()
        story.price("BTCUSDT", "90000", mark="80000")

        assert refusal_of(lambda: story.order(Side.BUY)) == -4131

    def test_refuses_a_client_id_only_while_it_is_open(self):
        story = Story()
        story.order(Side.BUY, limit="89000", client_order_id="one")

        assert refusal_of(lambda: story.order(Side.BUY, client_order_id="one")) == -4116

    def test_frees_the_client_id_of_a_filled_order(self):
        story = Story()
        first = story.order(Side.BUY, client_order_id="one")

        second = story.order(Side.BUY, client_order_id="one")

        assert (first.order_id, story.account.latest_orders["one"]) == (second.order_id - 1, second.order_id)

    def test_exempts_reducing_orders_from_the_smallest_notional(self):
        story = Story()
        story.order(Side.BUY, "0.002")

        order = story.order(Side.SELL, "0.001", reduce_only=True)

        assert order.status is OrderStatus.FILLED

    def test_trims_a_reducing_order_to_the_position(self):
        story = Story()
        story.order(Side.BUY, "0.01")

        order = story.order(Side.SELL, "0.05", reduce_only=True)

        assert (order.quantity, story.position().quantity) == (Decimal("0.01"), 0)

    def test_sends_conditional_kinds_to_the_algo_endpoint(self):
        story = Story()
        command = {"kind": OrderKind.STOP_MARKET}

        with pytest.raises(TypeError):
            story.order(**command)
        assert refusal_of(lambda: story.algo(kind=OrderKind.MARKET)) == -1116

    def test_refuses_more_than_the_leverage_carries(self):
        story = Story(balance="100000000")
        story.exchange.execute(SetLeverage(at_ms=1, key=KEY, symbol="BTCUSDT", leverage=125))

        assert refusal_of(lambda: story.order(Side.BUY, "1")) == -2027

    def test_tells_new_account_and_trade_in_this_order(self):
        story = Story()

        story.order(Side.BUY)

        assert story.told == [("OrderTold", "NEW"), ("AccountTold", ""), ("OrderTold", "TRADE")]


class TestLimitOrders:
    def test_rest_until_the_price_comes_and_fill_as_maker(self):
        story = Story()
        order = story.order(Side.BUY, limit="89000")

        story.price("BTCUSDT", "88999")

        assert (order.status, order.average_price) == (OrderStatus.FILLED, Decimal(89_000))
        assert story.account.fills[0].commission == Decimal("0.178")

    def test_take_at_once_what_is_marketable(self):
        order = Story().order(Side.BUY, limit="90100")

        assert (order.status, order.average_price) == (OrderStatus.FILLED, Decimal(90_000))

    @pytest.mark.parametrize(("time_in_force", "filled"), [("IOC", "0.010"), ("FOK", "0")])
    def test_expire_what_cannot_be_had_at_once(self, time_in_force, filled):
        story = Story(balance="1000000", depth_usdt="900")

        order = story.order(Side.BUY, "0.05", limit="90000", time_in_force=time_in_force)

        assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, Decimal(filled))

    def test_can_be_modified_and_canceled_once(self):
        story = Story()
        order = story.order(Side.BUY, limit="89000")

        story.exchange.execute(
            ModifyOrder(
                at_ms=1,
                key=KEY,
                order_id=order.order_id,
                quantity=Decimal("0.02"),
                limit_price=Decimal(88_000),
            )
        )
        story.exchange.execute(CancelOrder(at_ms=2, key=KEY, order_id=order.order_id))

        assert (order.quantity, order.status) == (Decimal("0.02"), OrderStatus.CANCELED)
        assert (
            refusal_of(lambda: story.exchange.execute(CancelOrder(at_ms=3, key=KEY, order_id=order.order_id)))
            == -2011
        )

    def test_are_canceled_by_a_countdown_that_is_not_renewed(self):
        story = Story()
        order = story.order(Side.BUY, limit="89000")
        story.exchange.execute(
            SetCountdown(at_ms=story.now_ms, key=KEY, symbol="BTCUSDT", countdown_ms=5_000)
        )

        story.wait(4_999)
        before = order.status
        story.wait(1)

        assert (before, order.status) == (OrderStatus.ACCEPTED, OrderStatus.CANCELED)

    def test_that_reduce_expire_when_the_position_is_gone(self):
        story = Story()
        story.order(Side.BUY)
        order = story.order(Side.SELL, limit="91000", reduce_only=True)

        story.order(Side.SELL, reduce_only=True)

        assert order.status is OrderStatus.EXPIRED


class TestHedgeMode:
    def test_asks_for_the_position_side_and_forbids_reduce_only(self):
        story = Story(mode=PositionMode.HEDGE)

        assert refusal_of(story.order) == -4061
        assert refusal_of(lambda: story.order(position_side=PositionSide.LONG, reduce_only=False)) == -1106

    def test_holds_both_sides_at_once(self):
        story = Story(mode=PositionMode.HEDGE)

        story.order(Side.BUY, "0.02", position_side=PositionSide.LONG)
        story.order(Side.SELL, "0.01", position_side=PositionSide.SHORT)

        held = [
            story.position(position_side=side).quantity for side in (PositionSide.LONG, PositionSide.SHORT)
        ]
        assert held == [Decimal("0.02"), Decimal("-0.01")]

    def test_refuses_to_close_more_than_is_held(self):
        story = Story(mode=PositionMode.HEDGE)
        story.order(Side.BUY, "0.01", position_side=PositionSide.LONG)

        assert refusal_of(lambda: story.order(Side.SELL, "0.02", position_side=PositionSide.LONG)) == -2022

    def test_cannot_be_left_with_something_open(self):
        story = Story()
        change = SetPositionMode(at_ms=1, key=KEY, position_mode=PositionMode.HEDGE)
        story.order(Side.BUY)

        assert refusal_of(lambda: story.exchange.execute(change)) == -4068
        story.order(Side.SELL)
        story.exchange.execute(change)
        assert refusal_of(lambda: story.exchange.execute(change)) == -4059


class TestConditionalOrders:
    def test_trigger_into_a_real_order_under_the_same_client_id(self):
        story = Story()
        story.order(Side.BUY)
        algo = story.algo(trigger="89000", close_position=True, quantity=None, client_algo_id="stop")
        story.told.clear()

        story.price("BTCUSDT", "88990")

        assert (algo.status, story.position().quantity) == (AlgoStatus.FINISHED, 0)
        assert story.account.orders[algo.order_id].client_order_id == "stop"
        assert [word for name, word in story.told if name == "AlgoTold"] == [
            "TRIGGERING",
            "TRIGGERED",
            "FINISHED",
        ]

    def test_refuse_what_would_trigger_at_once(self):
        assert refusal_of(lambda: Story().algo(Side.SELL, "95000")) == -2021

    def test_refuse_to_close_a_position_that_is_not_there(self):
        assert refusal_of(lambda: Story().algo(close_position=True, quantity=None)) == -4509

    def test_expire_when_the_position_they_close_is_gone(self):
        story = Story()
        story.order(Side.BUY)
        algo = story.algo(close_position=True, quantity=None)

        story.order(Side.SELL, reduce_only=True)

        assert algo.status is AlgoStatus.EXPIRED

    def test_are_rejected_at_the_trigger_when_the_real_order_is(self):
        story = Story()
        story.order(Side.BUY)
        algo = story.algo(trigger="89000", reduce_only=True)
        story.order(Side.SELL)

        story.price("BTCUSDT", "88990")

        assert (algo.status, algo.reason) == (AlgoStatus.REJECTED, "Reduce Only reject")

    def test_trail_the_best_price(self):
        story = Story()
        story.order(Side.BUY)
        algo = story.algo(kind=OrderKind.TRAILING_STOP_MARKET, trigger=None, callback_percent=Decimal(1))

        story.price("BTCUSDT", "100000")
        raised = algo.trigger_price
        story.price("BTCUSDT", "99000")

        assert (raised, algo.status) == (Decimal(99_000), AlgoStatus.FINISHED)

    def test_can_be_canceled_while_they_wait(self):
        story = Story()
        algo = story.algo()

        story.exchange.execute(CancelAlgo(at_ms=1, key=KEY, algo_id=algo.algo_id))

        assert algo.status is AlgoStatus.CANCELED
        assert (
            refusal_of(lambda: story.exchange.execute(CancelAlgo(at_ms=2, key=KEY, algo_id=algo.algo_id)))
            == -2011
        )

    def test_are_at_most_two_hundred(self):
        story = Story()
        for _ in range(200):
            story.algo()

        assert refusal_of(story.algo) == -4045


class TestMargin:
    def test_liquidates_under_an_id_of_the_venue_and_never_below_zero(self):
        story = Story(balance="500")
        story.order(Side.BUY, "0.1")

        story.price("BTCUSDT", "84000")
        story.wait(1_000)

        last = list(story.account.orders.values())[-1]
        assert last.client_order_id.startswith("autoclose-")
        assert (story.position().quantity, story.account.wallet) == (0, 0)
        assert ("OrderTold", "CALCULATED") in story.told

    def test_an_isolated_position_loses_no_more_than_its_own_margin(self):
        story = Story(balance="10000")
        story.exchange.execute(
            SetMarginMode(at_ms=1, key=KEY, symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED)
        )
        story.order(Side.BUY, "0.1")
        bound = story.position().isolated_wallet

        story.price("BTCUSDT", "80000")
        story.wait(1_000)

        fee_of_entry = Decimal("4.5")
        assert (bound, story.position().quantity) == (Decimal(450), 0)
        assert story.account.wallet == Decimal(10_000) - bound - fee_of_entry

    def test_warns_before_it_liquidates(self):
        story = Story(balance="500")
        story.order(Side.BUY, "0.1")

        story.price("BTCUSDT", "85430")
        story.wait(1_000)

        assert story.told[-1][0] == "MarginCalled"

    def test_settles_funding_at_the_eight_hour_marks(self):
        story = Story()
        story.wait(1)
        story.order(Side.BUY, "0.1")
        wallet = story.account.wallet

        story.wait(8 * 3_600_000)
        story.wait(1)

        assert wallet - story.account.wallet == Decimal("0.9")
        assert story.account.incomes[-1].kind == "FUNDING_FEE"

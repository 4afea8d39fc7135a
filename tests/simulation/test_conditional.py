"""Conditional orders in the engine: their rules, what a trigger makes of them, and what may go wrong with it."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain import protection
from pregao.domain.order import OrderStatus, PositionMode, PositionSide, Side
from pregao.simulation.books import AlgoStatus, OrderKind, TriggerFate
from pregao.simulation.commands import CancelAlgo, SpoilTrigger
from pregao.simulation.events import AlgoTold, OrderTold
from pregao.simulation.refusals import ExchangeError
from pregao.simulation.reports import PROTECTION_STATUSES
from tests.simulation.exchange_stories import KEY, Story

CLOSE = {"close_position": True, "quantity": None}


def refusal_of(act):
    with pytest.raises(ExchangeError) as refusal:
        act()
    return refusal.value.code


def holding(**changes):
    """Give a story with a long position of 0.01 BTC at about 90,000."""
    story = Story(**changes)
    story.order(Side.BUY)
    story.told.clear()
    return story


def spoil(story, algo, fate, **changes):
    story.exchange.execute(
        SpoilTrigger(at_ms=story.now_ms, key=KEY, algo_id=algo.algo_id, fate=fate, **changes)
    )


def words(story):
    return [word for name, word in story.told if name == "AlgoTold"]


class TestPlacing:
    def test_takes_one_closing_stop_and_one_closing_target_in_each_direction(self):
        story = holding()
        story.algo(trigger="80000", **CLOSE)
        story.algo(trigger="99000", kind=OrderKind.TAKE_PROFIT_MARKET, **CLOSE)

        assert refusal_of(lambda: story.algo(trigger="81000", **CLOSE)) == -4130
        assert (
            refusal_of(lambda: story.algo(trigger="98000", kind=OrderKind.TAKE_PROFIT_MARKET, **CLOSE))
            == -4130
        )

    def test_takes_a_stop_with_a_quantity_beside_a_closing_one(self):
        """This is how a closing stop is moved without a moment in which nothing stands."""
        story = holding()
        first = story.algo(trigger="80000", **CLOSE)
        bridge = story.algo(trigger="81000", reduce_only=True)

        story.price("BTCUSDT", "80900")

        assert (bridge.status, first.status) == (AlgoStatus.FINISHED, AlgoStatus.EXPIRED)
        assert story.position().quantity == 0

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({**CLOSE, "reduce_only": True}, -1106),
            ({"close_position": True}, -4137),
            ({**CLOSE, "kind": OrderKind.STOP, "limit_price": Decimal(79_000)}, -4136),
            ({"trigger": None}, -1102),
            ({"trigger": "80000.05"}, -1111),
            ({"working_type": "INDEX_PRICE"}, -1130),
            ({"time_in_force": "SOON"}, -1115),
            ({"time_in_force": "GTD", "good_till_ms": 1}, -1130),
            ({"position_side": PositionSide.LONG}, -4061),
            ({"quantity": None}, -1102),
            ({"quantity": "0.0001"}, -1111),
        ],
    )
    def test_is_refused_with_the_venues_code(self, changes, code):
        assert refusal_of(lambda: holding().algo(**changes)) == code

    def test_of_hedge_mode_names_its_side_and_never_reduce_only(self):
        story = Story(mode=PositionMode.HEDGE)
        story.order(Side.BUY, position_side=PositionSide.LONG)
        long = {"position_side": PositionSide.LONG}

        assert refusal_of(lambda: story.algo(**CLOSE)) == -4061
        assert refusal_of(lambda: story.algo(reduce_only=True, **long)) == -1106
        assert refusal_of(lambda: story.algo(Side.BUY, "99000", **CLOSE, **long)) == -4509
        assert story.algo(**CLOSE, **long).status is AlgoStatus.NEW

    @pytest.mark.parametrize(("side", "activate"), [(Side.SELL, "90000"), (Side.BUY, "90100")])
    def test_of_a_trailing_stop_refuses_an_activation_price_already_reached(self, side, activate):
        story = Story()

        def place():
            story.algo(
                side,
                None,
                kind=OrderKind.TRAILING_STOP_MARKET,
                callback_percent=Decimal(1),
                activate_price=Decimal(activate),
            )

        assert refusal_of(place) == -2021


class TestTriggering:
    def test_is_told_after_what_the_real_order_did_at_once(self):
        """Seen at the venue: the matching engine's word is faster than that of whoever watches the prices."""
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        story.told.clear()

        story.price("BTCUSDT", "88990")

        assert [told for told in story.told if told[0] != "AccountTold"] == [
            ("AlgoTold", "TRIGGERING"),
            ("OrderTold", "NEW"),
            ("OrderTold", "TRADE"),
            ("AlgoTold", "TRIGGERED"),
            ("AlgoTold", "FINISHED"),
        ]
        assert (algo.actual_quantity, story.account.orders[algo.order_id].algo_id) == (
            Decimal("0.01"),
            algo.algo_id,
        )

    def test_never_tells_triggered_of_what_the_engine_refuses(self):
        story = Story()
        story.order(Side.BUY)
        algo = story.algo(trigger="89000", reduce_only=True)
        story.order(Side.SELL)
        story.told.clear()

        story.price("BTCUSDT", "88990")

        assert (words(story), algo.order_id) == (["TRIGGERING", "REJECTED"], 0)

    def test_looks_at_the_margin_only_then(self):
        story = Story(balance="1000")
        algo = story.algo(Side.BUY, "91000", "1")

        story.price("BTCUSDT", "91010")

        assert (algo.status, algo.reason) == (AlgoStatus.REJECTED, "Margin is insufficient.")

    def test_never_comes_after_its_date(self):
        story = holding()
        algo = story.algo(
            trigger="89000", reduce_only=True, time_in_force="GTD", good_till_ms=story.now_ms + 700_000
        )

        story.wait(700_000)
        story.price("BTCUSDT", "88990")

        assert (algo.status, story.position().quantity) == (AlgoStatus.EXPIRED, Decimal("0.01"))

    def test_a_closing_one_expires_where_the_position_has_turned_round(self):
        """One fill that flips the position leaves the old direction's stop standing, and nothing for it to close."""
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        story.order(Side.SELL, "0.02")

        story.price("BTCUSDT", "88990")

        assert (algo.status, story.position().quantity) == (AlgoStatus.EXPIRED, Decimal("-0.01"))

    def test_trims_a_reducing_one_to_what_is_left(self):
        story = holding()
        algo = story.algo(trigger="89000", quantity="0.05", reduce_only=True)

        story.price("BTCUSDT", "88990")

        assert (algo.actual_quantity, story.position().quantity) == (Decimal("0.01"), 0)

    def test_watches_the_price_it_was_told_to(self):
        story = holding()
        last, mark = story.algo(trigger="89000"), story.algo(trigger="89000", working_type="MARK_PRICE")

        story.price("BTCUSDT", "88990", mark="89500")

        assert (last.status, mark.status) == (AlgoStatus.FINISHED, AlgoStatus.NEW)

    def test_with_price_protection_waits_until_mark_and_last_agree(self):
        story = holding()
        algo = story.algo(trigger="85000", price_protect=True, **CLOSE)

        story.price("BTCUSDT", "84000", mark="90000")
        held_back = algo.status
        story.price("BTCUSDT", "84000", mark="86000")

        assert (held_back, algo.status) == (AlgoStatus.NEW, AlgoStatus.FINISHED)

    def test_of_a_limit_kind_leaves_an_order_at_its_limit(self):
        story = holding()
        algo = story.algo(trigger="89000", kind=OrderKind.STOP, limit_price=Decimal(89_500), reduce_only=True)

        story.price("BTCUSDT", "88990")
        rests = story.account.orders[algo.order_id]
        assert words(story)[-1] == "TRIGGERED"
        resting = (algo.status, rests.status)
        story.price("BTCUSDT", "89600")

        assert resting == (AlgoStatus.TRIGGERED, OrderStatus.ACCEPTED)
        assert (algo.status, rests.status) == (AlgoStatus.FINISHED, OrderStatus.FILLED)


class TestFates:
    def test_stuck_stays_triggering_and_cannot_be_canceled(self):
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        spoil(story, algo, TriggerFate.STUCK)
        story.told.clear()

        story.price("BTCUSDT", "88990")
        story.wait(86_400_000)

        assert (words(story), algo.status, algo.order_id) == (["TRIGGERING"], AlgoStatus.TRIGGERING, 0)
        assert (story.position().quantity, story.account.find_open_algos()) == (Decimal("0.01"), [])

    def test_stuck_for_a_while_goes_on_by_itself(self):
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        spoil(story, algo, TriggerFate.STUCK, stuck_ms=5_000)
        story.price("BTCUSDT", "88990")

        story.wait(4_999)
        still = algo.status
        story.wait(1)

        assert (still, algo.status, story.position().quantity) == (
            AlgoStatus.TRIGGERING,
            AlgoStatus.FINISHED,
            0,
        )

    @pytest.mark.parametrize(
        ("how", "ends"),
        [(CLOSE, AlgoStatus.EXPIRED), ({"reduce_only": True}, AlgoStatus.REJECTED)],
        ids=["closing", "reducing"],
    )
    def test_stuck_and_late_never_opens_what_was_closed_meanwhile(self, how, ends):
        story = holding()
        algo = story.algo(trigger="89000", **how)
        spoil(story, algo, TriggerFate.STUCK, stuck_ms=5_000)
        story.price("BTCUSDT", "88990")
        story.order(Side.SELL, reduce_only=True)

        story.wait(5_000)

        assert (algo.status, story.position().quantity) == (ends, 0)

    def test_rejected_ends_without_an_order_and_says_why(self):
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        spoil(story, algo, TriggerFate.REJECTED, code=-2019)
        story.told.clear()

        story.price("BTCUSDT", "88990")

        assert (words(story), algo.reason) == (["TRIGGERING", "REJECTED"], "Margin is insufficient.")
        assert (story.position().quantity, algo.order_id) == (Decimal("0.01"), 0)

    def test_unfilled_is_finished_with_nothing_done(self):
        """FINISHED says that the real order has ended; only its quantity says how."""
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        spoil(story, algo, TriggerFate.UNFILLED)

        story.price("BTCUSDT", "88990")

        order = story.account.orders[algo.order_id]
        assert (algo.status, algo.actual_quantity) == (AlgoStatus.FINISHED, 0)
        assert (order.status, order.filled_quantity, story.position().quantity) == (
            OrderStatus.EXPIRED,
            0,
            Decimal("0.01"),
        )

    def test_strike_only_what_still_waits(self):
        story = holding()
        algo = story.algo(trigger="89000", **CLOSE)
        story.price("BTCUSDT", "88990")

        assert refusal_of(lambda: spoil(story, algo, TriggerFate.STUCK)) == -2011


class TestFindingWhatIsDue:
    def test_names_exactly_what_the_price_then_triggers(self):
        story = holding()
        story.algo(trigger="89000", client_algo_id="stop")
        story.algo(trigger="88000", client_algo_id="deeper")
        story.algo(Side.BUY, "91000", client_algo_id="above")
        story.algo(trigger="89000", working_type="MARK_PRICE", client_algo_id="mark")
        story.algo(
            trigger=None,
            kind=OrderKind.TRAILING_STOP_MARKET,
            callback_percent=Decimal(1),
            client_algo_id="trail",
        )
        quote = story.price("BTCUSDT", "90500", mark="90500")
        fallen = type(quote)(
            **{name: getattr(quote, name) for name in quote.__slots__}
            | {
                "last": Decimal(88_990),
                "mark": Decimal(89_600),
                "bid": Decimal(88_990),
                "ask": Decimal(88_990),
            }
        )

        due = {algo.client_algo_id for _, algo in story.exchange.find_due(fallen)}
        before = {algo.client_algo_id for algo in story.account.find_open_algos()}
        story.price("BTCUSDT", "88990", mark="89600")
        after = {algo.client_algo_id for algo in story.account.find_open_algos()}

        assert due == before - after == {"stop", "trail"}


thousandths = st.integers(-60, 60)
lots = st.integers(1, 40)
lives = st.lists(
    st.one_of(
        st.tuples(st.just("price"), thousandths),
        st.tuples(st.just("trade"), st.sampled_from(Side), lots),
        st.tuples(
            st.just("guard"),
            st.sampled_from(
                [OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET, OrderKind.TRAILING_STOP_MARKET]
            ),
            st.sampled_from(Side),
            thousandths,
            st.none() | lots,
            st.none() | st.sampled_from(TriggerFate),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 10)),
    ),
    min_size=5,
    max_size=40,
)


class Witness:
    """Hears everything, and knows what was held before each fill."""

    def __init__(self, story):
        self.story, self.held = story, Decimal(0)
        self.statuses = {}
        story.exchange.listen(self.hear)

    def hear(self, event):
        if isinstance(event, AlgoTold):
            status = PROTECTION_STATUSES[event.algo.status]
            before = self.statuses.get(event.algo.algo_id)
            assert before is None or protection.may_become(before, following=status)
            self.statuses[event.algo.algo_id] = status
        if isinstance(event, OrderTold) and event.fill is not None:
            before, self.held = self.held, self.story.position().quantity
            if event.order.algo_id:
                assert abs(self.held) <= abs(before)
                assert self.held * before >= 0


def live(story, steps):
    def price_at(offset):
        return Decimal(90_000) * (1000 + offset) / 1000

    for word, *rest in steps:
        try:
            match word, rest:
                case "price", [offset]:
                    story.price("BTCUSDT", price_at(offset))
                case "trade", [side, count]:
                    story.order(side, count * Decimal("0.001"))
                case "guard", [kind, side, offset, count, fate]:
                    trails = kind is OrderKind.TRAILING_STOP_MARKET
                    how = (
                        CLOSE
                        if count is None
                        else {"quantity": count * Decimal("0.001"), "reduce_only": True}
                    )
                    if trails:
                        how = how | {"callback_percent": Decimal(1)}
                    algo = story.algo(side, None if trails else price_at(offset), kind=kind, **how)
                    if fate is not None:
                        spoil(story, algo, fate, code=-2019, stuck_ms=offset % 3 * 2_000)
                case "cancel", [place]:
                    waiting = story.account.find_open_algos()
                    number = waiting[place].algo_id if place < len(waiting) else 0
                    story.exchange.execute(CancelAlgo(at_ms=story.now_ms, key=KEY, algo_id=number))
                case "wait", [seconds]:
                    story.wait(seconds * 1_000)
        except ExchangeError:
            continue


class TestProperties:
    @settings(max_examples=150, deadline=None)
    @given(lives)
    def test_never_open_or_turn_a_position_and_end_once(self, steps):
        """Whatever a protective order's fate, late ones included: it only ever makes a position smaller."""
        story = Story(balance="1000000")
        witness = Witness(story)

        live(story, steps)

        algos = story.account.algos.values()
        assert {number: PROTECTION_STATUSES[algo.status] for number, algo in story.account.algos.items()} == (
            witness.statuses
        )
        assert {algo.algo_id for algo in algos if algo.status is AlgoStatus.NEW} == {
            algo.algo_id for algo in story.account.find_open_algos()
        }
        assert {algo.algo_id for algo in algos if algo.status is AlgoStatus.TRIGGERING} == {
            *story.account.stuck_algos
        }
        placed = [order.algo_id for order in story.account.orders.values() if order.algo_id]
        assert len(placed) == len({*placed})

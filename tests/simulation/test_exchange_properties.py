"""What must hold after any sequence of orders and prices."""

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain.order import PositionMode, PositionSide, Side
from pregao.simulation.books import Books
from pregao.simulation.margin import sign_of, summarize
from pregao.simulation.refusals import ExchangeError
from tests.simulation.exchange_stories import Story

SYMBOLS = ("BTCUSDT", "XRPUSDT")
SCALE = {
    "BTCUSDT": (90_000, Decimal("0.001"), Decimal("0.1")),
    "XRPUSDT": (2, Decimal("0.1"), Decimal("0.0001")),
}

order_steps = st.tuples(
    st.just("order"),
    st.sampled_from(SYMBOLS),
    st.sampled_from(Side),
    st.integers(1, 400),
    st.booleans(),
    st.one_of(st.none(), st.integers(-40, 40)),
    st.sampled_from(PositionSide),
)
price_steps = st.tuples(st.just("price"), st.sampled_from(SYMBOLS), st.integers(-80, 80))
stories = st.lists(st.one_of(order_steps, price_steps), min_size=1, max_size=40)


def play(story, steps, *, hedge=False):
    for step in steps:
        scale, lot, tick = SCALE[step[1]]
        if step[0] == "price":
            story.now_ms += 1_000
            story.price(step[1], (Decimal(scale) * (1000 + step[2]) / 1000 // tick) * tick)
            story.wait(0)
            continue
        _, symbol, side, lots, reduces, offset, position_side = step
        limit = None if offset is None else (Decimal(scale) * (1000 + offset) / 1000 // tick) * tick
        changes = {"position_side": position_side} if hedge else {"reduce_only": reduces}
        before = story.position(symbol).quantity
        try:
            story.order(side, lots * lot, symbol=symbol, limit=limit, **changes)
        except ExchangeError:
            continue
        if reduces and not hedge:
            after = story.position(symbol).quantity
            assert abs(after) <= abs(before)
            assert after * before >= 0


def assert_adds_up(story):
    account = story.account
    assert account.wallet == sum(income.amount for income in account.incomes)
    for position in account.positions.values():
        mine = [
            fill
            for fill in account.fills
            if (fill.symbol, fill.position_side) == (position.symbol, position.position_side)
        ]
        assert position.quantity == sum((fill.quantity * sign_of(fill.side) for fill in mine), Decimal(0))
    for order in account.orders.values():
        mine = [fill for fill in account.fills if fill.order_id == order.order_id]
        assert order.filled_quantity == sum((fill.quantity for fill in mine), Decimal(0)) <= order.quantity


class TestExchangeProperties:
    @settings(max_examples=120, deadline=None)
    @given(stories)
    def test_a_position_is_the_sum_of_its_fills_and_reducing_never_flips(self, steps):
        story = Story()

        play(story, steps)

        assert_adds_up(story)

    @settings(max_examples=60, deadline=None)
    @given(stories)
    def test_hedged_positions_never_change_sign(self, steps):
        story = Story(mode=PositionMode.HEDGE)

        play(story, steps, hedge=True)

        assert_adds_up(story)
        for position in story.account.positions.values():
            sign = 1 if position.position_side is PositionSide.LONG else -1
            assert position.quantity * sign >= 0

    @settings(max_examples=100, deadline=None)
    @given(stories)
    def test_wallet_and_unrealized_profit_equal_deposit_and_cash_flow_at_the_marks(self, steps):
        story = Story(balance="1000000")

        play(story, steps)

        account = story.account
        paid = sum((fill.price * fill.quantity * sign_of(fill.side) for fill in account.fills), Decimal(0))
        fees = sum((fill.commission for fill in account.fills), Decimal(0))
        held = sum(
            (
                position.quantity * story.exchange.floor.quote(position.symbol).mark
                for position in account.positions.values()
            ),
            Decimal(0),
        )
        unrealized = summarize(story.exchange.floor, account).unrealized_pnl
        difference = account.wallet + unrealized - (Decimal(1_000_000) - paid - fees + held)
        assert abs(difference) <= Decimal("0.00000001") * (len(account.fills) + 2)

    @settings(max_examples=40, deadline=None)
    @given(stories)
    def test_books_survive_being_written_and_read(self, steps):
        story = Story()
        play(story, steps)

        encoded = msgspec.msgpack.encode(story.exchange.books)

        assert msgspec.msgpack.decode(encoded, type=Books) == story.exchange.books

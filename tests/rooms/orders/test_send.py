"""An attempt is sent once; what is not known for certain is unresolved."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.account import Venue
from pregao.domain.clock import to_ms
from pregao.domain.facts import OrderAccepted, OrderPlanned, OrderRejected, OrderUnresolved
from pregao.domain.order import Leg, PositionSide, Side, client_order_id
from pregao.domain.venue import MarginMode, OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.orders.send import send_order
from tests.builders import BOT_ID, NOON
from tests.fake_exchange import FakeExchange
from tests.rooms.fakes import MovingClock

ORDER_ID = "p" + "a" * 26
TIMEOUT = OutcomeUnknown("TIMEOUT", "no answer in 10 s")
BUSY = RetryLater("-1008", "throttled", retry_after_seconds=3)


def order(**changes) -> OrderPlanned:
    given = {
        "happened_at": NOON, "order_id": ORDER_ID, "attempt": 1,
        "client_order_id": client_order_id(ORDER_ID, attempt=1), "signal_id": UUID(int=500), "bot_id": BOT_ID,
        "subscription_id": UUID(int=1), "account_id": 1, "venue": Venue.PAPER, "leg": Leg.ENTRY, "position_id": 9,
        "symbol": "BTCUSDT", "side": Side.BUY, "position_side": PositionSide.BOTH, "quantity": Decimal("0.005"),
        "reduce_only": False, "leverage": 10, "margin_mode": MarginMode.CROSSED, "margin_usd": Decimal(50),
        "decision_price": Decimal(95200), "send_before": NOON + timedelta(seconds=60),
        "signed_at_ms": to_ms(NOON), "recv_window_ms": 5_000, "owner": "trader-1", "lease_epoch": 1,
    }  # fmt: skip
    return OrderPlanned(**{**given, **changes})


@pytest.fixture
def exchange():
    return FakeExchange(clock=MovingClock())


class TestSendOrder:
    async def test_gives_accepted_on_the_venue_s_word(self, exchange):
        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert outcome == OrderAccepted(
            happened_at=NOON,
            order_id=ORDER_ID,
            attempt=1,
            exchange_order_id="1",
            sent_at=NOON,
            acknowledged_at=NOON,
            signal_id=order().signal_id,
        )

    async def test_sends_exactly_what_was_signed(self, exchange):
        await send_order(order(), exchange=exchange, clock=exchange.clock)

        [attempt] = exchange.submitted
        assert (attempt.client_order_id, attempt.signed_at_ms, attempt.recv_window_ms) == (
            ORDER_ID + "1", to_ms(NOON), 5_000,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("error", "kind", "is_dead", "asked_after"),
        [
            (Refused("-2019", "Margin is insufficient."), OrderRejected, None, None),
            (OperatorNeeded("-2015", "Invalid API-key."), OrderRejected, None, None),
            (BUSY, OrderUnresolved, True, 3),
            (TIMEOUT, OrderUnresolved, False, 1),
        ],
    )
    async def test_gives_the_fact_of_its_kind_of_no(self, exchange, error, kind, is_dead, asked_after):
        exchange.fail_next(error)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.code) == (kind, error.code)
        if kind is OrderUnresolved:
            assert outcome.is_dead is is_dead
            assert outcome.ask_at == NOON + timedelta(seconds=asked_after)

    @pytest.mark.parametrize(
        ("attempt", "seconds"),
        [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (6, 4), (19, 4), (20, 8), (21, 15), (22, 30), (99, 30)],
    )
    async def test_tries_a_dead_exit_at_once_and_then_ever_more_slowly(self, exchange, attempt, seconds):
        """-1008 exempts what only reduces: three times it is sent again at once, and never given up."""
        exchange.fail_next(RetryLater("-1008", "throttled", retry_after_seconds=0))
        closing = order(leg=Leg.EXIT, side=Side.SELL, reduce_only=True, send_before=None, attempt=attempt)

        [outcome] = await send_order(closing, exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.is_dead) == (OrderUnresolved, True)
        assert outcome.ask_at == NOON + timedelta(seconds=seconds)

    async def test_waits_with_a_dead_exit_as_long_as_the_venue_wants(self, exchange):
        exchange.fail_next(RetryLater("-1015", "too many orders", retry_after_seconds=10))
        closing = order(leg=Leg.EXIT, side=Side.SELL, reduce_only=True, send_before=None)

        [outcome] = await send_order(closing, exchange=exchange, clock=exchange.clock)

        assert outcome.ask_at == NOON + timedelta(seconds=10)

    async def test_waits_with_a_dead_entry_no_longer_than_it_lives(self, exchange):
        """A ban of hours must not keep its receipt waiting."""
        exchange.fail_next(RetryLater("HTTP_418", "banned", retry_after_seconds=7_200))
        entry = order()

        [outcome] = await send_order(entry, exchange=exchange, clock=exchange.clock)

        assert outcome.ask_at == entry.send_before

    async def test_gives_unresolved_when_the_answer_is_lost(self, exchange):
        """A lost answer says nothing about the order: ask later, never resend."""
        exchange.lose_next_answer()

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.is_dead, outcome.sent_at) == (OrderUnresolved, False, NOON)
        assert len(exchange.submitted) == 1

    async def test_is_refused_by_the_venue_when_it_wakes_up_late(self, exchange):
        """A sender that was frozen must not trade: the venue's clock window is the guard."""
        exchange.clock.forward(6)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.code, outcome.is_dead) == (OrderUnresolved, "-1021", True)
        assert exchange.orders == []

    async def test_does_not_send_what_is_too_late(self, exchange):
        exchange.clock.forward(60)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.code, outcome.is_dead) == (OrderUnresolved, "SIGNAL_EXPIRED", True)
        assert exchange.submitted == []

    async def test_never_thinks_an_exit_too_late(self, exchange):
        exchange.clock.forward(3600)
        exit_order = order(
            leg=Leg.EXIT, send_before=None, side=Side.SELL, signed_at_ms=to_ms(exchange.clock())
        )

        [outcome] = await send_order(exit_order, exchange=exchange, clock=exchange.clock)

        assert isinstance(outcome, OrderAccepted)

    async def test_sets_the_leverage_first(self, exchange):
        """F049."""
        await send_order(order(leverage=7), exchange=exchange, clock=exchange.clock)

        assert exchange.leverages == {(1, "BTCUSDT"): 7}

    async def test_sends_nothing_when_setting_the_leverage_took_longer_than_the_entry_had(self, exchange):
        """Found by a history in which the venue was slow."""
        exchange.let_leverage_take(61)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert exchange.submitted == []
        assert (outcome.code, outcome.is_dead) == ("SIGNAL_EXPIRED", True)

    async def test_sends_nothing_when_the_leverage_is_refused(self, exchange):
        """F049: an order at another leverage is another order."""
        exchange.refuse_leverage(1)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.code) == (OrderRejected, "LEVERAGE_NOT_SET -4028")
        assert exchange.submitted == []

    @pytest.mark.parametrize("trouble", [TIMEOUT, BUSY])
    async def test_counts_the_attempt_as_dead_when_the_leverage_is_not_known(self, exchange, trouble):
        """Whatever became of the leverage, the order itself never left."""
        exchange.refuse_leverage(1, trouble)

        [outcome] = await send_order(order(), exchange=exchange, clock=exchange.clock)

        assert (type(outcome), outcome.is_dead) == (OrderUnresolved, True)
        assert exchange.submitted == []

    async def test_leaves_the_leverage_of_an_exit_alone(self, exchange):
        """F049: set before entries only; a refusal must not keep anybody in."""
        exchange.refuse_leverage(1)

        [outcome] = await send_order(order(leg=Leg.EXIT), exchange=exchange, clock=exchange.clock)

        assert isinstance(outcome, OrderAccepted)

"""An order that is not known is asked about until it is; silence proves nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.domain.clock import to_ms
from pregao.domain.facts import (
    EntryRequested,
    ExitRequested,
    FillReported,
    OrderAccepted,
    OrderEnded,
    OrderRejected,
)
from pregao.domain.order import Leg, OrderStatus, Side, client_order_id
from pregao.domain.venue import OutcomeUnknown
from pregao.orders.ports import LiveOrder
from pregao.orders.resolve import ATTEMPTS_MAX, DOUBT_MS, resolve_order
from pregao.orders.send import attempt_of
from tests.builders import NOON, held
from tests.fake_exchange import FakeExchange
from tests.rooms.fakes import MovingClock, books
from tests.rooms.orders.test_send import order

AFTER_THE_WINDOW = 6.001  # the receive window (5 s) and the clocks' margin (1 s)


def live(status=OrderStatus.UNRESOLVED, **changes) -> LiveOrder:
    planned = order()
    names = LiveOrder.__dataclass_fields__.keys()
    given = {
        **{name: getattr(planned, name) for name in names if hasattr(planned, name)},
        "exchange_order_id": None, "filled_quantity": Decimal(0), "status": status, "code": "TIMEOUT",
        "is_dead": False, "checks": 1,
    }  # fmt: skip
    return LiveOrder(**{**given, **changes})


@pytest.fixture
def exchange():
    return FakeExchange(clock=MovingClock())


async def arrived(exchange, **changes):
    """Let the attempt reach the venue, whoever heard of it."""
    await exchange.submit(attempt_of(order(**changes)))


async def resolved(asked, exchange, *, on=None):
    return list(await resolve_order(asked, exchange=exchange, books=on or books(), clock=exchange.clock))


class TestResolveOrder:
    async def test_gives_accepted_and_its_fills_when_it_is_found_filled(self, exchange):
        exchange.fills_per_order = 2
        await arrived(exchange)

        facts = await resolved(live(), exchange)

        assert [type(fact) for fact in facts] == [OrderAccepted, FillReported, FillReported]
        assert facts[0].sent_at is None
        assert {fact.trade.client_order_id for fact in facts[1:]} == {order().client_order_id}
        assert sum(fact.trade.quantity for fact in facts[1:]) == Decimal("0.005")

    async def test_gives_the_part_that_filled_and_its_end_when_it_expired(self, exchange):
        await arrived(exchange)
        exchange.end_last_order(OrderStatus.EXPIRED, filled="0.002")

        facts = await resolved(live(), exchange)

        assert [type(fact) for fact in facts] == [OrderAccepted, FillReported, OrderEnded]
        assert facts[1].trade.quantity == Decimal("0.002")
        assert facts[2].status is OrderStatus.EXPIRED

    async def test_waits_with_the_end_until_all_its_trades_are_told(self, exchange):
        """Trades may lag behind the order: an end before its fills would release what was filled."""
        await arrived(exchange)
        exchange.end_last_order(OrderStatus.EXPIRED, filled="0.002")
        exchange.trades.clear()

        facts = await resolved(live(), exchange)

        assert [type(fact) for fact in facts] == [OrderAccepted]

    async def test_gives_the_end_of_an_order_that_the_venue_took_and_rejected(self, exchange):
        await arrived(exchange)
        exchange.end_last_order(OrderStatus.REJECTED, filled="0")

        facts = await resolved(live(), exchange)

        assert [type(fact) for fact in facts] == [OrderEnded]
        assert facts[0].status is OrderStatus.EXPIRED

    async def test_tells_nothing_new_of_what_is_known(self, exchange):
        await arrived(exchange)

        facts = await resolved(live(OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.005")), exchange)

        assert facts == []

    @pytest.mark.parametrize("seconds", [0, 5, 6])
    async def test_concludes_nothing_from_not_found_inside_the_window(self, exchange, seconds):
        """The order may still be on its way and be taken when it arrives."""
        exchange.clock.forward(seconds)

        assert await resolved(live(), exchange) == []

    async def test_asks_for_another_attempt_when_everything_agrees_that_nothing_happened(self, exchange):
        exchange.clock.forward(AFTER_THE_WINDOW)

        [fact] = await resolved(live(), exchange)

        assert (type(fact), fact.attempt, fact.order_id) == (EntryRequested, 2, order().order_id)

    async def test_concludes_nothing_while_a_trade_is_not_explained(self, exchange):
        """The id of a filled market order is freed at Binance: not found, and yet it traded."""
        await exchange.trade(1, side=Side.BUY, quantity=Decimal("0.005"))
        exchange.clock.forward(AFTER_THE_WINDOW)

        assert await resolved(live(), exchange, on=books().take(held())) == []

    async def test_concludes_nothing_while_the_position_disagrees(self, exchange):
        exchange.clock.forward(AFTER_THE_WINDOW)

        assert await resolved(live(), exchange, on=books().take(held())) == []

    @pytest.mark.parametrize(("leg", "given"), [(Leg.ENTRY, OrderRejected), (Leg.EXIT, ExitRequested)])
    async def test_sends_no_entry_again_while_the_position_keeps_disagreeing(self, exchange, leg, given):
        """An owner's own holding keeps nothing in doubt for ever, and half the evidence doubles no entry."""
        exchange.clock.forward(DOUBT_MS / 1_000 + 1)

        [fact] = await resolved(live(leg=leg), exchange, on=books().take(held()))

        assert type(fact) is given

    async def test_concludes_nothing_when_the_venue_acknowledged_it_once(self, exchange):
        """A read that lags finds nothing; the order was taken all the same."""
        exchange.clock.forward(3600)

        assert await resolved(live(OrderStatus.ACCEPTED), exchange) == []

    async def test_ends_an_acknowledged_order_that_the_venue_has_forgotten_and_nothing_came_of(
        self, exchange
    ):
        """Its number is unknown too, it has no trade, and the position is what we hold."""
        exchange.clock.forward(601)

        [fact] = await resolved(live(OrderStatus.ACCEPTED, exchange_order_id="77"), exchange)

        assert (type(fact), fact.status, fact.position_id) == (OrderEnded, OrderStatus.EXPIRED, 9)

    @pytest.mark.parametrize("seconds", [7, 599])
    async def test_takes_it_for_a_read_that_lags_for_ten_minutes(self, exchange, seconds):
        exchange.clock.forward(seconds)

        assert await resolved(live(OrderStatus.ACCEPTED, exchange_order_id="77"), exchange) == []

    async def test_books_what_a_forgotten_order_traded(self, exchange):
        await arrived(exchange)
        number = exchange.orders[0][1].exchange_order_id
        exchange.orders.clear()
        exchange.forgets = {number}
        exchange.clock.forward(601)

        [fact] = await resolved(live(OrderStatus.ACCEPTED, exchange_order_id=number), exchange)

        assert (type(fact), fact.trade.client_order_id) == (FillReported, order().client_order_id)

    async def test_concludes_nothing_of_a_forgotten_order_whose_number_is_known(self, exchange):
        await arrived(exchange)
        number = exchange.orders[0][1].exchange_order_id
        exchange.orders.clear()
        exchange.clock.forward(601)

        assert await resolved(live(OrderStatus.ACCEPTED, exchange_order_id=number), exchange) == []

    async def test_concludes_nothing_of_a_forgotten_order_while_the_position_disagrees(self, exchange):
        exchange.clock.forward(601)
        forgotten = live(OrderStatus.ACCEPTED, exchange_order_id="77")

        assert await resolved(forgotten, exchange, on=books().take(held())) == []

    async def test_concludes_nothing_of_a_forgotten_order_that_has_filled_more_than_its_trades(
        self, exchange
    ):
        exchange.clock.forward(601)
        forgotten = live(
            OrderStatus.PARTIALLY_FILLED, exchange_order_id="77", filled_quantity=Decimal("0.001")
        )

        assert await resolved(forgotten, exchange) == []

    async def test_does_not_take_an_older_order_of_the_same_id_for_it(self, exchange):
        """Ids are freed: a found order counts only if the venue made it after the attempt was signed."""
        await arrived(exchange)
        exchange.clock.forward(60)

        facts = await resolved(live(signed_at_ms=to_ms(exchange.clock())), exchange)

        assert facts == []

    async def test_raises_when_the_venue_gives_no_usable_answer(self, exchange):
        exchange.stay_silent()

        with pytest.raises(OutcomeUnknown):
            await resolved(live(), exchange)

    async def test_asks_nothing_about_an_attempt_that_is_known_to_be_dead(self, exchange):
        exchange.stay_silent()

        [fact] = await resolved(live(is_dead=True, code="-1021"), exchange)

        assert (type(fact), fact.reason) == (EntryRequested, "attempt=1 code=-1021")

    async def test_tries_nothing_again_of_which_a_forgotten_later_attempt_has_filled(self, exchange):
        """A restored database knows the attempt that died; the one after it was told by its trades."""
        filled = live(OrderStatus.PARTIALLY_FILLED, is_dead=True, filled_quantity=Decimal("0.001"))

        assert await resolved(filled, exchange) == []

    async def test_ends_what_a_forgotten_later_attempt_has_filled_for_less(self, exchange):
        """An exit was sent again for what was left; the restored database knows the attempt that was for all of it."""
        known = live(OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.002"))
        await arrived(
            exchange, client_order_id=client_order_id(known.order_id, attempt=2), quantity=Decimal("0.002")
        )
        number = exchange.orders[0][1].exchange_order_id

        [fact] = await resolved(replace(known, exchange_order_id=number), exchange)

        assert (type(fact), fact.order_id, fact.status) == (
            OrderEnded,
            known.order_id,
            OrderStatus.EXPIRED,
        )

    async def test_asks_for_the_exit_again_however_often_it_died(self, exchange):
        """Nobody is kept in a position."""
        dead = live(is_dead=True, leg=Leg.EXIT, attempt=ATTEMPTS_MAX + 3)

        [fact] = await resolved(dead, exchange)

        assert (type(fact), fact.position_id, fact.attempt) == (ExitRequested, 9, ATTEMPTS_MAX + 4)

    async def test_gives_an_entry_up_that_died_too_often(self, exchange):
        [fact] = await resolved(live(is_dead=True, attempt=ATTEMPTS_MAX), exchange)

        assert (type(fact), fact.code) == (OrderRejected, "ATTEMPTS_EXHAUSTED")

    async def test_books_nothing_twice_that_the_stream_told_before(self, exchange):
        await arrived(exchange)

        facts = await resolved(replace(live(OrderStatus.FILLED), filled_quantity=Decimal("0.005")), exchange)

        assert facts == []
        assert exchange.clock() == NOON

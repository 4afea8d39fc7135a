"""What is posted to a webhook and has no answer is posted again where that does no harm, and ends elsewhere."""

from dataclasses import dataclass

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import EntryRequested, ExitRequested, OrderRejected
from pregao.domain.order import Leg, OrderStatus
from pregao.orders.forward import FORWARDS_MAX, resolve_forward
from pregao.orders.ports import Forward
from tests.builders import NOON
from tests.rooms.orders.test_resolve import live

STAYED = Forward(has_left=False, is_others=False, honours_idempotency=False)
LEFT = Forward(has_left=True, is_others=False, honours_idempotency=False)
LEFT_FOR_ONE_KEY = Forward(has_left=True, is_others=False, honours_idempotency=True)


@dataclass
class Known:
    """What was written of every attempt."""

    forward: Forward | None

    async def find_forward(self, order_id, *, attempt, owner):
        return self.forward


async def resolved(order, known=None, *, in_hand=()):
    return await resolve_forward(
        order, forwards=Known(known), owner="trader-1", in_hand=in_hand, clock=lambda: NOON
    )


def posted(status=OrderStatus.PLANNED, **changes):
    return live(status, venue=Venue.WEBHOOK, **changes)


class TestResolveForward:
    @pytest.mark.parametrize("known", [STAYED, LEFT_FOR_ONE_KEY])
    async def test_posts_again_what_never_left_or_is_taken_once(self, known):
        [again] = await resolved(posted(), known)

        assert isinstance(again, EntryRequested)
        assert again.attempt == 2

    async def test_ends_what_may_have_arrived_where_it_might_be_taken_twice(self):
        [end] = await resolved(posted(), LEFT)

        assert isinstance(end, OrderRejected)
        assert end.code == "FORWARD_TIMEOUT"
        assert "may have it" in end.reason

    async def test_leaves_alone_what_somebody_has_in_hand(self):
        order = posted()

        assert await resolved(order, LEFT_FOR_ONE_KEY, in_hand={order.client_order_id}) == []
        assert await resolved(order, Forward(has_left=True, is_others=True, honours_idempotency=True)) == []
        assert await resolved(order, None) == []

    @pytest.mark.parametrize("leg", list(Leg))
    @pytest.mark.parametrize(
        ("code", "ends_as"),
        [
            ("FORWARD_HTTP_ERROR", "FORWARD_HTTP_ERROR"),
            ("FORWARD_TIMEOUT", "FORWARD_TIMEOUT"),
            ("FORWARD_UNREACHABLE", "FORWARD_UNREACHABLE"),
            ("TRADING_HALTED", "FORWARD_UNREACHABLE"),
        ],
    )
    async def test_gives_up_after_so_many_posts_exits_too(self, leg, code, ends_as):
        def dead(attempt):
            return posted(OrderStatus.UNRESOLVED, is_dead=True, code=code, leg=leg, attempt=attempt)

        [again] = await resolved(dead(FORWARDS_MAX - 1))
        [end] = await resolved(dead(FORWARDS_MAX))

        assert isinstance(again, EntryRequested if leg is Leg.ENTRY else ExitRequested)
        assert (end.code, end.attempt) == (ends_as, FORWARDS_MAX)

"""Fills are folded into their positions, and what an order reserved is given back when it ends."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import (
    ExitRequested,
    OrderDenied,
    OrderEnded,
    OrderRejected,
    PositionChanged,
)
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, OrderStatus, Side
from pregao.domain.position import PositionStatus
from pregao.fills.ports import OwnOrder
from pregao.positions.update import release, release_denied, release_rest, update_position
from tests.builders import BOT_ID, NOON, booked, held, position
from tests.rooms.fakes import books

SIGNAL = UUID(int=500)
CLOSE = UUID(int=600)


def closing(**changes):
    return replace(held(), status=PositionStatus.CLOSING, exit_signal_id=CLOSE, **changes)


def rejected(position_id=1):
    return OrderRejected(
        happened_at=NOON,
        order_id="p",
        attempt=1,
        signal_id=SIGNAL,
        position_id=position_id,
        code="-2019",
        reason="",
    )


def ended(position_id=1):
    return OrderEnded(
        happened_at=NOON, order_id="p", signal_id=SIGNAL, position_id=position_id, status=OrderStatus.EXPIRED,
        ended_at=NOON,
    )  # fmt: skip


def denied(position_id):
    return OrderDenied(
        happened_at=NOON, order_id="p", signal_id=SIGNAL, bot_id=BOT_ID, subscription_id=UUID(int=1), account_id=1,
        leg=Leg.ENTRY, symbol="BTCUSDT", side=Side.BUY, position_id=position_id, code="SIGNAL_EXPIRED", reason="",
    )  # fmt: skip


class TestUpdatePosition:
    async def test_gives_each_position_once_after_all_its_fills(self):
        desk = books().take(position())

        [fact] = await update_position(
            [booked("1", quantity="0.002", order_is_filled=False), booked("2", quantity="0.003")],
            positions=desk, now=NOON,
        )  # fmt: skip

        assert isinstance(fact, PositionChanged)
        assert (fact.position.status, fact.position.quantity) == (PositionStatus.OPEN, Decimal("0.005"))

    async def test_closes_a_position_whose_last_piece_was_exited(self):
        [fact] = await update_position(
            [booked("1", side=Side.SELL)], positions=books().take(closing()), now=NOON
        )

        assert (fact.position.status, fact.position.close_reason) == (PositionStatus.CLOSED, "signal")

    @pytest.mark.parametrize("late", [Side.SELL, Side.BUY])
    async def test_closes_with_the_trade_that_was_the_last_whichever_is_told_last(self, late):
        """A piece that traded before midnight and was told after it must not put the loss on the day before."""
        midnight = NOON + timedelta(hours=12)
        desk = books().take(closing(exited_quantity=Decimal("0.003"), exit_notional=Decimal(285)))
        desk.own_orders["p"] = OwnOrder(
            order_id="p", signal_id=SIGNAL, position_id=1, quantity=Decimal("0.005"), filled_quantity=ZERO
        )
        told_before = booked("1", side=late, quantity="0.003", traded_at=midnight)
        last = booked("2", side=Side.SELL, quantity="0.002", traded_at=midnight - timedelta(seconds=1))
        desk.keep([told_before, last])

        [fact] = await update_position([last], positions=desk, now=midnight)

        assert (fact.position.status, fact.position.closed_at) == (PositionStatus.CLOSED, midnight)

    async def test_says_that_it_was_closed_outside(self):
        by_hand = booked("1", side=Side.SELL, order_id=None, order_is_filled=False)

        [fact] = await update_position([by_hand], positions=books().take(held()), now=NOON)

        assert (fact.position.status, fact.position.close_reason) == (PositionStatus.CLOSED, "closed_outside")

    async def test_opens_a_position_again_of_which_a_share_was_closed(self):
        share = booked("1", side=Side.SELL, quantity="0.002")

        [fact] = await update_position([share], positions=books().take(closing()), now=NOON)

        assert (fact.position.status, fact.position.exit_signal_id) == (PositionStatus.OPEN, None)
        assert fact.position.quantity == Decimal("0.003")

    async def test_stays_closing_while_the_exit_has_only_partly_filled(self):
        part = booked("1", side=Side.SELL, quantity="0.002", order_is_filled=False)

        [fact] = await update_position([part], positions=books().take(closing()), now=NOON)

        assert fact.position.status is PositionStatus.CLOSING

    async def test_requests_the_exit_that_waited_once_the_entry_is_filled(self):
        desk = books().take(position(exit_signal_id=CLOSE))

        part = await update_position(
            [booked("1", quantity="0.002", order_is_filled=False)], positions=desk, now=NOON
        )
        desk.positions_by_id[1] = part[0].position
        rest = await update_position([booked("2", quantity="0.003")], positions=desk, now=NOON)

        assert [type(fact) for fact in part] == [PositionChanged]
        assert [type(fact) for fact in rest] == [PositionChanged, ExitRequested]
        assert (rest[1].signal_id, rest[1].position_id) == (CLOSE, 1)

    async def test_has_nothing_to_say_of_a_fill_that_touches_no_position(self):
        stranger = booked("1", order_id=None, position_id=None)

        assert await update_position([stranger], positions=books(), now=NOON) == []


class TestRelease:
    async def test_abandons_a_position_whose_entry_was_rejected(self):
        [fact] = await release([rejected()], positions=books().take(position()), now=NOON)

        assert (fact.position.status, fact.position.close_reason) == (PositionStatus.ABANDONED, "-2019")

    async def test_opens_a_position_again_whose_exit_was_rejected(self):
        [fact] = await release([rejected()], positions=books().take(closing()), now=NOON)

        assert (fact.position.status, fact.position.exit_signal_id) == (PositionStatus.OPEN, None)

    async def test_ends_the_close_that_waited_for_an_entry_which_never_came(self):
        """It is planned once more, finds nothing, and is denied: so its signal settles."""
        desk = books().take(position(exit_signal_id=CLOSE))

        facts = await release([rejected()], positions=desk, now=NOON)

        assert [type(fact) for fact in facts] == [PositionChanged, ExitRequested]
        assert facts[0].position.status is PositionStatus.ABANDONED

    @pytest.mark.parametrize("reserved", [position(), closing()])
    async def test_keeps_the_reservation_that_a_later_attempt_still_needs(self, reserved):
        """An answer that comes late is about an attempt which another has followed."""
        desk = books().take(reserved)
        desk.traded.add(1)

        assert await release([rejected()], positions=desk, now=NOON) == []

    async def test_changes_nothing_when_it_runs_again(self):
        gone = position(status=PositionStatus.ABANDONED)

        assert await release([rejected()], positions=books().take(gone), now=NOON) == []


class TestReleaseRest:
    async def test_keeps_what_filled_before_the_order_ended(self):
        assert await release_rest([ended()], positions=books().take(held()), now=NOON) == []

    async def test_abandons_what_never_filled(self):
        [fact] = await release_rest([ended()], positions=books().take(position()), now=NOON)

        assert (fact.position.status, fact.position.close_reason) == (PositionStatus.ABANDONED, "expired")

    async def test_requests_the_exit_that_waited_for_what_did_fill(self):
        desk = books().take(replace(held(), exit_signal_id=CLOSE))

        [fact] = await release_rest([ended()], positions=desk, now=NOON)

        assert (type(fact), fact.signal_id) == (ExitRequested, CLOSE)


class TestReleaseDenied:
    async def test_abandons_what_an_attempt_had_reserved(self):
        [fact] = await release_denied([denied(1)], positions=books().take(position()), now=NOON)

        assert fact.position.status is PositionStatus.ABANDONED

    @pytest.mark.parametrize("desk", [books(), books().take(held())])
    async def test_touches_nothing_where_nothing_was_reserved(self, desk):
        assert await release_denied([denied(None)], positions=desk, now=NOON) == []

"""A position equals the sum of its fills, in whichever order they are told."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.order import Side
from pregao.domain.position import LIVE_STATUSES, Direction, PositionStatus, after_fill
from tests.builders import NOON, position
from tests.properties import prices, quantities, quick

fees = st.decimals(min_value=0, max_value=100, places=8)
fills = st.tuples(st.booleans(), prices, quantities, fees)


def told(start, rows, *, reason="signal"):
    """Fold (is_entry, price, quantity, fee) into a position, one after the other."""
    after = start
    for second, (is_entry, price, quantity, fee) in enumerate(rows):
        entry_side = start.direction.entry_side
        after = after_fill(
            after,
            side=entry_side if is_entry else entry_side.opposite,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(fee),
            traded_at=NOON + timedelta(seconds=second),
            reason=reason,
        )
    return after


class TestAfterFill:
    @quick
    @given(rows=st.lists(fills, min_size=1, max_size=12), direction=st.sampled_from(Direction))
    def test_sums_its_fills(self, rows, direction):
        entries = [row for row in rows if row[0]]
        exits = [row for row in rows if not row[0]]

        after = told(position(direction=direction), rows)

        assert after.entered_quantity == sum(quantity for _, _, quantity, _ in entries)
        assert after.exited_quantity == sum(quantity for _, _, quantity, _ in exits)
        assert after.entry_notional == sum(price * quantity for _, price, quantity, _ in entries)
        assert after.exit_notional == sum(price * quantity for _, price, quantity, _ in exits)
        assert after.fees == sum(fee for *_, fee in rows)

    @quick
    @given(rows=st.lists(fills, min_size=1, max_size=10), data=st.data())
    def test_gives_the_same_books_in_any_order(self, rows, data):
        shuffled = data.draw(st.permutations(rows))

        one, other = told(position(), rows), told(position(), shuffled)

        def by_time(after):
            return replace(after, opened_at=None, closed_at=None)

        assert by_time(one) == by_time(other)
        assert one.realized_pnl == other.realized_pnl

    @quick
    @given(rows=st.lists(fills, min_size=1, max_size=12))
    def test_is_closed_exactly_when_nothing_is_held(self, rows):
        after = position()

        for row in rows:
            after = told(after, [row])
            assert (after.status is PositionStatus.CLOSED) is (after.quantity == 0)
            assert (after.closed_at is None) is (after.status is not PositionStatus.CLOSED)
            assert (after.close_reason is None) is (after.status is not PositionStatus.CLOSED)

    def test_opens_a_pending_position_with_its_first_fill(self):
        after = told(position(), [(True, "95200", "0.005", "0.238")])

        assert (after.status, after.opened_at) == (PositionStatus.OPEN, NOON)

    def test_leaves_a_closing_position_closing_while_something_is_held(self):
        held = told(position(), [(True, "95200", "0.005", 0)])

        after = told(replace(held, status=PositionStatus.CLOSING), [(False, "95300", "0.002", 0)])

        assert (after.status, after.quantity) == (PositionStatus.CLOSING, Decimal("0.003"))

    def test_opens_a_closed_position_again_when_an_entry_fill_was_told_late(self):
        """The venue holds it, so it is not closed, whatever order the stream told it in."""
        closed = told(position(), [(True, 100, 1, 0), (False, 101, 1, 0)])

        after = told(closed, [(True, 100, 1, 0)])

        assert (after.status, after.quantity, after.closed_at) == (PositionStatus.OPEN, 1, None)

    def test_keeps_the_earliest_fill_as_its_opening(self):
        late = after_fill(
            position(), side=Side.BUY, price=Decimal(1), quantity=Decimal(1), fee=Decimal(0),
            traded_at=NOON + timedelta(seconds=5), reason=None,
        )  # fmt: skip

        after = told(late, [(True, 1, 1, 0)])

        assert after.opened_at == NOON


class TestPnl:
    @pytest.mark.parametrize(
        ("direction", "exit_price", "pnl"),
        [
            (Direction.LONG, "96200", "5"),
            (Direction.LONG, "94200", "-5"),
            (Direction.SHORT, "94200", "5"),
            (Direction.SHORT, "96200", "-5"),
        ],
    )
    def test_is_earned_by_the_direction(self, direction, exit_price, pnl):
        """F056: long earns when the price rises, short when it falls."""
        after = told(
            position(direction=direction), [(True, "95200", "0.005", 0), (False, exit_price, "0.005", 0)]
        )

        assert after.gross_pnl == after.realized_pnl == Decimal(pnl)

    def test_is_less_all_fees(self):
        """F056: the fees of both legs count, those of the entry from its fill on."""
        after = told(position(), [(True, "95200", "0.005", "0.238"), (False, "96200", "0.005", "0.2405")])

        assert after.realized_pnl == Decimal(5) - Decimal("0.238") - Decimal("0.2405")

    def test_of_the_exited_part_uses_the_average_entry(self):
        after = told(position(), [(True, 100, 1, 0), (True, 200, 1, 0), (False, 180, 1, 0)])

        assert after.entry_price == 150
        assert after.exit_price == 180
        assert after.gross_pnl == 30

    def test_is_zero_where_nothing_was_earned(self):
        """X-14: exactly 0 is break-even, neither win nor loss."""
        after = told(position(), [(True, 100, 1, 0), (False, 100, 1, 0)])

        assert after.realized_pnl == 0
        assert not after.realized_pnl > 0
        assert not after.realized_pnl < 0

    @quick
    @given(
        rows=st.lists(fills, min_size=1, max_size=8), exit_price=prices, direction=st.sampled_from(Direction)
    )
    def test_of_a_closed_position_is_what_went_through_the_wallet(self, rows, exit_price, direction):
        """What was received less what was paid: no average, no rounding but the last."""
        entries = [(True, price, quantity, fee) for _, price, quantity, fee in rows]
        held = sum(quantity for _, _, quantity, _ in entries)

        after = told(position(direction=direction), [*entries, (False, exit_price, held, 0)])

        moved = after.exit_notional - after.entry_notional
        wallet = (moved if direction is Direction.LONG else -moved) - after.fees
        assert after.status is PositionStatus.CLOSED
        assert abs(after.realized_pnl - wallet) <= Decimal("0.00000001")

    def test_is_nothing_before_the_first_fill(self):
        assert (position().entry_price, position().exit_price, position().realized_pnl) == (None, None, 0)


class TestPositionStatus:
    def test_owns_the_symbol_while_something_may_be_held(self):
        assert set(PositionStatus) - LIVE_STATUSES == {PositionStatus.CLOSED, PositionStatus.ABANDONED}

"""A fill is booked once, whichever way and however often it is told."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.facts import FillBooked
from pregao.domain.order import Side, client_order_id
from pregao.fills.book import (
    UNKNOWN_SECONDS,
    UNWRITTEN_SECONDS,
    EntryUnknownError,
    OrderUnwrittenError,
    book_fill,
)
from pregao.fills.ports import OwnOrder
from tests.builders import NOON, held, position, reported
from tests.properties import quick
from tests.rooms.fakes import books

OURS = "p" + "a" * 26
DESK = UUID(int=1)
CLIENT_ID = client_order_id(OURS, attempt=1)
SIGNAL = UUID(int=500)


def ledger(quantity: str = "0.005"):
    desk = books()
    desk.own_orders[OURS] = OwnOrder(
        order_id=OURS, signal_id=SIGNAL, position_id=1, quantity=Decimal(quantity), filled_quantity=Decimal(0)
    )
    return desk


def fill(trade_id: str = "1", **changes):
    return reported(trade_id, client_order_id=CLIENT_ID, **changes)


async def booked(reports, *, on, rates=None, now=NOON):
    facts = await book_fill(reports, ledger=on, rates=rates or {}, desk_id=DESK, now=now)
    on.keep(facts)
    return facts


class TestBookFill:
    async def test_books_a_fill_of_our_order_on_its_position(self):
        [fact] = await booked([fill()], on=ledger())

        assert isinstance(fact, FillBooked)
        assert (fact.order_id, fact.signal_id, fact.position_id) == (OURS, SIGNAL, 1)
        assert (fact.order_is_filled, fact.fee, fact.fee_rate) == (True, Decimal("0.238"), 1)

    async def test_books_once_what_stream_and_query_both_tell(self):
        """A query does not tell the client id: account, symbol, trade and order make it the same fill."""
        desk = ledger()
        by_stream = fill()
        by_query = replace(by_stream, trade=replace(by_stream.trade, client_order_id=""))

        first = await booked([by_stream], on=desk)
        again = await booked([by_query], on=desk)

        assert (len(first), again) == (1, [])

    async def test_books_once_what_one_batch_tells_twice(self):
        assert len(await booked([fill(), fill()], on=ledger())) == 1

    @quick
    @given(told=st.lists(st.sampled_from("12345"), min_size=1, max_size=20), cuts=st.sets(st.integers(0, 20)))
    async def test_books_each_fill_once_in_any_order_and_any_batches(self, told, cuts):
        desk = ledger()
        bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(told)), len(told)]

        facts = []
        for start, end in pairwise(bounds):
            batch = [fill(trade_id, quantity="0.001") for trade_id in told[start:end]]
            facts += await booked(batch, on=desk)

        assert sorted(fact.trade.trade_id for fact in facts) == sorted(set(told))
        assert [fact.order_is_filled for fact in facts].count(True) == (1 if len(set(told)) == 5 else 0)

    async def test_says_which_fill_completes_the_order(self):
        facts = await booked([fill("1", quantity="0.002"), fill("2", quantity="0.003")], on=ledger())

        assert [fact.order_is_filled for fact in facts] == [False, True]

    async def test_takes_the_same_trade_id_on_another_symbol_for_another_fill(self):
        """Trade ids count per symbol."""
        assert len(await booked([fill("7"), fill("7", symbol="ETHUSDT")], on=ledger())) == 2

    async def test_books_a_foreign_fill_that_reduces_our_position_as_closed_outside(self):
        [fact] = await booked([reported("1", side=Side.SELL)], on=books().take(held()))

        assert (fact.order_id, fact.signal_id, fact.position_id) == (None, None, 1)

    async def test_leaves_our_position_alone_when_a_foreign_fill_does_not_reduce_it(self):
        [fact] = await booked([reported("1", side=Side.BUY)], on=books().take(held()))

        assert (fact.position_id, fact.foreign_quantity) == (None, Decimal("0.005"))

    async def test_takes_only_our_part_of_a_foreign_fill_that_is_larger(self):
        """Somebody sold 0.02 by hand while we held 0.005: ours is closed, and pays its part of the fee."""
        sold = reported("1", side=Side.SELL, quantity="0.02", commission="0.4")

        [fact] = await booked([sold], on=books().take(held()))

        assert (fact.position_id, fact.foreign_quantity, fact.fee) == (1, Decimal("0.015"), Decimal("0.1"))

    async def test_never_takes_more_from_a_position_than_it_holds(self):
        """Several foreign fills in one batch share what is there; a reduce-only order never flips."""
        parts = [reported(str(number), side=Side.SELL, quantity="0.002") for number in range(3)]

        facts = await booked(parts, on=books().take(held()))

        assert [(fact.position_id, fact.foreign_quantity) for fact in facts] == [
            (1, Decimal(0)),
            (1, Decimal(0)),
            (1, Decimal("0.001")),
        ]

    async def test_takes_nothing_from_a_position_that_was_opened_later(self):
        """An old fill told late is not this position's end."""
        desk = books().take(held(opened_at=NOON + timedelta(seconds=1)))

        [fact] = await booked([reported("1", side=Side.SELL)], on=desk)

        assert fact.position_id is None

    async def test_takes_from_a_position_what_it_was_told_to_hold_a_moment_before(self):
        """A stream was down, or a database was put back: entry and end are told together."""
        desk = ledger().take(position())
        out = reported("2", side=Side.SELL, traded_at=NOON + timedelta(seconds=1))

        facts = await booked([fill(), out], on=desk)

        assert [(one.order_id, one.position_id, one.foreign_quantity) for one in facts] == [
            (OURS, 1, Decimal(0)),
            (None, 1, Decimal(0)),
        ]

    async def test_takes_no_more_than_an_exit_of_ours_has_left_a_moment_before(self):
        desk = ledger().take(held())
        by_hand = reported("2", side=Side.SELL, quantity="0.004", traded_at=NOON + timedelta(seconds=1))

        facts = await booked([fill(side=Side.SELL, quantity="0.003"), by_hand], on=desk)

        assert [(one.position_id, one.foreign_quantity) for one in facts] == [
            (1, Decimal(0)),
            (1, Decimal("0.002")),
        ]

    async def test_keeps_the_name_of_an_order_of_ours_that_the_books_have_forgotten(self):
        """A restored database never planned it; it has closed what is held all the same."""
        forgotten = "p" + "f" * 26

        [fact] = await booked(
            [reported("1", side=Side.SELL, client_order_id=f"{forgotten}1")],
            on=books().take(held()),
            now=NOON + timedelta(seconds=UNWRITTEN_SECONDS),
        )

        assert (fact.order_id, fact.signal_id, fact.position_id) == (forgotten, None, 1)
        assert not fact.order_is_filled

    async def test_waits_for_an_exit_that_left_while_the_database_was_away_to_be_written_down(self):
        """Booked before, its fill would close the position with nobody's claim; whoever sent it has it in a file."""
        unwritten = reported("1", side=Side.SELL, client_order_id="p" + "f" * 26 + "1")

        with pytest.raises(OrderUnwrittenError, match="ORDER_UNWRITTEN: client_order_id=pfff"):
            await booked([unwritten], on=books().take(held()))

    async def test_waits_for_an_entry_whose_fill_is_not_known_where_more_is_closed_than_is_held(self):
        """Taken for a stranger's, it would leave an entry in the books for ever that its stop has closed long ago."""
        sold = reported("1", side=Side.SELL, quantity="0.01")
        desk = books().take(held())
        desk.entering.add(1)

        with pytest.raises(EntryUnknownError, match="ENTRY_UNKNOWN: position_id=1"):
            await booked([sold], on=desk)
        desk.entering.clear()
        [fact] = await booked([sold], on=desk)

        assert (fact.position_id, fact.foreign_quantity) == (1, Decimal("0.005"))

    async def test_does_not_wait_for_ever_for_an_entry_of_which_nobody_says_anything(self):
        desk = books().take(held())
        desk.entering.add(1)
        sold = reported("1", side=Side.SELL, quantity="0.01")

        [fact] = await booked([sold], on=desk, now=NOON + timedelta(seconds=UNKNOWN_SECONDS))

        assert (fact.position_id, fact.foreign_quantity) == (1, Decimal("0.005"))

    async def test_takes_a_client_id_that_only_looks_like_ours_for_foreign(self):
        stranger = reported("1", client_order_id="p" + "z" * 26 + "1")

        [fact] = await booked([stranger], on=ledger())

        assert (fact.order_id, fact.position_id) == (None, None)

    async def test_converts_a_foreign_commission_at_its_rate(self):
        [fact] = await booked(
            [fill(commission="0.0004", commission_asset="BNB")],
            on=ledger(),
            rates={("BNB", "USDT"): Decimal(600)},
        )

        assert (fact.fee, fact.fee_rate) == (Decimal("0.24"), 600)

    async def test_raises_when_a_commission_has_no_rate(self):
        """Booked at a guessed rate it would be wrong for ever; told again, it is booked then."""
        desk = ledger()

        with pytest.raises(LookupError):
            await booked([fill(commission="0.0004", commission_asset="BNB")], on=desk)

        assert desk.fills == {}

    async def test_needs_no_rate_where_nothing_was_paid(self):
        [fact] = await booked([fill(commission="0", commission_asset="BNB")], on=ledger())

        assert fact.fee == 0

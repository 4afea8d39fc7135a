"""Orders on their way: how many at once, who waits for whom, and what other work waits for."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from pregao.domain.account import Venue
from pregao.domain.order import Leg
from pregao.trading.outbox import HOLD_SECONDS, NEVER_QUIET, Outbox
from tests.edges.http.api.test_receipts import planned


class Venues:
    """Takes orders, and answers each when it is told to."""

    def __init__(self):
        self.taken = []
        self.at_once = self.at_once_max = 0
        self.may_answer = asyncio.Event()

    async def send(self, order):
        self.taken.append(order)
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await self.may_answer.wait()
        self.at_once -= 1


@pytest.fixture
def venues():
    return Venues()


@pytest.fixture
async def outbox(venues):
    box = Outbox(venues.send, in_flight_max=3, quiet=NEVER_QUIET)
    yield box
    venues.may_answer.set()
    await box.close()


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)


def orders(count, **changes):
    return [replace(planned(number), **changes) for number in range(1, count + 1)]


class TestOutbox:
    async def test_sends_every_order_once_and_so_many_at_once(self, outbox, venues):
        asked = orders(10)
        for order in asked:
            outbox.put(order)
        await turn()
        sent_at_first = list(venues.taken)
        venues.may_answer.set()
        await outbox.close()

        assert sent_at_first == asked[:3]
        assert venues.taken == asked
        assert venues.at_once_max == 3

    async def test_lets_no_entry_take_a_place_from_an_exit_and_no_venue_from_another(self, outbox, venues):
        entries = orders(10)
        others = [*orders(1, leg=Leg.EXIT), *orders(1, venue=Venue.BINANCE_DEMO)]
        for order in [*entries, *others]:
            outbox.put(order)
        await turn()

        assert [one for one in venues.taken if one not in entries] == others

    async def test_goes_on_with_what_is_put_later(self, outbox, venues):
        venues.may_answer.set()
        first, second = orders(2)
        outbox.put(first)
        await outbox.close()
        outbox.put(second)
        await outbox.close()

        assert venues.taken == [first, second]

    async def test_keeps_other_work_until_every_order_has_had_its_turn(self, outbox, venues):
        for order in orders(4):
            outbox.put(order)
        other_work = asyncio.create_task(outbox.let_leave())
        await turn()
        waited = not other_work.done()
        venues.may_answer.set()
        await other_work

        assert waited
        assert len(venues.taken) == 4

    async def test_keeps_it_no_longer_than_a_burst_may_take(self, outbox, venues):
        for order in orders(4):
            outbox.put(order)
        async with asyncio.timeout(10 * HOLD_SECONDS):
            await outbox.let_leave()
            await outbox.let_leave()

        assert len(venues.taken) == 3


class Quiet:
    def __init__(self):
        self.told = []

    def begin(self):
        self.told.append("begin")

    def end(self):
        self.told.append("end")


class TestBursts:
    """Between the parts of a signal other work waits, too."""

    @pytest.fixture
    def quiet(self):
        return Quiet()

    @pytest.fixture
    async def box(self, venues, quiet):
        box = Outbox(venues.send, in_flight_max=3, quiet=quiet)
        yield box
        venues.may_answer.set()
        await box.close()

    async def test_other_work_waits_for_the_part_that_is_still_expected(self, box, venues):
        with box.burst():
            box.put(orders(1)[0])
            other_work = asyncio.create_task(box.let_leave())
            await turn()
            waited = not other_work.done()
        await asyncio.wait_for(other_work, timeout=HOLD_SECONDS / 2)

        assert waited
        assert len(venues.taken) == 1

    async def test_answers_are_read_when_the_last_has_left(self, box, quiet):
        with box.burst():
            box.put(orders(1)[0])
            await turn()
            within = list(quiet.told)
        await turn()

        assert set(within) == {"begin"}
        assert quiet.told[-1] == "end"

    async def test_answers_are_read_when_orders_wait_for_them(self, box, quiet):
        with box.burst():
            for order in orders(4):
                box.put(order)
            await turn()

            assert quiet.told[-1] == "end"

    async def test_answers_are_read_when_the_burst_has_had_its_time(self, box, quiet):
        with box.burst():
            await asyncio.sleep(1.5 * HOLD_SECONDS)

            assert quiet.told[-1] == "end"

    async def test_a_failing_part_lets_other_work_go_on(self, box):
        with contextlib.suppress(LookupError), box.burst():
            raise LookupError

        await asyncio.wait_for(box.let_leave(), timeout=HOLD_SECONDS / 2)


class TestTakeBack:
    async def test_gives_what_waits_and_is_meant_and_sends_the_rest(self, outbox, venues):
        asked = orders(8)
        for order in asked:
            outbox.put(order)
        await turn()
        on_the_wire = list(venues.taken)

        taken = outbox.take_back(lambda order: order.account_id % 2 == 0)
        venues.may_answer.set()
        await outbox.close()

        assert [order.account_id for order in on_the_wire] == [1, 2, 3]
        assert [order.account_id for order in taken] == [4, 6, 8]
        assert [order.account_id for order in venues.taken] == [1, 2, 3, 5, 7]

    async def test_keeps_nobody_waiting_for_what_was_taken_back(self, outbox, venues):
        for order in orders(6):
            outbox.put(order)
        await turn()

        outbox.take_back(lambda _order: True)

        await asyncio.wait_for(outbox.let_leave(), timeout=HOLD_SECONDS / 2)

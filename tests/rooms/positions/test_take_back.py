"""An order that is not ours is taken back once, whatever is lost on the way, and what is told of it is the venue's word."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import ForeignCancelTold
from pregao.domain.foreign import UNTOLD, CancelStatus, ForeignOrder
from pregao.domain.order import OrderStatus, PositionSide, Side
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.positions.ports import UntoldCancel
from pregao.positions.refusals import ConflictError, UnknownError
from pregao.positions.take_back import CancelWish, ask_cancel, carry_out
from pregao.simulation.loop import run_in_virtual_time
from pregao.simulation.venue import Manners, SimulatedVenue
from tests.builders import NOON

ACCOUNT = 1
CANCEL_ID = UUID(int=77)
LATER = NOON + timedelta(hours=1)


def order(**changes) -> ForeignOrder:
    given = {
        "symbol": "BTCUSDT", "exchange_order_id": "8", "client_order_id": "web_1", "side": Side.BUY,
        "position_side": PositionSide.BOTH, "kind": "limit", "price": Decimal(80_000), "quantity": Decimal("0.01"),
        "filled_quantity": Decimal(0), "reduce_only": False, "status": OrderStatus.ACCEPTED, "created_at": NOON,
    }  # fmt: skip
    return ForeignOrder(**(given | changes))


def untold(**changes) -> UntoldCancel:
    given = {
        "cancel_id": CANCEL_ID, "account_id": ACCOUNT, "order": order(), "status": CancelStatus.ASKED, "code": None,
    }  # fmt: skip
    return UntoldCancel(**(given | changes))


class Book:
    """What was seen, what is ours, and what is under way."""

    def __init__(self, seen=None, *, ours=False, running=None) -> None:
        self.seen, self.ours, self.running = seen, ours, running

    async def lock_seen(self, *, account_id, symbol, exchange_order_id):
        return self.seen if self.seen and self.seen.exchange_order_id == exchange_order_id else None

    async def is_ours(self, account_id, order):
        return self.ours

    async def find_untold(self, account_id, order):
        return self.running


def wish(**changes) -> CancelWish:
    given = {
        "cancel_id": CANCEL_ID, "account_id": ACCOUNT, "symbol": "BTCUSDT", "exchange_order_id": "8",
        "asked_by": "Olga", "user_id": None, "source_address": "127.0.0.1", "reason": "left from May",
    }  # fmt: skip
    return CancelWish(**(given | changes))


class TestAskCancel:
    async def test_writes_what_is_taken_back_who_asked_and_why(self):
        fact = await ask_cancel(wish(), book=Book(order()), now=NOON)

        assert (fact.order, fact.asked_by, fact.reason, fact.happened_at) == (
            order(),
            "Olga",
            "left from May",
            NOON,
        )

    @pytest.mark.parametrize(
        ("book", "refusal", "code"),
        [
            (Book(), UnknownError, "FOREIGN_ORDER_UNKNOWN"),
            (Book(order(exchange_order_id="9")), UnknownError, "FOREIGN_ORDER_UNKNOWN"),
            (Book(order(), ours=True), ConflictError, "ORDER_IS_OURS"),
            (Book(order(), running=UUID(int=5)), ConflictError, "CANCEL_ON_THE_WAY"),
        ],
    )
    async def test_refuses_what_was_not_seen_what_is_ours_and_what_is_under_way(self, book, refusal, code):
        with pytest.raises(refusal) as refused:
            await ask_cancel(wish(), book=book, now=NOON)

        assert refused.value.code == code


class Venue:
    """One order, and what happens at each question and each cancel."""

    def __init__(self, *, finds=None, takes=None) -> None:
        self.finds, self.takes, self.asked = finds, takes, []

    async def resting_orders(self, *, account_id):
        raise NotImplementedError

    async def find_resting(self, *, account_id, symbol, exchange_order_id):
        self.asked.append("find")
        return self._give(self.finds)

    async def take_back(self, *, account_id, symbol, exchange_order_id):
        self.asked.append("take")
        return self._give(self.takes)

    @staticmethod
    def _give(what):
        if isinstance(what, Exception):
            raise what
        return what


ENDED = order(status=OrderStatus.CANCELED, filled_quantity=Decimal("0.004"))


class TestCarryOut:
    async def test_gives_the_venues_word(self):
        venue = Venue(finds=order(), takes=ENDED)

        told = await carry_out(untold(), venue=venue, now=LATER)

        assert (told.status, told.code, told.filled_quantity) == (
            CancelStatus.CANCELED,
            None,
            Decimal("0.004"),
        )
        assert venue.asked == ["find", "take"]

    @pytest.mark.parametrize(
        ("found", "status", "code"),
        [
            (None, CancelStatus.ENDED, "ORDER_GONE"),
            (order(status=OrderStatus.FILLED, filled_quantity=Decimal("0.01")), CancelStatus.ENDED, "ORDER_FILLED"),
            (order(status=OrderStatus.EXPIRED), CancelStatus.ENDED, "ORDER_EXPIRED"),
            (ENDED, CancelStatus.CANCELED, None),
        ],
    )  # fmt: skip
    async def test_asks_first_and_sends_nothing_where_it_has_ended(self, found, status, code):
        """Whoever began it may have died after sending: it is found and finished, and not sent again."""
        venue = Venue(finds=found)

        told = await carry_out(untold(), venue=venue, now=LATER)

        assert (told.status, told.code, venue.asked) == (status, code, ["find"])

    async def test_does_not_believe_that_a_young_order_is_gone(self):
        """It was seen a moment ago: the question was answered from older books."""
        young = untold(order=order(created_at=LATER - timedelta(minutes=9)))

        assert await carry_out(young, venue=Venue(finds=None), now=LATER) is None

    async def test_says_once_that_nobody_knows_and_asks_again(self):
        venue = Venue(finds=order(), takes=OutcomeUnknown("TIMEOUT", "no answer"))

        told = await carry_out(untold(), venue=venue, now=LATER)
        again = await carry_out(untold(status=CancelStatus.UNKNOWN, code="TIMEOUT"), venue=venue, now=LATER)

        assert (told.status, told.code, told.filled_quantity) == (CancelStatus.UNKNOWN, "TIMEOUT", None)
        assert again is None

    @pytest.mark.parametrize("refusal", [Refused("-1121", "Invalid symbol."), OperatorNeeded("-2015", "key")])
    async def test_is_refused_only_where_no_earlier_try_may_have_been_taken(self, refusal):
        venue = Venue(finds=order(), takes=refusal)

        first = await carry_out(untold(), venue=venue, now=LATER)
        later = await carry_out(untold(status=CancelStatus.UNKNOWN, code="TIMEOUT"), venue=venue, now=LATER)

        assert (first.status, first.code) == (CancelStatus.REFUSED, refusal.code)
        assert (later.status, later.code) == (CancelStatus.UNKNOWN, refusal.code)

    @pytest.mark.parametrize(
        "venue",
        [
            Venue(finds=RetryLater("-1003", "busy", retry_after_seconds=1)),
            Venue(finds=order(), takes=RetryLater("-1003", "busy", retry_after_seconds=1)),
            Venue(
                finds=order(), takes=None
            ),  # ended since the question, or the question was answered from older books
        ],
    )
    async def test_says_nothing_where_the_next_look_tells(self, venue):
        assert await carry_out(untold(), venue=venue, now=LATER) is None


@pytest.mark.parametrize("seed", range(12))
def test_is_told_as_the_venues_books_have_it_whatever_is_lost(seed):
    """A venue that loses answers, executes silently, lags and is busy: in the end its own books say the same."""
    held, last = run_in_virtual_time(seed, lambda loop: taken_back(seed, loop))

    assert not held.is_open
    assert last.filled_quantity == held.filled_quantity
    is_filled = held.status is OrderStatus.FILLED
    assert last.status is (CancelStatus.ENDED if is_filled else CancelStatus.CANCELED)


async def taken_back(seed: int, loop):
    """Give the order as the venue's books have it in the end, and what was told last."""
    chance = random.Random(seed)

    def clock():
        return NOON + timedelta(seconds=loop.time())

    venue = SimulatedVenue(
        clock=clock, chance=chance, tell=lambda _: None, submitted=lambda _: None, cut_streams=lambda: None
    )
    venue.open_account(ACCOUNT, balance=Decimal(10_000))
    venue.move_price("BTCUSDT", Decimal(90_000))
    number = venue.rest_by_hand(
        ACCOUNT, symbol="BTCUSDT", side=Side.BUY, price=Decimal(80_000), quantity=Decimal("0.01")
    )
    [seen] = await venue.resting_orders(account_id=ACCOUNT)
    venue.manners = Manners(
        lose=0.2, vanish=0.2, unknown=0.2, busy=0.1, stall=0.1, silent=0.2, slow=0.2, lag=0.3
    )
    if chance.random() < 0.3:
        loop.call_later(chance.random(), venue.move_price, "BTCUSDT", Decimal(79_000))
    asked = untold(order=seen)
    told: list[ForeignCancelTold] = []
    for _ in range(200):
        fact = await carry_out(asked, venue=venue, now=clock())
        if fact is not None:
            told.append(fact)
            asked = replace(asked, status=fact.status, code=fact.code)
        if asked.status not in UNTOLD:
            break
        await asyncio.sleep(0.5)
    return venue.engine.books.accounts[str(ACCOUNT)].orders[int(number)], told[-1]

"""Many orders to a venue that misbehaves at random: what we conclude must agree with its books."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.venue import Acknowledgement, OutcomeUnknown, Refused, RetryLater, VenueError
from pregao.edges.exchanges.binance.outcomes import verdict_on
from pregao.edges.exchanges.wire import Answer, AnswerLost, NotSent, Priority, Wire, WireLimits
from tests.edges.exchanges.scripted_venue import NOON, Misdeed, StandingClock, attempt, http, scripted_venue

ORDERS = 300
REFUSAL = http(400, {"code": -2019, "msg": "Margin is insufficient."})
UNKNOWN = http(503, b"Unknown error, please check your request or try again later.")
NOT_DONE = http(503, b"Service Unavailable.")
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"


def misdeed(dice):
    return dice.choice(
        [
            Misdeed(), Misdeed(), Misdeed(), Misdeed(),
            Misdeed(closes=True), Misdeed(executes=False, closes=True), Misdeed(delay_seconds=3),
            Misdeed(answer=HALF, closes=True), Misdeed(answer=UNKNOWN), Misdeed(executes=False, answer=UNKNOWN),
            Misdeed(executes=False, answer=REFUSAL), Misdeed(executes=False, answer=NOT_DONE),
            Misdeed(answer=b"\x00\x01garbage\r\n\r\n"), Misdeed(delay_seconds=dice.random() / 5),
        ]
    )  # fmt: skip


@pytest.fixture
async def wire(clock):
    """Give a wire that is patient: on a busy machine three hundred connections take a while to be made."""
    one = Wire(clock=clock, limits=WireLimits(connections_max=20, timeout_seconds=2))
    yield one
    await one.close()


class TestConclusions:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_agree_with_the_venues_books(self, exchange, venue, seed):
        dice = random.Random(seed)
        for _ in range(ORDERS):
            venue.will(misdeed(dice))
        attempts = [attempt(number, client_order_id=f"p{number:027d}") for number in range(ORDERS)]

        outcomes = await asyncio.gather(*map(exchange.submit, attempts), return_exceptions=True)

        concluded = {one.client_order_id: outcome for one, outcome in zip(attempts, outcomes, strict=True)}
        arrived = Counter(one.query["newClientOrderId"] for one in venue.orders_received())
        assert all(isinstance(one, Acknowledgement | VenueError) for one in outcomes)
        assert max(arrived.values()) == 1
        for client_order_id, outcome in concluded.items():
            if isinstance(outcome, Acknowledgement):
                assert client_order_id in venue.executed
            elif isinstance(outcome, Refused | RetryLater):
                assert client_order_id not in venue.executed
        assert {Acknowledgement, OutcomeUnknown, Refused, RetryLater} <= {type(one) for one in outcomes}


class TestAnyBytes:
    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_are_judged(self, status, body):
        verdict = verdict_on(Answer(status, [], body, NOON, NOON), now_ms=0)

        assert isinstance(verdict.error, VenueError)

    @pytest.mark.parametrize("seed", range(20))
    async def test_are_an_answer_or_none(self, seed):
        dice = random.Random(seed)
        start = dice.choice([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"])
        async with scripted_venue() as venue:
            venue.will(Misdeed(answer=start + dice.randbytes(40), closes=dice.random() < 0.5), path="/x")
            wire = Wire(clock=StandingClock(), limits=WireLimits(timeout_seconds=0.1))
            line = wire.line(venue.url)
            try:
                answer = await line.ask(b"POST /x HTTP/1.1\r\n\r\n", priority=Priority.ENTRY)
            except (AnswerLost, NotSent) as failure:
                assert type(failure) is AnswerLost  # noqa: PT017 - both outcomes are right, the type is asked
            else:
                assert answer.status == 200
            await wire.close()

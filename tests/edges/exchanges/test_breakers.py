"""F119: which answers of a venue open its breaker, which never do, and what passes while it is open."""

import asyncio

import pytest

from pregao.domain.breaker import BreakerScope, BreakerState
from pregao.domain.order import PositionSide, Side
from pregao.domain.venue import Acknowledgement, OutcomeUnknown, Refused, RetryLater, VenueError
from pregao.domain.weight import Importance, asking_for
from pregao.edges.exchanges.binance import BinanceExchange, BinanceSettings, VenueAddresses
from tests.edges.exchanges.scripted_venue import LATE_SECONDS, Misdeed, attempt, http, key_of

ORDER = "/fapi/v1/order"
BALANCE = "/fapi/v3/balance"
UNKNOWN = http(503, b"Unknown error, please check your request or try again later.")


class Time:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def breakers(time, clock):
    from pregao.domain.breaker import Breakers

    return Breakers(monotonic=time, clock=clock)


@pytest.fixture
async def exchange(venue, wire, clock, breakers):
    venue.answers["GET", BALANCE] = [{"asset": "USDT", "balance": "10"}]
    one = BinanceExchange(
        addresses=VenueAddresses.paper(venue.url),
        wire=wire,
        credentials=key_of,
        clock=clock,
        settings=BinanceSettings(connections_warm=2),
        name="paper",
        breakers=breakers,
    )
    yield one
    await one.close()


numbers = iter(range(1_000_000))


def entry(**changes):
    return attempt(client_order_id=f"p{next(numbers):027d}", **changes)


async def outcome_of(call):
    try:
        return await call
    except VenueError as problem:
        return problem


async def break_venue(exchange, venue, times=5):
    """Fail on the venue's side so often, with reads, so that no symbol is blamed."""
    for _ in range(times):
        venue.will(Misdeed(answer=UNKNOWN), path=BALANCE)
        await outcome_of(exchange.balance(account_id=1))


class TestFailures:
    @pytest.mark.parametrize(
        "answer",
        [
            UNKNOWN,
            http(503, b"Service Unavailable."),
            http(502, b"<html>bad gateway</html>"),
            http(400, {"code": -1001, "msg": "Internal error"}),
            http(400, {"code": -1006, "msg": "Unexpected response"}),
            http(408, {"code": -1007, "msg": "Timeout waiting for response"}),
            http(503, {"code": -1008, "msg": "Server is currently overloaded"}),
            http(200, b"no json"),
            http(200, {"balance": "of whom?"}),
        ],
        ids=[
            "503",
            "503 not executed",
            "502",
            "-1001",
            "-1006",
            "-1007",
            "-1008",
            "unparsable",
            "not what was promised",
        ],
    )
    async def test_are_the_venues_own(self, exchange, venue, breakers, answer):
        for _ in range(5):
            venue.will(Misdeed(answer=answer), path=BALANCE)
            await outcome_of(exchange.balance(account_id=1))

        assert breakers.get("paper").state is BreakerState.OPEN

    async def test_are_silence_and_broken_connections(self, exchange, venue, breakers):
        for misdeed in (Misdeed(delay_seconds=LATE_SECONDS), *(Misdeed(closes=True) for _ in range(8))):
            venue.will(misdeed, path=BALANCE)  # a read on a kept connection that closes is repeated once
        for _ in range(5):
            await outcome_of(exchange.balance(account_id=1))

        assert breakers.get("paper").state is BreakerState.OPEN

    @pytest.mark.parametrize("code", [-2019, -4164, -2015, -4061, -1021, -1015, -4116])
    async def test_are_never_an_accounts_own_refusals(self, exchange, venue, breakers, code):
        """One poor subscriber must not block the others."""
        for _ in range(12):
            venue.refuse(400, {"code": code, "msg": "no"})
            assert isinstance(await outcome_of(exchange.submit(entry())), VenueError)

        assert {breaker.state for breaker in breakers.all()} == {BreakerState.CLOSED}
        assert {breaker.failure_count for breaker in breakers.all()} == {0}

    async def test_are_never_our_own_limits(self, exchange, venue, breakers):
        venue.will(Misdeed(answer=http(429, {"code": -1003, "msg": "Too many"})), path=BALANCE)
        for _ in range(12):
            assert isinstance(await outcome_of(exchange.balance(account_id=1)), RetryLater)

        assert breakers.get("paper").failure_count == 0
        assert len(venue.asked(BALANCE)) == 1

    async def test_in_a_burst_count_once(self, exchange, venue, breakers):
        for _ in range(15):
            venue.will(Misdeed(executes=False, closes=True))
        told = await asyncio.gather(*(outcome_of(exchange.submit(entry())) for _ in range(15)))

        assert {type(one) for one in told} == {OutcomeUnknown}
        assert breakers.get("paper").failure_count == 1


class TestOpenVenue:
    async def test_refuses_entries_and_reads_with_the_time_of_the_next_try(
        self, exchange, venue, breakers, time
    ):
        await break_venue(exchange, venue)
        asked = len(venue.received)
        time.seconds += 2

        for call in (exchange.submit(entry()), exchange.balance(account_id=1), exchange.instruments()):
            refused = await outcome_of(call)
            assert isinstance(refused, RetryLater)
            assert refused.code == "VENUE_BREAKER_OPEN"
            assert refused.retry_after_seconds == 3
        assert len(venue.received) == asked

    async def test_lets_exits_pass_and_two_of_them_close_it(self, exchange, venue, breakers):
        await break_venue(exchange, venue)
        reducing = await exchange.submit(entry(side=Side.SELL, reduce_only=True))
        hedged = await exchange.submit(entry(side=Side.SELL, position_side=PositionSide.LONG))

        assert isinstance(reducing, Acknowledgement)
        assert isinstance(hedged, Acknowledgement)
        assert breakers.get("paper").state is BreakerState.CLOSED

    async def test_lets_exits_pass_however_many_fail(self, exchange, venue, breakers):
        await break_venue(exchange, venue)
        for _ in range(10):
            venue.refuse(503, b"Service Unavailable.")
            await outcome_of(exchange.submit(entry(side=Side.SELL, reduce_only=True)))

        assert len(venue.orders_received()) == 10
        assert breakers.get("paper").state is BreakerState.OPEN

    async def test_lets_questions_pass_that_an_exit_may_hang_on(self, exchange, venue, breakers):
        """Fifty exits in doubt do not wait for two places: what became of each is asked at once."""
        await break_venue(exchange, venue)
        venue.answers["GET", "/fapi/v3/positionRisk"] = []

        asked = [exchange.positions(account_id=one, symbol="BTCUSDT") for one in range(1, 21)]
        told = await asyncio.gather(*(outcome_of(call) for call in asked))
        with asking_for(Importance.BOOKS):
            for _ in range(5):
                venue.will(Misdeed(answer=UNKNOWN), path=BALANCE)
                await outcome_of(exchange.balance(account_id=1))
            of_the_books = await outcome_of(exchange.positions(account_id=1, symbol="BTCUSDT"))

        assert told == [[]] * 20
        assert isinstance(of_the_books, RetryLater)

    async def test_tries_two_at_a_time_when_its_time_has_come(self, exchange, venue, breakers, time):
        await break_venue(exchange, venue)
        time.seconds += 5
        venue.slow_keys["key-1"] = 0.1
        told = await asyncio.gather(*(outcome_of(exchange.balance(account_id=1)) for _ in range(6)))

        assert [type(one) for one in told].count(RetryLater) == 4
        assert breakers.get("paper").state is BreakerState.CLOSED

    async def test_a_canceled_probe_frees_its_place(self, exchange, venue, breakers, time):
        await break_venue(exchange, venue)
        time.seconds += 5
        venue.slow_keys["key-1"] = 5
        probes = [asyncio.create_task(exchange.balance(account_id=1)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert breakers.get("paper").status().half_open_calls == 2
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

        assert breakers.get("paper").status().half_open_calls == 0


class TestOpenSymbol:
    async def break_symbol(self, exchange, venue, times=3):
        for _ in range(times):
            venue.refuse(400, {"code": -1001, "msg": "Internal error"})
            await outcome_of(exchange.submit(entry()))
            await exchange.balance(account_id=1)  # the venue answers everything else

    async def test_f091_three_failures_of_orders_open_it_for_300_seconds(
        self, exchange, venue, breakers, time
    ):
        await self.break_symbol(exchange, venue)

        refused = await outcome_of(exchange.submit(entry()))
        other = await exchange.submit(entry(symbol="ETHUSDT"))

        assert isinstance(refused, RetryLater)
        assert refused.code == "SYMBOL_BREAKER_OPEN"
        assert refused.retry_after_seconds == 300
        assert isinstance(other, Acknowledgement)
        assert breakers.get("paper").state is BreakerState.CLOSED

    async def test_f091_half_open_one_success_closes_it(self, exchange, venue, breakers, time):
        await self.break_symbol(exchange, venue)
        time.seconds += 300
        await exchange.submit(entry())

        symbol = breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL)
        assert symbol.state is BreakerState.CLOSED

    async def test_lets_an_exit_pass_and_closes_when_it_is_answered(self, exchange, venue, breakers):
        await self.break_symbol(exchange, venue)
        venue.refuse(400, {"code": -2022, "msg": "ReduceOnly Order is rejected."})
        told = await outcome_of(exchange.submit(entry(side=Side.SELL, reduce_only=True)))

        assert isinstance(told, Refused)
        assert breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL).state is BreakerState.CLOSED

    async def test_is_not_blamed_for_a_venue_that_is_down(self, exchange, venue, breakers, time):
        """Its five minutes would outlast the outage."""
        for _ in range(5):
            venue.refuse(503, b"Service Unavailable.")
            await outcome_of(exchange.submit(entry()))

        assert breakers.get("paper").state is BreakerState.OPEN
        assert breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL).state is BreakerState.CLOSED

"""The circuit breaker: F119's table and its corrections, and F091's symbol breaker."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.domain.breaker import (
    CONFIGS,
    SYMBOL,
    Breaker,
    BreakerConfig,
    Breakers,
    BreakerScope,
    BreakerState,
    CircuitBreakerOpenError,
    Outcome,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SMALL = BreakerConfig(failure_threshold=2, success_threshold=2, timeout_seconds=10, half_open_max_calls=2)


class Time:
    def __init__(self):
        self.seconds = 1_000.0

    def __call__(self):
        return self.seconds

    def pass_by(self, seconds):
        self.seconds += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def breakers(time):
    return Breakers(monotonic=time, clock=lambda: NOON)


def breaker_of(time, config=SMALL, **more) -> Breaker:
    return Breaker("venue", config, monotonic=time, clock=lambda: NOON, **more)


def fail(breaker, times=1, **how):
    for _ in range(times):
        breaker.fail(breaker.begin(**how))


def succeed(breaker, times=1, **how):
    for _ in range(times):
        breaker.succeed(breaker.begin(**how))


def is_refused(breaker) -> bool:
    try:
        breaker.release(breaker.begin())
    except CircuitBreakerOpenError:
        return True
    return False


class TestTable:
    """F119: the three configurations of E5, to the letter."""

    @pytest.mark.parametrize(
        ("name", "row"),
        [("deriv_api", (3, 2, 30, 2)), ("ml_predictor", (5, 3, 60, 3)), ("trading_engine", (2, 2, 120, 1))],
    )
    def test_each_opens_waits_and_closes_as_it_says(self, breakers, time, name, row):
        failures, successes, seconds, calls = row
        breaker = breakers.get(name)

        fail(breaker, failures - 1)
        assert breaker.state is BreakerState.CLOSED
        fail(breaker)
        assert breaker.state is BreakerState.OPEN
        time.pass_by(seconds - 0.01)
        assert is_refused(breaker)
        time.pass_by(0.01)
        probes = [breaker.begin() for _ in range(calls)]
        assert breaker.state is BreakerState.HALF_OPEN
        assert is_refused(breaker)
        for probe in probes:
            breaker.release(probe)
        succeed(breaker, successes - 1)
        assert breaker.state is BreakerState.HALF_OPEN
        succeed(breaker)
        assert breaker.state is BreakerState.CLOSED

    def test_the_default_is_that_of_the_text(self):
        default = BreakerConfig()

        assert (default.failure_threshold, default.success_threshold) == (5, 2)
        assert (default.timeout_seconds, default.half_open_max_calls) == (60, 3)

    def test_trading_engine_closes_after_two_successes_with_one_probe_at_a_time(self, breakers, time):
        """The original closed only because it counted wrongly; counted right it was stuck for ever."""
        breaker = breakers.get("trading_engine")
        fail(breaker, 2)
        time.pass_by(120)

        first = breaker.begin()
        assert is_refused(breaker)
        breaker.succeed(first)
        breaker.succeed(breaker.begin())

        assert breaker.state is BreakerState.CLOSED


class TestSymbol:
    def test_f091_three_failures_open_300_seconds_half_open_one_success_closes(self, breakers, time):
        breaker = breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL)
        assert breaker.config is SYMBOL

        fail(breaker, 3)
        assert breaker.state is BreakerState.OPEN
        time.pass_by(299.9)
        assert is_refused(breaker)
        time.pass_by(0.1)
        succeed(breaker)

        assert breaker.state is BreakerState.CLOSED

    def test_f091_a_failing_probe_opens_it_again_for_as_long(self, breakers, time):
        breaker = breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL)
        fail(breaker, 3)
        time.pass_by(300)
        fail(breaker)

        assert breaker.state is BreakerState.OPEN
        assert breaker.status().retry_after_seconds == 300


class TestClosed:
    def test_a_success_zeroes_the_failures(self, time):
        breaker = breaker_of(time)
        fail(breaker)
        succeed(breaker)
        fail(breaker)

        assert breaker.state is BreakerState.CLOSED

    def test_calls_that_fail_together_are_one_failure(self, time):
        """Each of a hundred calls under way knew as little as the first: one lost second is no outage."""
        breaker = breaker_of(time)
        together = [breaker.begin() for _ in range(100)]
        for ticket in together:
            breaker.fail(ticket)

        assert breaker.failure_count == 1
        assert breaker.state is BreakerState.CLOSED
        fail(breaker)
        assert breaker.state is BreakerState.OPEN

    def test_a_call_that_began_before_it_opened_neither_closes_nor_prolongs(self, time):
        breaker = breaker_of(time)
        old, late = breaker.begin(), breaker.begin()
        fail(breaker, 2)
        time.pass_by(5)
        breaker.succeed(old)
        breaker.fail(late)

        assert breaker.status().retry_after_seconds == 5


class TestOpen:
    def test_says_when_to_try_again(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        time.pass_by(4)

        with pytest.raises(CircuitBreakerOpenError) as refused:
            breaker.begin()

        assert refused.value.retry_after_seconds == 6

    def test_an_exit_passes_and_its_success_is_a_probes(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        succeed(breaker, is_exit=True)

        assert breaker.state is BreakerState.HALF_OPEN
        succeed(breaker, is_exit=True)
        assert breaker.state is BreakerState.CLOSED

    def test_an_exit_that_fails_prolongs_it(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        time.pass_by(9)
        fail(breaker, is_exit=True)
        time.pass_by(9)

        assert is_refused(breaker)

    def test_exits_pass_beyond_the_probes_places(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        time.pass_by(10)
        probes = [breaker.begin(), breaker.begin()]

        exits = [breaker.begin(is_exit=True) for _ in range(3)]

        assert breaker.status().half_open_calls == len(probes) + len(exits)


class TestProbes:
    def test_are_counted_while_they_are_under_way_only(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        time.pass_by(10)
        for _ in range(20):
            breaker.release(breaker.begin())

        assert breaker.status().half_open_calls == 0
        assert breaker.state is BreakerState.HALF_OPEN

    async def test_a_canceled_probe_frees_its_place(self, time):
        breaker = breaker_of(time, BreakerConfig(failure_threshold=1, half_open_max_calls=1))
        fail(breaker)
        time.pass_by(60)

        async def hang():
            async with breaker.guard():
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        assert is_refused(breaker)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert not is_refused(breaker)
        assert breaker.state is BreakerState.HALF_OPEN

    def test_a_hung_probe_frees_its_place_after_the_timeout_and_says_nothing_later(self, time):
        breaker = breaker_of(time, BreakerConfig(failure_threshold=1, half_open_max_calls=1))
        fail(breaker)
        time.pass_by(60)
        hung = breaker.begin()
        time.pass_by(60)

        fresh = breaker.begin()
        breaker.fail(hung)
        breaker.succeed(fresh)

        assert breaker.state is BreakerState.HALF_OPEN
        assert breaker.status().success_count == 1


class TestUse:
    def test_decorates_a_function(self, time):
        breaker = breaker_of(time)

        @breaker
        def half(number):
            return 10 // number

        assert half(2) == 5
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                half(0)
        with pytest.raises(CircuitBreakerOpenError):
            half(2)

    async def test_decorates_a_coroutine(self, time):
        breaker = breaker_of(time)

        @breaker
        async def half(number):
            await asyncio.sleep(0)
            return 10 // number

        assert await half(2) == 5
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await half(0)
        with pytest.raises(CircuitBreakerOpenError):
            await half(2)

    def test_unexpected_exceptions_count(self, time):
        breaker = breaker_of(time)
        for problem in (KeyError("a"), RuntimeError("b")):
            with pytest.raises(type(problem)), breaker.guard():
                raise problem

        assert breaker.state is BreakerState.OPEN

    def test_a_judge_says_what_an_exception_means(self, time):
        meanings = {KeyError: Outcome.SUCCESS, OSError: Outcome.NOTHING, TypeError: Outcome.FAILURE}
        breaker = breaker_of(time, judge=lambda problem: meanings[type(problem)])
        for problem, failures in ((TypeError(), 1), (OSError(), 1), (KeyError(), 0)):
            with pytest.raises(type(problem)), breaker.guard():
                raise problem
            assert breaker.failure_count == failures

    def test_the_status_has_everything(self, time):
        breaker = breaker_of(time)
        fail(breaker, 2)
        time.pass_by(3)
        status = breaker.status()

        assert (status.name, status.scope, status.state) == ("venue", "service", "open")
        assert (status.failure_count, status.success_count, status.half_open_calls) == (2, 0, 0)
        assert (status.last_failure_time, status.last_failure_seconds) == (NOON, 3)
        assert status.retry_after_seconds == 7

    def test_changes_are_told_once_with_the_state_before(self, breakers, time):
        told = []
        breakers.listen(lambda breaker, before, after: told.append((breaker.name, before, after)))
        breaker = breakers.get("deriv_api")
        fail(breaker, 3)
        time.pass_by(30)
        succeed(breaker, 2)

        assert [(str(before), str(after)) for _, before, after in told] == [
            ("closed", "open"),
            ("open", "half_open"),
            ("half_open", "closed"),
        ]

    def test_threads_agree(self, time):
        told = []
        config = BreakerConfig(failure_threshold=500, timeout_seconds=1)
        breaker = breaker_of(time, config, told=lambda *change: told.append(change))

        def work():
            for _ in range(1_000):
                try:
                    breaker.fail(breaker.begin())
                except CircuitBreakerOpenError:
                    return

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert breaker.state is BreakerState.OPEN
        assert breaker.failure_count == 500
        assert len(told) == 1


class TestConfiguration:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"failure_threshold": 0},
            {"success_threshold": -1},
            {"half_open_max_calls": 0},
            {"half_open_max_calls": 1.5},
            {"failure_threshold": True},
            {"timeout_seconds": 0},
            {"timeout_seconds": float("nan")},
            {"timeout_seconds": float("inf")},
        ],
    )
    def test_what_could_never_open_or_close_is_refused(self, wrong):
        with pytest.raises(ValueError, match=f"BREAKER_CONFIG_UNUSABLE: {next(iter(wrong))}"):
            BreakerConfig(**wrong)

    def test_a_known_name_has_one_configuration(self, breakers):
        breaker = breakers.get("mine", SMALL)

        assert breakers.get("mine") is breaker
        assert breakers.get("mine", SMALL) is breaker
        with pytest.raises(ValueError, match="BREAKER_CONFIGURED_OTHERWISE: name=mine"):
            breakers.get("mine", BreakerConfig())

    def test_an_unknown_name_needs_one(self, breakers):
        with pytest.raises(ValueError, match="BREAKER_UNKNOWN: name=nobody"):
            breakers.get("nobody")

    def test_the_table_has_three(self):
        assert sorted(CONFIGS) == ["deriv_api", "ml_predictor", "trading_engine"]


MOVES = st.lists(st.sampled_from(["begin", "exit", "succeed", "fail", "release", "wait"]), max_size=60)


class TestAnyOrder:
    @given(moves=MOVES, calls=st.integers(1, 3), successes=st.integers(1, 3))
    def test_never_gets_stuck(self, moves, calls, successes):
        """F119: whatever happened, once calls succeed again and time passes, it closes."""
        time = Time()
        config = BreakerConfig(
            failure_threshold=2, success_threshold=successes, timeout_seconds=10, half_open_max_calls=calls
        )
        breaker = breaker_of(time, config)
        under_way = []
        for move in moves:
            if move in ("begin", "exit"):
                try:
                    under_way.append(breaker.begin(is_exit=move == "exit"))
                except CircuitBreakerOpenError:
                    continue
                probes = breaker.status().half_open_calls
                assert move == "exit" or probes <= calls or breaker.state is not BreakerState.HALF_OPEN
            elif move == "wait":
                time.pass_by(6)
            elif under_way:
                getattr(breaker, move)(under_way.pop(0))

        time.pass_by(20)
        succeed(breaker, successes)

        assert breaker.state is BreakerState.CLOSED

"""The guardrails in the order of spec D2.3: what each says no to, and that none of them goes silent."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from pregao.domain.breaker import BreakerState
from pregao.domain.level import TriggerKind
from pregao.domain.position import Direction
from pregao.stops.guardrails import (
    KEEPING,
    RECHECKS_MAX,
    Circumstances,
    ExitStep,
    Guardrail,
    Instead,
    Recheck,
    after_recheck,
    bound_price,
    exit_step,
    is_bounded,
    judge_exit,
    kept_by,
    pauses_entries,
    said_no,
)
from pregao.stops.limits import TenantLimits
from tests.builders import NOON, scope_state

CALM = Circumstances(
    kind=TriggerKind.STOP,
    direction=Direction.LONG,
    level=Decimal(100),
    triggered_at=NOON,
    is_venue_guarded=True,
    estimated_price=Decimal("99.9"),
    price_at=NOON - timedelta(seconds=1),
)
BUSY = tuple(NOON - timedelta(seconds=second) for second in range(50, 0, -5))  # ten within a minute

TROUBLES = {
    Guardrail.IDEMPOTENCY: {"is_claimed_elsewhere": True},
    Guardrail.KILL_SWITCH: {"blocking": scope_state(block_exits=True)},
    Guardrail.BREAKER: {"breaker": BreakerState.OPEN, "breaker_retry_seconds": 300.0},
    Guardrail.PRICE: {"price_at": NOON - timedelta(seconds=30)},
    Guardrail.SLIPPAGE: {"estimated_price": Decimal("94.99")},
    Guardrail.RATE: {"executions": BUSY},
}


def judged(*troubles: Guardrail, **changes):
    met = {name: value for trouble in troubles for name, value in TROUBLES[trouble].items()}
    return judge_exit(replace(CALM, **{**met, **changes}), now=NOON)


class TestOrder:
    def test_is_the_specs(self):
        assert [one.guardrail for one in judged()] == list(Guardrail)
        assert kept_by(judged()) is None
        assert said_no(judged()) == []

    @pytest.mark.parametrize("met", [*product((False, True), repeat=6)])
    def test_decides_whatever_comes_together(self, met):
        """The first that keeps the exit here is the last that is asked; those that only change it go on."""
        troubles = [guardrail for guardrail, is_met in zip(Guardrail, met, strict=True) if is_met]
        keeping = [one for one in troubles if one not in {Guardrail.BREAKER, Guardrail.SLIPPAGE}]

        verdicts = judged(*troubles)

        kept = kept_by(verdicts)
        asked = list(Guardrail)[: list(Guardrail).index(keeping[0]) + 1] if keeping else list(Guardrail)
        assert [one.guardrail for one in verdicts] == asked
        assert (kept.guardrail if kept else None) is (keeping[0] if keeping else None)
        assert [one.guardrail for one in said_no(verdicts)] == [one for one in troubles if one in asked]

    @pytest.mark.parametrize("guardrail", Guardrail)
    def test_never_ends_in_silence(self, guardrail):
        """Each says no with its code, its values and what to do; and what is done instead."""
        verdict = said_no(judged(guardrail))[0]

        assert verdict.reason.startswith(f"{guardrail.value}: ")
        assert verdict.numbers
        assert verdict.remedy
        assert verdict.instead is not Instead.NOTHING or guardrail is Guardrail.IDEMPOTENCY
        assert (verdict.again_at is None) is (verdict.instead not in {Instead.HOLD, Instead.DEFER})


class TestIdempotency:
    def test_tells_the_loser_in_the_sources_words(self):
        """X-8."""
        assert "Duplicate execution prevented (idempotency)" in kept_by(judged(Guardrail.IDEMPOTENCY)).reason


class TestKillSwitch:
    def test_holds_exits_only_where_they_are_blocked_and_looks_again_within_a_second(self):
        """X-11, F092; who blocked it and why is in the values."""
        verdict = kept_by(judged(Guardrail.KILL_SWITCH))

        assert verdict.instead is Instead.HOLD
        assert verdict.again_at == NOON + timedelta(seconds=1)
        assert verdict.is_critical
        assert verdict.numbers["reason"] == "the venue is mad"


class TestBreaker:
    def test_lets_the_exit_out_as_a_probe_and_calls_a_person(self):
        verdicts = judged(Guardrail.BREAKER)

        assert kept_by(verdicts) is None
        assert [(one.instead, one.is_critical) for one in said_no(verdicts)] == [(Instead.PROBE, True)]

    def test_passes_half_open(self):
        assert said_no(judged(breaker=BreakerState.HALF_OPEN)) == []


class TestPrice:
    @pytest.mark.parametrize(("age", "passes"), [(0, True), (29.9, True), (30, False), (None, False)])
    def test_of_thirty_seconds_is_asked_for_again(self, age, passes):
        """F093."""
        at = None if age is None else NOON - timedelta(seconds=age)

        kept = kept_by(judged(price_at=at))

        assert (kept is None) is passes
        assert passes or kept.instead is Instead.RECHECK

    def test_that_the_venue_confirmed_is_good(self):
        assert kept_by(judged(Guardrail.PRICE, is_confirmed=True)) is None

    @pytest.mark.parametrize(
        ("is_reached", "questions", "then"),
        [
            (True, 1, Recheck.GO),
            (False, 1, Recheck.ABORT),
            (None, 1, Recheck.AGAIN),
            (None, RECHECKS_MAX - 1, Recheck.AGAIN),
            (None, RECHECKS_MAX, Recheck.BLIND),
            (False, RECHECKS_MAX, Recheck.ABORT),
        ],
    )
    def test_that_the_venue_denies_ends_it_and_its_silence_does_not(self, is_reached, questions, then):
        assert after_recheck(is_reached=is_reached, questions=questions) is then


class TestSlippage:
    @pytest.mark.parametrize(
        ("direction", "estimated", "passes"),
        [
            (Direction.LONG, "95", True),  # 5.00 %
            (Direction.LONG, "94.99", False),  # 5.01 %
            (Direction.LONG, "150", True),  # better never blocks
            (Direction.SHORT, "105", True),
            (Direction.SHORT, "105.01", False),
            (Direction.SHORT, "50", True),
        ],
    )
    def test_of_more_than_five_percent_bounds_the_exit(self, direction, estimated, passes):
        """F090."""
        verdicts = judged(direction=direction, estimated_price=Decimal(estimated))

        assert is_bounded(verdicts) is not passes
        assert kept_by(verdicts) is None

    def test_of_more_than_ten_percent_pauses_the_tenants_entries(self):
        verdicts = judged(estimated_price=Decimal("89.99"))

        assert [one.pauses_entries for one in said_no(verdicts)] == [True]
        assert not pauses_entries(Decimal(10), limits=TenantLimits())

    def test_has_a_limit_of_the_tenants_own(self):
        tight = TenantLimits(slippage_percent_max=Decimal("0.05"))

        assert is_bounded(judged(limits=tight))
        assert not is_bounded(judged())

    def test_that_nobody_can_estimate_keeps_nobody_in(self):
        assert said_no(judged(estimated_price=None)) == []

    def test_is_bounded_once_then_a_stop_leaves_at_the_market(self):
        """Design 5: what triggered and does not fill goes to the market. A target waits for its price instead."""
        steps = [exit_step(kind=TriggerKind.STOP, bounded_attempts=attempts) for attempts in range(3)]

        assert steps == [ExitStep.BOUNDED, ExitStep.MARKET, ExitStep.MARKET]
        assert exit_step(kind=TriggerKind.TARGET, bounded_attempts=0) is ExitStep.BOUNDED
        assert exit_step(kind=TriggerKind.TARGET, bounded_attempts=1) is None

    @pytest.mark.parametrize(("direction", "bound"), [(Direction.LONG, "95.08"), (Direction.SHORT, "105.07")])
    def test_is_bounded_on_the_tick_within_the_limit(self, direction, bound):
        figures = {
            "level": Decimal("100.075"),
            "slippage_percent_max": Decimal(5),
            "price_tick": Decimal("0.01"),
        }

        assert bound_price(direction=direction, **figures) == Decimal(bound)


class TestRate:
    def test_defers_the_eleventh_in_a_minute_until_there_is_room(self):
        """F094."""
        nine, ten = judged(executions=(NOON - timedelta(minutes=1), *BUSY[1:])), judged(executions=BUSY)

        assert kept_by(nine) is None
        assert nine[-1].numbers["last_minute"] == "9"
        assert (kept_by(ten).instead, kept_by(ten).again_at) == (Instead.DEFER, NOON + timedelta(seconds=10))
        assert (
            kept_by(
                judge_exit(replace(CALM, executions=BUSY, price_at=NOON), now=NOON + timedelta(seconds=10))
            )
            is None
        )

    def test_defers_a_stop_that_nothing_else_guards_for_five_seconds_at_most(self):
        """A limit against a desk gone mad is no reason to leave a position to itself."""
        first = kept_by(judged(executions=BUSY, is_venue_guarded=False))
        waited = {"executions": BUSY, "is_venue_guarded": False, "triggered_at": NOON - timedelta(seconds=5)}

        verdicts = judged(**waited)

        assert (first.instead, first.again_at) == (Instead.DEFER, NOON + timedelta(seconds=5))
        assert kept_by(verdicts) is None
        assert [(one.instead, one.is_critical) for one in said_no(verdicts)] == [(Instead.LEAVE, True)]
        assert kept_by(judged(kind=TriggerKind.TARGET, **waited)).instead is Instead.DEFER

    def test_defers_the_hundred_and_first_in_an_hour(self):
        hour = tuple(NOON - timedelta(seconds=second) for second in range(3_599, 99, -35))
        limits = TenantLimits(executions_per_hour_max=len(hour))

        kept = kept_by(judged(executions=hour, limits=limits))

        assert kept.again_at == NOON + timedelta(seconds=1)
        assert kept.numbers["last_hour"] == str(len(hour))

    def test_waits_for_the_later_of_both(self):
        limits = TenantLimits(executions_per_hour_max=10)

        assert kept_by(judged(executions=BUSY, limits=limits)).again_at == BUSY[0] + timedelta(hours=1)

    @pytest.mark.parametrize("kind", TriggerKind)
    def test_calls_a_person_for_a_stop(self, kind):
        assert kept_by(judged(Guardrail.RATE, kind=kind)).is_critical is (kind is TriggerKind.STOP)


def test_what_keeps_an_exit_here_has_an_end():
    """Nothing, once: somebody else exits. The others come back at an instant, or with an answer."""
    assert {Instead.NOTHING, Instead.HOLD, Instead.RECHECK, Instead.DEFER} == KEEPING

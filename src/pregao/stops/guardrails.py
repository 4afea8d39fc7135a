"""
What is looked at before a triggered exit leaves, in the order of spec D2.3, and what happens where one says no.

A guardrail never leaves a position to itself: each names what is done instead. Only an exit that somebody else makes,
or a trigger that the venue's own price denies, ends there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pregao.domain.breaker import BreakerState
from pregao.domain.execution import slippage_percent
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX, UNGUARDED_SECONDS_MAX, is_stale
from pregao.domain.level import TriggerKind
from pregao.domain.money import HUNDRED, ONE, ceil_to_step, floor_to_step, to_text
from pregao.domain.position import Direction
from pregao.domain.stop import DUPLICATE
from pregao.domain.trading_state import ScopeState
from pregao.stops.limits import STANDARD, TenantLimits

LOOK_AGAIN_SECONDS = 1.0  # at what an operator has blocked: a resume acts within one cycle (F092)
RECHECKS_MAX = 3  # questions to a venue that gives no price, before the exit leaves without one
BOUNDED_SECONDS = 2.0  # how long a bounded exit may rest before it goes to the market
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Guardrail(StrEnum):
    """What is looked at, in this order; the values are the source's event types where it has one."""

    IDEMPOTENCY = "EXECUTION_DUPLICATE"
    KILL_SWITCH = "KILL_SWITCH"
    BREAKER = "CIRCUIT_BREAKER"
    PRICE = "STALE_PRICE"
    SLIPPAGE = "SLIPPAGE_BREACH"
    RATE = "EXECUTION_RATE"  # the source has the setting and no place for it


class Instead(StrEnum):
    """What is done where a guardrail says no."""

    NOTHING = "nothing"  # somebody else exits
    HOLD = "hold"  # an operator wants no exit; the venue's line stands, a person is told, and it is looked at again
    PROBE = "probe"  # the exit leaves all the same, as the call that tries the breaker
    RECHECK = "recheck"  # the venue is asked for its price
    BOUNDED = "bounded"  # a limit order at the worst price allowed; a stop goes to the market after that
    DEFER = "defer"  # it leaves when there is room
    LEAVE = "leave"  # it leaves all the same: nothing else guards the position, and it has waited long enough


KEEPING = frozenset({Instead.NOTHING, Instead.HOLD, Instead.RECHECK, Instead.DEFER})
"""With these the exit does not leave now; the others change how it leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """All that the guardrails look at, read once."""

    kind: TriggerKind
    direction: Direction
    level: Decimal
    triggered_at: datetime
    estimated_price: Decimal | None  # what the exit would fill at: the far side of the book; None: not known
    price_at: datetime | None  # when the price that triggered came; our clock
    is_venue_guarded: bool = False  # the venue's own order stands for all that is held
    is_claimed_elsewhere: bool = False
    blocking: ScopeState | None = None  # a state that lets no exit out
    breaker: BreakerState = BreakerState.CLOSED  # of the symbol
    breaker_retry_seconds: float = 0.0
    executions: Sequence[datetime] = ()  # of the tenant, within the last hour, oldest first
    limits: TenantLimits = STANDARD
    is_confirmed: bool = False  # the venue's own price was asked for, and is at the level


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """What one guardrail says, with the values, the limit and what to do."""

    guardrail: Guardrail
    passed: bool
    numbers: Mapping[str, str]
    remedy: str = ""
    instead: Instead = Instead.NOTHING
    again_at: datetime | None = None  # HOLD, DEFER
    is_critical: bool = False  # a person is called, not only told
    pauses_entries: bool = False  # of the tenant

    @property
    def code(self) -> str:
        """Give the stable code of what it says no with."""
        return self.guardrail.value

    @property
    def reason(self) -> str:
        """Give code, values and remedy as one line."""
        values = " ".join(f"{name}={value}" for name, value in self.numbers.items())
        return f"{self.code}: {values}. {self.remedy}"


def judge_exit(seen: Circumstances, *, now: datetime) -> tuple[GuardVerdict, ...]:
    """Give what each guardrail says, in order, up to the first that keeps the exit here."""
    verdicts: list[GuardVerdict] = []
    for look in (_idempotency, _kill_switch, _breaker, _price, _slippage, _rate):
        verdict = look(seen, now)
        verdicts.append(verdict)
        if not verdict.passed and verdict.instead in KEEPING:
            break
    return tuple(verdicts)


def kept_by(verdicts: Sequence[GuardVerdict]) -> GuardVerdict | None:
    """Give the guardrail that keeps the exit here for now; None where it may leave."""
    return next((one for one in said_no(verdicts) if one.instead in KEEPING), None)


def said_no(verdicts: Sequence[GuardVerdict]) -> list[GuardVerdict]:
    """Give every guardrail that said no: each is a fact and an alert of its own, whether the exit leaves or not."""
    return [one for one in verdicts if not one.passed]


def is_bounded(verdicts: Sequence[GuardVerdict]) -> bool:
    """Say whether an exit that may leave takes no price worse than the bound, at first."""
    return any(one.instead is Instead.BOUNDED for one in said_no(verdicts))


# --- the six ----------------------------------------------------------------------------------------------


def _idempotency(seen: Circumstances, _now: datetime) -> GuardVerdict:
    return GuardVerdict(
        guardrail=Guardrail.IDEMPOTENCY,
        passed=not seen.is_claimed_elsewhere,
        numbers={"claimed_elsewhere": str(seen.is_claimed_elsewhere).lower()},
        remedy=f"{DUPLICATE}.",
        instead=Instead.NOTHING,
    )


def _kill_switch(seen: Circumstances, now: datetime) -> GuardVerdict:
    # A halt stops entries; exits only where the operator has said so beside it.
    blocking = seen.blocking
    return GuardVerdict(
        guardrail=Guardrail.KILL_SWITCH,
        passed=blocking is None,
        numbers={"block_exits": "false"} if blocking is None else {"block_exits": "true", **blocking.values},
        remedy="Somebody has blocked exits: the venue's own order still stands. Let exits go, or close by hand.",
        instead=Instead.HOLD,
        again_at=now + timedelta(seconds=LOOK_AGAIN_SECONDS),
        is_critical=True,
    )


def _breaker(seen: Circumstances, _now: datetime) -> GuardVerdict:
    # Half open passes: an exit always serves as a probe.
    return GuardVerdict(
        guardrail=Guardrail.BREAKER,
        passed=seen.breaker is not BreakerState.OPEN,
        numbers={"state": seen.breaker.value, "retry_after_seconds": f"{seen.breaker_retry_seconds:.1f}"},
        remedy="Orders on this symbol have failed three times in a row; the exit leaves as a probe. See the venue.",
        instead=Instead.PROBE,
        is_critical=True,
    )


def _price(seen: Circumstances, now: datetime) -> GuardVerdict:
    age = "none" if seen.price_at is None else f"{(now - seen.price_at).total_seconds():.1f}"
    return GuardVerdict(
        guardrail=Guardrail.PRICE,
        passed=seen.is_confirmed or not is_stale(seen.price_at, now=now),
        numbers={
            "age_seconds": age,
            "age_seconds_max": f"{PRICE_AGE_SECONDS_MAX:.0f}",
            "confirmed": str(seen.is_confirmed).lower(),
        },
        remedy="The venue is asked for its price; see whether the feed is connected.",
        instead=Instead.RECHECK,
    )


def _slippage(seen: Circumstances, _now: datetime) -> GuardVerdict:
    limits = seen.limits
    numbers = {"level": to_text(seen.level), "slippage_percent_max": to_text(limits.slippage_percent_max)}
    if seen.estimated_price is None:
        return GuardVerdict(
            guardrail=Guardrail.SLIPPAGE, passed=True, numbers={**numbers, "estimated_price": "none"}
        )
    worse = slippage_percent(direction=seen.direction, stop_price=seen.level, price=seen.estimated_price)
    return GuardVerdict(
        guardrail=Guardrail.SLIPPAGE,
        passed=worse <= limits.slippage_percent_max,
        numbers={
            **numbers,
            "estimated_price": to_text(seen.estimated_price),
            "slippage_percent": to_text(worse),
        },
        remedy="The exit is sent with a bounded price first. See whether the market is torn, or raise the limit.",
        instead=Instead.BOUNDED,
        is_critical=True,
        pauses_entries=pauses_entries(worse, limits=limits),
    )


def _rate(seen: Circumstances, now: datetime) -> GuardVerdict:
    limits = seen.limits
    room_at = [
        _room_at(seen.executions, now=now, within=within, maximum=maximum)
        for within, maximum in (
            (MINUTE, limits.executions_per_minute_max),
            (HOUR, limits.executions_per_hour_max),
        )
    ]
    room = max((at for at in room_at if at is not None), default=None)
    instead, again_at = Instead.DEFER, room
    if room is not None and seen.kind is TriggerKind.STOP and not seen.is_venue_guarded:
        patience = seen.triggered_at + timedelta(seconds=UNGUARDED_SECONDS_MAX)
        instead, again_at = (Instead.LEAVE, None) if now >= patience else (Instead.DEFER, min(room, patience))
    return GuardVerdict(
        guardrail=Guardrail.RATE,
        passed=room is None,
        numbers={
            "last_minute": str(_count(seen.executions, now=now, within=MINUTE)),
            "per_minute_max": str(limits.executions_per_minute_max),
            "last_hour": str(_count(seen.executions, now=now, within=HOUR)),
            "per_hour_max": str(limits.executions_per_hour_max),
            "venue_guarded": str(seen.is_venue_guarded).lower(),
        },
        remedy="The exit leaves when there is room, and within 5 s where nothing else guards it. Raise the limit.",
        instead=instead,
        again_at=again_at,
        is_critical=seen.kind is TriggerKind.STOP,
    )


def _count(executions: Sequence[datetime], *, now: datetime, within: timedelta) -> int:
    return sum(1 for at in executions if at > now - within)


def _room_at(
    executions: Sequence[datetime], *, now: datetime, within: timedelta, maximum: int
) -> datetime | None:
    recent = [at for at in executions if at > now - within]
    return None if len(recent) < maximum else recent[len(recent) - maximum] + within


# --- and then ---------------------------------------------------------------------------------------------


def pauses_entries(slippage: Decimal, *, limits: TenantLimits) -> bool:
    """Say whether a slippage, estimated or booked, is so bad that the tenant enters nothing more until he says so."""
    return slippage > limits.slippage_percent_pause


class Recheck(StrEnum):
    """What a question for the price comes to."""

    GO = "go"  # it is at the level: the exit leaves
    ABORT = "abort"  # it is not: the stop is armed again
    AGAIN = "again"  # the venue is silent
    BLIND = "blind"  # it stays silent: the exit leaves without a price, and a person is called


def after_recheck(*, is_reached: bool | None, questions: int) -> Recheck:
    """
    Give what follows from the venue's answer, None where it gave none, after so many questions.

    The level was crossed once, and nobody can see that it is not any more: what is held is not left to that.
    """
    if is_reached is None:
        return Recheck.AGAIN if questions < RECHECKS_MAX else Recheck.BLIND
    return Recheck.GO if is_reached else Recheck.ABORT


class ExitStep(StrEnum):
    """How an exit that slips leaves."""

    BOUNDED = "bounded"  # a limit order at the bound, reduce-only, what does not fill at once is canceled
    MARKET = "market"  # reduce-only


def exit_step(*, kind: TriggerKind, bounded_attempts: int) -> ExitStep | None:
    """
    Give how an exit leaves that breached the slippage: bounded once, then a stop at the market, whatever it costs.

    A target takes no profit at any price: None, and it is watched again.
    """
    if bounded_attempts == 0:
        return ExitStep.BOUNDED
    return ExitStep.MARKET if kind is TriggerKind.STOP else None


def bound_price(
    *, direction: Direction, level: Decimal, slippage_percent_max: Decimal, price_tick: Decimal
) -> Decimal:
    """Give the worst price a bounded exit takes, on the tick within the bound."""
    share = slippage_percent_max / HUNDRED
    if direction is Direction.LONG:
        return ceil_to_step(level * (ONE - share), step=price_tick)
    return floor_to_step(level * (ONE + share), step=price_tick)

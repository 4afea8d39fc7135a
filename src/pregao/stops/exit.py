"""
Look at a claimed exit before it leaves: each guardrail that says no is told, and what may leave is asked for.

Takes StopTriggered. Gives GuardrailBlocked, StopChanged, ExecutionMoved, ExitRequested. What is kept here is looked at
again when it is due, by the same rules.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account, Venue
from pregao.domain.breaker import BreakerState
from pregao.domain.execution import Execution, ExecutionStatus, exit_quantity
from pregao.domain.facts import ExitRequested, Fact, GuardrailBlocked, StopChanged, StopTriggered
from pregao.domain.guarding import VenueLine, is_stale, is_venue_line_effective
from pregao.domain.level import TriggerKind, is_reached, watched_price
from pregao.domain.market import Market
from pregao.domain.money import ZERO, to_text
from pregao.domain.position import Position, PositionStatus
from pregao.domain.protection import LineStatus, ProtectionStatus
from pregao.domain.stop import Source, Stop, StopChange, StopStatus, armed_again, target_taken
from pregao.domain.trading_state import TradingStates, scopes_of
from pregao.stops.claims import watched_again
from pregao.stops.guardrails import (
    HOUR,
    KEEPING,
    LOOK_AGAIN_SECONDS,
    Circumstances,
    ExitStep,
    Guardrail,
    GuardVerdict,
    Instead,
    Recheck,
    after_recheck,
    bound_price,
    exit_step,
    is_bounded,
    judge_exit,
    kept_by,
    said_no,
)
from pregao.stops.limits import STANDARD, TenantLimits
from pregao.stops.ports import Claimed, Exits, Guard

BY_DESK = "desk"
HELD = (PositionStatus.OPEN, PositionStatus.CLOSING)
DUE = (ExecutionStatus.PENDING, ExecutionStatus.FAILED, ExecutionStatus.BLOCKED)
SEEN_BY_US = (Source.STREAM, Source.POLL)  # what we saw the venue's price may deny, not what it said itself

Executions = dict[UUID | int, list[datetime]]  # by tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Price:
    """What is known of the price that an exit would fill at."""

    price_at: datetime | None
    estimated: Decimal | None
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One claim, and what it is about; ``stop`` is as the claims before it left it."""

    claimed: Claimed
    stop: Stop
    guard: Guard
    position: Position
    account: Account

    @property
    def pair(self) -> tuple[Venue, str]:
        return self.account.venue, self.position.symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What is the same for all of them."""

    market: Market
    states: TradingStates
    executions: Executions
    limits: Mapping[
        UUID, TenantLimits
    ]  # of those who have an account; what is nobody's is held to the standard
    now: datetime

    def limits_of(self, account: Account) -> TenantLimits:
        return STANDARD if account.user_id is None else self.limits.get(account.user_id, STANDARD)


async def judge_trigger(
    triggers: Sequence[StopTriggered],
    *,
    exits: Exits,
    market: Market,
    now: datetime,
) -> list[Fact]:
    """
    Ask for the exit of each claim, or say what keeps it.

    A claim of the venue's own order is left to it at first; a claim that is over already gives nothing.
    """
    seen = {(fact.token, fact.trigger.kind, fact.trigger.number): fact for fact in triggers}
    position_ids = {fact.stop.position_id for fact in triggers}
    cases, scene = await _look(position_ids, exits=exits, market=market, now=now)
    priced: list[tuple[_Case, _Price]] = []
    for case in cases:
        claimed = case.claimed
        trigger = seen.get((claimed.token, claimed.kind, claimed.number))
        if trigger is None or claimed.status is not ExecutionStatus.PENDING:
            continue
        if claimed.source is Source.VENUE and trigger.again_at > now:
            continue
        price = _Price(
            price_at=trigger.price_at,
            estimated=trigger.estimated_price,
            is_confirmed=claimed.source is Source.MANUAL and trigger.price_at is None,
        )
        priced.append((case, price))
    return _judge_all(priced, scene)


async def judge_again(
    position_ids: Collection[int],
    *,
    exits: Exits,
    market: Market,
    now: datetime,
) -> list[Fact]:
    """
    Ask for the exits of these positions that were kept or failed, and are due, by the price that was just asked for.

    What keeps an exit is told once, not each time somebody looks.
    """
    cases, scene = await _look(position_ids, exits=exits, market=market, now=now)
    due = [case for case in cases if is_due(case.claimed, now=now)]
    return _judge_all([(case, _asked(case, market)) for case in due], scene)


def _judge_all(priced: Sequence[tuple[_Case, _Price]], scene: _Scene) -> list[Fact]:
    stops: dict[int, Stop] = {}
    facts: list[Fact] = []
    for one, price in priced:
        position_id = one.position.position_id
        case = replace(one, stop=stops.get(position_id, one.stop))
        told = _judge(case, price, scene)
        for fact in told:
            if isinstance(fact, StopChanged):
                stops[position_id] = fact.stop
        facts += [fact for fact in told if not _is_known(fact, case.claimed)]
    return facts


def is_due(claimed: Claimed, *, now: datetime) -> bool:
    """Say whether a claimed exit is to be looked at again by now."""
    return claimed.status in DUE and claimed.again_at is not None and claimed.again_at <= now


def _is_known(fact: Fact, claimed: Claimed) -> bool:
    if not isinstance(fact, GuardrailBlocked) or fact.again_at is None:
        return False
    return fact.guardrail == claimed.code and fact.instead != Instead.RECHECK


async def _look(
    position_ids: Collection[int],
    *,
    exits: Exits,
    market: Market,
    now: datetime,
) -> tuple[list[_Case], _Scene]:
    positions = await exits.lock_positions(sorted(position_ids))
    held = [one for one in positions.values() if one.status in HELD and one.quantity > ZERO]
    found = await exits.exit_scene(held, since=now - HOUR)
    scene = _Scene(
        market=market,
        states=found.states,
        executions={
            _tenant(one): list(found.executions.get(one.account_id, ())) for one in found.accounts.values()
        },
        limits=found.limits,
        now=now,
    )
    cases = [
        _Case(
            claimed=claimed,
            stop=guard.armed.stop,
            guard=guard,
            position=one,
            account=found.accounts[one.account_id],
        )
        for one in held
        if (guard := found.guards.get(one.position_id)) is not None and guard.armed is not None
        for claimed in guard.claims
    ]
    # Stops before targets: where there is room for one only, it is for what loses.
    cases.sort(key=lambda one: (one.claimed.kind is not TriggerKind.STOP, one.claimed.seen_at))
    return cases, scene


def _tenant(account: Account) -> UUID | int:
    """Give whose limits hold: the user's, or the account's own where it is no user's."""
    return account.account_id if account.user_id is None else account.user_id


# --- one claim --------------------------------------------------------------------------------------------


def _judge(case: _Case, price: _Price, scene: _Scene) -> list[Fact]:
    claimed = case.claimed
    is_old = not price.is_confirmed and is_stale(price.price_at, now=scene.now)
    if is_old:
        price = _asked(case, scene.market)
    facts: list[Fact] = []
    if is_old or claimed.questions:
        answer = after_recheck(is_reached=_is_reached(claimed, case, price), questions=claimed.questions)
        if answer is Recheck.ABORT and claimed.source in SEEN_BY_US:
            return _watch_again(case, code="PRICE_NOT_THERE", why=_values(claimed, price), now=scene.now)
        if answer is Recheck.BLIND:
            facts.append(_left_blind(case, now=scene.now))
        price = replace(price, is_confirmed=answer is not Recheck.AGAIN)
    verdicts = judge_exit(_circumstances(case, price, scene), now=scene.now)
    facts += [_blocked(case, one, now=scene.now) for one in said_no(verdicts)]
    return facts if kept_by(verdicts) is not None else [*facts, *_leave(case, verdicts, scene)]


def _asked(case: _Case, market: Market) -> _Price:
    """Give the venue's price, where it was asked for just now and has answered."""
    view = market.views.get(case.pair)
    if view is None:
        return _Price(price_at=None, estimated=None)
    quote = view.quote
    estimated = watched_price(direction=case.position.direction, bid=quote.bid, ask=quote.ask)
    return _Price(price_at=quote.quoted_at, estimated=estimated)


def _is_reached(claimed: Claimed, case: _Case, price: _Price) -> bool | None:
    if price.estimated is None:
        return None
    return is_reached(
        claimed.level, kind=claimed.kind, direction=case.position.direction, price=price.estimated
    )


def _circumstances(case: _Case, price: _Price, scene: _Scene) -> Circumstances:
    position, account = case.position, case.account
    scopes = scopes_of(
        user_id=account.user_id,
        account_id=account.account_id,
        bot_id=position.bot_id,
        venue=account.venue,
        symbol=position.symbol,
        levels=scene.states.levels,
    )
    closed_until = scene.market.outages.get(case.pair)
    return Circumstances(
        kind=case.claimed.kind,
        direction=position.direction,
        level=case.claimed.level,
        triggered_at=case.claimed.seen_at,
        estimated_price=price.estimated,
        price_at=price.price_at,
        is_venue_guarded=_is_venue_guarded(case),
        blocking=scene.states.blocking_exits(scopes),
        breaker=BreakerState.CLOSED if closed_until is None else BreakerState.OPEN,
        breaker_retry_seconds=0.0 if closed_until is None else (closed_until - scene.now).total_seconds(),
        executions=scene.executions[_tenant(account)],
        limits=scene.limits_of(account),
        is_confirmed=price.is_confirmed,
    )


def _is_venue_guarded(case: _Case) -> bool:
    return any(
        line.kind is TriggerKind.STOP
        and line.status is LineStatus.ACCEPTED
        and is_venue_line_effective(
            VenueLine(status=ProtectionStatus.ACCEPTED, quantity=line.quantity), held=case.position.quantity
        )
        for line in case.guard.lines
    )


def _leave(case: _Case, verdicts: Sequence[GuardVerdict], scene: _Scene) -> list[Fact]:
    claimed, stop = case.claimed, case.stop
    limit_price = None
    if is_bounded(verdicts):
        # What went to the market and failed there is bounded once, too; then it goes to the market again.
        bounded = int(claimed.is_bounded or claimed.attempts > 1)
        step = exit_step(kind=claimed.kind, bounded_attempts=bounded)
        if step is None:
            return _watch_again(case, code="BOUND_NOT_REACHED", why="", now=scene.now)
        if step is ExitStep.BOUNDED:
            limit_price = bound_price(
                direction=stop.direction,
                level=claimed.level,
                slippage_percent_max=scene.limits_of(case.account).slippage_percent_max,
                price_tick=stop.price_tick,
            )
    quantity = _quantity(case, scene.market)
    if quantity == ZERO:
        return _take_nothing(case, now=scene.now)
    scene.executions[_tenant(case.account)].append(scene.now)
    execution = Execution(
        token=claimed.token,
        kind=claimed.kind,
        number=claimed.number,
        attempt=claimed.attempts + 1,
        limit_price=limit_price,
    )
    request = ExitRequested(
        happened_at=scene.now,
        signal_id=claimed.signal_id,
        position_id=claimed.position_id,
        attempt=1,
        reason=f"{claimed.kind} {to_text(claimed.level)} reached",
        quantity_max=quantity,
        execution=execution,
    )
    return [request]


def _quantity(case: _Case, market: Market) -> Decimal | None:
    """Give what a target takes at most; None for a stop, which takes all."""
    if case.claimed.kind is TriggerKind.STOP:
        return None
    position, instrument = case.position, market.instruments.get(case.pair)
    # Where the step is not known, the decimals are what the venue's fills had.
    step = Decimal((0, (1,), int(position.quantity.as_tuple().exponent)))
    return exit_quantity(
        case.stop,
        number=case.claimed.number,
        entered=position.entered_quantity,
        held=position.quantity,
        quantity_step=instrument.market_quantity_step if instrument else step,
        quantity_min=instrument.market_quantity_min if instrument else step,
    )


# --- what is told -----------------------------------------------------------------------------------------


def _blocked(case: _Case, verdict: GuardVerdict, *, now: datetime) -> GuardrailBlocked:
    again_at = verdict.again_at
    if again_at is None and verdict.instead in KEEPING:
        # The venue is asked at once, and then again while it is silent.
        wait = LOOK_AGAIN_SECONDS if case.claimed.questions else 0.0
        again_at = now + timedelta(seconds=wait)
    return GuardrailBlocked(
        happened_at=now,
        token=case.claimed.token,
        kind=case.claimed.kind,
        number=case.claimed.number,
        position_id=case.claimed.position_id,
        account_id=case.claimed.account_id,
        signal_id=case.claimed.signal_id,
        guardrail=verdict.code,
        numbers=dict(verdict.numbers),
        remedy=verdict.remedy,
        instead=verdict.instead.value,
        again_at=again_at,
        is_critical=verdict.is_critical,
        pauses_entries=verdict.pauses_entries,
    )


def _left_blind(case: _Case, *, now: datetime) -> GuardrailBlocked:
    blind = GuardVerdict(
        guardrail=Guardrail.PRICE,
        passed=False,
        numbers={"questions": str(case.claimed.questions)},
        remedy="The venue gives no price: the exit leaves without one. See whether the venue answers at all.",
        instead=Instead.LEAVE,
        is_critical=True,
    )
    return _blocked(case, blind, now=now)


def _values(claimed: Claimed, price: _Price) -> str:
    shown = "none" if price.estimated is None else to_text(price.estimated)
    return f"level={to_text(claimed.level)} price={shown}. The venue's own price has not come there."


def _watch_again(case: _Case, *, code: str, why: str, now: datetime) -> list[Fact]:
    ended = watched_again(case.claimed, code=code, reason=why or code, now=now)
    if _status_of(case) is not StopStatus.TRIGGERED:
        return [ended]
    stop = armed_again(case.stop, number=case.claimed.number)
    return [ended, _changed(case, stop, code=StopChange.ARMED_AGAIN, reason=why or code, now=now)]


def _take_nothing(case: _Case, *, now: datetime) -> list[Fact]:
    """A share too small for the venue goes with the next target."""
    why = (
        f"target={case.claimed.number} held={to_text(case.position.quantity)}. Its share goes with the next."
    )
    ended = watched_again(case.claimed, code="SHARE_TOO_SMALL", reason=why, now=now)
    if _status_of(case) is not StopStatus.TRIGGERED:
        return [ended]
    stop = target_taken(case.stop, number=case.claimed.number)
    return [ended, _changed(case, stop, code=StopChange.TARGET_TAKEN, reason=why, now=now)]


def _status_of(case: _Case) -> StopStatus:
    number = case.claimed.number
    return case.stop.targets[number - 1].status if number else case.stop.status


def _changed(case: _Case, stop: Stop, *, code: StopChange, reason: str, now: datetime) -> StopChanged:
    return StopChanged(
        happened_at=now,
        stop=stop,
        account_id=case.claimed.account_id,
        signal_id=case.claimed.signal_id,
        code=code,
        changed_by=BY_DESK,
        reason=reason,
    )

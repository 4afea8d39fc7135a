"""Folds of what guards positions: stops, claims on them, the venues' lines."""

from dataclasses import replace
from datetime import datetime, timedelta

from pregao.domain import facts
from pregao.domain.execution import ExecutionStatus
from pregao.domain.protection import ENDS, MAY_TRADE, LineStatus
from pregao.domain.stop import Stop, StopStatus
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.state import BrokenRuleError, ClaimRow, LineRow, State, StopRow
from pregao.stops.claims import claimed_by
from pregao.stops.ports import ArmedStop, Line

ANSWER_AFTER = timedelta(seconds=7)
TRIGGER_AFTER = timedelta(seconds=2)
REFUSED_AFTER = timedelta(seconds=0.5)
UNANSWERED = (LineStatus.PLANNED, LineStatus.UNRESOLVED)


def _without_line(row: StopRow) -> StopRow:
    return replace(row, line_id=None, line_status=None, line_price=None, line_quantity=None)


# --- stops ------------------------------------------------------------------------------------------------


@folds(facts.StopArmed)
def _(state: State, fact: facts.StopArmed) -> None:
    known = state.stops.get(fact.stop.position_id)
    armed = ArmedStop(
        stop=fact.stop,
        account_id=fact.account_id,
        bot_id=fact.bot_id,
        subscription_id=fact.subscription_id,
        signal_id=fact.signal_id,
        venue=fact.venue,
        symbol=fact.symbol,
        position_side=fact.position_side,
        held_since=fact.held_since,
        is_anchor_final=fact.is_anchor_final,
        is_required=fact.is_required,
    )
    if known is None:
        state.stops[fact.stop.position_id] = StopRow(
            armed=armed, armed_at=fact.happened_at, updated_at=fact.happened_at
        )
        return
    before = known.armed
    stop = replace(
        before.stop,
        status=fact.stop.status,
        version=fact.stop.version,
        entry_price=fact.stop.entry_price,
        initial_stop=fact.stop.initial_stop,
        stop_price=fact.stop.stop_price,
        atr=fact.stop.atr,
        targets=fact.stop.targets,
    )
    armed = replace(
        before,
        stop=stop,
        is_anchor_final=fact.is_anchor_final,
        is_required=fact.is_required,
        left_at=None,
    )
    state.stops[fact.stop.position_id] = replace(known, armed=armed, updated_at=fact.happened_at)


def _write_stop(state: State, told: Stop, at: datetime) -> None:
    known = state.stops.get(told.position_id)
    if known is None:
        return
    stop = replace(
        known.armed.stop,
        status=told.status,
        version=told.version,
        stop_price=told.stop_price,
        initial_stop=known.armed.stop.initial_stop
        if known.armed.stop.initial_stop is not None
        else told.initial_stop,
        targets=told.targets,
    )
    state.stops[told.position_id] = replace(known, armed=replace(known.armed, stop=stop), updated_at=at)


@folds(facts.StopRaised)
def _(state: State, fact: facts.StopRaised) -> None:
    token = fact.adjustment.adjustment_token
    if token in state.stop_moves:
        raise BrokenRuleError(f"the move {token} is there already")
    _write_stop(state, fact.stop, fact.happened_at)
    state.stop_moves[token] = fact


@folds(facts.StopChanged)
def _(state: State, fact: facts.StopChanged) -> None:
    _write_stop(state, fact.stop, fact.happened_at)


@folds(facts.StopDisarmed)
def _(state: State, fact: facts.StopDisarmed) -> None:
    known = state.stops.get(fact.position_id)
    if known is None or known.armed.stop.status is StopStatus.DISARMED:
        return
    state.stops[fact.position_id] = _disarmed(known, at=fact.happened_at)


def _disarmed(row: StopRow, *, at: datetime) -> StopRow:
    stop = row.armed.stop
    if stop.status is not StopStatus.DISARMED:
        stop = replace(stop, status=StopStatus.DISARMED, version=stop.version + 1)
    return replace(row, armed=replace(row.armed, stop=stop), updated_at=at)


@folds(facts.PositionLeft)
def _(state: State, fact: facts.PositionLeft) -> None:
    known = state.stops.get(fact.position_id)
    if known is None or known.armed.left_at is not None:
        return
    row = _disarmed(known, at=fact.happened_at)
    left = replace(row.armed, left_at=fact.happened_at, line_at=None)
    state.stops[fact.position_id] = _without_line(replace(row, armed=left))


# --- claims -----------------------------------------------------------------------------------------------


@folds(facts.StopTriggered)
def _(state: State, fact: facts.StopTriggered) -> None:
    key = (fact.token, fact.trigger.kind, fact.trigger.number)
    if key in state.stop_claims:
        raise BrokenRuleError(f"the claim {key} is there already")
    _write_stop(state, fact.stop, fact.happened_at)
    state.stop_claims[key] = ClaimRow(
        claimed=claimed_by(fact), venue=fact.venue, symbol=fact.symbol, updated_at=fact.happened_at
    )


@folds(facts.GuardrailBlocked)
def _(state: State, fact: facts.GuardrailBlocked) -> None:
    key = (fact.token, fact.kind, fact.number)
    row = state.stop_claims.get(key)
    if row is None:
        return
    claimed = row.claimed
    keeps = fact.again_at is not None and claimed.status is not ExecutionStatus.EXECUTED
    state.stop_claims[key] = replace(
        row,
        claimed=replace(
            claimed,
            status=ExecutionStatus.BLOCKED if keeps else claimed.status,
            again_at=fact.again_at or claimed.again_at,
            questions=claimed.questions + (fact.guardrail == "STALE_PRICE"),
        ),
        code=fact.guardrail,
        reason=" ".join(f"{name}={value}" for name, value in fact.numbers.items()),
        updated_at=fact.happened_at,
    )


def submit_claim(state: State, fact: facts.OrderPlanned) -> None:
    """Note that a claim has an order on its way; it counts among those of the signal that opened the position."""
    if fact.execution is None:
        return
    signal = state.signals.get(fact.signal_id)
    if signal is not None and fact.attempt == 1:
        state.signals[fact.signal_id] = replace(signal, orders_live=(signal.orders_live or 0) + 1)
    key = (fact.execution.token, fact.execution.kind, fact.execution.number)
    row = state.stop_claims.get(key)
    if row is None or row.claimed.status is ExecutionStatus.EXECUTED:
        return
    claimed = replace(
        row.claimed,
        status=ExecutionStatus.SUBMITTED,
        attempts=fact.execution.attempt,
        order_id=fact.order_id,
        is_bounded=fact.execution.limit_price is not None,
        again_at=None,
    )
    state.stop_claims[key] = replace(row, claimed=claimed, updated_at=fact.happened_at)


@folds(facts.ExecutionMoved)
def _(state: State, fact: facts.ExecutionMoved) -> None:
    key = (fact.token, fact.kind, fact.number)
    row = state.stop_claims.get(key)
    if row is None or row.claimed.status is ExecutionStatus.EXECUTED:
        return
    is_over = fact.status is ExecutionStatus.EXECUTED
    state.stop_claims[key] = replace(
        row,
        claimed=replace(row.claimed, status=fact.status, again_at=fact.again_at),
        code=fact.code,
        reason=fact.reason,
        exit_price=fact.price,
        slippage_percent=fact.slippage_percent,
        executed_at=fact.happened_at if is_over else None,
        updated_at=fact.happened_at,
    )


# --- the venue's line -------------------------------------------------------------------------------------


@folds(facts.ProtectionPlanned)
def _(state: State, fact: facts.ProtectionPlanned) -> None:
    if (row := state.stops.get(fact.position_id)) is not None and fact.kind == "stop":
        state.stops[fact.position_id] = replace(
            row,
            armed=replace(row.armed, line_at=None),
            line_id=fact.protection_id,
            line_status=LineStatus.PLANNED,
            line_price=fact.trigger_price,
            line_quantity=fact.quantity,
        )
    if fact.protection_id in state.protections:
        return
    line = Line(
        protection_id=fact.protection_id,
        position_id=fact.position_id,
        account_id=fact.account_id,
        signal_id=fact.signal_id,
        venue=fact.venue,
        symbol=fact.symbol,
        kind=fact.kind,
        number=fact.number,
        version=fact.version,
        stop_version=fact.stop_version,
        trigger_price=fact.trigger_price,
        quantity=fact.quantity,
        status=LineStatus.PLANNED,
        signed_at_ms=fact.signed_at_ms,
        recv_window_ms=fact.recv_window_ms,
    )
    state.protections[fact.protection_id] = LineRow(
        line=line,
        updated_at=fact.happened_at,
        check_at=fact.happened_at + ANSWER_AFTER,
    )


def _stop_with_line(
    state: State,
    fact: facts.ProtectionAccepted
    | facts.ProtectionRejected
    | facts.ProtectionUnresolved
    | facts.ProtectionMoved,
) -> StopRow | None:
    row = state.stops.get(fact.position_id)
    return row if row is not None and row.line_id == fact.protection_id else None


def _keep_stop(state: State, row: StopRow) -> None:
    state.stops[row.armed.stop.position_id] = row


@folds(facts.ProtectionAccepted)
def _(state: State, fact: facts.ProtectionAccepted) -> None:
    stop = _stop_with_line(state, fact)
    if stop is not None and stop.line_status in UNANSWERED:
        _keep_stop(
            state,
            replace(stop, line_status=LineStatus.ACCEPTED, armed=replace(stop.armed, refusals=0)),
        )
    row = state.protections.get(fact.protection_id)
    if row is None:
        return
    is_answer = row.line.status in UNANSWERED
    state.protections[fact.protection_id] = replace(
        row,
        line=replace(row.line, status=LineStatus.ACCEPTED) if is_answer else row.line,
        exchange_protection_id=fact.exchange_protection_id,
        acknowledged_at=fact.acknowledged_at,
        updated_at=fact.happened_at,
        code=None,
        reason=None,
        check_at=None if is_answer else row.check_at,
    )


@folds(facts.ProtectionRejected)
def _(state: State, fact: facts.ProtectionRejected) -> None:
    if (stop := _stop_with_line(state, fact)) is not None:
        refusals = stop.armed.refusals
        wait = REFUSED_AFTER * 2 ** min(refusals, 6)
        armed = replace(stop.armed, refusals=refusals + 1, line_at=fact.happened_at + wait)
        _keep_stop(state, _without_line(replace(stop, armed=armed)))
    row = state.protections.get(fact.protection_id)
    if row is not None and row.line.status in UNANSWERED:
        state.protections[fact.protection_id] = replace(
            row,
            line=replace(row.line, status=LineStatus.REJECTED),
            code=fact.code,
            reason=fact.reason,
            ended_at=fact.happened_at,
            updated_at=fact.happened_at,
            check_at=None,
        )


@folds(facts.ProtectionUnresolved)
def _(state: State, fact: facts.ProtectionUnresolved) -> None:
    stop = _stop_with_line(state, fact)
    if stop is not None and stop.line_status in UNANSWERED:
        if fact.is_dead:
            _keep_stop(state, _without_line(replace(stop, armed=replace(stop.armed, line_at=fact.ask_at))))
        else:
            armed = replace(stop.armed, line_at=None)
            _keep_stop(state, replace(stop, armed=armed, line_status=LineStatus.UNRESOLVED))
    row = state.protections.get(fact.protection_id)
    if row is not None and row.line.status in UNANSWERED:
        status = LineStatus.DEAD if fact.is_dead else LineStatus.UNRESOLVED
        state.protections[fact.protection_id] = replace(
            row,
            line=replace(row.line, status=status),
            code=fact.code,
            reason=fact.reason,
            ended_at=fact.happened_at if fact.is_dead else None,
            updated_at=fact.happened_at,
            check_at=None if fact.is_dead else fact.ask_at,
        )


def _had_triggered(before: LineStatus, after: LineStatus) -> bool:
    """Say whether a line that was refused, asked for a second time, is the one that has triggered."""
    return before is LineStatus.REJECTED and after in (LineStatus.TRIGGERED, LineStatus.FINISHED)


@folds(facts.ProtectionMoved)
def _(state: State, fact: facts.ProtectionMoved) -> None:
    is_end = fact.status in ENDS
    status = LineStatus(fact.status.value)
    if (stop := _stop_with_line(state, fact)) is not None:
        _keep_stop(state, _without_line(stop) if is_end else replace(stop, line_status=status))
    row = state.protections.get(fact.protection_id)
    if row is not None and (row.line.status in MAY_TRADE or _had_triggered(row.line.status, status)):
        state.protections[fact.protection_id] = replace(
            row,
            line=replace(row.line, status=status),
            triggered_order_id=fact.triggered_order_id or row.triggered_order_id,
            reason=fact.reason or None,
            ended_at=fact.happened_at if is_end else None,
            updated_at=fact.happened_at,
            check_at=None if is_end else fact.happened_at + TRIGGER_AFTER,
        )

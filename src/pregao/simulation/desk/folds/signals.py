"""Folds of signals: received, read, decided."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pregao.domain import facts
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.state import BrokenRuleError, SignalRow, State

UNDECIDED = ("accepted", "answered")
NOTHING_TO_SEND = {"accounts": 0, "orders": 0, "orders_live": 0}


@folds(facts.SignalReceived)
def _(state: State, fact: facts.SignalReceived) -> None:
    if fact.signal_id in state.signals:
        raise BrokenRuleError(f"signal {fact.signal_id} is there already")
    state.signals[fact.signal_id] = SignalRow(
        signal_id=fact.signal_id,
        bot_id=fact.bot_id,
        received_at=fact.happened_at,
        body=fact.body,
        content_type=fact.content_type,
        source=fact.source,
        source_address=fact.source_address,
    )


@folds(facts.SignalRepeated)
def _(state: State, fact: facts.SignalRepeated) -> None:
    if (row := state.signals.get(fact.signal_id)) is not None:
        state.signals[fact.signal_id] = replace(row, deliveries=row.deliveries + 1)


@folds(facts.SignalAccepted)
def _(state: State, fact: facts.SignalAccepted) -> None:
    asked = fact.instruction
    change(
        state,
        fact.signal_id,
        ("received",),
        status="accepted",
        read_at=fact.happened_at,
        action=asked.action,
        symbol=asked.symbol,
        side=asked.side,
        price=asked.price,
        not_used=asked.not_used,
        stop_percent=asked.stop_percent,
        target_percent=asked.target_percent,
        again_of=None if asked.again is None else asked.again.before[-1],
    )


@folds(facts.SignalRefused)
def _(state: State, fact: facts.SignalRefused) -> None:
    change(
        state,
        fact.signal_id,
        ("received",),
        status="refused",
        code=fact.code,
        reason=fact.reason,
        read_at=fact.happened_at,
        settled_at=fact.happened_at,
        **NOTHING_TO_SEND,
    )


@folds(facts.DecisionPending)
def _(state: State, fact: facts.DecisionPending) -> None:
    change(
        state,
        fact.signal_id,
        ("accepted",),
        status="pending",
        verdicts=fact.verdicts,
        approval_asked_at=fact.happened_at,
        approval_venue=fact.venue,
        approval_price=fact.price,
        approval_expires_at=fact.expires_at,
    )


@folds(facts.ApprovalAnswered)
def _(state: State, fact: facts.ApprovalAnswered) -> None:
    change(
        state,
        fact.signal_id,
        ("pending",),
        status="answered",
        answered_at=fact.happened_at,
        answered_by=fact.answered_by,
        is_approved=fact.is_approved,
        answer_reason=fact.reason,
    )


@folds(facts.DecisionApproved)
def _(state: State, fact: facts.DecisionApproved) -> None:
    change(
        state,
        fact.signal_id,
        UNDECIDED,
        status="approved",
        decided_at=fact.happened_at,
        verdicts=fact.verdicts,
        action=fact.instruction.action,
    )


@folds(facts.DecisionDeclined)
def _(state: State, fact: facts.DecisionDeclined) -> None:
    change(
        state,
        fact.signal_id,
        UNDECIDED,
        status="declined",
        decided_at=fact.happened_at,
        settled_at=fact.happened_at,
        verdicts=fact.verdicts,
        code=fact.code,
        reason=fact.reason,
        **NOTHING_TO_SEND,
    )


def change(state: State, signal_id: UUID, statuses: tuple[str, ...], **changes: Any) -> None:
    """Change a signal that has one of these statuses."""
    row = state.signals.get(signal_id)
    if row is not None and row.status in statuses:
        state.signals[signal_id] = replace(row, **changes)

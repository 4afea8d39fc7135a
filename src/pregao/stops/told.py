"""
Follow what a venue tells of its own line: where it triggers it has claimed the exit, and the software line waits for it.

Takes ProtectionReported. Gives ProtectionMoved, StopTriggered.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pregao.domain.facts import Fact, FillReported, ProtectionMoved, ProtectionReported, StopTriggered
from pregao.domain.guarding import VENUE_FIRST_SECONDS
from pregao.domain.protection import (
    MAY_TRADE,
    LineStatus,
    ProtectionReport,
    ProtectionStatus,
    may_become,
    protection_of,
)
from pregao.domain.stop import Claim, Source, Trigger, claim
from pregao.stops.claims import triggered
from pregao.stops.ports import ArmedStop, Guards, Line

UNANSWERED = (LineStatus.PLANNED, LineStatus.UNRESOLVED)
REACHED = {
    # how long the exit is the venue's alone
    ProtectionStatus.TRIGGERING: VENUE_FIRST_SECONDS,
    ProtectionStatus.TRIGGERED: VENUE_FIRST_SECONDS,
    ProtectionStatus.FINISHED: VENUE_FIRST_SECONDS,
    ProtectionStatus.REJECTED: 0.0,  # its price came, and nothing was placed
}


def with_triggers(facts: Sequence[Fact], *, desk_id: UUID) -> list[Fact]:
    """Say before each trade of a protective order that it has triggered: its own report may come later, or be lost."""
    told: list[Fact] = []
    for fact in facts:
        if isinstance(fact, FillReported) and protection_of(fact.trade.client_order_id, desk_id=desk_id):
            told.append(_triggered_by(fact))
        told.append(fact)
    return told


def _triggered_by(fill: FillReported) -> ProtectionReported:
    trade = fill.trade
    report = ProtectionReport(
        account_id=fill.account_id,
        symbol=trade.symbol,
        protection_id=trade.client_order_id,
        exchange_protection_id="",
        status=ProtectionStatus.TRIGGERED,
        triggered_order_id=trade.exchange_order_id,
        reason="",
        reported_at=trade.traded_at,
    )
    return ProtectionReported(happened_at=fill.happened_at, report=report)


async def follow_report(
    reports: Sequence[ProtectionReported], *, guards: Guards, now: datetime
) -> list[Fact]:
    """Move each line on once, whatever comes late or twice; the first word that its price has come claims the exit."""
    known = await guards.lines(sorted({fact.report.protection_id for fact in reports}))
    statuses = {name: line.status for name, (line, _) in known.items()}
    stops = {line.position_id: armed for line, armed in known.values()}
    facts: list[Fact] = []
    for fact in reports:
        report = fact.report
        if report.protection_id not in known:
            continue
        line, _ = known[report.protection_id]
        if not _moves(statuses[line.protection_id], report):
            continue
        statuses[line.protection_id] = LineStatus(report.status.value)
        facts.append(_moved(line, stops[line.position_id], report, now=now))
        told = _claimed(line, stops[line.position_id], report, now=now)
        if told is not None:
            stops[line.position_id] = replace(stops[line.position_id], stop=told.stop)
            facts.append(told)
    return facts


def _moves(status: LineStatus, report: ProtectionReport) -> bool:
    following = report.status
    if status is LineStatus.REJECTED and report.triggered_order_id is not None:
        # Asked for a second time by a database that was put back, it was refused: the first one has triggered.
        return following in (ProtectionStatus.TRIGGERED, ProtectionStatus.FINISHED)
    if following is ProtectionStatus.ACCEPTED or status not in MAY_TRADE:
        return False  # that it waits is said by the answer to it, or to a question
    return status in UNANSWERED or may_become(ProtectionStatus(status.value), following=following)


def _moved(line: Line, armed: ArmedStop, report: ProtectionReport, *, now: datetime) -> ProtectionMoved:
    return ProtectionMoved(
        happened_at=now,
        protection_id=line.protection_id,
        position_id=line.position_id,
        account_id=line.account_id,
        signal_id=armed.signal_id,
        status=report.status,
        triggered_order_id=report.triggered_order_id,
        reason=report.reason,
        reported_at=report.reported_at,
    )


def _claimed(
    line: Line, armed: ArmedStop, report: ProtectionReport, *, now: datetime
) -> StopTriggered | None:
    if report.status not in REACHED:
        return None
    seen = Trigger(
        kind=line.kind,
        number=line.number,
        level=line.trigger_price,
        price=line.trigger_price,
        version=armed.stop.version,
    )
    claimed = claim(armed.stop, seen)
    if not isinstance(claimed, Claim):
        return None
    return triggered(
        replace(armed, stop=claimed.stop),
        claimed.trigger,
        token=claimed.token,
        source=Source.VENUE,
        claimed_by=f"{line.venue}:{line.protection_id}",
        now=now,
        wait_seconds=REACHED[report.status],
    )

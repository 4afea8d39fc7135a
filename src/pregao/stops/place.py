"""
Place the venue's line: a protective order is sent once, and one that nobody answered for is asked about.

Takes ProtectionPlanned, ProtectionUnresolved. Gives ProtectionAccepted, ProtectionRejected, ProtectionUnresolved, and
once asked ProtectionReported where it has moved on, ProtectionMoved where the venue never had it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pregao import rehearsal
from pregao.domain.clock import Clock, to_ms
from pregao.domain.facts import (
    Fact,
    ProtectionAccepted,
    ProtectionMoved,
    ProtectionPlanned,
    ProtectionRejected,
    ProtectionReported,
    ProtectionUnresolved,
)
from pregao.domain.protection import (
    LineStatus,
    ProtectionRefused,
    ProtectionReport,
    Protections,
    ProtectionStatus,
    ProtectiveOrder,
    RefusalCause,
    VenueProtection,
)
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, Refused, RetryLater, VenueError
from pregao.stops.ports import Line

ASK_SECONDS = 1.0  # the first question comes soon: most lost answers were orders that arrived
CLOCK_MARGIN_MS = 1_000  # the venue takes timestamps up to this far ahead of its own clock
FORGOTTEN_MS = 600_000  # a venue that acknowledged an order and still has none such is not merely late
UNANSWERED = (LineStatus.PLANNED, LineStatus.UNRESOLVED)

Outcome = ProtectionAccepted | ProtectionRejected | ProtectionUnresolved


async def place_protection(planned: ProtectionPlanned, *, protections: Protections, clock: Clock) -> Outcome:
    """Send the protective order, exactly as signed, and say what became of it; a crash in here is found by asking."""
    rehearsal.reach("stops.place.before_wire")
    try:
        acknowledgement = await protections.place_protection(order_of_line(planned))
    except ProtectionRefused as refusal:
        return _rejected(planned, refusal, cause=refusal.cause, now=clock())
    except (Refused, OperatorNeeded) as refusal:
        return _rejected(planned, refusal, cause=RefusalCause.OTHER, now=clock())
    except RetryLater as trouble:
        return _unresolved(planned, trouble, wait=trouble.retry_after_seconds, is_dead=True, now=clock())
    except OutcomeUnknown as trouble:
        # The venue may already have it. Another beside it might be refused, or close twice what was meant.
        return _unresolved(planned, trouble, wait=ASK_SECONDS, is_dead=False, now=clock())
    finally:
        rehearsal.reach("stops.place.after_wire")
    return ProtectionAccepted(
        happened_at=clock(),
        protection_id=planned.protection_id,
        position_id=planned.position_id,
        account_id=planned.account_id,
        signal_id=planned.signal_id,
        exchange_protection_id=acknowledgement.exchange_protection_id,
        sent_at=acknowledgement.sent_at,
        acknowledged_at=acknowledgement.acknowledged_at,
    )


def order_of_line(planned: ProtectionPlanned) -> ProtectiveOrder:
    """Give what the venue is sent: the protective order exactly as it was planned."""
    return ProtectiveOrder(
        protection_id=planned.protection_id,
        account_id=planned.account_id,
        symbol=planned.symbol,
        side=planned.side,
        position_side=planned.position_side,
        kind=planned.kind,
        trigger_price=planned.trigger_price,
        quantity=planned.quantity,
        signed_at_ms=planned.signed_at_ms,
        recv_window_ms=planned.recv_window_ms,
    )


def _rejected(
    planned: ProtectionPlanned, refusal: VenueError, *, cause: RefusalCause, now: datetime
) -> ProtectionRejected:
    return ProtectionRejected(
        happened_at=now,
        protection_id=planned.protection_id,
        position_id=planned.position_id,
        account_id=planned.account_id,
        signal_id=planned.signal_id,
        code=refusal.code,
        reason=refusal.message,
        cause=cause,
    )


def _unresolved(
    planned: ProtectionPlanned, trouble: VenueError, *, wait: float, is_dead: bool, now: datetime
) -> ProtectionUnresolved:
    return ProtectionUnresolved(
        happened_at=now,
        protection_id=planned.protection_id,
        position_id=planned.position_id,
        account_id=planned.account_id,
        signal_id=planned.signal_id,
        code=trouble.code,
        reason=trouble.message,
        is_dead=is_dead,
        ask_at=now + timedelta(seconds=wait),
    )


# --- asked about ------------------------------------------------------------------------------------------


async def resolve_protection(
    line: Line, *, protections: Protections, venue_now_ms: int, clock: Clock
) -> Sequence[Fact]:
    """
    Say what became of a line; an empty answer means: ask again later.

    "Not found" is believed when the receive window has closed on the venue's clock, ``may_be_dead``, and the venue's
    list of all that waits on the symbol agrees.

    :raises VenueError: when the venue gives no usable answer; nothing is concluded from that.
    """
    found = await find_line(line, protections=protections)
    if found is not None:
        return as_found(line, found, now=clock())
    if not may_be_dead(line, venue_now_ms=venue_now_ms):
        return []
    waiting = await protections.open_protections(account_id=line.account_id, symbol=line.symbol)
    if any(is_it(line, one) for one in waiting):
        return []
    return [
        ProtectionMoved(
            happened_at=clock(),
            protection_id=line.protection_id,
            position_id=line.position_id,
            account_id=line.account_id,
            signal_id=line.signal_id,
            status=ProtectionStatus.EXPIRED,
            triggered_order_id=None,
            reason="NOT_FOUND: The venue has no such protective order, and takes it no more.",
            reported_at=clock(),
        )
    ]


async def find_line(line: Line, *, protections: Protections) -> VenueProtection | None:
    """Ask for a line by its id."""
    found = await protections.find_protection(account_id=line.account_id, protection_id=line.protection_id)
    return found if found is not None and is_it(line, found) else None


def is_it(line: Line, found: VenueProtection) -> bool:
    """Say whether this is the line; an older one of the same id, from before the database was put back, is not."""
    is_of_now = to_ms(found.created_at) + CLOCK_MARGIN_MS >= line.signed_at_ms
    return found.protection_id == line.protection_id and is_of_now


def may_be_dead(line: Line, *, venue_now_ms: int) -> bool:
    """Say whether a venue that finds no such line will not take it any more, or has forgotten one it had."""
    if line.status in UNANSWERED:
        return venue_now_ms > line.signed_at_ms + line.recv_window_ms + CLOCK_MARGIN_MS
    return venue_now_ms > line.signed_at_ms + FORGOTTEN_MS


def as_found(line: Line, found: VenueProtection, *, now: datetime) -> list[Fact]:
    """Give what is news of a line that the venue has."""
    if found.status is ProtectionStatus.ACCEPTED:
        if line.status not in UNANSWERED:
            return []
        return [
            ProtectionAccepted(
                happened_at=now,
                protection_id=line.protection_id,
                position_id=line.position_id,
                account_id=line.account_id,
                signal_id=line.signal_id,
                exchange_protection_id=found.exchange_protection_id,
                sent_at=None,
                acknowledged_at=now,
            )
        ]
    if found.status.value == line.status.value:
        return []
    report = ProtectionReport(
        account_id=line.account_id,
        symbol=line.symbol,
        protection_id=line.protection_id,
        exchange_protection_id=found.exchange_protection_id,
        status=found.status,
        triggered_order_id=found.triggered_order_id,
        reason="",
        reported_at=found.updated_at,
    )
    return [ProtectionReported(happened_at=now, report=report)]

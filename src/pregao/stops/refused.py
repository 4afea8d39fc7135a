"""
Answer a venue that does not take its line: where the price has passed it, or nothing else guards, the position is closed.

Takes ProtectionRejected. Gives StopUnusable, StopTriggered.
"""

from collections.abc import Sequence
from datetime import datetime

from pregao.domain.facts import Fact, ProtectionRejected, StopUnusable
from pregao.domain.protection import RefusalCause
from pregao.domain.stop import StopStatus
from pregao.stops.claims import give_up
from pregao.stops.ports import Guards

REFUSALS_MAX = 3  # in a row; then no line is to be had, and the position is closed


async def answer_refusal(
    refusals: Sequence[ProtectionRejected], *, guards: Guards, now: datetime
) -> list[Fact]:
    """
    Claim the exit where the price has passed the level, or the venue has refused for the last time.

    Any other refusal is tried again with the next version; where nothing is held, the books will hear of it.
    """
    known = await guards.lines(sorted({fact.protection_id for fact in refusals}))
    facts: list[Fact] = []
    given_up: set[int] = set()
    for fact in refusals:
        if fact.protection_id not in known or fact.position_id in given_up:
            continue
        line, armed = known[fact.protection_id]
        is_last = armed.refusals >= REFUSALS_MAX and fact.cause is not RefusalCause.NOTHING_HELD
        if armed.stop.status is not StopStatus.ARMED or not armed.is_required:
            continue
        if fact.cause is not RefusalCause.PRICE_PASSED and not is_last:
            continue
        given_up.add(line.position_id)
        if is_last:
            facts.append(
                StopUnusable(
                    happened_at=now,
                    position_id=line.position_id,
                    account_id=line.account_id,
                    signal_id=armed.signal_id,
                    code=fact.code,
                    reason=f"refusals={armed.refusals} maximum={REFUSALS_MAX} {fact.reason}".strip(),
                )
            )
        facts.append(give_up(armed, claimed_by=fact.code, now=now))
    return facts

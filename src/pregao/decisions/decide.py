"""
Decide what becomes of an accepted signal: run the checks, follow the policy.

Takes SignalAccepted. Gives DecisionApproved or DecisionDeclined.
"""

from collections.abc import Sequence
from datetime import datetime

from pregao.decisions.judge import judge, reason_of
from pregao.decisions.ports import Bots
from pregao.domain.facts import DecisionApproved, DecisionDeclined, Fact, SignalAccepted
from pregao.domain.signal import Action


async def decide(signals: Sequence[SignalAccepted], *, bots: Bots, now: datetime) -> list[Fact]:
    """Approve each signal whose checks all pass; a close is never checked, so nobody is kept in a position."""
    return [await _decide(signal, bots=bots, now=now) for signal in signals]


async def _decide(signal: SignalAccepted, *, bots: Bots, now: datetime) -> Fact:
    if signal.instruction.action is not Action.ENTER:
        return DecisionApproved(
            happened_at=now,
            signal_id=signal.signal_id,
            bot_id=signal.bot_id,
            instruction=signal.instruction,
            verdicts=(),
        )
    judgment = await judge(signal.instruction, bot_id=signal.bot_id, bots=bots, now=now)
    if (failed := judgment.failed) is not None:
        return DecisionDeclined(
            happened_at=now,
            signal_id=signal.signal_id,
            bot_id=signal.bot_id,
            code=f"{failed.check}_DECLINED",
            reason=reason_of(failed),
            verdicts=judgment.verdicts,
        )
    return DecisionApproved(
        happened_at=now,
        signal_id=signal.signal_id,
        bot_id=signal.bot_id,
        instruction=judgment.instruction,
        verdicts=judgment.verdicts,
    )

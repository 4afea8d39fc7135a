"""
Decide what becomes of an accepted signal: run the checks, follow the policy.

Takes SignalAccepted. Gives DecisionApproved or DecisionDeclined.
"""

from collections.abc import Sequence
from datetime import datetime

from pregao.decisions.checks import ENTRY_CHECKS
from pregao.decisions.ports import Bots
from pregao.domain.facts import DecisionApproved, DecisionDeclined, Fact, SignalAccepted, Verdict
from pregao.domain.signal import Action


async def decide(signals: Sequence[SignalAccepted], *, bots: Bots, now: datetime) -> list[Fact]:
    """Approve each signal whose checks all pass; a close is never checked, so nobody is kept in a position."""
    return [await _decide(signal, bots=bots, now=now) for signal in signals]


async def _decide(
    signal: SignalAccepted, *, bots: Bots, now: datetime
) -> DecisionApproved | DecisionDeclined:
    verdicts: tuple[Verdict, ...] = ()
    if signal.instruction.action is Action.ENTER:
        bot = await bots.get_bot(signal.bot_id)
        verdicts = tuple(check(bot, signal.instruction) for check in ENTRY_CHECKS)
    failed = next((verdict for verdict in verdicts if not verdict.passed), None)
    if failed is not None:
        return DecisionDeclined(
            happened_at=now,
            signal_id=signal.signal_id,
            bot_id=signal.bot_id,
            code=f"{failed.check}_DECLINED",
            reason=" ".join(f"{name}={value}" for name, value in failed.numbers.items()),
            verdicts=verdicts,
        )
    return DecisionApproved(
        happened_at=now,
        signal_id=signal.signal_id,
        bot_id=signal.bot_id,
        instruction=signal.instruction,
        verdicts=verdicts,
    )

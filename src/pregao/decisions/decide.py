"""
Decide what becomes of an accepted signal: run the checks, follow the policy.

Takes SignalAccepted. Gives DecisionApproved, DecisionDeclined or DecisionPending.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pregao.decisions.judge import Judgment, code_of, judge, reason_of
from pregao.decisions.ports import Bots
from pregao.domain.bot import Approval
from pregao.domain.facts import DecisionApproved, DecisionDeclined, DecisionPending, Fact, SignalAccepted
from pregao.domain.market import Market
from pregao.domain.signal import Action


async def decide(
    signals: Sequence[SignalAccepted], *, bots: Bots, market: Market, now: datetime
) -> list[Fact]:
    """
    Approve each signal whose checks all pass, or put it to a person where the bot's policy says so.

    A close is never checked and waits for nobody, so that nobody is kept in a position. What an operator sends again needs
    no second yes: he has seen whom it is for.
    """
    return [await _decide(signal, bots=bots, market=market, now=now) for signal in signals]


async def _decide(signal: SignalAccepted, *, bots: Bots, market: Market, now: datetime) -> Fact:
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
            code=code_of(failed),
            reason=reason_of(failed),
            verdicts=judgment.verdicts,
        )
    is_asked_by_a_person = signal.instruction.again is not None
    if judgment.bot.approval is Approval.MANUAL and judgment.is_entry and not is_asked_by_a_person:
        return await _put_to_a_person(signal, judgment=judgment, bots=bots, market=market, now=now)
    return DecisionApproved(
        happened_at=now,
        signal_id=signal.signal_id,
        bot_id=signal.bot_id,
        instruction=judgment.instruction,
        verdicts=judgment.verdicts,
    )


async def _put_to_a_person(
    signal: SignalAccepted, *, judgment: Judgment, bots: Bots, market: Market, now: datetime
) -> DecisionPending:
    venue = await bots.main_venue(signal.bot_id)
    return DecisionPending(
        happened_at=now,
        signal_id=signal.signal_id,
        bot_id=signal.bot_id,
        instruction=judgment.instruction,
        verdicts=judgment.verdicts,
        venue=venue,
        price=market.last_price(venue, signal.instruction.symbol),
        expires_at=now + timedelta(seconds=judgment.bot.approval_seconds),
    )

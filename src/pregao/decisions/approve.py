"""
Settle what was put to a person: in time, by a yes, with all that spoke for it then still true, the price included.

Takes ApprovalAnswered. Gives DecisionApproved or DecisionDeclined.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from pregao.decisions.checks import still_the_last_word
from pregao.decisions.judge import code_of, judge, reason_of
from pregao.decisions.ports import Bots
from pregao.domain.facts import ApprovalAnswered, DecisionApproved, DecisionDeclined, Fact, Verdict
from pregao.domain.market import Market
from pregao.domain.money import to_text

# An entry is as young as the yes to it: the time a person took is not its age, the time the desk takes then is.
SEND_SECONDS = 60
HUNDRED = Decimal(100)
SHOWN_STEP = Decimal("0.0001")  # of a percentage, in a verdict


async def settle_approval(
    answers: Sequence[ApprovalAnswered], *, bots: Bots, market: Market, now: datetime
) -> list[Fact]:
    """Approve what a person approved in time, if every check passes once more; decline the rest, saying why."""
    return [await _settle(answer, bots=bots, market=market, now=now) for answer in answers]


async def _settle(answer: ApprovalAnswered, *, bots: Bots, market: Market, now: datetime) -> Fact:
    if answer.happened_at >= answer.expires_at:
        reason = f"expires_at={answer.expires_at.isoformat(timespec='seconds')}. Nobody answered in time."
        return _declined(answer, code="APPROVAL_EXPIRED", reason=reason, now=now)
    if not answer.is_approved:
        reason = f"answered_by={answer.answered_by} reason={answer.reason or 'none'}"
        return _declined(answer, code="DECLINED_BY_PERSON", reason=reason, now=now)
    asked = replace(answer.instruction, send_before=answer.happened_at + timedelta(seconds=SEND_SECONDS))
    judgment = await judge(asked, bot_id=answer.bot_id, bots=bots, now=now)
    answer = replace(answer, verdicts=judgment.verdicts)
    failed = judgment.failed
    if failed is None:
        newer = still_the_last_word(
            await bots.find_newer_against(answer.signal_id, bot_id=answer.bot_id, instruction=asked)
        )
        answer = replace(answer, verdicts=(*answer.verdicts, newer))
        failed = None if newer.passed else newer
    if failed is not None:
        return _declined(answer, code=code_of(failed), reason=reason_of(failed), now=now)
    if judgment.is_entry:
        price = price_about_the_same(
            answer.price,
            market.last_price(answer.venue, asked.symbol),
            move_pct_max=judgment.bot.approval_price_move_pct,
        )
        answer = replace(answer, verdicts=(*answer.verdicts, price))
        if not price.passed:
            code = "PRICE_MOVED" if "moved_pct" in price.numbers else "PRICE_UNKNOWN"
            return _declined(answer, code=code, reason=reason_of(price), now=now)
    return DecisionApproved(
        happened_at=now,
        signal_id=answer.signal_id,
        bot_id=answer.bot_id,
        instruction=judgment.instruction,
        verdicts=answer.verdicts,
    )


def price_about_the_same(
    price_then: Decimal | None, price_now: Decimal | None, *, move_pct_max: Decimal
) -> Verdict:
    """See that the price has not gone too far, either way; one that is not known has."""
    numbers = {
        "price_then": _text(price_then),
        "price_now": _text(price_now),
        "approval_price_move_pct": to_text(move_pct_max),
    }
    if price_then is None or price_now is None:
        return Verdict(check="PRICE_MOVE", passed=False, numbers=numbers)
    moved = abs(price_now - price_then) * HUNDRED
    numbers["moved_pct"] = to_text((moved / price_then).quantize(SHOWN_STEP))
    return Verdict(check="PRICE_MOVE", passed=moved <= move_pct_max * price_then, numbers=numbers)


def _text(price: Decimal | None) -> str:
    return "unknown" if price is None else to_text(price)


def _declined(answer: ApprovalAnswered, *, code: str, reason: str, now: datetime) -> DecisionDeclined:
    return DecisionDeclined(
        happened_at=now,
        signal_id=answer.signal_id,
        bot_id=answer.bot_id,
        code=code,
        reason=reason,
        verdicts=answer.verdicts,
    )

"""
Judge an entry: lock what its checks hang on, read what they ask, run them all.

Under buy_only a sell means: out of what is held long. It becomes a close, and closes are not checked. So does an entry
that any other check stops: what it would have opened stays out, what it goes against is closed. What is sent again to some
accounts stays what it was: it enters there, or it is declined.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pregao.decisions.checks import (
    ENTRY_CHECKS,
    direction_allowed,
    foretold_by_model,
    looks_back,
    on_the_list,
    still_the_last_word,
)
from pregao.decisions.ports import NOTHING_DONE, Bots
from pregao.domain.bot import Bot, Policy
from pregao.domain.facts import Verdict
from pregao.domain.signal import Action, Instruction
from pregao.domain.trading_state import TradingStates, scopes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """What the checks say of an entry, and what is traded if they let it: possibly a close."""

    bot: Bot
    instruction: Instruction
    verdicts: tuple[Verdict, ...]

    @property
    def is_entry(self) -> bool:
        """Whether it is still an entry."""
        return self.instruction.action is Action.ENTER

    @property
    def failed(self) -> Verdict | None:
        """The verdict that stops it: the first that did not pass. Nothing stops a close."""
        if not self.is_entry:
            return None
        return next((verdict for verdict in self.verdicts if not verdict.passed), None)


async def judge(instruction: Instruction, *, bot_id: UUID, bots: Bots, now: datetime) -> Judgment:
    """Judge an entry of a bot, with the bot locked where two at once could both take the last place."""
    bot, record = await bots.get_bot(bot_id), NOTHING_DONE
    state = trading_allowed(await bots.trading_states(), bot_id=bot_id)
    if looks_back(bot):
        bot = await bots.lock_bot(bot_id)
        record = await bots.read_record(bot, instruction, now=now)
    direction = direction_allowed(bot, instruction, record, now)
    may_close = instruction.again is None
    if may_close and not direction.passed and record.positions_against:
        closing = replace(instruction, action=Action.CLOSE)
        return Judgment(bot=bot, instruction=closing, verdicts=(direction,))
    verdicts = (state, *(check(bot, instruction, record, now) for check in ENTRY_CHECKS))
    if bot.policy is Policy.SCREENER:
        verdicts = (*verdicts, on_the_list(await bots.find_listing(instruction.symbol)))
    if bot.model_filter is not None:
        foretold = await bots.find_foretold(bot.model_filter.model, instruction.symbol, now=now)
        verdicts = (*verdicts, foretold_by_model(bot.model_filter, foretold, instruction))
    if instruction.again is not None and instruction.is_retry:
        first = instruction.again.before[0]
        newer = await bots.find_newer_against(first, bot_id=bot_id, instruction=instruction)
        verdicts = (*verdicts, still_the_last_word(newer))
    is_stopped = not all(verdict.passed for verdict in verdicts)
    if may_close and is_stopped and await bots.count_against(instruction, bot_id=bot_id):
        closing = replace(instruction, action=Action.CLOSE, was_entry=True)
        return Judgment(bot=bot, instruction=closing, verdicts=verdicts)
    return Judgment(bot=bot, instruction=instruction, verdicts=verdicts)


def trading_allowed(states: TradingStates, *, bot_id: UUID) -> Verdict:
    """See that neither the desk nor the bot is halted or reducing; the rest is looked at account by account."""
    stops = states.strictest(scopes_of(bot_id=bot_id))
    if stops is None:
        return Verdict(check="TRADING_STATE", passed=True, numbers={"state": "active"})
    return Verdict(check="TRADING_STATE", passed=False, numbers=stops.values)


def code_of(verdict: Verdict) -> str:
    """Give the code of a signal that a verdict stopped."""
    if verdict.check == "TRADING_STATE":
        return f"TRADING_{verdict.numbers['state'].upper()}"
    return f"{verdict.check}_DECLINED"


def reason_of(verdict: Verdict) -> str:
    """Give the numbers of a verdict as one line."""
    return " ".join(f"{name}={value}" for name, value in verdict.numbers.items())

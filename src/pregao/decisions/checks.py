"""Each check looks at one thing and answers with a verdict and its numbers. Only entries are checked."""

from collections.abc import Callable

from pregao.domain.bot import Bot, BotStatus, Directions
from pregao.domain.facts import Verdict
from pregao.domain.order import Side
from pregao.domain.signal import Instruction

Check = Callable[[Bot, Instruction], Verdict]


def bot_takes_entries(bot: Bot, _instruction: Instruction) -> Verdict:
    """A paused or archived bot is close-only."""
    return Verdict(check="BOT_STATUS", passed=bot.status is BotStatus.ACTIVE, numbers={"status": bot.status})


def direction_allowed(bot: Bot, instruction: Instruction) -> Verdict:
    """A bot may be told to buy only, or to sell only."""
    allowed = {
        Directions.BOTH: (Side.BUY, Side.SELL),
        Directions.BUY_ONLY: (Side.BUY,),
        Directions.SELL_ONLY: (Side.SELL,),
    }[bot.allowed_directions]
    numbers = {"side": str(instruction.side), "allowed_directions": bot.allowed_directions.value}
    return Verdict(check="DIRECTION", passed=instruction.side in allowed, numbers=numbers)


def symbol_allowed(bot: Bot, instruction: Instruction) -> Verdict:
    """A bot may be tied to one symbol."""
    passed = bot.trading_symbol is None or bot.trading_symbol == instruction.symbol
    numbers = {"symbol": str(instruction.symbol), "trading_symbol": bot.trading_symbol or "any"}
    return Verdict(check="SYMBOL", passed=passed, numbers=numbers)


ENTRY_CHECKS: tuple[Check, ...] = (bot_takes_entries, direction_allowed, symbol_allowed)

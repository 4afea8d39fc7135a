"""Each check looks at one thing and answers with a verdict and its numbers. Only entries are checked."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from pregao.decisions.ports import NewerSignal, Record
from pregao.domain.bot import Bot, BotStatus, Directions, TradingHours
from pregao.domain.facts import Verdict
from pregao.domain.money import to_text
from pregao.domain.order import Side
from pregao.domain.prediction import Direction, Foretold, ModelFilter, WhenUnknown
from pregao.domain.screener import Listing
from pregao.domain.signal import Instruction

Check = Callable[[Bot, Instruction, Record, datetime], Verdict]

FORETOLD = {Side.BUY: Direction.PRICE_UP, Side.SELL: Direction.PRICE_DOWN}
SHOWN_MAX = 10  # symbols or windows in a verdict: it stands in every receipt
ALLOWED_SIDES = {
    Directions.BOTH: frozenset(Side),
    Directions.BUY_ONLY: frozenset({Side.BUY}),
    Directions.SELL_ONLY: frozenset({Side.SELL}),
}


def looks_back(bot: Bot) -> bool:
    """Say whether a check of this bot asks what it did before: then two of its signals are decided one by one."""
    return (
        bot.allowed_directions is not Directions.BOTH
        or bot.cooldown_seconds > 0
        or bot.max_entries_per_day is not None
        or bot.global_max_daily_loss_usd is not None
        or bot.global_max_positions is not None
    )


def goes_against(bot: Bot, instruction: Instruction) -> bool:
    """Say whether an entry goes the way the bot may not enter."""
    return instruction.side not in ALLOWED_SIDES[bot.allowed_directions]


def bot_takes_entries(bot: Bot, _instruction: Instruction, _record: Record, _now: datetime) -> Verdict:
    """A paused or archived bot is close-only."""
    return Verdict(check="BOT_STATUS", passed=bot.status is BotStatus.ACTIVE, numbers={"status": bot.status})


def direction_allowed(bot: Bot, instruction: Instruction, record: Record, _now: datetime) -> Verdict:
    """A bot may be told to buy only, or to sell only; what goes the other way may close what is held, nothing else."""
    passed = not goes_against(bot, instruction)
    numbers = {"side": str(instruction.side), "allowed_directions": bot.allowed_directions.value}
    if not passed:
        numbers["positions_against"] = str(record.positions_against)
    return Verdict(check="DIRECTION", passed=passed, numbers=numbers)


def symbol_allowed(bot: Bot, instruction: Instruction, _record: Record, _now: datetime) -> Verdict:
    """A bot may be tied to one symbol."""
    passed = bot.trading_symbol is None or bot.trading_symbol == instruction.symbol
    numbers = {"symbol": str(instruction.symbol), "trading_symbol": bot.trading_symbol or "any"}
    return Verdict(check="SYMBOL", passed=passed, numbers=numbers)


def symbol_on_list(bot: Bot, instruction: Instruction, _record: Record, _now: datetime) -> Verdict:
    """A bot may have a list of symbols; an empty one allows any."""
    passed = not bot.allowed_symbols or instruction.symbol in bot.allowed_symbols
    numbers = {"symbol": str(instruction.symbol), "allowed_symbols": _shown(bot.allowed_symbols) or "any"}
    return Verdict(check="ALLOW_LIST", passed=passed, numbers=numbers)


def within_trading_hours(bot: Bot, _instruction: Instruction, _record: Record, now: datetime) -> Verdict:
    """A bot may have hours in which it trades, by the clocks on the wall of their time zones."""
    passed = not bot.trading_hours or any(is_open(window, now=now) for window in bot.trading_hours)
    hours = _shown(_window_text(window) for window in bot.trading_hours) or "always"
    numbers = {"now": now.isoformat(timespec="seconds"), "trading_hours": hours}
    return Verdict(check="TRADING_HOURS", passed=passed, numbers=numbers)


def cooldown_over(bot: Bot, _instruction: Instruction, record: Record, now: datetime) -> Verdict:
    """A bot may wait between two entries on one symbol."""
    numbers = {"cooldown_seconds": str(bot.cooldown_seconds)}
    if record.last_entry_at is None:
        return Verdict(check="COOLDOWN", passed=True, numbers=numbers)
    since = now - record.last_entry_at
    numbers["since_last_entry_seconds"] = f"{since.total_seconds():.1f}"
    return Verdict(check="COOLDOWN", passed=since >= timedelta(seconds=bot.cooldown_seconds), numbers=numbers)


def still_young(_bot: Bot, instruction: Instruction, _record: Record, now: datetime) -> Verdict:
    """An entry has its time; later the price has moved on."""
    left = (instruction.send_before - now).total_seconds()
    numbers = {
        "send_before": instruction.send_before.isoformat(timespec="milliseconds"),
        "left_seconds": f"{left:.1f}",
    }
    return Verdict(check="AGE", passed=now < instruction.send_before, numbers=numbers)


def entries_left_today(bot: Bot, _instruction: Instruction, record: Record, _now: datetime) -> Verdict:
    """A bot may have so many entries on one UTC day."""
    maximum = bot.max_entries_per_day
    if maximum is None:
        return Verdict(check="DAILY_ENTRIES", passed=True, numbers={"max_entries_per_day": "none"})
    numbers = {"entries_today": str(record.entries_today), "max_entries_per_day": str(maximum)}
    return Verdict(check="DAILY_ENTRIES", passed=record.entries_today < maximum, numbers=numbers)


def loss_below_limit(bot: Bot, _instruction: Instruction, record: Record, _now: datetime) -> Verdict:
    """All subscribers together may lose so much on one UTC day."""
    maximum = bot.global_max_daily_loss_usd
    if maximum is None:
        return Verdict(check="GLOBAL_LOSS", passed=True, numbers={"global_max_daily_loss_usd": "none"})
    numbers = {
        "loss_today_usd": to_text(record.loss_today_usd),
        "global_max_daily_loss_usd": to_text(maximum),
    }
    return Verdict(check="GLOBAL_LOSS", passed=record.loss_today_usd < maximum, numbers=numbers)


def positions_below_limit(bot: Bot, _instruction: Instruction, record: Record, _now: datetime) -> Verdict:
    """
    All subscribers together may hold so many positions.

    What is held on the symbol already needs no further place to be reversed or added to: then planning keeps the
    limit, account by account.
    """
    maximum = bot.global_max_positions
    if maximum is None:
        return Verdict(check="GLOBAL_POSITIONS", passed=True, numbers={"global_max_positions": "none"})
    numbers = {
        "live_positions": str(record.live_positions),
        "global_max_positions": str(maximum),
        "positions_here": str(record.positions_here),
    }
    passed = record.live_positions < maximum or record.positions_here > 0
    return Verdict(check="GLOBAL_POSITIONS", passed=passed, numbers=numbers)


def on_the_list(listing: Listing) -> Verdict:
    """A bot may enter only what is on the screener's list; without a list that is nothing."""
    numbers = {
        "ticker": listing.ticker or "none",
        "rank": "none" if listing.rank is None else str(listing.rank),
        "list": listing.strategy or "none",
        "size": str(listing.size),
    }
    if listing.listed_at is not None:
        numbers["listed_at"] = listing.listed_at.isoformat(timespec="seconds")
    return Verdict(check="SCREENER", passed=listing.rank is not None, numbers=numbers)


def foretold_by_model(
    model_filter: ModelFilter, foretold: Foretold | None, instruction: Instruction
) -> Verdict:
    """A bot may ask a model before it enters; what becomes of an entry it says nothing fresh of, the rule says."""
    numbers = {
        "model": model_filter.model,
        "side": str(instruction.side),
        "confidence_min": to_text(model_filter.confidence_min),
    }
    if foretold is None:
        numbers["foretold"] = "unknown"
        numbers["when_unknown"] = model_filter.when_unknown.value
        if model_filter.when_unknown is WhenUnknown.PASS:
            numbers["warning"] = "the model says nothing fresh of this symbol, and the entry was not filtered"
        return Verdict(check="MODEL", passed=model_filter.when_unknown is WhenUnknown.PASS, numbers=numbers)
    numbers |= {
        "foretold": foretold.direction.value,
        "confidence": to_text(foretold.confidence),
        "model_id": foretold.model_id,
        "timeframe": foretold.timeframe,
        "bar_at": foretold.bar_at.isoformat(timespec="seconds"),
    }
    agrees = instruction.side is not None and foretold.direction is FORETOLD[instruction.side]
    is_sure = foretold.confidence >= model_filter.confidence_min
    return Verdict(check="MODEL", passed=agrees and is_sure, numbers=numbers)


def still_the_last_word(newer: NewerSignal | None) -> Verdict:
    """See that the bot has not gone the other way meanwhile: nobody would come to close what is opened now."""
    if newer is None:
        return Verdict(check="NEWER_SIGNAL", passed=True, numbers={"newer_signal": "none"})
    numbers = {
        "newer_signal": str(newer.signal_id),
        "action": newer.action.value,
        "received_at": newer.received_at.isoformat(timespec="seconds"),
    }
    return Verdict(check="NEWER_SIGNAL", passed=False, numbers=numbers)


ENTRY_CHECKS: tuple[Check, ...] = (
    bot_takes_entries,
    direction_allowed,
    symbol_allowed,
    symbol_on_list,
    within_trading_hours,
    cooldown_over,
    still_young,
    entries_left_today,
    loss_below_limit,
    positions_below_limit,
)
"""All of them always run; the first that fails names the code. A bot's policy has the last word."""


def is_open(window: TradingHours, *, now: datetime) -> bool:
    """
    Say whether a window is open, by the clock on its wall.

    When clocks are put back, the hour that comes twice counts both times as it reads.
    """
    there = now.astimezone(ZoneInfo(window.timezone))
    day, at = there.isoweekday(), there.time()
    if window.start < window.end:
        return day in window.days and window.start <= at < window.end
    day_before = (day - 2) % 7 + 1
    return (day in window.days and at >= window.start) or (day_before in window.days and at < window.end)


def _window_text(window: TradingHours) -> str:
    days = "".join(str(day) for day in sorted(window.days))
    return f"{days}@{window.start:%H:%M}-{window.end:%H:%M}@{window.timezone}"


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    rest = [f"and {len(names) - SHOWN_MAX} more"] if len(names) > SHOWN_MAX else []
    return ",".join([*islice(names, SHOWN_MAX), *rest])

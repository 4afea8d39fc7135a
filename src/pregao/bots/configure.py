"""
Create, change, pause and archive bots; give them new secrets.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pregao.bots.ports import BotBook
from pregao.bots.ranges import check_bot, check_overlap, spelled, spelled_rows, to_symbol
from pregao.bots.refusals import ConflictError, UnknownError
from pregao.bots.symbols import get_row, with_row, without_row
from pregao.domain.bot import Bot, BotStatus, SubscriptionStatus, SymbolSettings
from pregao.domain.facts import BotConfigured, BotForgotten, Fact, SubscriptionConfigured

FORGET_AFTER = timedelta(minutes=1)  # by then every process has heard that the bot takes nothing any more

CHANGEABLE = frozenset(
    {
        "name", "description", "status", "market_type", "allowed_directions", "trading_symbol", "default_leverage",
        "default_margin_usd", "default_stop_loss_pct", "default_take_profit_pct", "default_max_positions",
        "signals_per_minute_max", "approval", "approval_seconds", "approval_price_move_pct", "allowed_symbols",
        "trading_hours", "cooldown_seconds", "max_entries_per_day", "global_max_daily_loss_usd", "global_max_positions",
        "same_side", "opposite_side", "symbols", "guard", "policy", "risk", "model_filter",
        "takes_strategies",
    },
)  # fmt: skip
"""What may change once a bot exists: its address stands in other people's alerts, its secret is rotated."""


async def create_bot(bot: Bot, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Create a bot.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises ConflictError: when the webhook path is taken, by an archived bot too.
    """
    bot = _spelled(bot)
    check_bot(bot)
    if await book.find_bot_at(bot.webhook_path) is not None:
        raise path_taken(bot.webhook_path)
    return [BotConfigured(happened_at=now, bot=bot)]


async def change_bot(bot_id: UUID, changes: Mapping[str, Any], *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Change some settings of a bot; pausing it is such a change. Changing nothing gives no fact.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such bot.
    :raises ConflictError: when the bot is archived.
    """
    assert CHANGEABLE.issuperset(changes)
    assert changes.get("status") is not BotStatus.ARCHIVED, "archive_bot ends the subscriptions too"
    return _changed(await _get_standing_bot(bot_id, book=book), changes, now=now)


async def set_symbol(bot_id: UUID, row: SymbolSettings, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Say what counts on one symbol, in place of what was said before.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such bot.
    :raises ConflictError: when the bot is archived.
    """
    bot = await _get_standing_bot(bot_id, book=book)
    row = replace(row, symbol=to_symbol(row.symbol))
    return _changed(bot, {"symbols": with_row(bot.symbols, row)}, now=now)


async def remove_symbol(bot_id: UUID, symbol: str, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Take a symbol's row away: the defaults count again.

    :raises UnknownError: when there is no such bot, or no such row.
    :raises ConflictError: when the bot is archived.
    """
    bot = await _get_standing_bot(bot_id, book=book)
    row = get_row(bot.symbols, symbol)
    return _changed(bot, {"symbols": without_row(bot.symbols, row.symbol)}, now=now)


async def rotate_secret(
    bot_id: UUID, *, secret_sha256: str, overlap: timedelta, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Give a bot a new secret; its former one is taken too until ``overlap`` has passed. One older still is dropped.

    :raises SettingUnusableError: when the overlap is too long.
    :raises UnknownError: when there is no such bot.
    :raises ConflictError: when the bot is archived.
    """
    check_overlap(overlap)
    bot = await _get_standing_bot(bot_id, book=book)
    rotated = replace(
        bot,
        secret_sha256=secret_sha256,
        former_secret_sha256=bot.secret_sha256 if overlap else None,
        former_secret_until=now + overlap if overlap else None,
    )
    return [BotConfigured(happened_at=now, bot=rotated)]


async def archive_bot(bot_id: UUID, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Archive a bot and cancel its subscriptions. It takes closes while it holds something. Twice is once.

    :raises UnknownError: when there is no such bot.
    """
    bot = await _get_bot(bot_id, book=book)
    facts: list[Fact] = []
    if bot.status is not BotStatus.ARCHIVED:
        facts.append(BotConfigured(happened_at=now, bot=replace(bot, status=BotStatus.ARCHIVED)))
    for subscription in await book.subscriptions_of(bot_id):
        if subscription.status is not SubscriptionStatus.CANCELED:
            canceled = replace(subscription, status=SubscriptionStatus.CANCELED)
            facts.append(SubscriptionConfigured(happened_at=now, subscription=canceled))
    return facts


async def forget_bot(bot_id: UUID, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Delete a bot for good, with its canceled subscriptions: its webhook path is free again.

    :raises UnknownError: when there is no such bot.
    :raises ConflictError: when it is not archived, was archived just now, or ever had a signal: those are kept.
    """
    bot = await _get_bot(bot_id, book=book)
    if bot.status is not BotStatus.ARCHIVED:
        raise ConflictError("BOT_NOT_ARCHIVED", f"bot={bot_id} status={bot.status}. Archive it first.")
    if await book.has_signals(bot_id):
        raise ConflictError(
            "BOT_HAS_HISTORY", f"bot={bot_id}. It had signals, and the journal keeps them; it stays archived."
        )
    quiet_at = await book.changed_at(bot_id) + FORGET_AFTER
    if now < quiet_at:
        raise ConflictError(
            "BOT_JUST_ARCHIVED",
            f"bot={bot_id} archived_until_at_least={quiet_at.isoformat()}. "
            "A signal may still be on its way in; ask again then.",
        )
    return [BotForgotten(happened_at=now, bot_id=bot_id)]


def path_taken(webhook_path: str) -> ConflictError:
    """Give the refusal of a webhook path that another bot has."""
    return ConflictError(
        "WEBHOOK_PATH_TAKEN",
        f"webhook_path={webhook_path}. Another bot, perhaps an archived one, has it; choose another.",
        field="webhook_path",
    )


async def _get_bot(bot_id: UUID, *, book: BotBook) -> Bot:
    bot = await book.find_bot(bot_id)
    if bot is None:
        raise UnknownError("BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    return bot


async def _get_standing_bot(bot_id: UUID, *, book: BotBook) -> Bot:
    bot = await _get_bot(bot_id, book=book)
    if bot.status is BotStatus.ARCHIVED:
        raise ConflictError("BOT_ARCHIVED", f"bot={bot_id}. An archived bot stays as it is; create another.")
    return bot


def _changed(bot: Bot, changes: Mapping[str, Any], *, now: datetime) -> list[Fact]:
    changed = _spelled(replace(bot, **changes))
    check_bot(changed)
    return [] if changed == bot else [BotConfigured(happened_at=now, bot=changed)]


def _spelled(bot: Bot) -> Bot:
    return replace(
        bot,
        name=bot.name.strip(),
        trading_symbol=None if bot.trading_symbol is None else spelled(bot.trading_symbol),
        allowed_symbols=tuple(spelled(symbol) for symbol in bot.allowed_symbols),
        symbols=spelled_rows(bot.symbols),
    )

"""
Subscribe accounts to a bot; change, pause and cancel subscriptions; forgive what they lost today.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pregao.bots.ports import BotBook
from pregao.bots.ranges import check_subscription, spelled_rows, to_symbol
from pregao.bots.refusals import ConflictError, SettingUnusableError, UnknownError
from pregao.bots.symbols import find_row, get_row, with_row, without_row
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, BotStatus, Subscription, SubscriptionStatus, SymbolSettings
from pregao.domain.facts import DailyLossForgiven, Fact, SubscriptionConfigured

ACCOUNTS_AT_ONCE_MAX = 3  # B3: one request subscribes up to three accounts
REASON_CHARACTERS_MIN, REASON_CHARACTERS_MAX = 3, 500

CHANGEABLE = frozenset(
    {
        "status", "custom_leverage", "custom_margin_usd", "custom_stop_loss_pct", "custom_take_profit_pct",
        "max_daily_loss_usd", "max_concurrent_positions", "custom_same_side", "custom_opposite_side", "symbols", "custom_guard",
        "custom_risk",
    },
)  # fmt: skip


async def subscribe(wanted: Sequence[Subscription], *, book: BotBook, now: datetime) -> list[Fact]:
    """
    Subscribe one to three accounts to one bot: all or none. A canceled subscription lives again, under its old id.

    :raises SettingUnusableError: when a setting cannot be used, or an account is named twice.
    :raises UnknownError: when there is no such bot or account.
    :raises ConflictError: when the bot is archived, an account inactive or already subscribed.
    """
    accounts = {subscription.account_id for subscription in wanted}
    if len(accounts) < len(wanted) or not 1 <= len(wanted) <= ACCOUNTS_AT_ONCE_MAX:
        raise SettingUnusableError(
            "ACCOUNTS_UNUSABLE",
            f"accounts={len(wanted)} different={len(accounts)} maximum={ACCOUNTS_AT_ONCE_MAX}. Name each once.",
        )
    wanted = [_spelled(subscription) for subscription in wanted]
    for subscription in wanted:
        check_subscription(subscription)
    bot = await _get_open_bot(wanted[0].bot_id, book=book)
    facts: list[Fact] = []
    # Account by account, first it, then its subscription: the order in which planning locks them.
    for subscription in sorted(wanted, key=lambda one: one.account_id):
        account = await _get_active_account(subscription.account_id, book=book)
        _check_open_bot(bot, account)
        former = await book.find_subscription_of(account.account_id, bot_id=bot.bot_id)
        if former is not None and former.status is not SubscriptionStatus.CANCELED:
            raise ConflictError(
                "SUBSCRIPTION_EXISTS",
                f"subscription={former.subscription_id} account={account.account_id}. Change that one instead.",
                subscription_id=str(former.subscription_id),
            )
        subscription_id = former.subscription_id if former else subscription.subscription_id
        made = replace(subscription, subscription_id=subscription_id)
        facts.append(SubscriptionConfigured(happened_at=now, subscription=made))
    return facts


async def change_subscription(
    subscription_id: UUID, changes: Mapping[str, Any], *, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Change some settings of a subscription; pausing it is such a change. Changing nothing gives no fact.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such subscription.
    :raises ConflictError: when the subscription is canceled.
    """
    assert CHANGEABLE.issuperset(changes)
    return _changed(await _get_standing(subscription_id, book=book), changes, now=now)


async def set_own_symbol(
    subscription_id: UUID, row: SymbolSettings, *, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Say what counts on one symbol, in place of what was said before.

    :raises SettingUnusableError: when a setting cannot be used.
    :raises UnknownError: when there is no such subscription.
    :raises ConflictError: when the subscription is canceled.
    """
    subscription = await _get_standing(subscription_id, book=book)
    row = replace(row, symbol=to_symbol(row.symbol))
    return _changed(subscription, {"symbols": with_row(subscription.symbols, row)}, now=now)


async def remove_own_symbol(
    subscription_id: UUID, symbol: str, *, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Take a symbol's row away: the next wider settings count again.

    :raises UnknownError: when there is no such subscription, or no such row.
    :raises ConflictError: when the subscription is canceled.
    """
    subscription = await _get_standing(subscription_id, book=book)
    row = get_row(subscription.symbols, symbol)
    return _changed(subscription, {"symbols": without_row(subscription.symbols, row.symbol)}, now=now)


async def switch_symbol(
    subscription_id: UUID, symbol: str, *, is_active: bool, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Open nothing more on a symbol, or open again; a symbol without a row gets one that sets nothing else.

    :raises SettingUnusableError: when it is no symbol.
    :raises UnknownError: when there is no such subscription.
    :raises ConflictError: when the subscription is canceled.
    """
    subscription = await _get_standing(subscription_id, book=book)
    name = to_symbol(symbol)
    row = find_row(subscription.symbols, name) or SymbolSettings(symbol=name)
    switched = replace(row, is_active=is_active)
    return _changed(subscription, {"symbols": with_row(subscription.symbols, switched)}, now=now)


async def copy_symbols(subscription_id: UUID, *, bot_id: UUID, book: BotBook, now: datetime) -> list[Fact]:
    """
    Copy the rows of its bot that the subscription lacks; the bot's own go on counting until a copy is changed.

    Limits are not copied: the bot's count all subscribers together, and count anyway.

    :raises UnknownError: when there is no such subscription.
    :raises ConflictError: when the subscription is canceled, or its bot archived.
    """
    # First the bot, then what follows it: the order in which everybody locks them.
    bot = await _get_open_bot(bot_id, book=book)
    subscription = await _get_standing(subscription_id, book=book)
    assert subscription.bot_id == bot_id, "a subscription keeps its bot"
    lacking = [row for row in bot.symbols if find_row(subscription.symbols, row.symbol) is None]
    copies = [
        replace(row, is_active=True, max_positions=None, max_daily_loss_usd=None, use_bot_default=True)
        for row in lacking
    ]
    return _changed(subscription, {"symbols": (*subscription.symbols, *copies)}, now=now)


async def cancel_subscription(subscription_id: UUID, *, book: BotBook, now: datetime) -> list[Fact]:
    """
    End a subscription: nothing opens any more, and what is open is still closed by its signals. Twice is once.

    :raises UnknownError: when there is no such subscription.
    """
    subscription = await _get_subscription(subscription_id, book=book)
    if subscription.status is SubscriptionStatus.CANCELED:
        return []
    canceled = replace(subscription, status=SubscriptionStatus.CANCELED)
    return [SubscriptionConfigured(happened_at=now, subscription=canceled)]


async def forgive_daily_loss(
    subscription_id: UUID, *, reason: str, forgiven_by: str, book: BotBook, now: datetime
) -> list[Fact]:
    """
    Have limits count nothing of what a subscription has lost so far today; its results stay as they are.

    Nothing lost, or all of it forgiven before, gives no fact. What is lost later today counts again.

    :raises SettingUnusableError: when the reason says nothing.
    :raises UnknownError: when there is no such subscription.
    """
    said = reason.strip()
    if not REASON_CHARACTERS_MIN <= len(said) <= REASON_CHARACTERS_MAX or not said.isprintable():
        raise SettingUnusableError(
            "REASON_UNUSABLE",
            f"characters={len(said)} minimum={REASON_CHARACTERS_MIN} maximum={REASON_CHARACTERS_MAX}. "
            "Say in one line why the loss is forgiven.",
            field="reason",
        )
    await _get_subscription(subscription_id, book=book)
    day = now.astimezone(UTC).date()
    lost = await book.counted_losses(subscription_id, day=day)
    return [
        DailyLossForgiven(
            happened_at=now,
            subscription_id=subscription_id,
            day=day,
            symbol=symbol,
            amount_usd=amount_usd,
            forgiven_by=forgiven_by,
            reason=said,
        )
        for symbol, amount_usd in sorted(lost.items())
    ]


async def _get_open_bot(bot_id: UUID, *, book: BotBook) -> Bot:
    bot = await book.find_bot(bot_id)
    if bot is None:
        raise UnknownError("BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    if bot.status is BotStatus.ARCHIVED:
        raise ConflictError("BOT_ARCHIVED", f"bot={bot_id}. An archived bot takes no subscriptions.")
    return bot


async def _get_active_account(account_id: int, *, book: BotBook) -> Account:
    account = await book.find_account(account_id)
    if account is None:
        raise UnknownError("ACCOUNT_UNKNOWN", f"account={account_id}. There is no such account.")
    if not account.is_active:
        raise ConflictError("ACCOUNT_INACTIVE", f"account={account_id}. Activate it first.")
    return account


def _check_open_bot(bot: Bot, account: Account) -> None:
    # A bot that anybody may signal must never reach money.
    if bot.is_open and account.venue is not Venue.PAPER:
        raise ConflictError(
            "BOT_OPEN_TO_ALL",
            f"bot={bot.bot_id} account={account.account_id} venue={account.venue}. "
            "It takes signals without a secret, so only paper accounts may follow it.",
        )


async def _get_subscription(subscription_id: UUID, *, book: BotBook) -> Subscription:
    subscription = await book.find_subscription(subscription_id)
    if subscription is None:
        raise UnknownError(
            "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    return subscription


async def _get_standing(subscription_id: UUID, *, book: BotBook) -> Subscription:
    subscription = await _get_subscription(subscription_id, book=book)
    if subscription.status is SubscriptionStatus.CANCELED:
        raise ConflictError(
            "SUBSCRIPTION_CANCELED",
            f"subscription={subscription_id}. Subscribe the account again to bring it back.",
        )
    return subscription


def _changed(subscription: Subscription, changes: Mapping[str, Any], *, now: datetime) -> list[Fact]:
    changed = _spelled(replace(subscription, **changes))
    check_subscription(changed)
    return [] if changed == subscription else [SubscriptionConfigured(happened_at=now, subscription=changed)]


def _spelled(subscription: Subscription) -> Subscription:
    return replace(subscription, symbols=spelled_rows(subscription.symbols))

"""
The bot that trades by hand come in by: one of the desk's, and each account that trades so follows it once.

So they take the way of every signal: checks, trading states, limits, one owner per symbol, receipts.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.bots.ports import BotBook
from pregao.bots.ranges import SUBSCRIPTION_RANGES
from pregao.bots.refusals import ConflictError
from pregao.bots.subscribe import subscribe
from pregao.domain.bot import Bot, OppositeSide, SameSide, Subscription, SubscriptionStatus
from pregao.domain.facts import BotConfigured, Fact, SubscriptionConfigured

BY_HAND_PATH = "trades-by-hand-of-people"
DAILY_LOSS_USD: Decimal = SUBSCRIPTION_RANGES["max_daily_loss_usd"].maximum
"""Each trade has its own risk, and the month its drawdown; whoever wants a day's limit too changes the subscription."""


def by_hand_bot(bot_id: UUID, *, secret_sha256: str) -> Bot:
    """Give the bot; nobody knows its secret, so nothing comes in by its webhook until an operator makes a new one."""
    return Bot(
        bot_id=bot_id,
        name="By hand",
        description="Trades that people ask for themselves, sized by what their stops may cost.",
        webhook_path=BY_HAND_PATH,
        secret_sha256=secret_sha256,
        default_leverage=1,
        same_side=SameSide.IGNORE,
        opposite_side=OppositeSide.IGNORE,
    )


async def follow_by_hand(
    account_id: int, *, fresh: Bot, fresh_id: UUID, book: BotBook, now: datetime
) -> tuple[Subscription, list[Fact]]:
    """
    Give the account's subscription to the bot of trades by hand, and the facts that make what is missing of both.

    ``fresh`` is the bot where the desk has none yet, ``fresh_id`` names a subscription that is not there yet.

    :raises UnknownError: when there is no such account for whoever asks.
    :raises ConflictError: when the bot is archived, or the account inactive.
    """
    facts: list[Fact] = []
    found = await book.find_bot_at(BY_HAND_PATH)
    if found is None:
        await book.append([BotConfigured(happened_at=now, bot=fresh)])
        found = fresh
    # First the bot, then the account, then what follows: the order in which everybody locks them.
    await book.find_bot(found.bot_id)
    await book.find_account(account_id)
    standing = await book.find_subscription_of(account_id, bot_id=found.bot_id)
    if standing is not None and standing.status is not SubscriptionStatus.CANCELED:
        return standing, facts
    wanted = Subscription(
        subscription_id=fresh_id,
        bot_id=found.bot_id,
        account_id=account_id,
        max_daily_loss_usd=DAILY_LOSS_USD,
        max_concurrent_positions=int(SUBSCRIPTION_RANGES["max_concurrent_positions"].maximum),
    )
    facts += await subscribe([wanted], book=book, now=now)
    (made,) = (one.subscription for one in facts if isinstance(one, SubscriptionConfigured))
    return made, facts


def is_made_just_now(conflict: ConflictError) -> bool:
    """Say whether somebody else made the bot in this very moment: then it is there, and is asked again."""
    return conflict.code == "WEBHOOK_PATH_TAKEN"

"""
The desk as system A: with DEST_WEBHOOK_URL set, what comes in at /webhook/in is filtered and forwarded there.

It is made once. From then on the desk keeps the destination, and the settings change nothing of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from pregao.accounts.configure import credentials_of
from pregao.accounts.sealing import Vault
from pregao.demo import DEFAULT_FOLLOWERS, default_bot
from pregao.destinations.addresses import read_url
from pregao.destinations.refusals import DestinationError
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Directions, Policy, Subscription, SubscriptionStatus
from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    Fact,
    StrategyConfigured,
    SubscriptionConfigured,
)
from pregao.domain.forward import BodyForm, Destination
from pregao.domain.screener import Source, Strategy
from pregao.edges.ids import uuid7
from pregao.edges.postgres.accounts import PostgresAccountBook, PostgresAccountBooks
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import to_value
from pregao.settings import Settings

ACCOUNT_NAME = "Destination"
STRATEGY_NAME = "Default Strategy"
STRATEGY_ADDRESS = "https://finviz.com/screener.ashx?v=111"
FOLLOWERS = """
SELECT s.*, a.name, a.venue FROM pregao.subscriptions AS s JOIN pregao.accounts AS a USING (account_id)
WHERE s.bot_id = $1
"""

log = structlog.get_logger()


async def ensure_forwarding(settings: Settings, journal: Journal, *, vault: Vault, now: datetime) -> None:
    """Give the default bot the screener's policy and an account at the destination, unless it has such an account."""
    url = settings.destination_url.reveal()
    if not url:
        return
    try:
        host = read_url(url).host
    except DestinationError as refusal:
        log.error("settings.destination.unusable", code=refusal.code, reason=refusal.message)
        return
    account = Account(
        account_id=await PostgresAccountBooks(journal).next_account_id(),
        name=ACCOUNT_NAME,
        venue=Venue.WEBHOOK,
        destination=Destination(
            host=host,
            timeout_seconds=settings.destination_timeout_seconds,
            honours_idempotency=settings.destination_honours_idempotency,
            body=BodyForm.TRADERSPOST if settings.destination_traderspost else BodyForm.PLAIN,
        ),
    )
    async with journal.transaction() as transaction:
        await transaction.connection.execute("SELECT pg_advisory_xact_lock(7234002)")  # as who makes the demo
        facts = await _missing(settings, account, transaction=transaction, now=now)
        if facts:
            await transaction.append(facts)
            sealed = vault.seal(credentials_of(url), account_id=account.account_id)
            await PostgresAccountBook(transaction, owner=None).keep_credentials(account.account_id, sealed)


async def _missing(
    settings: Settings, account: Account, *, transaction: Transaction, now: datetime
) -> list[Fact]:
    fresh = default_bot(secret=settings.demo_secret.reveal(), is_open=False, now=now)
    row = await transaction.connection.fetchrow(
        "SELECT * FROM pregao.bots WHERE webhook_path = $1", fresh.webhook_path
    )
    bot = fresh if row is None else to_value(row, Bot)
    followers = await transaction.connection.fetch(FOLLOWERS, bot.bot_id)
    if any(one["venue"] == Venue.WEBHOOK for one in followers):
        return []
    forwarding = replace(
        bot,
        is_open=False,  # what is forwarded may be traded with real money
        policy=Policy.SCREENER,
        allowed_directions=Directions.BUY_ONLY,  # a sell closes, and opens nothing
        signals_per_minute_max=None,  # how often something is forwarded is the limiter's to say
    )
    follows = Subscription(subscription_id=uuid7(now), bot_id=bot.bot_id, account_id=account.account_id)
    return [
        BotConfigured(happened_at=now, bot=forwarding),
        *_left(followers, now=now),
        AccountConfigured(happened_at=now, account=account),
        SubscriptionConfigured(happened_at=now, subscription=follows),
        *await _strategy(transaction, now=now),
    ]


def _left(followers: Sequence[Mapping[str, Any]], *, now: datetime) -> list[Fact]:
    """End what the demo made: its paper account no longer follows."""
    ours = {one.name for one in DEFAULT_FOLLOWERS}
    return [
        SubscriptionConfigured(
            happened_at=now,
            subscription=replace(to_value(one, Subscription), status=SubscriptionStatus.CANCELED),
        )
        for one in followers
        if one["name"] in ours and one["status"] == SubscriptionStatus.ACTIVE
    ]


async def _strategy(transaction: Transaction, *, now: datetime) -> list[Fact]:
    """Give the source's first strategy where the screener has none: without a list nothing is bought."""
    if await transaction.connection.fetchval("SELECT EXISTS (SELECT FROM pregao.screener_strategies)"):
        return []
    first = Strategy(
        strategy_id=uuid7(now),
        name=STRATEGY_NAME,
        source=Source.FINVIZ,
        changed_at=now,
        address=STRATEGY_ADDRESS,
        is_active=True,
    )
    return [StrategyConfigured(happened_at=now, strategy=first)]

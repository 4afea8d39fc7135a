"""
The demo desk: a bot to post to and paper accounts that follow it, made at the first start.

The bot `default` behind /webhook/in is made here too, with a paper account until its owner connects another.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from pregao.accounts.ports import RegisterPaperAccount
from pregao.accounts.sealing import Credentials, Vault
from pregao.bots.ready_made import DEFAULT_PATH, DEMO_PATH
from pregao.domain.account import Account, Venue
from pregao.domain.bot import Bot, Subscription
from pregao.domain.facts import AccountConfigured, BotConfigured, Fact, SubscriptionConfigured
from pregao.domain.order import PositionMode
from pregao.edges.ids import uuid7
from pregao.edges.postgres.accounts import PostgresAccountBook, PostgresAccountBooks
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.rows import to_value

DEMO_SYMBOL = "LTCUSDT"
BALANCE_USDT = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Follower:
    """A paper account to make, and what it follows its bot with."""

    name: str
    leverage: int
    margin_usd: Decimal


DEMO_FOLLOWERS = (
    Follower("Ana, paper", leverage=5, margin_usd=Decimal(20)),
    Follower("Bruno, paper", leverage=10, margin_usd=Decimal(50)),
)
DEFAULT_FOLLOWERS = (Follower("Webhook in, paper", leverage=5, margin_usd=Decimal(20)),)


class DemoDesk:
    """Makes what is missing, once; safe to call at every start."""

    def __init__(self, journal: Journal, *, vault: Vault, register: RegisterPaperAccount) -> None:
        """Register accounts at the paper exchange through ``register``."""
        self._journal = journal
        self._vault = vault
        self._register = register

    async def ensure_bot(self, bot: Bot, *, followers: Sequence[Follower], now: datetime) -> None:
        """Make the bot with its followers in one transaction, unless its webhook path is taken already."""
        if await self._find(bot.webhook_path) is not None:
            return
        opened = [await self._open_account(follower) for follower in followers]
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(
                "SELECT pg_advisory_xact_lock(7234002)"
            )  # two starters, one demo
            if await self._find(bot.webhook_path) is not None:
                return
            facts: list[Fact] = [BotConfigured(happened_at=now, bot=bot)]
            for follower, (account, _) in zip(followers, opened, strict=True):
                facts.append(AccountConfigured(happened_at=now, account=account))
                facts.append(
                    SubscriptionConfigured(happened_at=now, subscription=_follow(bot, account, follower, now))
                )
            await transaction.append(facts)
            book = PostgresAccountBook(transaction, owner=None)
            for account, credentials in opened:
                sealed = self._vault.seal(credentials, account_id=account.account_id)
                await book.keep_credentials(account.account_id, sealed)

    async def ensure_open(self, webhook_path: str, *, is_open: bool, now: datetime) -> None:
        """Let the bot take signals without a secret, or not any more, as the settings say now."""
        bot = await self._find(webhook_path)
        if bot is not None and bot.is_open is not is_open:
            async with self._journal.transaction() as transaction:
                await transaction.append([BotConfigured(happened_at=now, bot=replace(bot, is_open=is_open))])

    async def _find(self, webhook_path: str) -> Bot | None:
        row = await self._journal.pool.fetchrow("SELECT * FROM bots WHERE webhook_path = $1", webhook_path)
        return to_value(row, Bot) if row else None

    async def _open_account(self, follower: Follower) -> tuple[Account, Credentials]:
        account_id = await PostgresAccountBooks(self._journal).next_account_id()
        credentials = Credentials(key=secrets.token_urlsafe(32), secret=secrets.token_urlsafe(32))
        await self._register(credentials, BALANCE_USDT, PositionMode.ONE_WAY)
        return Account(account_id=account_id, name=follower.name, venue=Venue.PAPER), credentials


def demo_bot(*, secret: str, now: datetime) -> Bot:
    """Give the bot of the tour."""
    return Bot(
        bot_id=uuid7(now),
        name="First steps",
        description="The demo bot: post an alert, read the receipt.",
        webhook_path=DEMO_PATH,
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
    )


def default_bot(*, secret: str, is_open: bool, now: datetime) -> Bot:
    """Give the bot behind /webhook/in."""
    return Bot(
        bot_id=uuid7(now),
        name="default",
        description="Takes what is posted to /webhook/in.",
        webhook_path=DEFAULT_PATH,
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        is_open=is_open,
    )


def write_demo_page(state_dir: Path, *, base_url: str, secret: str) -> None:
    """Write what run.py prints as a ready-to-paste command; the file holds the demo secret, so it is ours alone."""
    page = {
        "url": f"{base_url}/api/v1/bots/webhook/master/{DEMO_PATH}",
        "body": json.dumps({"ticker": DEMO_SYMBOL, "action": "buy", "secret": secret}),
        "receipt_hint": "The answer is the receipt; `.venv/bin/pregao signal trace SIGNAL_ID` shows it as a table.",
    }
    path = state_dir / "demo.json"
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(page), encoding="utf-8")
    fresh.replace(path)


def _follow(bot: Bot, account: Account, follower: Follower, now: datetime) -> Subscription:
    return Subscription(
        subscription_id=uuid7(now),
        bot_id=bot.bot_id,
        account_id=account.account_id,
        custom_leverage=follower.leverage,
        custom_margin_usd=follower.margin_usd,
    )

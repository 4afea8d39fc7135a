"""
The first steps: an account, a bot, the two joined, and the first alert.

How far somebody is follows from what there is; nothing of it is kept. He may leave and come back.
"""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.bots.ready_made import DEFAULT_PATH, DEMO_PATH, READY_MADE
from pregao.domain.user import Role
from pregao.edges.http.api.bots import shown_bot
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.showing import CHOICES_MAX, needs, show_page
from pregao.edges.http.desk import Desk
from pregao.edges.own_address import own_address
from pregao.signals.messages import MESSAGES, example
from pregao.views.configured import AccountLine, BotLine, SubscriptionLine

EXAMPLE_SYMBOL = "LTCUSDT"  # one whose smallest order is small
BROUGHT = (DEMO_PATH, DEFAULT_PATH)  # with accounts that follow them

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What there is already: newest first."""

    accounts: list[AccountLine]
    bots: list[BotLine]
    subscriptions: list[SubscriptionLine]

    def thread(
        self, account_id: int | None, bot_id: UUID | None
    ) -> tuple[AccountLine | None, BotLine | None, SubscriptionLine | None]:
        """Give what is gone on with: what was asked for, else what is joined already, else the newest."""
        joined = [
            one
            for one in self.subscriptions
            if account_id in (None, one.account.account_id) and bot_id in (None, one.bot.bot_id)
        ]
        if joined:
            account_id, bot_id = joined[0].account.account_id, joined[0].bot.bot_id
        account = [one for one in self.accounts if account_id in (None, one.account.account_id)]
        bot = [one for one in self.bots if bot_id in (None, one.bot.bot_id)]
        return next(iter(account), None), next(iter(bot), None), next(iter(joined), None)


@routes.get("/console/begin")
async def show_begin(
    request: Request, desk: DeskGiven, who: Seen, account: int | None = None, bot: UUID | None = None
) -> Response:
    """Lead from nothing to the first order, and show how far that is."""
    needs(Role.TRADER, who)
    begun = await _begun(desk, who)
    account_line, bot_line, subscription = begun.thread(account, bot)
    receipt = None
    if subscription is not None:
        latest = await desk.activity.signals(
            owner=who.owner, bot_id=subscription.bot.bot_id, status=None, before=None, limit=1
        )
        receipt = await desk.receipts.find_receipt(latest[0].signal_id, owner=who.owner) if latest else None
    shown = shown_bot(bot_line, desk=desk, request=request) if bot_line else {}
    values = {
        "begun": begun,
        "account": account_line,
        "preflight": await desk.preflights.of(account_line.account.account_id) if account_line else None,
        "bot": bot_line,
        "subscription": subscription,
        "receipt": receipt,
        "is_filled": receipt is not None and receipt.count("filled", "partially_filled") > 0,
        "address": shown.get("webhook_url"),
        "is_reachable": desk.public_url.startswith("https://"),
        "message": MESSAGES[0].text,
        "example": example((bot_line and bot_line.bot.trading_symbol) or EXAMPLE_SYMBOL),
        "webhook_path": bot_line.bot.webhook_path if bot_line else None,
        "own_address": own_address(),
        "example_symbol": EXAMPLE_SYMBOL,
    }
    return await show_page(request, "begin/begin.html", values, desk=desk, who=who)


async def _begun(desk: Desk, who: Principal) -> Begun:
    accounts = await desk.configured.accounts(owner=who.owner, is_active=True, after=None, limit=CHOICES_MAX)
    bots = await desk.configured.bots(status="active", market_type=None, after=None, limit=CHOICES_MAX)
    subscriptions = await desk.configured.subscriptions(
        owner=who.owner, bot_id=None, account_id=None, status="active", after=None, limit=CHOICES_MAX
    )
    own = [one for one in subscriptions if one.bot.webhook_path not in READY_MADE]
    brought = {one.account.account_id for one in subscriptions if one.bot.webhook_path in BROUGHT}
    strange = brought - {one.account.account_id for one in own}
    accounts = [
        one
        for one in accounts
        if one.account.user_id in (None, who.user_id) and one.account.account_id not in strange
    ]
    known = {one.account.account_id for one in accounts}
    return Begun(
        accounts=accounts[::-1],
        bots=[one for one in bots if one.bot.webhook_path not in READY_MADE][::-1],
        subscriptions=[one for one in own if one.account.account_id in known][::-1],
    )

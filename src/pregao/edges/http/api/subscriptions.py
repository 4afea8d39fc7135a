"""Subscriptions: which accounts follow a bot, with which overrides and limits."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AliasChoices, Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.bots.effect import Effect, effect_of
from pregao.bots.ranges import to_symbol
from pregao.bots.refusals import SettingUnusableError
from pregao.bots.subscribe import (
    ACCOUNTS_AT_ONCE_MAX,
    cancel_subscription,
    change_subscription,
    subscribe,
)
from pregao.domain.account import Venue
from pregao.domain.bot import (
    BotStatus,
    Directions,
    OppositeSide,
    SameSide,
    Subscription,
    SubscriptionStatus,
    effective_settings,
)
from pregao.domain.facts import SubscriptionConfigured
from pregao.edges.http.api.activity import OrderShown, to_orders
from pregao.edges.http.api.checked import Checked, Sent, check
from pregao.edges.http.api.closing import OpenPositions, close_if_asked
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import SUBSCRIPTIONS
from pregao.edges.http.api.roles import Trader, Viewer
from pregao.edges.http.api.rules import (
    EffectiveOnSymbolShown,
    EffectiveShown,
    GuardAsked,
    GuardShown,
    HoursShown,
    OwnSymbolRows,
    OwnSymbolShown,
    RiskAsked,
    RiskShown,
    Symbol,
    SymbolShown,
    asked_of,
    effective_by_symbol,
    effective_on,
)
from pregao.edges.http.api.shapes import (
    CONFLICT,
    COUNT,
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    Changes,
    DeskGiven,
    Leverage,
    Limit,
    MarginUsd,
    MaxConcurrentPositions,
    MaxDailyLossUsd,
    OwnStopLossPct,
    OwnTakeProfitPct,
    Page,
    Shown,
    default_of,
    page_of,
    unset,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.views.configured import SubscriptionLine
from pregao.views.sorting import Shape

RECENT_EXECUTIONS = 20

routes = APIRouter(
    prefix="/api/v1/bot-subscriptions",
    tags=["subscriptions"],
    dependencies=[TOKEN],
    responses=ERRORS,
)

NamedAccount = Annotated[
    int,
    Field(strict=True, ge=1, le=ID_MAX, validation_alias=AliasChoices("account_id", "exchange_account_id")),
    COUNT,
]


class Overrides(Asked):
    """What one account trades with; null takes the bot's default."""

    custom_leverage: Leverage | None = None
    custom_margin_usd: MarginUsd | None = None
    custom_stop_loss_pct: OwnStopLossPct | None = None
    custom_take_profit_pct: OwnTakeProfitPct | None = None
    max_daily_loss_usd: MaxDailyLossUsd = default_of(Subscription, "max_daily_loss_usd")
    max_concurrent_positions: MaxConcurrentPositions = default_of(Subscription, "max_concurrent_positions")
    custom_same_side: SameSide | None = None
    custom_opposite_side: OppositeSide | None = None
    symbols: OwnSymbolRows = default_of(Subscription, "symbols")
    custom_guard: GuardAsked | None = None
    custom_risk: RiskAsked | None = None


class NewSubscription(Overrides):
    """An account that is to follow a bot."""

    bot_id: UUID
    account_id: NamedAccount


class AccountOverrides(Overrides):
    """One of several accounts, with its own overrides."""

    account_id: NamedAccount


class NewSubscriptions(Asked):
    """Up to three accounts that are to follow a bot: all or none, with the same or with individual overrides."""

    bot_id: UUID
    account_ids: Annotated[
        list[Annotated[int, Field(strict=True, ge=1, le=ID_MAX), COUNT]],
        Field(
            min_length=1,
            max_length=ACCOUNTS_AT_ONCE_MAX,
            validation_alias=AliasChoices("account_ids", "exchange_account_ids"),
        ),
    ]
    use_same_config: bool = True
    config: Annotated[Overrides, Field(default_factory=Overrides)]
    individual_configs: Annotated[
        list[AccountOverrides], Field(default_factory=list, max_length=ACCOUNTS_AT_ONCE_MAX)
    ]


class SubscriptionChanges(Changes):
    """What to change; the rest stays. A paused subscription is close-only."""

    status: Literal["active", "paused"] = unset()
    custom_leverage: Leverage | None = unset()
    custom_margin_usd: MarginUsd | None = unset()
    custom_stop_loss_pct: OwnStopLossPct | None = unset()
    custom_take_profit_pct: OwnTakeProfitPct | None = unset()
    max_daily_loss_usd: MaxDailyLossUsd = unset()
    max_concurrent_positions: MaxConcurrentPositions = unset()
    custom_same_side: SameSide | None = unset()
    custom_opposite_side: OppositeSide | None = unset()
    symbols: OwnSymbolRows = unset()
    custom_guard: GuardAsked | None = unset()
    custom_risk: RiskAsked | None = unset()


class SubscriptionShown(Shown):
    """A subscription, the bot and the account it joins."""

    subscription_id: UUID
    bot_id: UUID
    bot_name: str
    account_id: int
    account_name: str
    venue: Venue
    status: SubscriptionStatus
    custom_leverage: int | None
    custom_margin_usd: Amount | None
    custom_stop_loss_pct: Amount | None
    custom_take_profit_pct: Amount | None
    max_daily_loss_usd: Amount
    max_concurrent_positions: int
    custom_same_side: SameSide | None
    custom_opposite_side: OppositeSide | None
    symbols: tuple[OwnSymbolShown, ...]
    custom_guard: GuardShown | None
    custom_risk: RiskShown | None
    config_group_id: UUID | None
    effective: EffectiveShown
    effective_by_symbol: dict[str, EffectiveOnSymbolShown]
    created_at: datetime
    updated_at: datetime


class SubscriptionWithExecutions(SubscriptionShown):
    """A subscription with its latest orders, and with what of its limits is used today."""

    live_positions: int
    loss_today_usd: Annotated[Amount, Field(description="As limits count it, by UTC day.")]
    recent_executions: list[OrderShown]


class SubscriptionChanged(SubscriptionShown):
    """A subscription just changed or canceled; null where no position was to be closed."""

    close_signal_id: UUID | None


class AvailableBot(Shown):
    """A bot as those see it who may follow it."""

    bot_id: UUID
    name: str
    description: str
    market_type: str
    status: BotStatus
    allowed_directions: Directions
    trading_symbol: str | None
    allowed_symbols: tuple[str, ...]
    trading_hours: tuple[HoursShown, ...]
    default_leverage: int
    default_margin_usd: Amount
    default_stop_loss_pct: Amount
    default_take_profit_pct: Amount
    default_max_positions: int
    same_side: SameSide
    opposite_side: OppositeSide
    symbols: tuple[SymbolShown, ...]
    guard: GuardShown
    risk: RiskShown


class SubscriptionsMade(Shown):
    """The subscriptions just made."""

    subscriptions: list[SubscriptionShown]


@routes.get("/available-bots")
async def list_available_bots(
    desk: DeskGiven, _who: Viewer, cursor: UUID | None = None, limit: Limit = PAGE_ITEMS
) -> Page[AvailableBot]:
    """Give the bots that take subscriptions and signals; where their signals come in is the desk's to know."""
    lines = await desk.configured.bots(status=BotStatus.ACTIVE, market_type=None, after=cursor, limit=limit)
    bots = [AvailableBot.model_validate(line.bot) for line in lines]
    return page_of(bots, limit=limit, cursor=lambda last: last.bot_id)


SubscriptionSort = Literal[
    "time", "-time", "account_name", "-account_name", "bot_name", "-bot_name", "status", "-status",
]  # fmt: skip


@routes.get("/my-subscriptions", response_model=Page[SubscriptionShown], responses=AsCsv)
async def list_subscriptions(
    *,
    desk: DeskGiven,
    who: Viewer,
    bot_id: UUID | None = None,
    account_id: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    status: SubscriptionStatus | None = None,
    search: Search = None,
    sort: SubscriptionSort = "time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[SubscriptionShown] | Response:
    """Give the subscriptions, oldest first unless `sort` says otherwise."""

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[SubscriptionLine]:
        return await desk.configured.subscriptions(
            owner=who.owner,
            bot_id=bot_id,
            account_id=account_id,
            status=status,
            after=after,
            shape=shape,
            limit=limit,
        )

    return await SUBSCRIPTIONS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=lambda line: SubscriptionShown.model_validate(_shown(line)),
        shown=SubscriptionShown,
        name="subscriptions",
    )


@routes.post("", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_subscription(body: NewSubscription, desk: DeskGiven, who: Trader) -> SubscriptionShown:
    """Have an account follow a bot; a canceled subscription lives again."""
    (made,) = await _subscribe(
        [_wanted(body, bot_id=body.bot_id, account_id=body.account_id, desk=desk)], who=who, desk=desk
    )
    return made


@routes.post("/multi", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_subscriptions(body: NewSubscriptions, desk: DeskGiven, who: Trader) -> SubscriptionsMade:
    """Have up to three accounts follow a bot: all or none, under one `config_group_id`."""
    individual = {one.account_id: one for one in body.individual_configs}
    is_matching = individual.keys() == set(body.account_ids) and len(individual) == len(
        body.individual_configs
    )
    if not body.use_same_config and not is_matching:
        raise SettingUnusableError(
            "CONFIGS_INCOMPLETE",
            "Give each of `account_ids` one of `individual_configs`, or set `use_same_config`.",
            field="individual_configs",
        )
    group_id = uuid7(desk.clock())
    wanted = [
        _wanted(
            body.config if body.use_same_config else individual[account_id],
            bot_id=body.bot_id,
            account_id=account_id,
            config_group_id=group_id,
            desk=desk,
        )
        for account_id in body.account_ids
    ]
    return SubscriptionsMade(subscriptions=await _subscribe(wanted, who=who, desk=desk))


@routes.post("/check", responses={**UNKNOWN, **UNREADABLE})
async def check_new_subscription(sent: Sent, desk: DeskGiven, who: Trader) -> Checked:
    """Say what is wrong with a subscription that is not made yet, field by field, and what an entry would come to."""

    async def attempt(body: NewSubscription) -> Effect:
        wanted = _wanted(body, bot_id=body.bot_id, account_id=body.account_id, desk=desk)
        async with desk.bots.open(owner=who.owner) as book:
            await subscribe([wanted], book=book, now=desk.clock())
            bot = await book.find_bot(body.bot_id)
        assert bot is not None, "who subscribes to a bot has found it"
        return effect_of(effective_settings(bot, wanted, symbol=None))

    return await check(sent, NewSubscription, attempt=attempt)


@routes.get("/{subscription_id:uuid}", responses=UNKNOWN)
async def get_subscription(subscription_id: UUID, desk: DeskGiven, who: Viewer) -> SubscriptionWithExecutions:
    """Give one subscription and its twenty latest orders."""
    line = await _get_line(subscription_id, who=who, desk=desk)
    orders = await desk.activity.orders(
        owner=who.owner,
        account_id=line.account.account_id,
        subscription_id=subscription_id,
        signal_id=None,
        status=None,
        before=None,
        limit=RECENT_EXECUTIONS,
    )
    used = await desk.configured.used([subscription_id], day=desk.clock().date())
    shown = {
        **_shown(line),
        "live_positions": used[subscription_id].live_positions,
        "loss_today_usd": used[subscription_id].loss_usd,
        "recent_executions": to_orders(orders),
    }
    return SubscriptionWithExecutions.model_validate(shown)


@routes.get("/{subscription_id:uuid}/effective", responses=UNKNOWN)
async def get_effective_settings(
    subscription_id: UUID,
    desk: DeskGiven,
    who: Viewer,
    symbol: Annotated[Symbol | None, Query(description="Without one: what counts where no row is.")] = None,
) -> EffectiveOnSymbolShown:
    """Say what a subscription trades a symbol with, wherever it is set."""
    line = await _get_line(subscription_id, who=who, desk=desk)
    return effective_on(
        None if symbol is None else to_symbol(symbol), bot=line.bot, subscription=line.subscription
    )


@routes.patch("/{subscription_id:uuid}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_subscription(
    subscription_id: UUID,
    body: SubscriptionChanges,
    desk: DeskGiven,
    who: Trader,
    open_positions: OpenPositions = "keep",
) -> SubscriptionChanged:
    """Change a subscription; `status` pauses it or makes it active again, and what is open may be closed now."""
    bot_id = (await _get_line(subscription_id, who=who, desk=desk)).bot.bot_id
    async with desk.bots.open(owner=who.owner) as book:
        await book.append(
            await change_subscription(subscription_id, _changes_of(body), book=book, now=desk.clock())
        )
        signal_id = await close_if_asked(
            open_positions, bot_id=bot_id, subscription_id=subscription_id, book=book, desk=desk
        )
    shown = _shown(await _get_line(subscription_id, who=who, desk=desk))
    return SubscriptionChanged.model_validate({**shown, "close_signal_id": signal_id})


@routes.post("/{subscription_id:uuid}/check", responses={**UNKNOWN, **UNREADABLE})
async def check_subscription_changes(
    subscription_id: UUID, sent: Sent, desk: DeskGiven, who: Trader
) -> Checked:
    """Say what is wrong with changes that are not made yet, and what an entry would come to with them."""

    async def attempt(body: SubscriptionChanges) -> Effect:
        async with desk.bots.open(owner=who.owner) as book:
            facts = await change_subscription(subscription_id, _changes_of(body), book=book, now=desk.clock())
        changed = [fact.subscription for fact in facts if isinstance(fact, SubscriptionConfigured)]
        return effect_of(effective_settings(line.bot, (changed or [line.subscription])[0], symbol=None))

    line = await _get_line(subscription_id, who=who, desk=desk)
    return await check(sent, SubscriptionChanges, attempt=attempt)


@routes.delete("/{subscription_id:uuid}", responses=UNKNOWN)
async def delete_subscription(
    subscription_id: UUID, desk: DeskGiven, who: Trader, open_positions: OpenPositions = "keep"
) -> SubscriptionChanged:
    """Cancel a subscription; what is open is still closed by closing signals, or now."""
    bot_id = (await _get_line(subscription_id, who=who, desk=desk)).bot.bot_id
    async with desk.bots.open(owner=who.owner) as book:
        await book.append(await cancel_subscription(subscription_id, book=book, now=desk.clock()))
        signal_id = await close_if_asked(
            open_positions, bot_id=bot_id, subscription_id=subscription_id, book=book, desk=desk
        )
    shown = _shown(await _get_line(subscription_id, who=who, desk=desk))
    return SubscriptionChanged.model_validate({**shown, "close_signal_id": signal_id})


def _changes_of(body: SubscriptionChanges) -> dict[str, Any]:
    changes = asked_of(body, only_sent=True)
    if "status" in changes:
        changes["status"] = SubscriptionStatus(changes["status"])
    return changes


def _wanted(
    overrides: Overrides,
    *,
    bot_id: UUID,
    account_id: int,
    config_group_id: UUID | None = None,
    desk: Desk,
) -> Subscription:
    return Subscription(
        subscription_id=uuid7(desk.clock()),
        bot_id=bot_id,
        account_id=account_id,
        config_group_id=config_group_id,
        **asked_of(overrides, names=Overrides.model_fields),
    )


async def _subscribe(
    wanted: Sequence[Subscription], *, who: Principal, desk: Desk
) -> list[SubscriptionShown]:
    async with desk.bots.open(owner=who.owner) as book:
        facts = await subscribe(wanted, book=book, now=desk.clock())
        await book.append(facts)
    made = [fact.subscription for fact in facts if isinstance(fact, SubscriptionConfigured)]
    lines = [await _get_line(subscription.subscription_id, who=who, desk=desk) for subscription in made]
    return [SubscriptionShown.model_validate(_shown(line)) for line in lines]


async def _get_line(subscription_id: UUID, *, who: Principal, desk: Desk) -> SubscriptionLine:
    line = await desk.configured.find_subscription(subscription_id, owner=who.owner)
    if line is None:
        raise ApiError(
            404, "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    return line


def _shown(line: SubscriptionLine) -> dict[str, Any]:
    return {
        **asdict(line.subscription),
        "bot_name": line.bot.name,
        "account_name": line.account.name,
        "venue": line.account.venue,
        "effective": asdict(effective_settings(line.bot, line.subscription, symbol=None)),
        "effective_by_symbol": effective_by_symbol(line.bot, line.subscription),
        "created_at": line.created_at,
        "updated_at": line.updated_at,
    }

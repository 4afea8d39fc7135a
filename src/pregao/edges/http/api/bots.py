"""Bots: the channels of signals, their addresses and defaults."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, Field
from starlette.responses import Response

from pregao.bots.configure import archive_bot, change_bot, create_bot, rotate_secret
from pregao.bots.effect import Effect, effect_of
from pregao.bots.ranges import (
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    NAME_CHARACTERS_MIN,
    WEBHOOK_PATH_PATTERN,
)
from pregao.domain.bot import (
    Approval,
    Bot,
    BotStatus,
    Directions,
    OppositeSide,
    Policy,
    SameSide,
    default_settings,
    secrets_taken,
)
from pregao.domain.facts import BotConfigured, Fact
from pregao.domain.trading_state import TradingState
from pregao.edges.http.api.activity import SignalShown
from pregao.edges.http.api.checked import Checked, Sent, check
from pregao.edges.http.api.closing import OpenPositions, close_if_asked
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import BOTS
from pregao.edges.http.api.roles import OPERATOR
from pregao.edges.http.api.rules import (
    AllowedSymbols,
    GuardAsked,
    GuardShown,
    Hours,
    HoursShown,
    ModelFilterAsked,
    ModelFilterShown,
    RiskAsked,
    RiskShown,
    Symbol,
    SymbolRows,
    SymbolShown,
    asked_of,
)
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    ApprovalPriceMovePct,
    ApprovalSeconds,
    Asked,
    Changes,
    CooldownSeconds,
    DeskGiven,
    Leverage,
    Limit,
    LossUsd,
    MarginUsd,
    MaxEntriesPerDay,
    MaxPositions,
    OverlapSeconds,
    Page,
    Positions,
    Shown,
    SignalsPerMinuteMax,
    StopLossPct,
    TakeProfitPct,
    default_of,
    unset,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import DATABASE_AWAY_ERRORS, ApiError, Told
from pregao.edges.ids import uuid7
from pregao.views.configured import BotLine
from pregao.views.sorting import Shape

MASTER_PATH = "/api/v1/bots/webhook/master"
SECRET_BYTES = 32  # 256 bits: nobody finds one by trying
PATH_BYTES = 18  # a path that nobody named: 24 characters
RECENT_SIGNALS = 10
STAND_IN_NAME = "A bot without a name"  # while what it is called is still wrong
OVERLAP_SECONDS_DEFAULT = 86_400  # a day to change the alerts

routes = APIRouter(prefix="/api/v1/bots", tags=["bots"], dependencies=[TOKEN, OPERATOR], responses=ERRORS)
health_routes = APIRouter(prefix="/api/v1/bots", tags=["health"])  # open, and before /{bot_id}

Name = Annotated[
    str, Field(json_schema_extra={"minLength": NAME_CHARACTERS_MIN, "maxLength": NAME_CHARACTERS_MAX})
]
Description = Annotated[str, Field(json_schema_extra={"maxLength": DESCRIPTION_CHARACTERS_MAX})]
TradingSymbol = Annotated[
    Symbol, Field(description="Trade this symbol only; null trades whatever is signaled.")
]
# Spot is understood, and refused with its own reason until a spot venue is connected.
MarketType = Annotated[Literal["futures", "spot"], Field(json_schema_extra={"enum": ["futures"]})]


class NewBot(Asked):
    """A bot to create; without a webhook path it gets one nobody can guess."""

    name: Name
    webhook_path: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("webhook_path", "master_webhook_path"),
            json_schema_extra={"pattern": WEBHOOK_PATH_PATTERN},
        ),
    ] = None
    description: Description = ""
    market_type: MarketType = "futures"
    allowed_directions: Directions = Directions.BOTH
    trading_symbol: TradingSymbol | None = None
    default_leverage: Leverage = default_of(Bot, "default_leverage")
    default_margin_usd: MarginUsd = default_of(Bot, "default_margin_usd")
    default_stop_loss_pct: StopLossPct = default_of(Bot, "default_stop_loss_pct")
    default_take_profit_pct: TakeProfitPct = default_of(Bot, "default_take_profit_pct")
    default_max_positions: MaxPositions = default_of(Bot, "default_max_positions")
    signals_per_minute_max: SignalsPerMinuteMax | None = default_of(Bot, "signals_per_minute_max")
    approval: Approval = default_of(Bot, "approval")
    approval_seconds: ApprovalSeconds = default_of(Bot, "approval_seconds")
    approval_price_move_pct: ApprovalPriceMovePct = default_of(Bot, "approval_price_move_pct")
    allowed_symbols: AllowedSymbols = default_of(Bot, "allowed_symbols")
    trading_hours: Hours = default_of(Bot, "trading_hours")
    cooldown_seconds: CooldownSeconds = default_of(Bot, "cooldown_seconds")
    max_entries_per_day: MaxEntriesPerDay | None = default_of(Bot, "max_entries_per_day")
    global_max_daily_loss_usd: LossUsd | None = default_of(Bot, "global_max_daily_loss_usd")
    global_max_positions: Positions | None = default_of(Bot, "global_max_positions")
    same_side: SameSide = default_of(Bot, "same_side")
    opposite_side: OppositeSide = default_of(Bot, "opposite_side")
    policy: Policy = default_of(Bot, "policy")
    takes_strategies: bool = default_of(Bot, "takes_strategies")
    symbols: SymbolRows = default_of(Bot, "symbols")
    guard: GuardAsked = GuardAsked()
    risk: Annotated[RiskAsked, Field(description="Of each subscriber, unless it has its own.")] = RiskAsked()
    model_filter: ModelFilterAsked | None = None


BotSort = Literal[
    "time", "-time", "name", "-name", "status", "-status", "active_subscriptions", "-active_subscriptions", "last_signal_at", "-last_signal_at",
]  # fmt: skip


class BotChanges(Changes):
    """What to change; the rest stays. A paused bot is close-only."""

    name: Name = unset()
    description: Description = unset()
    status: Literal["active", "paused"] = unset()
    market_type: MarketType = unset()
    allowed_directions: Directions = unset()
    trading_symbol: TradingSymbol | None = unset()
    default_leverage: Leverage = unset()
    default_margin_usd: MarginUsd = unset()
    default_stop_loss_pct: StopLossPct = unset()
    default_take_profit_pct: TakeProfitPct = unset()
    default_max_positions: MaxPositions = unset()
    signals_per_minute_max: SignalsPerMinuteMax | None = unset()
    approval: Approval = unset()
    approval_seconds: ApprovalSeconds = unset()
    approval_price_move_pct: ApprovalPriceMovePct = unset()
    allowed_symbols: AllowedSymbols = unset()
    trading_hours: Hours = unset()
    cooldown_seconds: CooldownSeconds = unset()
    max_entries_per_day: MaxEntriesPerDay | None = unset()
    global_max_daily_loss_usd: LossUsd | None = unset()
    global_max_positions: Positions | None = unset()
    same_side: SameSide = unset()
    opposite_side: OppositeSide = unset()
    policy: Policy = unset()
    takes_strategies: bool = unset()
    symbols: SymbolRows = unset()
    guard: GuardAsked = unset()
    risk: RiskAsked = unset()
    model_filter: ModelFilterAsked | None = unset()


class BotShown(Shown):
    """A bot; its secret is kept as a hash and cannot be shown."""

    bot_id: UUID
    name: str
    description: str
    market_type: str
    status: BotStatus
    webhook_path: str
    webhook_url: str
    allowed_directions: Directions
    trading_symbol: str | None
    default_leverage: int
    default_margin_usd: Amount
    default_stop_loss_pct: Amount
    default_take_profit_pct: Amount
    default_max_positions: int
    signals_per_minute_max: int | None
    approval: Approval
    approval_seconds: int
    approval_price_move_pct: Amount
    allowed_symbols: tuple[str, ...]
    trading_hours: tuple[HoursShown, ...]
    cooldown_seconds: int
    max_entries_per_day: int | None
    global_max_daily_loss_usd: Amount | None
    global_max_positions: int | None
    same_side: SameSide
    opposite_side: OppositeSide
    policy: Policy
    takes_strategies: bool
    symbols: tuple[SymbolShown, ...]
    guard: GuardShown
    risk: RiskShown
    model_filter: ModelFilterShown | None
    is_open: bool
    former_secret_until: datetime | None  # null when only the present secret is taken
    active_subscriptions: int
    last_signal_at: datetime | None
    created_at: datetime
    updated_at: datetime


class BotArchived(BotShown):
    """A bot just archived; null where no position was to be closed."""

    close_signal_id: UUID | None


class BotMade(BotShown):
    """A bot just created, with the secret of its webhook: shown this once, kept as a hash."""

    secret: str


class SecretRotation(Asked):
    """For how long the former secret is taken too."""

    overlap_seconds: OverlapSeconds = OVERLAP_SECONDS_DEFAULT


class SecretRotated(Shown):
    """The new secret, shown this once, and until when the former one is taken too; null is no more."""

    secret: str
    former_secret_until: datetime | None


class BotWithSignals(BotShown):
    """A bot with its latest signals."""

    recent_signals: list[SignalShown]


class BotsHealthShown(Shown):
    """How the bots are; the counts are null while the database is away."""

    success: bool
    healthy: bool
    trading_state: TradingState | None
    active_bots: int | None
    active_subscriptions: int | None
    last_signal_at: datetime | None


class BotsHealthAway(BotsHealthShown):
    """The same, with why it cannot be told."""

    error: Told


@health_routes.get("/health", responses={503: {"model": BotsHealthAway, "description": "DATABASE_AWAY"}})
async def get_bots_health(desk: DeskGiven) -> BotsHealthShown:
    """Say whether the bots can be asked about, and how many take signals."""
    try:
        health = await desk.health.bots_health()
    except DATABASE_AWAY_ERRORS:
        away = BotsHealthAway(
            success=False,
            healthy=False,
            trading_state=None,
            active_bots=None,
            active_subscriptions=None,
            last_signal_at=None,
            error=Told(code="DATABASE_AWAY", message="The database cannot be reached.", details={}),
        )
        return JSONResponse(away.model_dump(mode="json"), 503)  # type: ignore[return-value]
    return BotsHealthShown(success=True, healthy=True, **asdict(health))


@routes.get("", response_model=Page[BotShown], responses=AsCsv)
async def list_bots(
    *,
    desk: DeskGiven,
    request: Request,
    status: BotStatus | None = None,
    market_type: MarketType | None = None,
    search: Search = None,
    sort: BotSort = "time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[BotShown] | Response:
    """Give the bots, oldest first unless `sort` says otherwise."""

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[BotLine]:
        return await desk.configured.bots(
            status=status, market_type=market_type, after=after, shape=shape, limit=limit
        )

    return await BOTS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=lambda line: BotShown.model_validate(shown_bot(line, desk=desk, request=request)),
        shown=BotShown,
        name="bots",
    )


@routes.post("", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_bot(body: NewBot, desk: DeskGiven, request: Request) -> BotMade:
    """Create a bot. Its secret is shown in this answer and never again."""
    now = desk.clock()
    secret, secret_sha256 = _new_secret()
    bot = _bot_of(body, secret_sha256=secret_sha256, now=now)
    async with desk.bots.open(owner=None) as book:
        await book.append(await create_bot(bot, book=book, now=now))
    line = await _get_line(bot.bot_id, desk=desk)
    return BotMade.model_validate({**shown_bot(line, desk=desk, request=request), "secret": secret})


@routes.post("/check", responses=UNREADABLE)
async def check_new_bot(sent: Sent, desk: DeskGiven) -> Checked:
    """Say what is wrong with a bot that is not made yet, field by field, and what an entry of it would come to."""

    async def attempt(body: NewBot) -> Effect:
        now = desk.clock()
        bot = _bot_of(body, secret_sha256="", now=now)
        async with desk.bots.open(owner=None) as book:
            return _effect(await create_bot(bot, book=book, now=now), bot)

    return await check(sent, NewBot, attempt=attempt, stand_ins={"name": STAND_IN_NAME})


@routes.get("/{bot_id:uuid}", responses=UNKNOWN)
async def get_bot(bot_id: UUID, desk: DeskGiven, request: Request) -> BotWithSignals:
    """Give one bot and its ten latest signals."""
    line = await _get_line(bot_id, desk=desk)
    signals = await desk.activity.signals(
        owner=None, bot_id=bot_id, status=None, before=None, limit=RECENT_SIGNALS
    )
    shown = {**shown_bot(line, desk=desk, request=request), "recent_signals": signals}
    return BotWithSignals.model_validate(shown)


@routes.patch("/{bot_id:uuid}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_bot(bot_id: UUID, body: BotChanges, desk: DeskGiven, request: Request) -> BotShown:
    """Change a bot; `status` pauses it or makes it active again."""
    changes = asked_of(body, only_sent=True)
    if "status" in changes:
        changes["status"] = BotStatus(changes["status"])
    async with desk.bots.open(owner=None) as book:
        await book.append(await change_bot(bot_id, changes, book=book, now=desk.clock()))
    line = await _get_line(bot_id, desk=desk)
    return BotShown.model_validate(shown_bot(line, desk=desk, request=request))


@routes.post("/{bot_id:uuid}/check", responses={**UNKNOWN, **UNREADABLE})
async def check_bot_changes(bot_id: UUID, sent: Sent, desk: DeskGiven) -> Checked:
    """Say what is wrong with changes that are not made yet, and what an entry would come to with them."""

    async def attempt(body: BotChanges) -> Effect:
        changes = asked_of(body, only_sent=True)
        if "status" in changes:
            changes["status"] = BotStatus(changes["status"])
        async with desk.bots.open(owner=None) as book:
            return _effect(await change_bot(bot_id, changes, book=book, now=desk.clock()), line.bot)

    line = await _get_line(bot_id, desk=desk)
    return await check(sent, BotChanges, attempt=attempt)


@routes.post("/{bot_id:uuid}/rotate-secret", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_rotate_secret(
    bot_id: UUID, desk: DeskGiven, body: SecretRotation | None = None
) -> SecretRotated:
    """Give a bot a new secret, shown in this answer and never again. The former one is taken too for a while."""
    asked = SecretRotation() if body is None else body
    secret, secret_sha256 = _new_secret()
    async with desk.bots.open(owner=None) as book:
        facts = await rotate_secret(
            bot_id,
            secret_sha256=secret_sha256,
            overlap=_overlap_of(asked.overlap_seconds),
            book=book,
            now=desk.clock(),
        )
        await book.append(facts)
    line = await _get_line(bot_id, desk=desk)
    return SecretRotated(secret=secret, former_secret_until=line.bot.former_secret_until)


@routes.delete("/{bot_id:uuid}", responses=UNKNOWN)
async def delete_bot(
    bot_id: UUID, desk: DeskGiven, request: Request, open_positions: OpenPositions = "keep"
) -> BotArchived:
    """Archive a bot and cancel its subscriptions; it takes closes only, and only while it holds something."""
    async with desk.bots.open(owner=None) as book:
        await book.append(await archive_bot(bot_id, book=book, now=desk.clock()))
        signal_id = await close_if_asked(open_positions, bot_id=bot_id, book=book, desk=desk)
    shown = shown_bot(await _get_line(bot_id, desk=desk), desk=desk, request=request)
    return BotArchived.model_validate({**shown, "close_signal_id": signal_id})


def shown_bot(line: BotLine, *, desk: Desk, request: Request) -> dict[str, object]:
    """Give the fields of a bot as the API shows it."""
    base = (desk.public_url or str(request.base_url)).rstrip("/")
    takes_two = len(secrets_taken(line.bot, now=desk.clock())) > 1
    return {
        **asdict(line.bot),
        "former_secret_until": line.bot.former_secret_until if takes_two else None,
        "webhook_url": f"{base}{MASTER_PATH}/{line.bot.webhook_path}",
        "active_subscriptions": line.active_subscriptions,
        "last_signal_at": line.last_signal_at,
        "created_at": line.created_at,
        "updated_at": line.updated_at,
    }


def _bot_of(body: NewBot, *, secret_sha256: str, now: datetime) -> Bot:
    settings = asked_of(body)
    if body.webhook_path is None:
        settings["webhook_path"] = f"b{secrets.token_urlsafe(PATH_BYTES)}"
    return Bot(bot_id=uuid7(now), secret_sha256=secret_sha256, **settings)


def _effect(facts: Sequence[Fact], standing: Bot) -> Effect:
    # Changes that change nothing give no fact.
    bot = next((fact.bot for fact in facts if isinstance(fact, BotConfigured)), standing)
    return effect_of(default_settings(bot))


def _overlap_of(seconds: int) -> timedelta:
    # What no calendar holds is out of range as well.
    return timedelta(seconds=max(-1, min(seconds, 10**9)))


def _new_secret() -> tuple[str, str]:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return secret, hashlib.sha256(secret.encode()).hexdigest()


async def _get_line(bot_id: UUID, *, desk: Desk) -> BotLine:
    line = await desk.configured.find_bot(bot_id)
    if line is None:
        raise ApiError(404, "BOT_UNKNOWN", f"bot={bot_id}. There is no such bot.")
    return line

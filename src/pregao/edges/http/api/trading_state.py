"""What may be traded: halted, reduced and resumed at five levels, and which traders have seen it."""

import asyncio
import time
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from pregao.accounts.halt import Asker, set_state
from pregao.accounts.principal import Principal
from pregao.domain.account import Venue
from pregao.domain.trading_state import (
    DESK,
    Scope,
    ScopeLevel,
    TradingState,
    scope_of_account,
    scope_of_bot,
    scope_of_symbol,
    scope_of_user,
)
from pregao.domain.user import Role
from pregao.edges.http.api.roles import Trader, Viewer, name_of, role_forbidden
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    ID_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.views.trading_state import TradingStateNow

WAIT_SECONDS, WAIT_SECONDS_MAX = (
    12.0,
    25.0,
)  # longer than a lease (10 s): after it a dead trader is none any more
LOOK_SECONDS = 0.05
REASON_CHARACTERS_MAX = 500
REASON_PATTERN = r"^[^\x00-\x1f\x7f]*$"  # one line of text
SYMBOL_PATTERN = "^[A-Z0-9_]{1,40}$"

routes = APIRouter(
    prefix="/api/v1/trading-state", tags=["trading state"], dependencies=[TOKEN], responses=ERRORS
)
kill_switch_routes = APIRouter(
    prefix="/api/admin/kill-switch", tags=["trading state"], dependencies=[TOKEN], responses=ERRORS
)

Reason = Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=REASON_PATTERN)]
WaitSeconds = Annotated[
    float,
    Field(
        ge=0, le=WAIT_SECONDS_MAX, description="How long to wait until every live trader has acknowledged it."
    ),
]

# Which fields name a scope, by its level.
NAMED_BY = {
    ScopeLevel.DESK: frozenset[str](),
    ScopeLevel.USER: frozenset({"user_id"}),
    ScopeLevel.ACCOUNT: frozenset({"account_id"}),
    ScopeLevel.BOT: frozenset({"bot_id"}),
    ScopeLevel.SYMBOL: frozenset({"venue", "symbol"}),
}


class ScopeAsked(Asked):
    """What it is about: the level, and the id there. The desk has none; a symbol is of one venue."""

    level: ScopeLevel
    user_id: UUID | None = None
    account_id: Annotated[int | None, Field(ge=1, le=ID_MAX)] = None
    bot_id: UUID | None = None
    venue: Venue | None = None
    symbol: Annotated[str | None, Field(pattern=SYMBOL_PATTERN)] = None


class StateAsked(ScopeAsked):
    """What may be traded there from now on, and why."""

    state: TradingState
    reason: Reason
    block_exits: Annotated[
        bool, Field(description="Keep exits back too; only when halted, and only for operators.")
    ] = False
    wait_seconds: WaitSeconds = WAIT_SECONDS


class ResumeAsked(ScopeAsked):
    """What is active again, and why."""

    reason: Reason
    wait_seconds: WaitSeconds = WAIT_SECONDS


class KillSwitchAsked(Asked):
    """Whose trading is halted, and why."""

    tenant_id: UUID
    reason: Reason


class StateShown(Shown):
    """One scope that is not active."""

    level: ScopeLevel
    subject: str
    name: str
    state: TradingState
    block_exits: bool
    reason: str
    version: int
    set_by: str
    is_by_staff: bool
    set_at: datetime


class TraderShown(Shown):
    """A trader that lives; it lets nothing out that the versions up to ``states_seen`` forbid."""

    worker_id: str
    states_seen: int
    lease_until: datetime


class TradingStateShown(Shown):
    """All that is not active. ``state`` is the desk's own; ``waiting_for`` are traders that have not acknowledged."""

    version: int
    state: TradingState
    states: list[StateShown]
    traders: list[TraderShown]
    is_acknowledged: bool
    waiting_for: list[str]


class KillSwitchShown(Shown):
    """What the kill switch did."""

    success: bool
    tenant_id: UUID
    trading_enabled: bool
    reason: str
    version: int
    is_acknowledged: bool
    waiting_for: list[str]


@routes.get("")
async def get_trading_state(desk: DeskGiven, who: Viewer) -> TradingStateShown:
    """Give what is not active; who is not staff sees what concerns him."""
    return await _shown(who, desk=desk)


@routes.post("", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_trading_state(
    body: StateAsked, request: Request, desk: DeskGiven, who: Trader
) -> TradingStateShown:
    """Halt, reduce or resume the desk, a user, an account, a bot or a symbol."""
    scope = scope_of(body)
    await _set(
        scope,
        body.state,
        reason=body.reason,
        block_exits=body.block_exits,
        request=request,
        who=who,
        desk=desk,
    )
    return await _shown(who, desk=desk, wait_seconds=body.wait_seconds)


@routes.post("/resume", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_resume(body: ResumeAsked, request: Request, desk: DeskGiven, who: Trader) -> TradingStateShown:
    """Make one scope active again; what is set at other levels stands."""
    scope = scope_of(body)
    await _set(scope, TradingState.ACTIVE, reason=body.reason, request=request, who=who, desk=desk)
    return await _shown(who, desk=desk, wait_seconds=body.wait_seconds)


@kill_switch_routes.post("", include_in_schema=False)
@kill_switch_routes.post("/", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_kill_switch(
    body: KillSwitchAsked, request: Request, desk: DeskGiven, who: Trader
) -> KillSwitchShown:
    """Halt all accounts of a user; exits go on. `POST /api/v1/trading-state/resume` takes it back."""
    scope = scope_of_user(body.tenant_id)
    await _set(scope, TradingState.HALTED, reason=body.reason, request=request, who=who, desk=desk)
    now = await _shown(who, desk=desk, wait_seconds=WAIT_SECONDS)
    return KillSwitchShown(
        success=True,
        tenant_id=body.tenant_id,
        trading_enabled=False,
        reason=body.reason,
        version=now.version,
        is_acknowledged=now.is_acknowledged,
        waiting_for=now.waiting_for,
    )


def scope_of(body: ScopeAsked) -> Scope:
    """Give the scope that is named; refuse what names none, or several."""
    fields = ("user_id", "account_id", "bot_id", "venue", "symbol")
    named = {field for field in fields if getattr(body, field) is not None}
    needed = NAMED_BY[body.level]
    if named != needed:
        raise ApiError(
            422,
            "SCOPE_UNUSABLE",
            f"level={body.level} named={','.join(sorted(named)) or 'nothing'} "
            f"needed={','.join(sorted(needed)) or 'nothing'}. Name exactly what the level is about.",
            level=body.level,
            needed=sorted(needed),
        )
    if body.user_id is not None:
        return scope_of_user(body.user_id)
    if body.account_id is not None:
        return scope_of_account(body.account_id)
    if body.bot_id is not None:
        return scope_of_bot(body.bot_id)
    if body.venue is not None and body.symbol is not None:
        return scope_of_symbol(body.venue, body.symbol)
    return DESK


def check_rights(who: Principal, scope: Scope) -> None:
    """Refuse who is not staff all levels but himself and his accounts."""
    if not who.role.is_staff and scope.level not in (ScopeLevel.USER, ScopeLevel.ACCOUNT):
        raise role_forbidden(who, Role.OPERATOR)


async def asker_of(who: Principal, *, request: Request, desk: Desk) -> Asker:
    """Give who asks as it is kept."""
    return Asker(
        name=await name_of(who, desk=desk),
        user_id=who.user_id,
        is_staff=who.role.is_staff,
        source_address=request.scope["source_address"],
    )


async def _set(
    scope: Scope,
    state: TradingState,
    *,
    reason: str,
    block_exits: bool = False,
    request: Request,
    who: Principal,
    desk: Desk,
) -> None:
    check_rights(who, scope)
    if block_exits and not who.role.is_staff:
        raise role_forbidden(who, Role.OPERATOR)
    request.scope["action_targets"] = {
        "level": scope.level.value,
        "subject": scope.subject,
        "state": state.value,
    }
    by = await asker_of(who, request=request, desk=desk)
    async with desk.trading_state_books.open(owner=who.owner) as book:
        await book.append(
            await set_state(
                scope, state, reason=reason, by=by, book=book, now=desk.clock(), block_exits=block_exits
            )
        )


async def _shown(who: Principal, *, desk: Desk, wait_seconds: float = 0.0) -> TradingStateShown:
    now = await desk.trading_states.now(owner=who.owner)
    unseen = await _unseen_by(now, desk=desk, wait_seconds=wait_seconds)
    is_staff = who.role.is_staff
    own = [one for one in now.states if one.level is ScopeLevel.DESK]
    return TradingStateShown(
        version=now.version,
        state=own[0].state if own else TradingState.ACTIVE,
        # Who looks after the desk, and its machines, are nobody else's business.
        states=[_state_shown(one, is_staff=is_staff) for one in now.states],
        traders=[TraderShown.model_validate(one) for one in now.traders] if is_staff else [],
        is_acknowledged=not unseen,
        waiting_for=list(unseen) if is_staff else ["trader"] * len(unseen),
    )


def _state_shown(one: object, *, is_staff: bool) -> StateShown:
    shown = StateShown.model_validate(one)
    return shown if is_staff or not shown.is_by_staff else shown.model_copy(update={"set_by": "operator"})


async def _unseen_by(now: TradingStateNow, *, desk: Desk, wait_seconds: float) -> list[str]:
    """Wait, so long at most, until every living trader has acknowledged; give those that have not."""
    until = time.monotonic() + wait_seconds
    while unseen := await desk.trading_states.unseen_by(now.version):
        if time.monotonic() >= until:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return list(unseen)

"""Pre-flight: what an account's venue says before a signal comes, check by check, and how to have it asked now."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from pregao.domain.preflight import Check, Light, Result
from pregao.edges.http.api.accounts import get_account_line
from pregao.edges.http.api.roles import Trader, Viewer
from pregao.edges.http.api.shapes import (
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    AccountId,
    Asked,
    DeskGiven,
    Shown,
)
from pregao.edges.http.preflight import look_over
from pregao.views.preflight import Preflight

WAIT_SECONDS_MAX = 5.0

routes = APIRouter(
    prefix="/api/v1/exchange-accounts", tags=["accounts"], dependencies=[TOKEN], responses=ERRORS
)


class CheckShown(Shown):
    """One check; `denies` says that entries it is about get no order until it is made again and passes."""

    check: Check
    result: Result
    code: str
    numbers: dict[str, str]
    remedy: str
    denies: bool
    subscription_id: Annotated[UUID | None, Field(description="Null: it is about the whole account.")]
    bot_name: str | None
    symbol: Annotated[str, Field(description="Empty: it is about all.")]
    checked_at: datetime
    since: Annotated[datetime, Field(description="Result and code have been these since then.")]


class PreflightShown(Shown):
    """All checks of one account; `is_pending` says that what was asked for is not there yet."""

    account_id: int
    light: Annotated[Light | None, Field(description="Null while nothing is known.")]
    light_codes: list[str]
    checked_at: datetime | None
    next_check_at: datetime | None
    is_pending: bool
    checks: list[CheckShown]


class PreflightAsked(Asked):
    """How the account is to be looked over."""

    fix: Annotated[bool, Field(description="Set the position mode at the venue, where nothing is open.")] = (
        False
    )


@routes.get("/{account_id:int}/preflight", responses=UNKNOWN)
async def get_preflight(account_id: AccountId, desk: DeskGiven, who: Viewer) -> PreflightShown:
    """Give what is known of an account."""
    await get_account_line(account_id, who=who, desk=desk)
    return _shown(await desk.preflights.of(account_id), is_pending=False)


@routes.post("/{account_id:int}/preflight", responses={**UNKNOWN, **UNREADABLE})
async def post_preflight(
    account_id: AccountId, desk: DeskGiven, who: Trader, body: PreflightAsked | None = None
) -> PreflightShown:
    """Have the account looked over now, and give what was found within five seconds."""
    await get_account_line(account_id, who=who, desk=desk)
    fixes = body is not None and body.fix
    is_there = await look_over(account_id, desk=desk, seconds_max=WAIT_SECONDS_MAX, fixes=fixes)
    return _shown(await desk.preflights.of(account_id), is_pending=not is_there)


def _shown(found: Preflight, *, is_pending: bool) -> PreflightShown:
    return PreflightShown(
        account_id=found.account_id,
        light=found.light,
        light_codes=list(found.light_codes),
        checked_at=found.checked_at,
        next_check_at=found.next_check_at,
        is_pending=is_pending,
        checks=[CheckShown.model_validate(one) for one in found.checks],
    )

"""Selling out: what would be closed, the job that closes it, and its receipt, account by account."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from pregao.accounts.flatten import start_flatten, stop_flatten
from pregao.accounts.halt import UNKNOWN as UNKNOWN_CODES
from pregao.accounts.principal import Principal
from pregao.domain.order import PositionSide
from pregao.domain.trading_state import Scope, ScopeLevel
from pregao.edges.http.api.roles import Trader, Viewer
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Limit,
    Shown,
)
from pregao.edges.http.api.trading_state import Reason, ScopeAsked, asker_of, check_rights, scope_of
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.views.flatten import FlattenLine

routes = APIRouter(prefix="/api/v1/flatten", tags=["flatten"], dependencies=[TOKEN], responses=ERRORS)


class FlattenAsked(ScopeAsked):
    """What is sold out, and why."""

    reason: Reason
    keep_trading: Annotated[
        bool, Field(description="Let entries go on meanwhile; else the scope reduces until it is resumed.")
    ] = False


class StopAsked(Asked):
    """Why the job is stopped."""

    reason: Reason


class StandingShown(Shown):
    """A position that is live."""

    position_id: int
    account_id: int
    account_name: str
    venue: str
    bot_id: UUID
    subscription_id: UUID
    symbol: str
    direction: str
    status: str
    quantity: Amount


class PreviewShown(Shown):
    """What a job would close now."""

    level: ScopeLevel
    subject: str
    name: str
    accounts: int
    positions: list[StandingShown]


class HeldShown(Shown):
    """A quantity at one side of a symbol; what is foreign is signed."""

    symbol: str
    position_side: PositionSide
    quantity: Amount


class FlattenAccountShown(Shown):
    """
    What the job has found on one account.

    ``proved_at`` is when the venue itself said that nothing of ours is held there; null while something stands, or
    nobody has asked yet: then ``code`` says why. ``foreign`` was held there and is not ours: it is never touched.
    """

    account_id: int
    account_name: str
    proved_at: datetime | None
    code: str | None
    reason: str | None
    closed: list[HeldShown]
    attempts: int
    foreign: list[HeldShown]
    standing: list[StandingShown]


class FlattenShown(Shown):
    """A job: it runs until every account is proven flat, or somebody stops it."""

    flatten_id: UUID
    level: ScopeLevel
    subject: str
    name: str
    status: str
    keep_trading: bool
    reason: str
    asked_by: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    accounts: int
    proven: int


class FlattenReceipt(FlattenShown):
    """The same, with every account."""

    rows: list[FlattenAccountShown]


class FlattensShown(Shown):
    """The latest jobs."""

    items: list[FlattenShown]


@routes.get("")
async def list_flattens(desk: DeskGiven, who: Viewer, limit: Limit = PAGE_ITEMS) -> FlattensShown:
    """Give the latest jobs first; who is not staff sees those of himself and his accounts."""
    jobs = await desk.flattens.list_flattens(owner=who.owner, limit=limit)
    return FlattensShown(items=[FlattenShown(**_fields(job, who=who)) for job in jobs])


@routes.post("/preview", responses={**UNKNOWN, **UNREADABLE})
async def preview_flatten(body: ScopeAsked, desk: DeskGiven, who: Trader) -> PreviewShown:
    """Give what is open at a scope; nothing is closed."""
    scope = scope_of(body)
    check_rights(who, scope)
    name = await desk.flattens.name_of(scope, owner=who.owner)
    if name is None:
        raise ApiError(
            404, UNKNOWN_CODES[scope.level], f"{scope.level}={scope.subject}. There is no such {scope.level}."
        )
    standing = await desk.flattens.standing(scope, owner=who.owner)
    return PreviewShown(
        level=scope.level,
        subject=scope.subject,
        name=name,
        accounts=len({one.account_id for one in standing}),
        positions=[StandingShown.model_validate(one) for one in standing],
    )


@routes.post("", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_flatten(body: FlattenAsked, request: Request, desk: DeskGiven, who: Trader) -> FlattenReceipt:
    """Close all that is held at a scope; the job goes on by itself until every account is proven flat."""
    scope = scope_of(body)
    check_rights(who, scope)
    request.scope["action_targets"] = {"level": scope.level.value, "subject": scope.subject}
    by = await asker_of(who, request=request, desk=desk)
    now = desk.clock()
    flatten_id = uuid7(now)
    # Before the book is open: nobody plans while it is, and this reads much.
    account_ids = await desk.flattens.accounts_to_prove(scope)
    async with desk.flatten_books.open(owner=who.owner) as book:
        await book.append(
            await start_flatten(
                scope,
                flatten_id=flatten_id,
                account_ids=account_ids,
                keep_trading=body.keep_trading,
                reason=body.reason,
                by=by,
                book=book,
                now=now,
            )
        )
    return await _receipt(flatten_id, who=who, desk=desk)


@routes.get("/{flatten_id:uuid}", responses=UNKNOWN)
async def get_flatten(flatten_id: UUID, desk: DeskGiven, who: Viewer) -> FlattenReceipt:
    """Give a job's receipt: on each account what was closed, when it was proven flat, or what stands and why."""
    return await _receipt(flatten_id, who=who, desk=desk)


@routes.post("/{flatten_id:uuid}/stop", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def stop_one_flatten(
    flatten_id: UUID, body: StopAsked, request: Request, desk: DeskGiven, who: Trader
) -> FlattenReceipt:
    """Stop a job; exits it has asked for go on, and what may be traded stays as it is."""
    by = await asker_of(who, request=request, desk=desk)
    async with desk.flatten_books.open(owner=who.owner) as book:
        await book.append(
            await stop_flatten(flatten_id, reason=body.reason, by=by, book=book, now=desk.clock())
        )
    return await _receipt(flatten_id, who=who, desk=desk)


async def _receipt(flatten_id: UUID, *, who: Principal, desk: Desk) -> FlattenReceipt:
    job = await desk.flattens.find_flatten(flatten_id, owner=who.owner)
    if job is None:
        raise ApiError(404, "FLATTEN_UNKNOWN", f"flatten={flatten_id}. There is no such job.")
    standing = []
    if job.status == "running":
        scope = Scope(level=job.level, subject=job.subject)
        standing = [
            StandingShown.model_validate(one) for one in await desk.flattens.standing(scope, owner=who.owner)
        ]
    rows = [
        FlattenAccountShown(
            account_id=one.account_id,
            account_name=one.account_name,
            proved_at=one.proved_at,
            code=one.code or None,
            reason=one.reason or None,
            closed=[HeldShown.model_validate(place) for place in one.closed],
            attempts=one.attempts,
            foreign=[HeldShown.model_validate(place) for place in one.foreign_held],
            standing=[place for place in standing if place.account_id == one.account_id],
        )
        for one in await desk.flattens.accounts_of(flatten_id)
    ]
    return FlattenReceipt(**_fields(job, who=who), rows=rows)


def _fields(job: FlattenLine, *, who: Principal) -> dict[str, Any]:
    fields = {name: getattr(job, name) for name in FlattenShown.model_fields}
    # Who looks after the desk, and its machines, are nobody else's business.
    if who.role.is_staff:
        return fields
    hidden = {"asked_by": "operator"} if job.is_by_staff else {}
    return {**fields, **hidden, "ended_by": "desk" if job.status == "done" else fields["ended_by"]}

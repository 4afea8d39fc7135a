"""Entries that were put to a person: those that wait, those that are answered, and the two answers."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.principal import Principal
from pregao.decisions.answer import answer_approval
from pregao.decisions.refusals import AnswerError
from pregao.domain.account import Venue
from pregao.domain.bot import SubscriptionStatus, effective_settings
from pregao.domain.money import HUNDRED, ZERO
from pregao.domain.venue import VenueError
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import APPROVALS
from pregao.edges.http.api.roles import OPERATOR, Operator, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    PAGE_ITEMS_MAX,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Limit,
    Page,
    Shown,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.views.approvals import ApprovalLine
from pregao.views.bars import window_of
from pregao.views.sorting import Shape

routes = APIRouter(
    prefix="/api/v1/approvals", tags=["approvals"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)

LARGEST = 10  # subscriptions of an effect
PRICE_SECONDS_MAX = 2.0  # that a price is waited for

REASON_PATTERN = r"^[^\x00-\x1f\x7f]*$"  # one line of text
REASON_CHARACTERS_MAX = 500

Reason = Annotated[str, Field(max_length=REASON_CHARACTERS_MAX, pattern=REASON_PATTERN)]


class ApprovalShown(Shown):
    """An entry that was put to a person; what came of it is null while it waits."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    symbol: str
    side: str
    signal_price: Amount | None
    verdicts: list[dict[str, Any]]
    received_at: datetime
    asked_at: datetime
    expires_at: datetime
    seconds_left: int | None
    venue: str | None
    price_then: Amount | None
    price_move_pct_max: Amount
    subscriptions: int
    status: str
    code: str | None
    answered_at: datetime | None
    answered_by: str | None
    is_approved: bool | None
    reason: str | None


class EffectLineShown(Shown):
    """What one subscription would be asked to enter; its limits may still deny it. `notional_usd` is margin x leverage."""

    subscription_id: UUID
    account_id: int
    account_name: str
    leverage: int
    margin_usd: Amount
    notional_usd: Amount


class EffectShown(Shown):
    """
    What a yes would do, as far as can be said now: all sums, the largest subscriptions, and where the price is.

    `price_move_pct` is from `price_then`; both are null where the venue gave no price.
    """

    signal_id: UUID
    symbol: str
    price_then: Amount | None
    price_now: Amount | None
    price_move_pct: Amount | None
    subscriptions: int
    margin_usd: Amount
    notional_usd: Amount
    largest: list[EffectLineShown]


class ManyAsked(Asked):
    """Which entries: those that somebody has seen, and why."""

    signal_ids: Annotated[list[UUID], Field(min_length=1, max_length=PAGE_ITEMS)]
    reason: Reason = ""


class OneOfManyShown(Shown):
    """What came of one of them; `code` says why an answer was not taken."""

    signal_id: UUID
    is_approved: bool
    code: str | None
    message: str | None


class ManyShown(Shown):
    """Each of them, in the order asked."""

    items: list[OneOfManyShown]


class AnswerAsked(Asked):
    """Why; it stands in the receipt."""

    reason: Reason = ""


class AnswerShown(Shown):
    """An answer that was taken; the receipt says what came of it."""

    signal_id: UUID
    is_approved: bool
    answered_by: str
    answered_at: datetime
    reason: str


ApprovalSort = Literal[
    "bot_name", "-bot_name", "symbol", "-symbol", "expires_at", "-expires_at", "answered_at", "-answered_at", "answered_by", "-answered_by",
]  # fmt: skip


@routes.get("", response_model=Page[ApprovalShown], responses=AsCsv)
async def list_approvals(
    *,
    desk: DeskGiven,
    status: Annotated[
        Literal["pending", "answered"],
        Query(description="What waits, oldest first; or what is answered, the latest signal first."),
    ] = "pending",
    bot_id: UUID | None = None,
    search: Search = None,
    sort: ApprovalSort | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[ApprovalShown] | Response:
    """Give the entries that wait for a person, or those that are answered."""
    now = desk.clock()
    lines_of, usual = (
        (desk.approvals.pending, "time") if status == "pending" else (desk.approvals.answered, "-time")
    )

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[ApprovalLine]:
        return await lines_of(bot_id=bot_id, after=after, shape=shape, limit=limit)

    return await APPROVALS.answer(
        find,
        sort=sort or usual,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=lambda line: _shown(line, now=now),
        shown=ApprovalShown,
        name="approvals",
    )


@routes.get("/{signal_id:uuid}", responses=UNKNOWN)
async def get_approval(signal_id: UUID, desk: DeskGiven) -> ApprovalShown:
    """Say what was asked about one signal, and what was answered."""
    line = await desk.approvals.find_approval(signal_id)
    if line is None:
        raise ApiError(404, "APPROVAL_UNKNOWN", f"signal={signal_id}. Nobody was asked about such a signal.")
    return _shown(line, now=desk.clock())


@routes.get("/{signal_id:uuid}/effect", responses=UNKNOWN)
async def get_approval_effect(signal_id: UUID, desk: DeskGiven) -> EffectShown:
    """Say what a yes would do on all subscriptions, and how far the price has gone since somebody was asked."""
    line = await desk.approvals.find_approval(signal_id)
    if line is None:
        raise ApiError(404, "APPROVAL_UNKNOWN", f"signal={signal_id}. Nobody was asked about such a signal.")
    return await effect_of(line, desk=desk)


@routes.post("/approve-all", responses=UNREADABLE)
async def approve_entries(body: ManyAsked, desk: DeskGiven, who: Operator) -> ManyShown:
    """Say yes to these entries, one after the other; one that cannot be answered any more keeps no other from it."""
    said = AnswerAsked(reason=body.reason)
    items = []
    for signal_id in dict.fromkeys(body.signal_ids):
        code = message = None
        try:
            await _answer(signal_id, said, is_approved=True, who=who, desk=desk)
        except AnswerError as refusal:
            code, message = refusal.code, refusal.message
        items.append(
            OneOfManyShown(signal_id=signal_id, is_approved=code is None, code=code, message=message)
        )
    return ManyShown(items=items)


@routes.post("/{signal_id:uuid}/approve", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def approve_entry(
    signal_id: UUID, desk: DeskGiven, who: Operator, body: AnswerAsked | None = None
) -> AnswerShown:
    """Say yes to an entry. It is traded if every check passes again and the price is about the same."""
    return await _answer(signal_id, body, is_approved=True, who=who, desk=desk)


@routes.post("/{signal_id:uuid}/decline", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def decline_entry(
    signal_id: UUID, desk: DeskGiven, who: Operator, body: AnswerAsked | None = None
) -> AnswerShown:
    """Say no to an entry."""
    return await _answer(signal_id, body, is_approved=False, who=who, desk=desk)


async def effect_of(line: ApprovalLine, *, desk: Desk) -> EffectShown:
    """Say what a yes would do; the price is looked for at the venue it was asked at."""
    lines = sorted(await _effects(line, desk=desk), key=lambda one: one.notional_usd, reverse=True)
    now = await _price_now(line, desk=desk)
    then = line.price_then
    return EffectShown(
        signal_id=line.signal_id,
        symbol=line.symbol,
        price_then=then,
        price_now=now,
        price_move_pct=None if now is None or not then else round((now - then) / then * HUNDRED, 2),
        subscriptions=len(lines),
        margin_usd=sum((one.margin_usd for one in lines), ZERO),
        notional_usd=sum((one.notional_usd for one in lines), ZERO),
        largest=lines[:LARGEST],
    )


async def _effects(line: ApprovalLine, *, desk: Desk) -> list[EffectLineShown]:
    found: list[EffectLineShown] = []
    after: UUID | None = None
    while True:
        page = await desk.configured.subscriptions(
            owner=None, bot_id=line.bot_id, account_id=None, status=None, after=after, limit=PAGE_ITEMS_MAX
        )
        for one in page:
            if one.subscription.status is not SubscriptionStatus.ACTIVE or not one.account.is_active:
                continue
            settings = effective_settings(one.bot, one.subscription, symbol=line.symbol)
            found.append(
                EffectLineShown(
                    subscription_id=one.subscription.subscription_id,
                    account_id=one.account.account_id,
                    account_name=one.account.name,
                    leverage=settings.leverage,
                    margin_usd=settings.margin_usd,
                    notional_usd=settings.margin_usd * settings.leverage,
                )
            )
        if len(page) < PAGE_ITEMS_MAX:
            return found
        after = page[-1].subscription.subscription_id


async def _price_now(line: ApprovalLine, *, desk: Desk) -> Decimal | None:
    """Give the close of the candle that grows; None where the venue tells none now."""
    if line.venue is None:
        return None
    now = desk.clock()
    window = window_of(opened_at=now, closed_at=None, now=now)
    try:
        async with asyncio.timeout(PRICE_SECONDS_MAX):
            bars = await desk.bars.bars(Venue(line.venue), line.symbol, window)
    except (VenueError, TimeoutError):
        return None
    return bars[-1].close if bars else None


async def _answer(
    signal_id: UUID, body: AnswerAsked | None, *, is_approved: bool, who: Principal, desk: Desk
) -> AnswerShown:
    answered_by = await name_of(who, desk=desk)
    async with desk.approval_books.open() as book:
        answer = await answer_approval(
            signal_id,
            is_approved=is_approved,
            answered_by=answered_by,
            reason=body.reason.strip() if body else "",
            book=book,
            now=desk.clock(),
        )
        await book.append([answer])
    return AnswerShown(
        signal_id=answer.signal_id,
        is_approved=answer.is_approved,
        answered_by=answer.answered_by,
        answered_at=answer.happened_at,
        reason=answer.reason,
    )


def _shown(line: ApprovalLine, *, now: datetime) -> ApprovalShown:
    fields = {name: getattr(line, name) for name in ApprovalShown.model_fields if name != "seconds_left"}
    seconds_left = max(0, int((line.expires_at - now).total_seconds())) if line.answered_at is None else None
    return ApprovalShown(**fields, seconds_left=seconds_left)

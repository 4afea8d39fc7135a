"""Entries that were put to a person: those that wait, those that are answered, and the two answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from pregao.accounts.principal import Principal
from pregao.decisions.answer import answer_approval
from pregao.edges.http.api.roles import OPERATOR, Operator, name_of
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
    Page,
    Shown,
    page_of,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.views.approvals import ApprovalLine

routes = APIRouter(
    prefix="/api/v1/approvals", tags=["approvals"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)

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


@routes.get("")
async def list_approvals(
    *,
    desk: DeskGiven,
    status: Annotated[
        Literal["pending", "answered"],
        Query(description="What waits, oldest first; or what is answered, the latest signal first."),
    ] = "pending",
    bot_id: UUID | None = None,
    cursor: UUID | None = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[ApprovalShown]:
    """Give the entries that wait for a person, or those that are answered."""
    now = desk.clock()
    find = desk.approvals.pending if status == "pending" else desk.approvals.answered
    lines = await find(bot_id=bot_id, after=cursor, limit=limit)
    return page_of([_shown(line, now=now) for line in lines], limit=limit, cursor=lambda last: last.signal_id)


@routes.get("/{signal_id:uuid}", responses=UNKNOWN)
async def get_approval(signal_id: UUID, desk: DeskGiven) -> ApprovalShown:
    """Say what was asked about one signal, and what was answered."""
    line = await desk.approvals.find_approval(signal_id)
    if line is None:
        raise ApiError(404, "APPROVAL_UNKNOWN", f"signal={signal_id}. Nobody was asked about such a signal.")
    return _shown(line, now=desk.clock())


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

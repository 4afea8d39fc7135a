"""Signals sent again: to those accounts on which one failed, or to paper accounts to see what it would do."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from pregao.accounts.principal import Principal
from pregao.edges.http.api.approvals import Reason
from pregao.edges.http.api.roles import OPERATOR, Operator, name_of
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
from pregao.edges.ids import uuid7
from pregao.orders.again import (
    Repeat,
    can_be_replayed,
    look_at_retry,
    plan_replay,
    plan_retry,
)
from pregao.orders.chances import Candidate, Chance
from pregao.orders.ports import AgainBook
from pregao.orders.refusals import UnknownError
from pregao.signals.own import sent_again

KEY_CHARACTERS_MAX = 100

routes = APIRouter(
    prefix="/api/v1/signals", tags=["activity"], dependencies=[TOKEN, OPERATOR], responses=ERRORS
)


class RetryAsked(Asked):
    """Why; it stands in the retry's body."""

    reason: Reason = ""


class ReplayAsked(Asked):
    """Where, and why. The same `key` replays once, however often it is asked; without one each asks for another."""

    account_id: Annotated[
        int | None,
        Field(ge=1, le=ID_MAX, description="A paper account that follows the bot; else all that do."),
    ] = None
    reason: Reason = ""
    key: Annotated[str, Field(max_length=KEY_CHARACTERS_MAX, pattern="^[0-9A-Za-z._-]*$")] = ""


class CandidateShown(Shown):
    """
    A subscription that the signal was for, and whether a retry reaches it.

    `chance` is `recoverable` for those it reaches; `lasts`: it failed for a reason that stays; `traded`: it has traded, or still
    may; `held`: a position is open there; `nothing_held`: what a close meant is gone; `ended`: the subscription is canceled.
    """

    subscription_id: UUID
    account_id: int
    account: str
    is_in: bool
    chance: Chance
    outcome: str
    code: str | None
    position_id: int | None


class RetryPreviewShown(Shown):
    """What a retry would do now; `code` says why there is none, or that there was one."""

    signal_id: UUID
    retried_as: UUID | None
    code: str | None
    message: str | None
    accounts: Annotated[int, Field(description="How many it would reach.")]
    candidates: list[CandidateShown]


class ReplayAccountShown(Shown):
    """A paper account that follows the bot, and whether a replay reaches it: a paused one enters nothing."""

    account_id: int
    account: str
    subscription_id: UUID
    is_active: bool


class ReplayPreviewShown(Shown):
    """Where a replay would trade; no other account sees it."""

    signal_id: UUID
    is_possible: bool
    accounts: list[ReplayAccountShown]


class SentAgainShown(Shown):
    """The signal that repeats it; `is_new` is false where it was sent before. Its receipt says what came of it."""

    signal_id: UUID
    again_of: UUID
    is_new: bool
    accounts: Annotated[int | None, Field(description="That it was sent to; null where it is not new.")]


@routes.get("/{signal_id:uuid}/retry", responses=UNKNOWN)
async def get_retry(signal_id: UUID, desk: DeskGiven) -> RetryPreviewShown:
    """Say which accounts a retry would reach, and of each why, or why not. Nothing is sent."""
    plan = await look_at_retry(signal_id, book=desk.again_books.look())
    return RetryPreviewShown(
        signal_id=signal_id,
        retried_as=plan.signal.retried_as,
        code=None if plan.obstacle is None else plan.obstacle.code,
        message=None if plan.obstacle is None else plan.obstacle.message,
        accounts=len(plan.chosen),
        candidates=[_shown(one) for one in plan.candidates],
    )


@routes.post("/{signal_id:uuid}/retry", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def retry_signal(
    signal_id: UUID, request: Request, desk: DeskGiven, who: Operator, body: RetryAsked | None = None
) -> SentAgainShown:
    """
    Send a finished signal again to those accounts alone on which it was denied or rejected for a reason that may pass.

    It is a new signal, as young as this call, and is checked like any other; asked twice it is sent once. An account that has
    traded it, may still, or holds a position there now, is never among them.
    """
    async with desk.again_books.open() as book:
        plan = await plan_retry(
            signal_id, book=book, age_seconds_max=desk.signal_age_seconds_max, now=desk.clock()
        )
        reason = body.reason.strip() if body else ""
        return await _send(plan, signal_id, reason=reason, book=book, who=who, request=request, desk=desk)


@routes.get("/{signal_id:uuid}/replay", responses=UNKNOWN)
async def get_replay(signal_id: UUID, desk: DeskGiven) -> ReplayPreviewShown:
    """Say on which paper accounts a replay would trade. Nothing is sent."""
    book = desk.again_books.look()
    signal = await book.find_sent(signal_id)
    if signal is None:
        raise UnknownError("SIGNAL_UNKNOWN", f"signal={signal_id}. There is no such signal.")
    accounts = await book.paper_followers(signal.bot_id)
    return ReplayPreviewShown(
        signal_id=signal_id,
        is_possible=can_be_replayed(signal) and any(one.is_active for one in accounts),
        accounts=[ReplayAccountShown.model_validate(one) for one in accounts],
    )


@routes.post("/{signal_id:uuid}/replay", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def replay_signal(
    signal_id: UUID, request: Request, desk: DeskGiven, who: Operator, body: ReplayAsked | None = None
) -> SentAgainShown:
    """Send a signal again to the paper accounts that follow its bot, or to one of them; no other account sees it."""
    asked = body or ReplayAsked()
    now = desk.clock()
    async with desk.again_books.open() as book:
        plan = await plan_replay(
            signal_id,
            account_id=asked.account_id,
            key=asked.key or str(uuid7(now)),
            book=book,
            age_seconds_max=desk.signal_age_seconds_max,
            now=now,
        )
        reason = asked.reason.strip()
        return await _send(plan, signal_id, reason=reason, book=book, who=who, request=request, desk=desk)


async def _send(
    plan: Repeat | UUID,
    signal_id: UUID,
    *,
    reason: str,
    book: AgainBook,
    who: Principal,
    request: Request,
    desk: Desk,
) -> SentAgainShown:
    if isinstance(plan, UUID):
        return SentAgainShown(signal_id=plan, again_of=signal_id, is_new=False, accounts=None)
    now = desk.clock()
    again_as = uuid7(now)
    await book.append(
        sent_again(
            plan.instruction,
            signal_id=again_as,
            bot_id=plan.bot_id,
            dedupe_key=plan.dedupe_key,
            asked_by=await name_of(who, desk=desk),
            reason=reason,
            source_address=request.scope["source_address"],
            now=now,
        )
    )
    only = plan.instruction.only or ()
    return SentAgainShown(signal_id=again_as, again_of=signal_id, is_new=True, accounts=len(only))


def _shown(one: Candidate) -> CandidateShown:
    leg = one.leg
    return CandidateShown(
        subscription_id=leg.subscription_id,
        account_id=leg.account_id,
        account=leg.account,
        is_in=one.is_in,
        chance=one.chance,
        outcome=leg.status.value,
        code=leg.code,
        position_id=leg.position_id,
    )

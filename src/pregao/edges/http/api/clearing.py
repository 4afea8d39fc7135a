"""Clearing the database: at a path of ours and at system A's two, with the word that says what one does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from pregao.accounts.clear import check_drained, check_word, clear_database
from pregao.accounts.halt import Asker, set_state
from pregao.domain.clearing import WORD
from pregao.domain.facts import DatabaseCleared
from pregao.domain.trading_state import DESK, TradingState
from pregao.edges.http.api.roles import Admin
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    TOKEN,
    UNREADABLE,
    Asked,
    DeskGiven,
    Shown,
    ToldAtSource,
)
from pregao.edges.http.api.trading_state import REASON_PATTERN, WAIT_SECONDS, WAIT_SECONDS_MAX, asker_of
from pregao.edges.http.desk import Desk

routes = APIRouter(tags=["database"], dependencies=[TOKEN], responses=ERRORS)

LOOK_SECONDS = 0.05
WHY = "clearing the database"

Word = Annotated[str, Field(description=f"The word `{WORD}`, typed by whoever means it.")]
Why = Annotated[str, Field(min_length=1, max_length=500, pattern=REASON_PATTERN)]
Forced = Annotated[
    bool,
    Field(
        description="Forget what is held and on its way, too: it then stands at its venue, and nobody guards it."
    ),
]
Wait = Annotated[
    float, Field(ge=0, le=WAIT_SECONDS_MAX, description="How long to wait for what is on its way.")
]


class ClearAsked(Asked):
    """What is typed, and why."""

    confirm: Word = ""
    reason: Why
    force: Forced = False
    wait_seconds: Wait = WAIT_SECONDS


class ClearAskedAtSource(ToldAtSource):
    """The same, in the source's way."""

    confirm: Word = ""
    reason: Why = "asked for by hand"
    force: Forced = False
    wait_seconds: Wait = WAIT_SECONDS


class ClearedShown(Shown):
    """How much was deleted."""

    events: int
    positions: int
    signals: int
    orders: int
    fills: int
    is_forced: bool
    cleared_by: str
    happened_at: datetime


class ClearedAtSource(Shown):
    """The same, in the source's words."""

    deleted_signals_count: int
    deleted_events_count: int
    deleted_positions_count: int
    operation: str
    timestamp: datetime


@routes.post("/api/v1/database/clear", responses={**CONFLICT, **UNREADABLE})
async def post_clear(body: ClearAsked, request: Request, desk: DeskGiven, who: Admin) -> ClearedShown:
    """Delete every signal, order, fill and position; what people have set up stays."""
    by = await asker_of(who, request=request, desk=desk)
    return ClearedShown.model_validate(await _clear(body, by=by, desk=desk))


@routes.post("/admin/clear-database", responses={**CONFLICT, **UNREADABLE})
async def clear_database_at_source(
    body: ClearAskedAtSource, request: Request, desk: DeskGiven, who: Admin
) -> ClearedAtSource:
    """Delete every signal, event and position; `confirm` is needed here, too."""
    by = await asker_of(who, request=request, desk=desk)
    return _at_source(await _clear(body, by=by, desk=desk))


@routes.post("/admin/database/clear", responses={**CONFLICT, **UNREADABLE})
async def clear_again_at_source(
    body: ClearAskedAtSource, request: Request, desk: DeskGiven, who: Admin
) -> ClearedAtSource:
    """Do the same at the source's other path."""
    by = await asker_of(who, request=request, desk=desk)
    return _at_source(await _clear(body, by=by, desk=desk))


async def _clear(asked: ClearAsked | ClearAskedAtSource, *, by: Asker, desk: Desk) -> DatabaseCleared:
    check_word(asked.confirm)
    standing = await desk.clear_books.standing()
    if standing.positions:  # these do not end by themselves: nobody is halted for nothing
        check_drained(standing, is_forced=asked.force)
    async with _halted(by, desk=desk) as version:
        await _drain(version, desk=desk, wait_seconds=asked.wait_seconds)
        async with desk.clear_books.open() as book:
            cleared = await clear_database(
                confirm=asked.confirm,
                is_forced=asked.force,
                reason=asked.reason,
                by=by,
                book=book,
                now=desk.clock(),
            )
            await book.append([cleared])
    return cleared


@asynccontextmanager
async def _halted(by: Asker, *, desk: Desk) -> AsyncIterator[int]:
    """Halt the desk, give the version that says so, and set it back to what it was before."""
    async with desk.trading_state_books.open(owner=None) as book:
        before = await book.find_state(DESK)
        await book.append(
            await set_state(DESK, TradingState.HALTED, reason=WHY, by=by, book=book, now=desk.clock())
        )
        version = await book.next_version() - 1
    try:
        yield version
    finally:
        state = TradingState.ACTIVE if before is None else before.state
        reason = f"{WHY} is over" if before is None else before.reason
        block_exits = before is not None and before.block_exits
        async with desk.trading_state_books.open(owner=None) as book:
            facts = await set_state(
                DESK, state, reason=reason, by=by, book=book, now=desk.clock(), block_exits=block_exits
            )
            await book.append(facts)


async def _drain(version: int, *, desk: Desk, wait_seconds: float) -> None:
    """Wait, so long at most, until every trader knows of the halt and nothing is on its way."""
    until = time.monotonic() + wait_seconds
    while time.monotonic() < until:
        if (
            not await desk.trading_states.unseen_by(version)
            and not (await desk.clear_books.standing()).is_moving
        ):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _at_source(cleared: DatabaseCleared) -> ClearedAtSource:
    return ClearedAtSource(
        deleted_signals_count=cleared.signals,
        deleted_events_count=cleared.events,
        deleted_positions_count=cleared.positions,
        operation="clear_database",
        timestamp=cleared.happened_at,
    )

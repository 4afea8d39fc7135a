"""Operations, as system D calls positions with their stops: how large one may be, opened, looked at, given up."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import Field

from pregao.accounts.principal import Principal
from pregao.domain.level import StopUnusableError
from pregao.domain.money import to_text
from pregao.domain.operation import OperationMoveError, OperationStatus, check_move
from pregao.domain.order import Side
from pregao.domain.position import Direction
from pregao.domain.risk import RISK_PERCENT, PositionSize, SizeUnusableError, size_position
from pregao.edges.http.api.risked import (
    ONE_LINE,
    WAIT_SECONDS,
    AskedSide,
    CheckShown,
    MaxRiskPercent,
    Price,
    RiskAsked,
    SizeShown,
    Symbol,
    WaitSeconds,
    check_risk,
    place,
    shown_size,
    wait_for,
)
from pregao.edges.http.api.roles import Trader, Viewer, name_of
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ID_MAX,
    PAGE_ITEMS,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Limit,
    Shown,
)
from pregao.edges.http.api.two_paths import TwoPaths
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.signals.own import close_now
from pregao.stops.by_hand import move_stop
from pregao.views.operations import OperationLine

operations = TwoPaths(ours="/api/v1/operations", source="/api/operations", tag="operations")

OperationId = Annotated[int, Path(ge=1, le=ID_MAX)]
Offset = Annotated[int, Query(ge=0, le=ID_MAX, description="How many to pass over, the latest first.")]


class SizeAsked(Asked):
    """A trade whose size is asked for: what it may cost, and where its stop lies."""

    side: AskedSide = Side.BUY
    capital: Price
    entry_price: Price
    stop_price: Price
    max_risk_percent: MaxRiskPercent = RISK_PERCENT
    symbol: Symbol | None = None


class OperationAsked(RiskAsked):
    """An operation to open. Without ``execute`` it is looked at only, and nothing is kept."""

    side: AskedSide
    entry_price: Price
    execute: bool = False
    wait_seconds: WaitSeconds = WAIT_SECONDS


class StopMove(Asked):
    """Where a stop is to stand, and why."""

    stop_price: Price
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=ONE_LINE)]
    force: Annotated[
        bool, Field(description="Also where it would trigger at once, or no price is known.")
    ] = False


class OperationShown(Shown):
    """
    A position in the words of system D; amounts are in the account's margin asset.

    ``status`` is PLANNED until something fills, ACTIVE, CLOSED, or CANCELLED: given up by hand, or nothing filled.
    ``risk_amount`` is what the stop would cost from the average entry, before fees.
    """

    operation_id: int
    client: UUID | None
    account_id: int
    account_name: str
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    exit_signal_id: UUID | None
    symbol: str
    strategy: str
    side: str
    status: OperationStatus
    quantity: Amount
    total_entry_quantity: Amount
    average_entry_price: Amount | None
    average_exit_price: Amount | None
    stop_price: Amount | None
    initial_stop: Amount | None
    stop_status: str | None
    stop_version: int | None
    target_price: Amount | None
    capital: Amount | None
    risk_percent: Amount | None
    risk_amount: Amount | None
    fees: Amount
    realized_pnl: Amount
    opened_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None


class OperationsShown(Shown):
    """Some operations, the latest first; ``next_offset`` is null where there are no more."""

    items: list[OperationShown]
    offset: int
    next_offset: int | None


class OperationMade(Shown):
    """What came of an operation that was asked for: null as long as nothing of it is known, or it was looked at only."""

    success: bool
    executed: bool
    status: str
    signal_id: UUID | None
    size: SizeShown
    checks: list[CheckShown]
    operation: OperationShown | None


class OperationEnded(Shown):
    """An operation that is being given up; ``signal_id`` asks for its exit, null where nothing was left to ask."""

    success: bool
    signal_id: UUID | None
    operation: OperationShown


@operations.post("/calculate-size", responses=UNREADABLE)
async def calculate_size(body: SizeAsked, _who: Viewer) -> SizeShown:
    """Say how large a trade may be: capital x risk / distance of its stop, at most half of the capital in value."""
    return shown_size(
        _sized(body),
        side=body.side,
        symbol=None if body.symbol is None else body.symbol.upper(),
        capital=body.capital,
        entry_price=body.entry_price,
        stop_price=body.stop_price,
    )


@operations.post(
    "/create",
    status_code=201,
    responses={
        **UNKNOWN,
        **CONFLICT,
        **UNREADABLE,
        200: {"model": OperationMade, "description": "Looked at only."},
        202: {"model": OperationMade, "description": "Still on its way."},
    },
)
async def create_operation(
    body: OperationAsked, request: Request, response: Response, desk: DeskGiven, who: Trader
) -> OperationMade:
    """Open an operation at the venue's price, sized by what its stop may cost; refuse one that may not be."""
    checked = await check_risk(body, side=body.side, entry_price=body.entry_price, who=who, desk=desk)
    failed = checked.failed
    if failed is not None:
        raise ApiError(400, failed.code or failed.check, failed.message, check=failed.check)
    size = checked.size_shown
    assert size is not None, "what passed has a size"
    if not body.execute:
        response.status_code = 200
        return OperationMade(
            success=True,
            executed=False,
            status=OperationStatus.PLANNED,
            signal_id=None,
            size=size,
            checks=list(checked.checks),
            operation=None,
        )
    placed = await place(checked, wait_seconds=body.wait_seconds, who=who, request=request, desk=desk)
    if placed.denial is not None:
        code, reason = placed.denial
        raise ApiError(400, code, reason, signal_id=str(placed.signal_id))
    operation = await desk.operations.find_opened_by(placed.signal_id, owner=who.owner)
    if not placed.is_complete:
        response.status_code = 202
    return OperationMade(
        success=True,
        executed=True,
        status=OperationStatus.PLANNED if operation is None else operation.status,
        signal_id=placed.signal_id,
        size=size,
        checks=list(checked.checks),
        operation=None if operation is None else shown_operation(operation),
    )


@operations.get("")
async def list_operations(
    *,
    desk: DeskGiven,
    who: Viewer,
    status: OperationStatus | None = None,
    limit: Limit = PAGE_ITEMS,
    offset: Offset = 0,
) -> OperationsShown:
    """Give operations, the latest first."""
    lines = await desk.operations.operations(owner=who.owner, status=status, offset=offset, limit=limit)
    return OperationsShown(
        items=[shown_operation(line) for line in lines],
        offset=offset,
        next_offset=offset + limit if len(lines) == limit else None,
    )


@operations.get("/{operation_id:int}", responses=UNKNOWN)
async def get_operation(operation_id: OperationId, desk: DeskGiven, who: Viewer) -> OperationShown:
    """Give one operation."""
    return shown_operation(await _find(operation_id, who=who, desk=desk))


@operations.post("/{operation_id:int}/cancel", responses={**UNKNOWN, **CONFLICT})
async def cancel_operation(
    operation_id: OperationId,
    request: Request,
    desk: DeskGiven,
    who: Trader,
    wait_seconds: Annotated[WaitSeconds, Query()] = WAIT_SECONDS,
) -> OperationEnded:
    """Give an operation up: what is held is closed now, and what still fills is closed at once. Twice is once."""
    operation = await _find(operation_id, who=who, desk=desk)
    if operation.status is OperationStatus.CANCELED:
        return OperationEnded(success=True, signal_id=None, operation=shown_operation(operation))
    return await _end(
        operation, OperationStatus.CANCELED, wait_seconds=wait_seconds, request=request, who=who, desk=desk
    )


@operations.post("/{operation_id:int}/close", responses={**UNKNOWN, **CONFLICT})
async def close_operation(
    operation_id: OperationId,
    request: Request,
    desk: DeskGiven,
    who: Trader,
    wait_seconds: Annotated[WaitSeconds, Query()] = WAIT_SECONDS,
) -> OperationEnded:
    """Close what an operation holds, now, at the market. Twice is once."""
    operation = await _find(operation_id, who=who, desk=desk)
    if operation.status is OperationStatus.CLOSED:
        return OperationEnded(success=True, signal_id=None, operation=shown_operation(operation))
    return await _end(
        operation, OperationStatus.CLOSED, wait_seconds=wait_seconds, request=request, who=who, desk=desk
    )


@operations.post("/{operation_id:int}/stop", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def move_operation_stop(
    operation_id: OperationId, body: StopMove, request: Request, desk: DeskGiven, who: Trader
) -> OperationShown:
    """Move the stop of an operation, whichever way; its initial stop stays. Where it stands already, nothing changes."""
    await _find(operation_id, who=who, desk=desk)
    changed_by = await name_of(who, desk=desk)
    async with desk.hand_books.open(owner=who.owner) as book:
        armed = await book.find_armed(operation_id)
        if armed is None:
            raise ApiError(
                409,
                "STOP_NOT_ARMED",
                f"operation={operation_id}. Nothing has filled: there is no stop to move yet.",
            )
        now = desk.clock()
        try:
            facts = move_stop(
                armed,
                stop_price=body.stop_price,
                sides=await book.sides_of(armed, now=now),
                is_forced=body.force,
                changed_by=changed_by,
                reason=body.reason,
                now=now,
            )
        except StopUnusableError as problem:
            raise ApiError(409, problem.code, problem.message) from problem
        await book.append(facts)
    request.scope["action_targets"] = {
        "operation_id": str(operation_id),
        "stop_price": to_text(body.stop_price),
    }
    return shown_operation(await _find(operation_id, who=who, desk=desk))


def shown_operation(line: OperationLine) -> OperationShown:
    """Give an operation as the API shows it."""
    return OperationShown.model_validate(line)


async def _end(
    operation: OperationLine,
    following: OperationStatus,
    *,
    wait_seconds: float,
    request: Request,
    who: Principal,
    desk: Desk,
) -> OperationEnded:
    try:
        check_move(operation.status, following=following)
    except OperationMoveError as problem:
        raise ApiError(409, problem.code, problem.message, operation_status=operation.status) from problem
    request.scope["action_targets"] = {"operation_id": str(operation.operation_id)}
    asked_by = await name_of(who, desk=desk)
    now = desk.clock()
    signal_id = uuid7(now)
    asked = "cancel" if following is OperationStatus.CANCELED else "close"
    async with desk.bots.open(owner=who.owner) as book:
        await book.append(
            close_now(
                signal_id=signal_id,
                bot_id=operation.bot_id,
                subscription_id=operation.subscription_id,
                symbol=operation.symbol,
                side=Side(operation.side.lower()).opposite,
                operation={
                    "asked": asked,
                    "asked_by": asked_by,
                    "operation_id": str(operation.operation_id),
                },
                now=now,
            )
        )
    await wait_for(signal_id, seconds=wait_seconds, desk=desk)
    ended = await _find(operation.operation_id, who=who, desk=desk)
    return OperationEnded(success=True, signal_id=signal_id, operation=shown_operation(ended))


async def _find(operation_id: int, *, who: Principal, desk: Desk) -> OperationLine:
    line = await desk.operations.find_operation(operation_id, owner=who.owner)
    if line is None:
        raise ApiError(404, "OPERATION_UNKNOWN", f"operation={operation_id}. There is no such operation.")
    return line


def _sized(asked: SizeAsked) -> PositionSize:
    """Give the size; a stop on the wrong side is 400, and so is a size too small to be any."""
    try:
        size = size_position(
            direction=Direction.of_entry(asked.side),
            capital=asked.capital,
            entry_price=asked.entry_price,
            stop_price=asked.stop_price,
            risk_percent=asked.max_risk_percent,
        )
    except SizeUnusableError as problem:
        raise ApiError(400, problem.code, problem.message) from problem
    if not size.quantity:
        raise ApiError(
            400,
            "QUANTITY_BELOW_MINIMUM",
            f"quantity=0 capital={to_text(asked.capital)} entry={to_text(asked.entry_price)}. "
            "So little capital buys nothing; risk more of it, or set the stop nearer.",
        )
    return size

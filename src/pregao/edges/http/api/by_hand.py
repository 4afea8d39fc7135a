"""Trades with a stated risk, as a person asks for them: looked at, bought, sold; and how much the month still allows."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from pregao.accounts.principal import Principal
from pregao.domain.money import HUNDRED, ZERO
from pregao.domain.operation import OperationStatus
from pregao.domain.order import Side
from pregao.domain.risk import POSITION_PERCENT_MAX, RISK_PERCENT, MonthlyState
from pregao.edges.http.api.operations import OperationShown, shown_operation
from pregao.edges.http.api.risked import (
    WAIT_SECONDS,
    AccountNamed,
    AskedSide,
    Checked,
    CheckShown,
    Price,
    RiskAsked,
    SizeShown,
    WaitSeconds,
    account_of,
    check_risk,
    month_drawdown,
    place,
)
from pregao.edges.http.api.roles import Trader, Viewer
from pregao.edges.http.api.shapes import (
    CONFLICT,
    PAGE_ITEMS_MAX,
    UNKNOWN,
    UNREADABLE,
    Amount,
    DeskGiven,
    Shown,
)
from pregao.edges.http.api.two_paths import TwoPaths
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError

trades = TwoPaths(ours="/api/v1/trade/risk-managed", source="/api/trade/risk-managed", tag="trades by hand")


class Mode(StrEnum):
    """Whether anything is sent."""

    DRY_RUN = "dry-run"
    LIVE = "live"


class ValidateAsked(RiskAsked):
    """A trade to look at."""

    side: AskedSide = Side.BUY
    entry_price: Price


class TradeAsked(RiskAsked):
    """A trade by hand. A dry run needs an entry price; what is sent is sized at the venue's own."""

    mode: Mode = Mode.DRY_RUN
    entry_price: Price | None = None
    wait_seconds: WaitSeconds = WAIT_SECONDS


class TradeChecked(Shown):
    """Whether a trade may be, what was looked at, and how large it would be."""

    is_valid: bool
    mode: Mode
    checks: list[CheckShown]
    size: SizeShown | None


class TradeMade(TradeChecked):
    """What came of it: nothing of it is known yet where the operation is null."""

    success: bool
    executed: bool
    signal_id: UUID | None
    operation: OperationShown | None


class RiskStatusShown(Shown):
    """
    What a tenant may still risk this UTC month.

    ``state`` is paused from the limit on, to the month's end or until an operator resumes. Without a capital, one's
    own setting or ``capital``, the month is not measured, and percentages are null.
    """

    trading_enabled: bool
    account_id: int
    capital: Amount | None
    monthly_pnl: Amount
    monthly_loss: Amount
    drawdown_percent: Amount | None
    drawdown_limit_percent: Amount
    remaining_usd: Amount | None
    state: MonthlyState | None
    is_lifted: bool
    max_risk_percent: Amount
    max_position_percent: Amount
    active_operations: int
    open_risk: Amount


@trades.post("/validate", responses={**UNKNOWN, **UNREADABLE})
async def validate_trade(body: ValidateAsked, desk: DeskGiven, who: Trader) -> TradeChecked:
    """Look at a trade: what speaks against it, and how large it would be. Nothing is sent."""
    checked = await check_risk(body, side=body.side, entry_price=body.entry_price, who=who, desk=desk)
    return TradeChecked(
        is_valid=checked.failed is None,
        mode=Mode.DRY_RUN,
        checks=list(checked.checks),
        size=checked.size_shown,
    )


SENT = {
    **UNKNOWN,
    **CONFLICT,
    **UNREADABLE,
    202: {"model": TradeMade, "description": "Still on its way."},
}


@trades.post("/buy", responses=SENT)
async def buy_risked(
    body: TradeAsked, request: Request, response: Response, desk: DeskGiven, who: Trader
) -> TradeMade:
    """Open a long whose stop costs no more than asked; without `"mode": "live"` it is looked at only."""
    return await trade(body, Side.BUY, request=request, response=response, desk=desk, who=who)


@trades.post("/sell", responses=SENT)
async def sell_risked(
    body: TradeAsked, request: Request, response: Response, desk: DeskGiven, who: Trader
) -> TradeMade:
    """Open a short whose stop costs no more than asked; without `"mode": "live"` it is looked at only."""
    return await trade(body, Side.SELL, request=request, response=response, desk=desk, who=who)


@trades.get("/status", responses={**UNKNOWN, **UNREADABLE})
async def get_risk_status(
    desk: DeskGiven,
    who: Viewer,
    account_id: Annotated[AccountNamed, Query()] = None,
    capital: Annotated[Price | None, Query(description="Where the user has no capital set.")] = None,
) -> RiskStatusShown:
    """Say what the month has cost a tenant, and what he may still risk."""
    account = await account_of(account_id, who=who, desk=desk)
    month = await desk.operations.month_of(account.user_id, now=desk.clock())
    measured_by = month.capital if month.capital is not None else capital
    drawdown = None if measured_by is None else month_drawdown(month, capital=measured_by)
    lines = await desk.operations.operations(
        owner=account.user_id, status=OperationStatus.ACTIVE, offset=0, limit=PAGE_ITEMS_MAX
    )
    own = [line for line in lines if line.client == account.user_id]
    allowed = None if measured_by is None else measured_by * month.limit_percent / HUNDRED
    loss = max(-month.pnl, ZERO)
    return RiskStatusShown(
        trading_enabled=desk.is_trading_by_hand,
        account_id=account.account_id,
        capital=measured_by,
        monthly_pnl=month.pnl,
        monthly_loss=loss,
        drawdown_percent=None if drawdown is None else drawdown.percent,
        drawdown_limit_percent=month.limit_percent,
        remaining_usd=None if allowed is None else max(allowed - loss, ZERO),
        state=None if drawdown is None else MonthlyState.ACTIVE if month.is_lifted else drawdown.state,
        is_lifted=month.is_lifted,
        max_risk_percent=RISK_PERCENT,
        max_position_percent=POSITION_PERCENT_MAX,
        active_operations=len(own),
        open_risk=sum((line.risk_amount or ZERO for line in own), ZERO),
    )


async def trade(
    body: TradeAsked, side: Side, *, request: Request, response: Response, desk: Desk, who: Principal
) -> TradeMade:
    """
    Look at a trade, and unless it is a dry run send it.

    :raises ApiError: when something speaks against it.
    """
    is_live = body.mode is Mode.LIVE
    if not is_live and body.entry_price is None:
        raise ApiError(
            400,
            "ENTRY_PRICE_MISSING",
            "A dry run is sized at entry_price: name one. What is live takes the venue's.",
        )
    checked = await check_risk(body, side=side, entry_price=body.entry_price, who=who, desk=desk)
    if not is_live:
        return _made(checked, mode=body.mode)
    placed = await place(checked, wait_seconds=body.wait_seconds, who=who, request=request, desk=desk)
    if placed.denial is not None:
        code, reason = placed.denial
        raise ApiError(400, code, reason, signal_id=str(placed.signal_id))
    if not placed.is_complete:
        response.status_code = 202
    operation = await desk.operations.find_opened_by(placed.signal_id, owner=who.owner)
    return _made(
        checked,
        mode=body.mode,
        signal_id=placed.signal_id,
        operation=None if operation is None else shown_operation(operation),
    )


def _made(
    checked: Checked,
    *,
    mode: Mode,
    signal_id: UUID | None = None,
    operation: OperationShown | None = None,
) -> TradeMade:
    return TradeMade(
        is_valid=checked.failed is None,
        success=checked.failed is None,
        executed=signal_id is not None,
        mode=mode,
        checks=list(checked.checks),
        size=checked.size_shown,
        signal_id=signal_id,
        operation=operation,
    )

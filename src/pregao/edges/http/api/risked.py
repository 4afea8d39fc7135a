"""Trades that a person asks for himself: what they may cost is checked, then they go the way of every signal."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from pydantic import BeforeValidator, Field

from pregao.accounts.principal import Principal
from pregao.bots.by_hand import by_hand_bot, follow_by_hand, is_made_just_now
from pregao.bots.ranges import to_symbol
from pregao.bots.refusals import ConflictError
from pregao.domain.account import Account
from pregao.domain.money import AMOUNT_STEP, floor_to_step, to_text
from pregao.domain.order import Side
from pregao.domain.position import Direction
from pregao.domain.risk import (
    RISK_PERCENT,
    Drawdown,
    MonthlyState,
    PositionSize,
    SizeUnusableError,
    StopWarning,
    drawdown_of,
    size_position,
)
from pregao.domain.signal import Risked
from pregao.domain.trading_state import TradingStates, scopes_of
from pregao.domain.user import Role
from pregao.edges.http.api.roles import name_of, role_forbidden
from pregao.edges.http.api.shapes import ID_MAX, NUMBER, Amount, Asked, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.ids import uuid7
from pregao.signals.own import trade_by_hand
from pregao.views.operations import Month
from pregao.views.receipts import Receipt

PRICE_MAX = Decimal(10) ** 12  # beyond it nothing is quoted, and sums stay exact
PRICE_STEP = Decimal("1e-12")
STRATEGY_CHARACTERS_MAX = 100
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
WAIT_SECONDS, WAIT_SECONDS_MAX = 5.0, 25.0
LOOK_SECONDS = 0.05
ACCOUNTS_LOOKED_AT = 100


def _small_letters(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Price = Annotated[Decimal, NUMBER, Field(ge=PRICE_STEP, le=PRICE_MAX)]
Percent = Annotated[Decimal, NUMBER, Field(gt=0, le=100)]
AskedSide = Annotated[
    Side, BeforeValidator(_small_letters), Field(description="BUY opens a long, SELL a short.")
]
Symbol = Annotated[str, Field(min_length=1, max_length=40)]
Strategy = Annotated[str, Field(max_length=STRATEGY_CHARACTERS_MAX, pattern=ONE_LINE)]
AccountNamed = Annotated[
    int | None, Field(ge=1, le=ID_MAX, description="Else your main account, or the only one.")
]
WaitSeconds = Annotated[
    float, Field(ge=0, le=WAIT_SECONDS_MAX, description="How long to wait for its receipt.")
]
MaxRiskPercent = Annotated[Percent, Field(description="Of the capital, if the stop is hit.")]


class RiskAsked(Asked):
    """What a trade by hand may cost."""

    symbol: Symbol
    stop_price: Price
    target_price: Price | None = None
    capital: Annotated[
        Price | None, Field(description="In the margin asset; else the user's own setting.")
    ] = None
    max_risk_percent: MaxRiskPercent = RISK_PERCENT
    account_id: AccountNamed = None
    strategy_name: Strategy = ""
    force_override: Annotated[
        bool, Field(description="Trade although the month has cost too much; operators only.")
    ] = False


class CheckShown(Shown):
    """One thing that was looked at; ``code`` says what is wrong with it."""

    check: str
    passed: bool
    code: str | None
    message: str


class SizeShown(Shown):
    """
    What to trade so that the stop costs no more than asked, rounded down to eight decimals.

    ``is_capped`` says that half of the capital was reached first; then less is risked than asked.
    """

    side: str
    symbol: str | None
    capital: Amount
    entry_price: Amount
    stop_price: Amount
    quantity: Amount
    position_value: Amount
    risk_amount: Amount
    risk_percent: Amount
    stop_distance: Amount
    stop_distance_percent: Amount
    is_capped: bool
    warnings: list[StopWarning]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A trade by hand, and what was found about it before anything is sent."""

    account: Account
    side: Side
    symbol: str
    risk: Risked
    entry_price: Decimal | None
    size: PositionSize | None  # None without an entry price, or where there is none
    checks: tuple[CheckShown, ...]

    @property
    def failed(self) -> CheckShown | None:
        """The first check that did not pass."""
        return next((one for one in self.checks if not one.passed), None)

    @property
    def size_shown(self) -> SizeShown | None:
        """The size at the price that was asked about."""
        if self.size is None or self.entry_price is None:
            return None
        return shown_size(
            self.size,
            side=self.side,
            symbol=self.symbol,
            capital=self.risk.capital,
            entry_price=self.entry_price,
            stop_price=self.risk.stop_price,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A trade by hand that went its way: its signal, and how far it has come in the time one waits."""

    signal_id: UUID
    receipt: Receipt | None

    @property
    def is_complete(self) -> bool:
        """Whether nothing of it is on its way any more."""
        return self.receipt is not None and self.receipt.is_complete

    @property
    def denial(self) -> tuple[str, str] | None:
        """Why nothing was entered: code and reason; None where something was, or is on its way."""
        if self.receipt is None or not self.receipt.is_complete:
            return None
        if self.receipt.code is not None:
            return self.receipt.code, self.receipt.reason or ""
        rows = self.receipt.rows
        if any(row.filled_quantity for row in rows):
            return None
        last = next((row for row in rows if row.code), None)
        return (last.code or "", last.reason or "") if last else ("NOTHING_ENTERED", "No account took it.")


def shown_size(
    size: PositionSize,
    *,
    side: Side,
    symbol: str | None,
    capital: Decimal,
    entry_price: Decimal,
    stop_price: Decimal,
) -> SizeShown:
    """Give a size as the API shows it; percentages are rounded down, like the quantity."""
    return SizeShown(
        side=side.upper(),
        symbol=symbol,
        capital=capital,
        entry_price=entry_price,
        stop_price=stop_price,
        quantity=size.quantity,
        position_value=size.position_value,
        risk_amount=size.risk_amount,
        risk_percent=floor_to_step(size.risk_percent, step=AMOUNT_STEP),
        stop_distance=size.stop_distance,
        stop_distance_percent=floor_to_step(size.stop_distance_percent, step=AMOUNT_STEP),
        is_capped=size.is_capped,
        warnings=list(size.warnings),
    )


async def account_of(account_id: int | None, *, who: Principal, desk: Desk) -> Account:
    """Give the account that is named, else the main one of whoever asks, else his only one."""
    if account_id is not None:
        line = await desk.configured.find_account(account_id, owner=who.owner)
        if line is None:
            raise ApiError(404, "ACCOUNT_UNKNOWN", f"account={account_id}. There is no such account.")
        return line.account
    lines = await desk.configured.accounts(
        owner=who.user_id, is_active=True, after=None, limit=ACCOUNTS_LOOKED_AT
    )
    own = [line.account for line in lines if line.account.user_id == who.user_id]
    chosen = [one for one in own if one.is_main] or own
    if len(chosen) != 1:
        raise ApiError(
            400,
            "ACCOUNT_UNCERTAIN",
            f"accounts={len(chosen)}. Name one as account_id, or make one your main account.",
        )
    return chosen[0]


async def check_risk(
    asked: RiskAsked, *, side: Side, entry_price: Decimal | None, who: Principal, desk: Desk
) -> Checked:
    """Look at all that may speak against a trade by hand; nothing is sent."""
    if asked.force_override and not who.role.is_staff:
        raise role_forbidden(who, Role.OPERATOR)
    account = await account_of(asked.account_id, who=who, desk=desk)
    month = await desk.operations.month_of(account.user_id, now=desk.clock())
    capital = asked.capital if asked.capital is not None else month.capital
    if capital is None:
        raise ApiError(
            400,
            "CAPITAL_MISSING",
            "Say what the risk is a share of, as capital; or have an admin set risk_capital_usd.",
        )
    risk = Risked(
        capital=capital,
        risk_percent=asked.max_risk_percent,
        stop_price=asked.stop_price,
        target_price=asked.target_price,
        strategy=asked.strategy_name.strip(),
    )
    symbol = to_symbol(asked.symbol)
    size, stop_check = _stop_check(risk, side=side, entry_price=entry_price)
    return Checked(
        account=account,
        side=side,
        symbol=symbol,
        risk=risk,
        entry_price=entry_price,
        size=size,
        checks=(
            _capital_check(capital, month=month),
            _risk_check(risk),
            stop_check,
            _month_check(
                month,
                capital=capital if month.capital is None else month.capital,
                is_forced=asked.force_override,
            ),
            await _state_check(account, symbol=symbol, desk=desk),
        ),
    )


async def place(
    checked: Checked, *, wait_seconds: float, who: Principal, request: Request, desk: Desk
) -> Placed:
    """Have the trade go the way of every signal, and wait for its receipt a while."""
    if not desk.is_trading_by_hand:
        raise ApiError(
            403,
            "TRADING_DISABLED",
            "TRADING_ENABLED is false: people get dry runs only. An operator may set it.",
        )
    failed = checked.failed
    if failed is not None:
        raise ApiError(400, failed.code or failed.check, failed.message, check=failed.check)
    asked_by = await name_of(who, desk=desk)
    try:
        signal_id = await _send(checked, asked_by=asked_by, who=who, request=request, desk=desk)
    except ConflictError as conflict:
        if not is_made_just_now(conflict):
            raise
        signal_id = await _send(checked, asked_by=asked_by, who=who, request=request, desk=desk)
    return Placed(signal_id=signal_id, receipt=await wait_for(signal_id, seconds=wait_seconds, desk=desk))


async def wait_for(signal_id: UUID, *, seconds: float, desk: Desk) -> Receipt | None:
    """Give the receipt of a signal of the desk's own, complete or as it is after so long."""
    until = time.monotonic() + seconds
    while True:
        receipt = await desk.receipts.find_receipt(signal_id, owner=None)
        if (receipt is not None and receipt.is_complete) or time.monotonic() >= until:
            return receipt
        await asyncio.sleep(LOOK_SECONDS)


def month_drawdown(month: Month, *, capital: Decimal) -> Drawdown:
    """Give how much of the capital the month has cost."""
    return drawdown_of(month.pnl, capital=capital, limit_percent=month.limit_percent)


async def _send(checked: Checked, *, asked_by: str, who: Principal, request: Request, desk: Desk) -> UUID:
    now = desk.clock()
    signal_id = uuid7(now)
    unknown_to_all = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
    async with desk.bots.open(owner=who.owner) as book:
        subscription, made = await follow_by_hand(
            checked.account.account_id,
            fresh=by_hand_bot(uuid7(now), secret_sha256=unknown_to_all),
            fresh_id=uuid7(now),
            book=book,
            now=now,
        )
        asked = trade_by_hand(
            checked.risk,
            signal_id=signal_id,
            subscription=subscription,
            symbol=checked.symbol,
            side=checked.side,
            asked_by=asked_by,
            source_address=request.scope["source_address"],
            send_before=now + timedelta(seconds=desk.signal_age_seconds_max),
            now=now,
        )
        await book.append([*made, *asked])
    request.scope["action_targets"] = {
        "account_id": str(checked.account.account_id),
        "symbol": checked.symbol,
        "signal_id": str(signal_id),
    }
    return signal_id


# --- what is looked at ------------------------------------------------------------------------------------


def _told(check: str, code: str | None, message: str) -> CheckShown:
    return CheckShown(check=check, passed=code is None, code=code, message=message)


def _capital_check(capital: Decimal, *, month: Month) -> CheckShown:
    shown = f"capital={to_text(capital)}"
    if month.capital is not None and capital > month.capital:
        limit = f"{shown} risk_capital_usd={to_text(month.capital)}"
        return _told("CAPITAL", "CAPITAL_ABOVE_SETTING", f"{limit}. Risk a share of what an admin has set.")
    return _told("CAPITAL", None, shown)


def _risk_check(risk: Risked) -> CheckShown:
    shown = f"max_risk_percent={to_text(risk.risk_percent)} limit={to_text(RISK_PERCENT)}"
    if risk.risk_percent > RISK_PERCENT:
        return _told("RISK_PER_TRADE", "RISK_ABOVE_LIMIT", f"{shown}. Ask for less on one trade.")
    return _told("RISK_PER_TRADE", None, shown)


def _stop_check(
    risk: Risked, *, side: Side, entry_price: Decimal | None
) -> tuple[PositionSize | None, CheckShown]:
    direction = Direction.of_entry(side)
    target = risk.target_price
    if entry_price is None:
        lower, upper = (risk.stop_price, target) if direction is Direction.LONG else (target, risk.stop_price)
        if lower is not None and upper is not None and lower >= upper:
            return None, _told("STOP", "STOP_WRONG_SIDE", _wrong_target(risk, direction=direction))
        return None, _told("STOP", None, "The venue's price decides when it is sent.")
    try:
        size = size_position(
            direction=direction,
            capital=risk.capital,
            entry_price=entry_price,
            stop_price=risk.stop_price,
            risk_percent=risk.risk_percent,
        )
    except SizeUnusableError as problem:
        return None, _told("STOP", problem.code, problem.message)
    if target is not None and not (
        target > entry_price if direction is Direction.LONG else target < entry_price
    ):
        return None, _told("STOP", "STOP_WRONG_SIDE", _wrong_target(risk, direction=direction))
    if not size.quantity:
        return None, _told(
            "STOP",
            "QUANTITY_BELOW_MINIMUM",
            f"quantity=0 capital={to_text(risk.capital)} entry={to_text(entry_price)}. So little capital buys nothing; "
            "risk more of it, or set the stop nearer.",
        )
    return size, _told(
        "STOP", None, f"stop_distance_percent={to_text(size.stop_distance_percent.quantize(AMOUNT_STEP))}"
    )


def _wrong_target(risk: Risked, *, direction: Direction) -> str:
    assert risk.target_price is not None, "what is wrong is there"
    side = "above" if direction is Direction.LONG else "below"
    return f"kind=target direction={direction} target={to_text(risk.target_price)}. The target of a {direction} lies {side} its entry."


def _month_check(month: Month, *, capital: Decimal, is_forced: bool) -> CheckShown:
    drawdown = month_drawdown(month, capital=capital)
    shown = (
        f"loss={to_text(drawdown.loss)} percent={to_text(drawdown.percent.quantize(Decimal('0.0001')))} "
        f"limit_percent={to_text(drawdown.limit_percent)}"
    )
    if drawdown.state is MonthlyState.ACTIVE:
        return _told("MONTHLY_DRAWDOWN", None, shown)
    if is_forced or month.is_lifted:
        return _told("MONTHLY_DRAWDOWN", None, f"{shown}. An operator lets it pass.")
    return _told(
        "MONTHLY_DRAWDOWN",
        "MONTHLY_DRAWDOWN",
        f"{shown}. Nothing is entered until the next month, or until an operator resumes.",
    )


async def _state_check(account: Account, *, symbol: str, desk: Desk) -> CheckShown:
    now = await desk.trading_states.now(owner=None)
    stops = TradingStates(now.states, version=now.version).strictest(
        scopes_of(user_id=account.user_id, account_id=account.account_id, venue=account.venue, symbol=symbol)
    )
    if stops is None:
        return _told("TRADING_STATE", None, "state=active")
    values: dict[str, Any] = stops.values
    shown = " ".join(f"{name}={value}" for name, value in values.items())
    return _told(
        "TRADING_STATE", f"TRADING_{stops.state.upper()}", f"{shown}. Nothing is entered until it is resumed."
    )

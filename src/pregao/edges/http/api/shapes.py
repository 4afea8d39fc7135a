"""The shapes the API's bodies are made of: money as text, ranges in the document, pages with a cursor."""

import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import time
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
)

from pregao.accounts.configure import PAPER_BALANCE_USDT_MAX, PAPER_BALANCE_USDT_MIN
from pregao.accounts.enroll import (
    DAILY_LOSS_USD_MAX,
    DAILY_LOSS_USD_MIN,
    DRAWDOWN_PCT_MAX,
    DRAWDOWN_PCT_MIN,
    EXECUTIONS_MAX,
    POSITIONS_MAX,
    POSITIONS_MIN,
    RISK_CAPITAL_USD_MAX,
    RISK_CAPITAL_USD_MIN,
    SLIPPAGE_PCT_MAX,
    SLIPPAGE_PCT_MIN,
)
from pregao.bots.ranges import (
    BOT_RANGES,
    CONFIDENCE,
    GUARD_RANGES,
    LEVERAGE,
    LOSS_USD,
    MARGIN_USD,
    OVERLAP_SECONDS,
    OWN_STOP_LOSS_PCT,
    OWN_TAKE_PROFIT_PCT,
    POSITIONS,
    RISK_RANGES,
    STOP_LOSS_PCT,
    STOP_RANGES,
    SUBSCRIPTION_RANGES,
    TAKE_PROFIT_PCT,
    TARGET_RANGES,
    Range,
)
from pregao.domain.money import to_text
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ErrorBody, UnreadableBody

Item = TypeVar("Item")

NUMBER_CHARACTERS_MAX = 40  # more digits than any amount has
ID_MAX = 2**53 - 1  # what every JSON reader keeps exactly; no counter of ours comes near
PAGE_ITEMS, PAGE_ITEMS_MAX = 100, 1_000
TIME_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"

Responses: TypeAlias = dict[int | str, dict[str, Any]]

# Answers every closed route may give, for the document.
ERRORS: Responses = {
    401: {"model": ErrorBody, "description": "TOKEN_WRONG"},
    403: {"model": ErrorBody, "description": "ROLE_FORBIDDEN"},
    413: {"model": ErrorBody, "description": "BODY_TOO_LARGE"},
    422: {"model": ErrorBody | UnreadableBody, "description": "A value cannot be read or used."},
    503: {"model": ErrorBody, "description": "DATABASE_AWAY"},
}
UNKNOWN: Responses = {404: {"model": ErrorBody, "description": "There is no such thing."}}
CONFLICT: Responses = {409: {"model": ErrorBody, "description": "What is there already stands in the way."}}
UNREADABLE: Responses = {400: {"model": ErrorBody, "description": "REQUEST_UNREADABLE"}}

# For the document: the token was looked at before the route was (admission.py).
TOKEN = Security(
    HTTPBearer(auto_error=False, description="PREGAO_ADMIN_TOKEN, a session's, or an API token.")
)


def _desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskGiven = Annotated[Desk, Depends(_desk_of)]
Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX, description="Items on one page.")]
AccountId = Annotated[int, Path(ge=1, le=ID_MAX)]

Amount = Annotated[Decimal, PlainSerializer(to_text, return_type=str)]
"""A decimal as text, so that no digit is lost."""


class Asked(BaseModel):
    """A body somebody sends: a field nobody knows is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def without_defaults(schema: dict[str, Any]) -> None:
    """Leave the defaults out of a document: what is not sent stays as it is."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Changes(Asked):
    """A body that changes what it names and leaves the rest."""

    model_config = ConfigDict(json_schema_extra=without_defaults)


class ToldAtSource(Changes):
    """A body at one of system A's paths; what the desk does not know is left out."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    token: SecretStr | None = Field(
        default=None, description="The token, where no `Authorization` header has it; never kept."
    )


class Shown(BaseModel):
    """A body the API answers with."""

    model_config = ConfigDict(from_attributes=True)


class Page(Shown, Generic[Item]):
    """One page of a list; ``next_cursor`` is null on the last."""

    items: Sequence[Item]
    next_cursor: str | None


def page_of(items: Sequence[Item], *, limit: int, cursor: Any) -> Page[Item]:
    """Give a page; ``cursor`` gives the place after the last item."""
    return Page(items=items, next_cursor=str(cursor(items[-1])) if len(items) == limit else None)


def unset() -> Any:
    """Give the default of a field that is told apart from null by whether it was sent."""
    return Field(default=None)


def default_of(kind: type, name: str) -> Any:
    """Give a field the default its value has in the domain."""
    return Field(default=next(field.default for field in fields(kind) if field.name == name))


def _number(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) > NUMBER_CHARACTERS_MAX):
        raise ValueError("must be a number, or a number's digits as text")
    return value


def _count(value: Any) -> Any:
    # JSON has one kind of number: 5.0 is 5. Text and true are none.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _time(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(TIME_PATTERN, value):
        raise ValueError("must be a time of day, such as 09:30")
    return value


def _whole(limits: Range) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": int(limits.minimum), "maximum": int(limits.maximum)})


def _decimal(limits: Range) -> WithJsonSchema:
    number: dict[str, Any] = {
        "type": "number",
        "minimum": float(limits.minimum),
        "maximum": float(limits.maximum),
    }
    if not limits.or_zero:
        return WithJsonSchema({**number, "description": "A number, or its digits as text."})
    either: list[dict[str, Any]] = [{"type": "number", "const": 0}, number]
    return WithJsonSchema(
        {"anyOf": either, "description": "A number, or its digits as text; 0 is none at all."}
    )


STRICT = Field(strict=True)
COUNT = BeforeValidator(_count)
NUMBER = BeforeValidator(_number)

# The document tells the ranges; the rooms check them, in one place and with one kind of error.
Leverage = Annotated[int, STRICT, COUNT, _whole(LEVERAGE)]
MarginUsd = Annotated[Decimal, NUMBER, _decimal(MARGIN_USD)]
StopLossPct = Annotated[Decimal, NUMBER, _decimal(STOP_LOSS_PCT)]
TakeProfitPct = Annotated[Decimal, NUMBER, _decimal(TAKE_PROFIT_PCT)]
OverlapSeconds = Annotated[int, STRICT, COUNT, _whole(OVERLAP_SECONDS)]
MaxPositions = Annotated[int, STRICT, COUNT, _whole(BOT_RANGES["default_max_positions"])]
OwnStopLossPct = Annotated[Decimal, NUMBER, _decimal(OWN_STOP_LOSS_PCT)]
OwnTakeProfitPct = Annotated[Decimal, NUMBER, _decimal(OWN_TAKE_PROFIT_PCT)]
TrailingPercent = Annotated[Decimal, NUMBER, _decimal(GUARD_RANGES["trailing_percent"])]
TrailingStepPercent = Annotated[Decimal, NUMBER, _decimal(GUARD_RANGES["trailing_step_percent"])]
CostPercent = Annotated[Decimal, NUMBER, _decimal(GUARD_RANGES["fee_percent"])]
AtrPeriod = Annotated[int, STRICT, COUNT, _whole(STOP_RANGES["period"])]
AtrMultiple = Annotated[Decimal, NUMBER, _decimal(STOP_RANGES["multiple"])]
RiskMultiple = Annotated[Decimal, NUMBER, _decimal(TARGET_RANGES["risk_multiple"])]
TargetPercent = Annotated[Decimal, NUMBER, _decimal(TARGET_RANGES["percent"])]
Share = Annotated[Decimal, NUMBER, _decimal(TARGET_RANGES["share"])]
LossUsd = Annotated[Decimal, NUMBER, _decimal(LOSS_USD)]
Positions = Annotated[int, STRICT, COUNT, _whole(POSITIONS)]
RuleCapitalUsd = Annotated[Decimal, NUMBER, _decimal(RISK_RANGES["capital_usd"])]
Confidence = Annotated[Decimal, NUMBER, _decimal(CONFIDENCE)]
LossesInARow = Annotated[int, STRICT, COUNT, _whole(RISK_RANGES["consecutive_losses_max"])]
LossPct = Annotated[Decimal, NUMBER, _decimal(RISK_RANGES["daily_loss_pct_max"])]
PositionPct = Annotated[Decimal, NUMBER, _decimal(RISK_RANGES["position_pct_max"])]
RewardToRisk = Annotated[Decimal, NUMBER, _decimal(RISK_RANGES["reward_to_risk_min"])]
ApprovalSeconds = Annotated[int, STRICT, COUNT, _whole(BOT_RANGES["approval_seconds"])]
ApprovalPriceMovePct = Annotated[Decimal, NUMBER, _decimal(BOT_RANGES["approval_price_move_pct"])]
CooldownSeconds = Annotated[int, STRICT, COUNT, _whole(BOT_RANGES["cooldown_seconds"])]
MaxEntriesPerDay = Annotated[int, STRICT, COUNT, _whole(BOT_RANGES["max_entries_per_day"])]
TimeOfDay = Annotated[
    time, BeforeValidator(_time), WithJsonSchema({"type": "string", "pattern": TIME_PATTERN})
]
SignalsPerMinuteMax = Annotated[int, STRICT, COUNT, _whole(BOT_RANGES["signals_per_minute_max"])]
MaxDailyLossUsd = Annotated[Decimal, NUMBER, _decimal(SUBSCRIPTION_RANGES["max_daily_loss_usd"])]
MaxConcurrentPositions = Annotated[
    int, STRICT, COUNT, _whole(SUBSCRIPTION_RANGES["max_concurrent_positions"])
]
BalanceUsdt = Annotated[Decimal, NUMBER, _decimal(Range(PAPER_BALANCE_USDT_MIN, PAPER_BALANCE_USDT_MAX))]
UserLossUsd = Annotated[Decimal, NUMBER, _decimal(Range(DAILY_LOSS_USD_MIN, DAILY_LOSS_USD_MAX))]
RiskCapitalUsd = Annotated[Decimal, NUMBER, _decimal(Range(RISK_CAPITAL_USD_MIN, RISK_CAPITAL_USD_MAX))]
SlippagePct = Annotated[Decimal, NUMBER, _decimal(Range(SLIPPAGE_PCT_MIN, SLIPPAGE_PCT_MAX))]
Executions = Annotated[int, STRICT, COUNT, _whole(Range(Decimal(1), Decimal(EXECUTIONS_MAX)))]
MonthlyDrawdownPct = Annotated[Decimal, NUMBER, _decimal(Range(DRAWDOWN_PCT_MIN, DRAWDOWN_PCT_MAX))]
UserPositions = Annotated[int, STRICT, COUNT, _whole(Range(Decimal(POSITIONS_MIN), Decimal(POSITIONS_MAX)))]

"""Risk figures: what to stake, what a position may be worth, and how a subscription stands to its rules."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from pregao.domain.bot import effective_settings
from pregao.domain.money import AMOUNT_STEP, HUNDRED, ZERO, floor_to_step
from pregao.domain.position import Direction
from pregao.domain.risk import RISK_PERCENT, SizeUnusableError
from pregao.domain.risk_rules import looked_at
from pregao.domain.stake import (
    POSITION_PERCENT_MAX,
    Stake,
    position_in_money,
    stake_of,
    stop_by_range,
)
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.rules import RiskShown
from pregao.edges.http.api.shapes import ERRORS, TOKEN, UNKNOWN, Amount, DeskGiven, Shown
from pregao.edges.http.errors import ApiError

NUMBER_MAX = Decimal(10) ** 12  # beyond it nothing is quoted, and sums stay exact
NUMBER_STEP = Decimal("1e-12")

routes = APIRouter(prefix="/api/risk", tags=["risk"], dependencies=[TOKEN], responses=ERRORS)

Positive = Annotated[Decimal, Query(ge=NUMBER_STEP, le=NUMBER_MAX)]
Percent = Annotated[Decimal, Query(ge=0, le=100)]
WinRate = Annotated[Decimal, Query(ge=0, le=1, description="Of the trades, the share that earned: 0.55.")]
Odds = Annotated[
    Decimal, Query(ge=NUMBER_STEP, le=NUMBER_MAX, description="The average win over the average loss: 1.5.")
]


class StakeShown(Shown):
    """What to stake: a quarter of Kelly's fraction, from 1 to 5 percent; 2 where the odds are not known, 0 is no trade."""

    win_rate: Amount | None
    reward_to_risk: Amount | None
    kelly: Amount | None
    quarter_percent: Amount | None
    stake_percent: Amount
    is_trade: bool


class TargetShown(Shown):
    """One of the two targets: where, and what share is closed there."""

    price: Amount
    share: Amount


class MoneyShown(Shown):
    """A position in money. ``is_capped`` says that its largest share of the capital was reached first."""

    direction: Direction
    capital: Amount
    entry_price: Amount
    stop_price: Amount
    risk_percent: Amount
    position_value: Amount
    quantity: Amount
    risk_amount: Amount
    stop_distance_percent: Amount
    is_capped: bool
    targets: list[TargetShown]


class DrawdownShown(Shown):
    """How far the capital stands below its highest."""

    peak: Amount
    current: Amount
    drawdown_percent: Amount


class RuleShown(Shown):
    """One rule and how the subscription stands to it; a null limit is no such rule, a null value is not known here."""

    code: str
    value: Amount | None
    limit: Amount | None
    passed: bool


class StandingShown(Shown):
    """How a subscription stands to its risk rules, in the order they are looked at before an entry."""

    subscription_id: UUID
    rules: RiskShown
    looked_at: list[RuleShown]
    takes_entries: bool
    losses_in_a_row: int
    last_loss_at: datetime | None
    pnl_today_usd: Amount
    pnl_week_usd: Amount
    pnl_usd: Amount
    pnl_peak_usd: Amount
    live_positions: int
    stake: StakeShown


@routes.get("/kelly")
async def get_kelly(
    _who: Viewer, win_rate: WinRate | None = None, reward_to_risk: Odds | None = None
) -> StakeShown:
    """Say what share of the capital to stake: Kelly's fraction is (p x b - q) / b, and one that is not above 0 is no trade."""
    return _stake_shown(win_rate, reward_to_risk)


@routes.get("/position")
async def get_position(
    _who: Viewer,
    *,
    direction: Direction,
    capital: Positive,
    entry_price: Positive,
    stop_price: Annotated[
        Positive | None, Query(description="Else two average true ranges from the entry.")
    ] = None,
    atr: Positive | None = None,
    risk_percent: Percent = RISK_PERCENT,
    position_percent_max: Percent = POSITION_PERCENT_MAX,
) -> MoneyShown:
    """Size a position in money: capital x risk / (|entry - stop| / entry), at most a tenth of the capital."""
    if stop_price is None and atr is None:
        raise ApiError(
            422, "STOP_MISSING", "stop_price=none atr=none. Name the stop, or the average true range."
        )
    try:
        if stop_price is None:
            stop_price = stop_by_range(direction=direction, entry_price=entry_price, range_now=atr or ZERO)
        found = position_in_money(
            direction=direction,
            capital=capital,
            entry_price=entry_price,
            stop_price=stop_price,
            risk_percent=risk_percent,
            position_percent_max=position_percent_max,
        )
    except SizeUnusableError as problem:
        raise ApiError(422, problem.code, problem.message) from problem
    return MoneyShown(
        direction=direction,
        capital=capital,
        entry_price=entry_price,
        stop_price=stop_price,
        risk_percent=risk_percent,
        position_value=_floored(found.value),
        quantity=_floored(found.value / entry_price),
        risk_amount=_floored(found.risk_amount),
        stop_distance_percent=_floored(found.stop_distance_percent),
        is_capped=found.is_capped,
        targets=[TargetShown(price=_floored(price), share=share) for price, share in found.targets],
    )


@routes.get("/drawdown")
async def get_drawdown(
    _who: Viewer, peak: Positive, current: Annotated[Decimal, Query(ge=0, le=NUMBER_MAX)]
) -> DrawdownShown:
    """Give (peak - current) / peak x 100; 0 where the capital stands above the peak that was named."""
    percent = max(ZERO, (peak - current) * HUNDRED / peak)
    return DrawdownShown(peak=peak, current=current, drawdown_percent=_floored(percent))


@routes.get("/subscriptions/{subscription_id:uuid}", responses=UNKNOWN)
async def get_subscription_risk(subscription_id: UUID, desk: DeskGiven, who: Viewer) -> StandingShown:
    """Say how a subscription stands to its risk rules, and what its results so far would have it stake."""
    line = await desk.configured.find_subscription(subscription_id, owner=who.owner)
    if line is None:
        raise ApiError(
            404, "SUBSCRIPTION_UNKNOWN", f"subscription={subscription_id}. There is no such subscription."
        )
    settings = effective_settings(line.bot, line.subscription, symbol=None)
    rules = settings.risk
    now = desk.clock().astimezone(UTC)
    standing = await desk.performances.risk_of(subscription_id, rules, day=now.date())
    record = standing.record
    places = line.subscription.max_concurrent_positions
    margin, capital = settings.margin_usd * settings.leverage, rules.capital_usd
    share = None if capital is None else margin * HUNDRED / capital
    lines = [
        *(
            RuleShown(code=one.code, value=_floored(one.value), limit=one.limit, passed=not one.is_broken)
            for one in looked_at(rules, record, now=now)
        ),
        RuleShown(
            code="POSITIONS_AT_LIMIT",
            value=Decimal(standing.live_positions),
            limit=Decimal(places),
            passed=standing.live_positions < places,
        ),
        RuleShown(
            code="POSITION_ABOVE_SHARE",
            value=None if share is None else _floored(share),
            limit=rules.position_pct_max,
            passed=rules.position_pct_max is None or share is None or share <= rules.position_pct_max,
        ),
    ]
    return StandingShown(
        subscription_id=subscription_id,
        rules=RiskShown.model_validate(rules),
        looked_at=lines,
        takes_entries=all(one.passed for one in lines),
        losses_in_a_row=record.losses_in_a_row,
        last_loss_at=record.last_loss_at,
        pnl_today_usd=record.pnl_today,
        pnl_week_usd=record.pnl_week,
        pnl_usd=record.pnl,
        pnl_peak_usd=record.pnl_peak,
        live_positions=standing.live_positions,
        stake=_stake_shown(standing.win_rate, standing.reward_to_risk),
    )


def _stake_shown(win_rate: Decimal | None, reward_to_risk: Decimal | None) -> StakeShown:
    try:
        stake: Stake = stake_of(win_rate=win_rate, reward_to_risk=reward_to_risk)
    except SizeUnusableError as problem:
        raise ApiError(422, problem.code, problem.message) from problem
    return StakeShown(
        win_rate=None if win_rate is None else _floored(win_rate),
        reward_to_risk=None if reward_to_risk is None else _floored(reward_to_risk),
        kelly=None if stake.kelly is None else _floored(stake.kelly),
        quarter_percent=None if stake.part is None else _floored(stake.part),
        stake_percent=_floored(stake.percent),
        is_trade=stake.is_trade,
    )


def _floored(value: Decimal) -> Decimal:
    return floor_to_step(value, step=AMOUNT_STEP)

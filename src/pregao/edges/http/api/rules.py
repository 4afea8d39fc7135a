"""The rules of bots and subscriptions in bodies: symbol rows, trading hours, and what counts in the end."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from pregao.bots.ranges import (
    ALLOWED_SYMBOLS_MAX,
    DAYS,
    MODEL_PATTERN,
    SYMBOL_ROWS_MAX,
    TARGETS_MAX,
    TRADING_HOURS_MAX,
)
from pregao.domain.bot import (
    Bot,
    GuardSettings,
    OppositeSide,
    Origin,
    SameSide,
    StopSettings,
    Subscription,
    SymbolSettings,
    TargetSettings,
    TradingHours,
    effective_settings,
    origins_of,
    settings_of,
)
from pregao.domain.candle import Timeframe
from pregao.domain.level import Method
from pregao.domain.prediction import ModelFilter, WhenUnknown
from pregao.domain.risk_rules import RiskRules
from pregao.domain.stop_rule import TrailingMode
from pregao.edges.http.api.shapes import (
    COUNT,
    STRICT,
    Amount,
    Asked,
    AtrMultiple,
    AtrPeriod,
    Confidence,
    CostPercent,
    Leverage,
    LossesInARow,
    LossPct,
    LossUsd,
    MarginUsd,
    OwnStopLossPct,
    OwnTakeProfitPct,
    PositionPct,
    Positions,
    RewardToRisk,
    RiskMultiple,
    RuleCapitalUsd,
    Share,
    Shown,
    TargetPercent,
    TimeOfDay,
    TrailingPercent,
    TrailingStepPercent,
    default_of,
)

SYMBOL_PATTERN = "^[A-Za-z0-9]{1,10}(-?[A-Za-z0-9]{1,10})?([.][Pp])?$"

Symbol = Annotated[str, Field(json_schema_extra={"pattern": SYMBOL_PATTERN})]
Day = Annotated[int, STRICT, COUNT, Field(json_schema_extra={"minimum": min(DAYS), "maximum": max(DAYS)})]


class HoursAsked(Asked):
    """A weekly window; an end that is not after the start is on the next day."""

    days: Annotated[
        tuple[Day, ...],
        Field(
            description="1 is Monday, 7 is Sunday.",
            json_schema_extra={"minItems": 1, "maxItems": len(DAYS), "uniqueItems": True},
        ),
    ]
    start: TimeOfDay
    end: TimeOfDay
    timezone: Annotated[str, Field(description="A name of the IANA database.")] = "UTC"


class HoursShown(Shown):
    """A weekly window in which entries are taken."""

    days: tuple[int, ...]
    start: time
    end: time
    timezone: str


class StopAsked(Asked):
    """A stop that is so many average true ranges from the entry; Wilder's, over closed candles of the venue."""

    method: Literal[Method.ATR] = Method.ATR
    period: AtrPeriod = default_of(StopSettings, "period")
    multiple: AtrMultiple = default_of(StopSettings, "multiple")
    timeframe: Timeframe = default_of(StopSettings, "timeframe")


class TargetAsked(Asked):
    """One of several targets, for a share of what was entered: with either a percentage or a multiple of the risk."""

    percent: TargetPercent | None = None
    risk_multiple: Annotated[
        RiskMultiple | None, Field(description="So many times the first distance between entry and stop.")
    ] = None
    share: Share


class GuardAsked(Asked):
    """How positions are guarded beside stop_loss_pct and take_profit_pct; percentages are of the entry price."""

    stop: Annotated[StopAsked | None, Field(description="In place of stop_loss_pct.")] = None
    targets: Annotated[
        tuple[TargetAsked, ...],
        Field(
            description="The nearest first; in place of take_profit_pct.",
            json_schema_extra={"maxItems": TARGETS_MAX},
        ),
    ] = ()
    trailing: Annotated[
        TrailingMode | None,
        Field(
            description="hand_span: in steps of the first distance to the stop. percent: behind the best price."
        ),
    ] = None
    trailing_percent: TrailingPercent = default_of(GuardSettings, "trailing_percent")
    trailing_step_percent: TrailingStepPercent = default_of(GuardSettings, "trailing_step_percent")
    break_even_after_target: Annotated[
        bool, Field(description="Move the stop to break-even when the first target has filled.")
    ] = False
    fee_percent: CostPercent = default_of(GuardSettings, "fee_percent")
    slippage_percent: CostPercent = default_of(GuardSettings, "slippage_percent")
    is_required: Annotated[
        bool | None,
        Field(description="Whether a position may not be open without its stop; null: wherever it has one."),
    ] = None


class StopShown(Shown):
    """A stop that is so many average true ranges from the entry."""

    method: Method
    period: int
    multiple: Amount
    timeframe: Timeframe


class TargetShown(Shown):
    """One of several targets."""

    percent: Amount | None
    risk_multiple: Amount | None
    share: Amount


class GuardShown(Shown):
    """How positions are guarded beside the two percentages."""

    stop: StopShown | None
    targets: tuple[TargetShown, ...]
    trailing: TrailingMode | None
    trailing_percent: Amount
    trailing_step_percent: Amount
    break_even_after_target: bool
    fee_percent: Amount
    slippage_percent: Amount
    is_required: bool | None


class RiskAsked(Asked):
    """What one account may lose, hold and aim for; each rule denies entries only, and null is no such rule."""

    capital_usd: Annotated[
        RuleCapitalUsd | None, Field(description="What the account trades with; percentages are of it.")
    ] = None
    consecutive_losses_max: Annotated[
        LossesInARow | None, Field(description="So many losses in a row end the UTC day of the last.")
    ] = None
    daily_loss_pct_max: LossPct | None = None
    weekly_loss_pct_max: Annotated[LossPct | None, Field(description="From Monday on, by UTC.")] = None
    drawdown_pct_max: Annotated[
        LossPct | None, Field(description="Below the highest that the capital has stood at.")
    ] = None
    position_pct_max: Annotated[PositionPct | None, Field(description="What one position may be worth.")] = (
        None
    )
    reward_to_risk_min: Annotated[
        RewardToRisk | None, Field(description="The distance of the target over that of the stop.")
    ] = None
    since: Annotated[
        AwareDatetime | None,
        Field(description="Positions that closed earlier are not looked at: begin anew."),
    ] = None


class RiskShown(Shown):
    """What one account may lose, hold and aim for."""

    capital_usd: Amount | None
    consecutive_losses_max: int | None
    daily_loss_pct_max: Amount | None
    weekly_loss_pct_max: Amount | None
    drawdown_pct_max: Amount | None
    position_pct_max: Amount | None
    reward_to_risk_min: Amount | None
    since: datetime | None


class ModelFilterAsked(Asked):
    """Enter only what a model of the lab foretells, too."""

    model: Annotated[
        str,
        Field(description="A name of `pregao model list`.", json_schema_extra={"pattern": MODEL_PATTERN}),
    ]
    confidence_min: Annotated[Confidence, Field(description="The least probability, 0 to 1.")] = default_of(
        ModelFilter, "confidence_min"
    )
    when_unknown: Annotated[
        WhenUnknown, Field(description="What becomes of an entry that the model says nothing fresh of.")
    ] = WhenUnknown.PASS


class ModelFilterShown(Shown):
    """Enter only what a model of the lab foretells, too."""

    model: str
    confidence_min: Amount
    when_unknown: WhenUnknown


class SymbolValues(Asked):
    """What counts on one symbol; null is not set, and the next wider setting counts."""

    is_active: bool = True
    leverage: Leverage | None = None
    margin_usd: MarginUsd | None = None
    stop_loss_pct: OwnStopLossPct | None = None
    take_profit_pct: OwnTakeProfitPct | None = None
    max_positions: Positions | None = None
    max_daily_loss_usd: LossUsd | None = None


class SymbolAsked(SymbolValues):
    """A symbol's row of a bot; its limits count all subscribers together."""

    symbol: Symbol


class OwnSymbolAsked(SymbolAsked):
    """A symbol's row of a subscription; its limits count its own positions and losses."""

    use_bot_default: Annotated[
        bool, Field(description="Leave the values of this row out; its limits stay.")
    ] = False


class SymbolShown(Shown):
    """A symbol's row of a bot."""

    symbol: str
    is_active: bool
    leverage: int | None
    margin_usd: Amount | None
    stop_loss_pct: Amount | None
    take_profit_pct: Amount | None
    max_positions: int | None
    max_daily_loss_usd: Amount | None


class OwnSymbolShown(SymbolShown):
    """A symbol's row of a subscription."""

    use_bot_default: bool


class EffectiveShown(Shown):
    """What is traded with, wherever it is set."""

    leverage: int
    margin_usd: Amount
    stop_loss_pct: Amount
    take_profit_pct: Amount
    same_side: SameSide
    opposite_side: OppositeSide
    guard: GuardShown
    risk: RiskShown


class EffectiveOnSymbolShown(EffectiveShown):
    """What one symbol is traded with; inactive where a row of the bot or of the subscription says so."""

    symbol: str | None
    is_active: bool
    origins: Annotated[
        dict[str, Origin],
        Field(
            description="Where each is set: own_symbol, own, bot_symbol or bot, the first that says something."
        ),
    ]


AllowedSymbols = Annotated[
    tuple[Symbol, ...],
    Field(
        description="Trade these only; none named is any.",
        json_schema_extra={"maxItems": ALLOWED_SYMBOLS_MAX},
    ),
]
Hours = Annotated[
    tuple[HoursAsked, ...],
    Field(
        description="Take entries in these windows only; none named is always.",
        json_schema_extra={"maxItems": TRADING_HOURS_MAX},
    ),
]
SymbolRows = Annotated[tuple[SymbolAsked, ...], Field(json_schema_extra={"maxItems": SYMBOL_ROWS_MAX})]
OwnSymbolRows = Annotated[tuple[OwnSymbolAsked, ...], Field(json_schema_extra={"maxItems": SYMBOL_ROWS_MAX})]


def asked_of(
    body: BaseModel, *, only_sent: bool = False, names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Give the fields of a body as the domain has them: all, those with these names, or those that were sent."""
    asked = body.model_dump(exclude_unset=only_sent, include=None if names is None else set(names))
    for name, kind in (("symbols", SymbolSettings), ("trading_hours", TradingHours)):
        if name in asked:
            asked[name] = tuple(kind(**row) for row in asked[name])
    for name in ("guard", "custom_guard"):
        if asked.get(name) is not None:
            guard = getattr(body, name).model_dump()  # whole: what was not sent is the standard
            targets = tuple(TargetSettings(**target) for target in guard["targets"])
            stop = None if guard["stop"] is None else StopSettings(**guard["stop"])
            asked[name] = GuardSettings(**{**guard, "stop": stop, "targets": targets})
    for name in ("risk", "custom_risk"):
        if asked.get(name) is not None:
            asked[name] = RiskRules(**getattr(body, name).model_dump())  # whole, too
    if asked.get("model_filter") is not None:
        asked["model_filter"] = ModelFilter(**asked["model_filter"])
    return asked


def effective_on(symbol: str | None, *, bot: Bot, subscription: Subscription) -> EffectiveOnSymbolShown:
    """Give what a subscription trades a symbol with; None is a symbol without rows."""
    settings = effective_settings(bot, subscription, symbol=symbol)
    rows = (settings_of(bot.symbols, symbol), settings_of(subscription.symbols, symbol))
    return EffectiveOnSymbolShown(
        symbol=symbol,
        is_active=all(row.is_active for row in rows),
        leverage=settings.leverage,
        margin_usd=settings.margin_usd,
        stop_loss_pct=settings.stop_loss_pct,
        take_profit_pct=settings.take_profit_pct,
        same_side=settings.same_side,
        opposite_side=settings.opposite_side,
        guard=GuardShown.model_validate(settings.guard),
        risk=RiskShown.model_validate(settings.risk),
        origins=origins_of(bot, subscription, symbol=symbol),
    )


def effective_by_symbol(bot: Bot, subscription: Subscription) -> dict[str, EffectiveOnSymbolShown]:
    """Give what each symbol that has a row, the bot's or the subscription's, is traded with."""
    symbols = sorted({row.symbol for row in (*bot.symbols, *subscription.symbols)})
    return {symbol: effective_on(symbol, bot=bot, subscription=subscription) for symbol in symbols}

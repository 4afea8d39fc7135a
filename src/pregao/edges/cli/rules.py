"""The options bots, subscriptions and symbol rows share; trading hours as people write them."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import typer

from pregao.edges.cli.desk import fail

NOTHING = frozenset({"none", "any", "always", "default"})
"""What takes a setting away again: a limit, the one symbol, the hours, a value in place of the bot's."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NUMBERS = {
    **{name: number for number, name in enumerate(DAYS, start=1)},
    **{
        name: number for number, name in enumerate(("seg", "ter", "qua", "qui", "sex", "sab", "dom"), start=1)
    },
    **{str(number): number for number in range(1, 8)},
}
HOURS = re.compile(r"(?P<days>\S+)\s+(?P<start>[0-9:]+)-(?P<end>[0-9:]+)(?:\s+(?P<timezone>\S+))?")

TEXTS = frozenset({"name", "webhook_path", "description", "policy"})
"""Fields whose words are only words."""

GUARD_WORDS = (
    "stop", "targets", "trailing", "trailing_percent", "trailing_step_percent", "break_even_after_target", "fee_percent",
    "slippage_percent", "is_required",
)  # fmt: skip
RISK_WORDS = (
    "capital_usd", "consecutive_losses_max", "daily_loss_pct_max", "weekly_loss_pct_max", "drawdown_pct_max",
    "position_pct_max", "reward_to_risk_min", "since",
)  # fmt: skip
MODEL_FILTER_WORDS = {"confidence": "confidence_min", "unknown": "when_unknown"}
STOP_WORDS = ("multiple", "period", "timeframe")
YES_OR_NO = {"yes": True, "no": False, "true": True, "false": False}

Guard: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Stops beside the two percentages, said whole: 'trailing=hand_span targets=3:0.5,6:0.5 "
        "break_even_after_target=yes', or 'stop=atr:2:14:15m targets=2R:0.5,4R:0.5'; default takes them away."
    ),
]
Risk: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="What an account may lose, hold and aim for, said whole: 'capital_usd=10000 consecutive_losses_max=3 "
        "daily_loss_pct_max=5 weekly_loss_pct_max=10 drawdown_pct_max=15 position_pct_max=10 reward_to_risk_min=1.5'; "
        "since=2026-01-31T00:00:00Z begins anew; default takes them away."
    ),
]
ModelFilter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Enter only what a model of `pregao model list` foretells, too: 'btc_1h confidence=0.55 unknown=deny'; none takes "
        "it away."
    ),
]
Symbol: TypeAlias = Annotated[str | None, typer.Option(help="Trade this symbol only; any takes it away.")]
Description: TypeAlias = Annotated[str | None, typer.Option(help="What it trades, for people.")]
Directions: TypeAlias = Annotated[str | None, typer.Option(help="both, buy_only or sell_only.")]
Leverage: TypeAlias = Annotated[int | None, typer.Option(help="Default leverage, 1 to 125.")]
MarginUsd: TypeAlias = Annotated[str | None, typer.Option(help="Default margin of an entry, 5 USD or more.")]
StopLossPct: TypeAlias = Annotated[str | None, typer.Option(help="Default stop, 0.1 to 50 percent.")]
TakeProfitPct: TypeAlias = Annotated[str | None, typer.Option(help="Default target, 0.1 to 100 percent.")]
MaxPositions: TypeAlias = Annotated[int | None, typer.Option(help="Default of open positions, 1 to 20.")]
SignalsPerMinuteMax: TypeAlias = Annotated[
    str | None, typer.Option(help="Signals taken in a minute; none is no limit.")
]
Approval: TypeAlias = Annotated[
    str | None, typer.Option(help="automatic, or manual: a person says yes to each entry.")
]
ApprovalSeconds: TypeAlias = Annotated[
    int | None, typer.Option(help="How long the person may take, 5 to 86400.")
]
ApprovalPriceMovePct: TypeAlias = Annotated[
    str | None, typer.Option(help="How far the price may have gone meanwhile, 0.01 to 50 percent.")
]
AllowSymbol: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="Trade only these: give it again for each; any takes the list away.")
]
Hours: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="Enter only then: 'mon-fri 09:00-17:30 America/Sao_Paulo'. Give it again for each window; "
        "always takes them away."
    ),
]
CooldownSeconds: TypeAlias = Annotated[
    int | None, typer.Option(help="Least time between two entries on one symbol, 0 to 86400.")
]
MaxEntriesPerDay: TypeAlias = Annotated[
    str | None, typer.Option(help="Entries in a UTC day; 0 is none at all, none is no limit.")
]
GlobalMaxDailyLossUsd: TypeAlias = Annotated[
    str | None, typer.Option(help="Lost by all subscribers in a UTC day; none is no limit.")
]
GlobalMaxPositions: TypeAlias = Annotated[
    str | None, typer.Option(help="Open for all subscribers at once; none is no limit.")
]
SameSide: TypeAlias = Annotated[
    str | None, typer.Option(help="On a position of the same side: ignore, add or replace.")
]
Policy: TypeAlias = Annotated[
    str | None, typer.Option(help="any, or screener: enter only what is on its list.")
]
TakesStrategies: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--takes-strategies/--no-strategies", help="Whether strategies deployed on this desk may feed it."
    ),
]
OppositeSide: TypeAlias = Annotated[
    str | None, typer.Option(help="On a position of the other side: reverse, close or ignore.")
]
Close: TypeAlias = Annotated[
    bool, typer.Option("--close", help="Close what is open now; else it is kept, guarded, for its signals.")
]
RowLeverage: TypeAlias = Annotated[str | None, typer.Option(help="1 to 125; none takes it away.")]
RowMarginUsd: TypeAlias = Annotated[str | None, typer.Option(help="5 USD or more; none takes it away.")]
RowStopLossPct: TypeAlias = Annotated[
    str | None, typer.Option(help="0.1 to 50 percent; 0 is no stop, none takes the setting away.")
]
RowTakeProfitPct: TypeAlias = Annotated[
    str | None, typer.Option(help="0.1 to 100 percent; 0 is no target, none takes the setting away.")
]
RowMaxPositions: TypeAlias = Annotated[
    str | None, typer.Option(help="Open on the symbol at once, 0 or more; none takes it away.")
]
RowMaxDailyLossUsd: TypeAlias = Annotated[
    str | None, typer.Option(help="Lost on the symbol in a UTC day, 0 or more; none takes it away.")
]
Active: TypeAlias = Annotated[
    bool | None, typer.Option("--active/--inactive", help="Whether positions are opened on the symbol.")
]

ROW_COLUMNS = {
    "symbol": "symbol",
    "is_active": "active",
    "leverage": "leverage",
    "margin_usd": "margin USD",
    "stop_loss_pct": "stop %",
    "take_profit_pct": "target %",
    "max_positions": "positions",
    "max_daily_loss_usd": "daily loss USD",
}
OWN_ROW_COLUMNS = {**ROW_COLUMNS, "use_bot_default": "bot's values"}


def asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body for the options that were given: digits as numbers, and null for what is taken away."""
    return {
        field: value if field in TEXTS else _value(value)
        for field, value in given.items()
        if value is not None
    }


def say_closing(ended: Mapping[str, Any], *, was_asked: bool) -> None:
    """Say what becomes of open positions after a bot or a subscription was ended."""
    signal_id = ended["close_signal_id"]
    if signal_id is not None:
        print(f"What is open is being closed: `pregao signal trace {signal_id}` shows the receipt.")
    elif was_asked:
        print("Nothing was open.")


def symbols_of(words: Sequence[str] | None) -> list[str] | None:
    """Give the symbols of a repeated option; `any` alone is an empty list."""
    return None if words is None else [] if _is_nothing(words) else list(words)


def hours_of(texts: Sequence[str] | None) -> list[dict[str, Any]] | None:
    """Give the windows of a repeated option; `always` alone is an empty list."""
    return None if texts is None else [] if _is_nothing(texts) else [_window(text) for text in texts]


def guard_of(text: str | None, *, field: str) -> dict[str, Any]:
    """
    Give the part of a body that sets a guard as people write it: names and values, each once.

    What is not named has its standard value: a guard is said whole. `default` is the standard, or the bot's.
    """
    if text is None:
        return {}
    if _is_nothing([text]):
        return {field: {} if field == "guard" else None}
    guard: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in GUARD_WORDS or name in guard or not value:
            fail(f"GUARD_UNREADABLE: word={word}. Write name=value of: {' '.join(GUARD_WORDS)}.", code=2)
        guard[name] = _guard_value(name, value)
    return {field: guard}


def risk_of(text: str | None, *, field: str) -> dict[str, Any]:
    """Give the part of a body that sets risk rules as people write them; what is not named is no rule."""
    if text is None:
        return {}
    if _is_nothing([text]):
        return {field: {} if field == "risk" else None}
    rules: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in RISK_WORDS or name in rules or not value:
            fail(f"RISK_UNREADABLE: word={word}. Write name=value of: {' '.join(RISK_WORDS)}.", code=2)
        rules[name] = int(value) if name == "consecutive_losses_max" and value.isdigit() else value
    return {field: rules}


def model_filter_of(text: str | None) -> dict[str, Any]:
    """Give the part of a body that sets the model entries are filtered by."""
    if text is None:
        return {}
    if _is_nothing([text]):
        return {"model_filter": None}
    model, *words = text.split()
    asked = {"model": model}
    for word in words:
        name, _, value = word.partition("=")
        field = MODEL_FILTER_WORDS.get(name, "")
        if not field or field in asked or not value:
            fail(
                f"MODEL_FILTER_UNREADABLE: word={word}. Write the model's name, then confidence=0.55, unknown=pass or unknown=deny.",
                code=2,
            )
        asked[field] = value
    return {"model_filter": asked}


def model_filter_text(told: Mapping[str, Any] | None) -> str:
    """Write such a filter as it may be given."""
    if told is None:
        return "none"
    words = (f"{word}={told[field]}" for word, field in MODEL_FILTER_WORDS.items())
    return " ".join([told["model"], *words])


def risk_text(rules: Mapping[str, Any] | None) -> str:
    """Write risk rules as they may be given."""
    if rules is None:
        return "default"
    return " ".join(f"{name}={rules[name]}" for name in RISK_WORDS if rules[name] is not None) or "none"


def guard_text(guard: Mapping[str, Any] | None) -> str:
    """Write a guard as it may be given."""
    if guard is None:
        return "default"
    shown = {
        **guard,
        "stop": _stop_text(guard["stop"]),
        "targets": ",".join(_target_text(one) for one in guard["targets"]),
    }
    words = (
        f"{name}={'yes' if shown[name] is True else 'no' if shown[name] is False else shown[name]}"
        for name in GUARD_WORDS
        if shown[name] not in (None, "")
    )
    return " ".join(words)


def _guard_value(name: str, value: str) -> Any:
    match name:
        case "stop":
            return _stop(value)
        case "targets":
            return [_target(part) for part in value.split(",")]
        case _:
            return YES_OR_NO.get(value.lower(), value)


def _stop(text: str) -> dict[str, Any]:
    """Read a stop by the range: the method, then multiple, period and timeframe as far as they are said."""
    method, *said = text.split(":")
    stop: dict[str, Any] = {"method": method}
    for name, value in zip(STOP_WORDS, said, strict=False):
        stop[name] = int(value) if name == "period" and value.isdigit() else value
    if len(said) > len(STOP_WORDS):
        fail(f"GUARD_UNREADABLE: stop={text}. Write stop=atr:2:14:15m: multiple, period, timeframe.", code=2)
    return stop


def _stop_text(stop: Mapping[str, Any] | None) -> str:
    return "" if stop is None else ":".join(str(stop[name]) for name in ("method", *STOP_WORDS))


def _target(text: str) -> dict[str, str]:
    """Read a target: 3:0.5 is half of it at 3 percent, 2R:0.5 at twice the risk."""
    distance, _, share = text.partition(":")
    risks = distance.upper().removesuffix("R")
    kind, value = ("risk_multiple", risks) if distance.upper().endswith("R") else ("percent", distance)
    return {kind: value, "share": share or "1"}


def _target_text(target: Mapping[str, Any]) -> str:
    risks = target["risk_multiple"]
    distance = target["percent"] if risks is None else f"{risks}R"
    return f"{distance}:{target['share']}"


def hours_text(windows: Sequence[Mapping[str, Any]]) -> str:
    """Write windows as they may be given."""
    texts = [
        f"{_days_text(one['days'])} {_time_text(one['start'])}-{_time_text(one['end'])} {one['timezone']}"
        for one in windows
    ]
    return "; ".join(texts) or "always"


def readable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give a bot's or a subscription's fields as people read them: lists in words, symbol rows left out."""
    shown = {
        name: value for name, value in settings.items() if name not in ("symbols", "effective_by_symbol")
    }
    if "trading_hours" in shown:
        shown["trading_hours"] = hours_text(shown["trading_hours"])
    for name in ("guard", "custom_guard"):
        if name in shown:
            shown[name] = guard_text(shown[name])
    for name in ("risk", "custom_risk"):
        if name in shown:
            shown[name] = risk_text(shown[name])
    if "model_filter" in shown:
        shown["model_filter"] = model_filter_text(shown["model_filter"])
    if "allowed_symbols" in shown:
        shown["allowed_symbols"] = ", ".join(shown["allowed_symbols"]) or "any"
    return shown


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.strip().lower() in NOTHING:
        return None
    # Whole numbers must be numbers in JSON; amounts may be either.
    return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else value


def _is_nothing(words: Sequence[str]) -> bool:
    return len(words) == 1 and words[0].strip().lower() in NOTHING


def _window(text: str) -> dict[str, Any]:
    found = HOURS.fullmatch(text.strip())
    days = None if found is None else _days(found["days"])
    if found is None or days is None:
        fail(
            f"HOURS_UNREADABLE: hours={text}. Write days, times and a zone: 'mon-fri 09:00-17:30 America/Sao_Paulo'.",
            code=2,
        )
    window = {"days": days, "start": found["start"], "end": found["end"]}
    return window if found["timezone"] is None else {**window, "timezone": found["timezone"]}


def _days(text: str) -> list[int] | None:
    if text.lower() == "daily":
        return [DAY_NUMBERS[name] for name in DAYS]
    days: list[int] = []
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        if first not in DAY_NUMBERS or (last or first) not in DAY_NUMBERS:
            return None
        start, end = DAY_NUMBERS[first], DAY_NUMBERS[last or first]
        # fri-mon goes over the end of the week.
        days += [(start + step - 1) % 7 + 1 for step in range((end - start) % 7 + 1)]
    return days


def _days_text(days: Sequence[int]) -> str:
    ordered = sorted(days)
    if len(ordered) == len(DAYS):
        return "daily"
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{DAYS[ordered[0] - 1]}-{DAYS[ordered[-1] - 1]}"
    return ",".join(DAYS[day - 1] for day in ordered)


def _time_text(time: str) -> str:
    return time.removesuffix(":00") if time.count(":") == 2 else time

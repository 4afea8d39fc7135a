"""
Every figure that `/metrics` shows: name, kind, labels, and where it comes from.

System E's 22 names are kept to the letter, milliseconds included; the others are ours. The page docs/metrics.md, the
dashboard and the rules in `deploy/` are made of this table.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What Prometheus makes of a figure."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # as it stands now
    HISTOGRAM = "histogram"  # how often a value lay below each bound
    INFO = "info"  # 1, with what there is to say in its labels


class Told(StrEnum):
    """Who feeds a figure."""

    JOURNAL = "journal"  # counted from the facts, exactly
    PROCESS = "process"  # counted in each process, written down every two seconds
    STATE = "state"  # read at each scrape
    NOBODY = "nobody"  # what would feed it is not built yet: no sample is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One name, with all its labels."""

    name: str  # as Prometheus shows it
    kind: Kind
    told: Told
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    zeros: tuple[tuple[str, ...], ...] = ()  # label values that are shown from the start, at 0


SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIDES = ("buy", "sell")
TRADE_OUTCOMES = ("win", "loss", "break_even")
TIMEFRAMES = ("day", "week", "month", "all")
SIGNAL_OUTCOMES = ("received", "repeated", "refused", "pending", "approved", "declined", "turned_away")
ORDER_OUTCOMES = (
    "planned", "denied", "accepted", "rejected", "unresolved", "filled", "canceled", "expired", "given_up",
)  # fmt: skip
CONFIDENCES = ("high", "medium", "low")
LAB_METHODS = ("run", "compare", "sweep", "train")
SEVERITIES = ("warning", "error", "critical")


def _each(*values: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    pairs: tuple[tuple[str, ...], ...] = ((),)
    for some in values:
        pairs = tuple((*pair, value) for pair in pairs for value in some)
    return pairs


C, G, H, I = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM, Kind.INFO  # noqa: E741  # columns of a table
J, P, S, N = Told.JOURNAL, Told.PROCESS, Told.STATE, Told.NOBODY


def _one(
    name: str,
    kind: Kind,
    told: Told,
    text: str,
    labels: tuple[str, ...] = (),
    *,
    buckets: tuple[float, ...] = (),
    zeros: tuple[tuple[str, ...], ...] = (),
) -> Figure:
    return Figure(name=name, kind=kind, told=told, text=text, labels=labels, buckets=buckets, zeros=zeros)


OF_THE_SOURCE = (
    _one("deriv_bot_trades_total", C, J, "Positions closed.", ("signal_type", "status"), zeros=_each(SIDES, TRADE_OUTCOMES)),
    _one("deriv_bot_trade_duration_seconds", H, J, "How long positions were held.", ("signal_type",), buckets=(60, 300, 900, 1800, 3600, 7200, 14400), zeros=_each(SIDES)),
    _one("deriv_bot_current_pnl", G, S, "Realized result in USD: of this UTC day, of 7 and 30 days, of all.", ("timeframe",), zeros=_each(TIMEFRAMES)),
    _one("deriv_bot_win_rate", G, S, "Percent of closed positions that won, of those that won or lost.", ("timeframe",), zeros=_each(TIMEFRAMES)),
    _one("deriv_bot_profit_loss_total", C, J, "USD won, and USD lost as a positive number.", ("outcome",), zeros=_each(("profit", "loss"))),
    _one("deriv_bot_signal_latency_milliseconds", H, P, "From the trade that ended a candle until a strategy had judged it.", ("model",), buckets=(10, 25, 50, 100, 250, 500, 1000)),
    _one("deriv_bot_signals_generated_total", C, P, "Signals that strategies sent to bots.", ("signal_type", "confidence_level"), zeros=_each((*SIDES, "close"), CONFIDENCES)),
    _one("deriv_bot_model_confidence", G, P, "Confidence of a strategy's or a model's last word, in percent; a rule that holds has no doubt.", ("model",)),
    _one("deriv_bot_model_accuracy", G, P, "Percent of a strategy's signals whose price had gone their way when it wanted something else, since the analyzer began.", ("model",)),
    _one("deriv_bot_tick_processing_milliseconds", H, P, "How long a monitor or the analyzer took for a price.", buckets=(1, 5, 10, 25, 50, 100, 250), zeros=((),)),
    _one("deriv_bot_ticks_processed_total", C, P, "Prices that monitors and the analyzer took.", ("symbol",)),
    _one("deriv_bot_ticks_per_second", G, P, "Prices a second that monitors and the analyzer take now.", ("symbol",)),
    _one("deriv_bot_cache_operations_total", C, P, "Questions to the cache that all processes share, and what was put there; and to the lab's own.", ("operation", "result"), zeros=(("get", "hit"), ("get", "miss"), ("set", "ok"))),
    _one("deriv_bot_cache_hit_rate", G, P, "Percent of questions to these caches that they could answer.", zeros=((),)),
    _one("deriv_bot_api_calls_total", C, P, "Questions and orders to venues, by path and HTTP status.", ("endpoint", "status")),
    _one("deriv_bot_api_latency_milliseconds", H, P, "How long venues took to answer.", ("endpoint",), buckets=(50, 100, 250, 500, 1000, 2500, 5000)),
    _one("deriv_bot_backtest_duration_seconds", H, P, "How long the lab took for a run, a comparison, a sweep, a training.", ("method",), buckets=(0.1, 0.5, 1, 5, 10, 30, 60), zeros=_each(LAB_METHODS)),
    _one("deriv_bot_backtest_sharpe_ratio", G, S, "Sharpe ratio of a strategy's last backtest in the lab; of a sweep the best one's.", ("strategy",)),
    _one("deriv_bot_backtest_max_drawdown", G, S, "Largest drawdown of the same, in percent.", ("strategy",)),
    _one("deriv_bot_info", I, S, "The desk's version.", ("version",)),
    _one("deriv_bot_uptime_seconds", G, S, "Since when the oldest worker that lives works.", zeros=((),)),
    _one("deriv_bot_errors_total", C, P, "Lines in the logs from warnings up.", ("error_type", "severity")),
)  # fmt: skip
OURS = (
    _one("pregao_signals_total", C, J, "What became of signals, and who knocked without a secret.", ("outcome",), zeros=_each(SIGNAL_OUTCOMES)),
    _one("pregao_orders_total", C, J, "What became of orders; of each all that it went through.", ("venue", "outcome"), zeros=_each(("paper",), ORDER_OUTCOMES)),
    _one("pregao_signal_sent_seconds", H, J, "From a signal's arrival until an order of it left.", ("venue",), buckets=SECONDS, zeros=(("paper",),)),
    _one("pregao_order_filled_seconds", H, J, "From when an order left until its last fill, by the venue's clock.", ("venue",), buckets=SECONDS, zeros=(("paper",),)),
    _one("pregao_signal_filled_seconds", H, J, "From a signal's arrival until the last fill of an order of it.", ("venue",), buckets=SECONDS, zeros=(("paper",),)),
    _one("pregao_stops_total", C, J, "Stops armed, raised after the price, and triggered.", ("event",), zeros=_each(("armed", "raised", "triggered"))),
    _one("pregao_unguarded_total", C, J, "Positions that stood unguarded for too long: begun, and over.", ("event",), zeros=_each(("begun", "over"))),
    _one("pregao_unguarded_seconds_total", C, J, "How long they stood unguarded in all.", zeros=((),)),
    _one("pregao_queue_depth", G, S, "Signals that wait for a decision, orders that wait for an answer.", ("queue",), zeros=_each(("signals", "orders"))),
    _one("pregao_journal_lag_seconds", G, S, "Age of the oldest fact that is not counted for good; 0: all are.", zeros=((),)),
    _one("pregao_workers", G, S, "Workers whose lease has not run out.", ("role",), zeros=_each(("trader", "monitor", "jobs"))),
    _one("pregao_price_age_seconds", G, S, "How old the last price of a guarded symbol is.", ("venue", "symbol")),
    _one("pregao_destination_slots_left", G, S, "Forwards that may leave within this minute.", ("account",)),
    _one("pregao_destination_waits_total", C, S, "Forwards that had to wait for their slot.", ("account",)),
    _one("pregao_breaker_state", G, S, "Circuit breaker: 0 closed, 1 half open, 2 open.", ("name", "scope")),
    _one("pregao_weight_used", G, S, "Request weight used in this minute, as the venue says.", ("service", "egress")),
    _one("pregao_weight_drawn", G, S, "Request weight drawn in this minute by all processes.", ("service", "egress")),
    _one("pregao_weight_max", G, S, "Request weight the venue allows in a minute.", ("service", "egress")),
    _one("pregao_weight_paused_seconds", G, S, "Rest of the silence that the venue asked for.", ("service", "egress")),
    _one("pregao_screener_tickers", G, S, "Tickers on the screener's list.", zeros=((),)),
    _one("pregao_screener_failures", G, S, "Looks in a row that gave the screener no list.", zeros=((),)),
    _one("pregao_screener_good_timestamp_seconds", G, S, "When a look last gave the screener a list, in seconds since 1970; 0: never.", zeros=((),)),
)  # fmt: skip

FIGURES: dict[str, Figure] = {figure.name: figure for figure in (*OF_THE_SOURCE, *OURS)}
"""Every figure by its name, system E's first."""


def bound_of(value: float, buckets: tuple[float, ...]) -> str:
    """Give the least bound that a value does not lie above, as its label is written."""
    return label_of(next((bound for bound in buckets if value <= bound), math.inf))


def label_of(bound: float) -> str:
    """Write a bound as it is kept: without a point that says nothing."""
    if bound == math.inf:
        return "+Inf"
    return str(int(bound)) if bound == int(bound) else str(bound)

"""The page about a backtest or a sweep: one HTML file that needs no network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from math import isfinite
from typing import Any, Final

import numpy as np

from pregao.edges.candle_files.drawing import candles_with_trades, curve, heat_map
from pregao.research.backtests.figures import Figures, drawdowns
from pregao.research.backtests.months import months_of
from pregao.research.backtests.outcome import Outcome
from pregao.research.backtests.sweep import Swept
from pregao.research.backtests.terms import Terms
from pregao.research.backtests.trial import Trial
from pregao.research.backtests.walk_forward import WalkForward
from pregao.research.candles import Candles

CANDLES_SHOWN: Final = 240  # of the candlesticks: more cannot be told apart
TRADES_SHOWN: Final = 200
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--faint:#d8dde3;--green:26,127,55;--red:207,34,46;--line:#0b62c4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171b;--faint:#343a42;--line:#5aa9ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--faint);white-space:nowrap}th:first-child,td:first-child{text-align:left}
svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--ink);text-anchor:end}.grid{stroke:var(--faint)}
.line{fill:none;stroke:var(--line);stroke-width:1.3}.filled{fill:rgba(var(--red),.25);stroke:rgb(var(--red))}
.up{fill:rgb(var(--green));stroke:rgb(var(--green))}.down{fill:rgb(var(--red));stroke:rgb(var(--red))}
.entry{fill:var(--line)}.won{fill:rgb(var(--green));stroke:var(--paper)}.lost{fill:rgb(var(--red));stroke:var(--paper)}
.good{background:rgba(var(--green),calc(var(--weight,0)*.7))}.bad{background:rgba(var(--red),calc(var(--weight,0)*.7))}
.simulated{background:rgb(var(--red));color:#fff;padding:.4rem .8rem;font-weight:700}
"""
WORDS: Final = {
    "final_equity": "final equity",
    "return_pct": "return %",
    "return_year_pct": "return a year %",
    "drawdown_max_pct": "largest drawdown %",
    "drawdown_bars_max": "longest drawdown, candles",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "calmar": "Calmar",
    "trades": "trades",
    "win_rate_pct": "win rate %",
    "profit_factor": "profit factor",
    "average_win": "average win",
    "average_loss": "average loss",
    "fees": "fees",
    "funding": "funding",
    "exposure_pct": "held %",
    "denied": "entries denied",
}


def page_of_run(trial: Trial, outcome: Outcome, terms: Terms) -> str:
    """Give the page about one backtest."""
    candles = outcome.candles
    first, end = _stretch_shown(outcome)
    count = len(outcome.trades)
    # Of many thousand only those that are shown become objects; they end in the order in which they began.
    on_candles = int(np.searchsorted(outcome.trades.exit_bar, first))
    trades = list(outcome.trades.since(max(0, min(on_candles, count - TRADES_SHOWN))))
    parts = [
        _head(f"{trial.strategy} on {candles.label}", candles),
        _pairs({"strategy": trial.strategy, **trial.values}),
        "<h2>Figures</h2>",
        _figures(trial.figures),
        "<h2>Equity</h2>",
        curve(outcome.equity),
        "<h2>Drawdown, percent below the highest so far</h2>",
        curve(-drawdowns(outcome.equity, start=outcome.start), height=140, css="fall", fills=True),
        f"<h2>Trades on candles {first + 1:,} to {end:,}</h2>",
        candles_with_trades(candles, trades, first=first, end=end),
        "<h2>Months, percent</h2>",
        _months(outcome),
        f"<h2>The last {min(count, TRADES_SHOWN)} of {count} trades</h2>",
        _trades(outcome, trades[-TRADES_SHOWN:]),
        "<h2>Terms</h2>",
        _pairs({**asdict(terms), "sizing": terms.sizing.name.lower()}),
    ]
    return _page(f"{trial.strategy} on {candles.label}", parts)


def page_of_sweep(
    candles: Candles,
    swept: Swept,
    terms: Terms,
    *,
    lucky_sharpe: float,
    deflated_sharpe: float,
    forward: WalkForward | None,
) -> str:
    """Give the page about a sweep."""
    best = swept.best(20)
    parts = [
        _head(f"Sweep of {swept.strategy} on {candles.label}", candles),
        _luck(swept, lucky_sharpe=lucky_sharpe, deflated_sharpe=deflated_sharpe),
        "<h2>The best by Sharpe ratio</h2>",
        _table(
            [*swept.combinations[0], "Sharpe", "return %", "drawdown %", "trades"],
            (
                [
                    *one.values.values(),
                    one.figures.sharpe,
                    one.figures.return_pct,
                    one.figures.drawdown_max_pct,
                    one.figures.trades,
                ]
                for one in best
            ),
        ),
        *_heat(swept),
    ]
    if forward is not None:
        parts += [
            "<h2>Chosen on one stretch, traded on the next</h2>",
            _table(
                ["traded until", "values", "Sharpe where chosen", "Sharpe after", "return %", "trades"],
                (
                    [
                        _instant(fold.traded_until_ms),
                        " ".join(f"{name}={value:g}" for name, value in fold.values.items()),
                        fold.before.sharpe,
                        fold.after.sharpe,
                        fold.after.return_pct,
                        fold.after.trades,
                    ]
                    for fold in forward.folds
                ),
            ),
            "<p>On candles that no choice had seen:</p>",
            _figures(forward.traded),
        ]
    parts += ["<h2>Terms</h2>", _pairs({**asdict(terms), "sizing": terms.sizing.name.lower()})]
    return _page(f"Sweep of {swept.strategy} on {candles.label}", parts)


def _luck(swept: Swept, *, lucky_sharpe: float, deflated_sharpe: float) -> str:
    return (
        f"<p>{len(swept):,} combinations were tried. The best of so many would reach a Sharpe ratio of {lucky_sharpe:.2f} by luck "
        f"alone; that the best one is above it has a probability of {_text(deflated_sharpe)} (the deflated Sharpe ratio).</p>"
    )


def _head(title: str, candles: Candles) -> str:
    banner = (
        '<p class="simulated">SIMULATED: no market made these prices.</p>' if candles.is_simulated else ""
    )
    first, last = _instant(int(candles.opened_at_ms[0])), _instant(int(candles.opened_at_ms[-1]))
    return (
        f"<h1>{escape(title)}</h1>{banner}<p>{len(candles):,} candles, {first} to {last} UTC, from {escape(candles.source)}; "
        f"digest {candles.digest}. No choice on this page is advice: what was, need not come again.</p>"
    )


def _stretch_shown(outcome: Outcome) -> tuple[int, int]:
    bars = len(outcome.candles)
    last = int(outcome.trades.exit_bar[-1]) + 10 if len(outcome.trades) else bars
    end = min(bars, max(last, min(bars, CANDLES_SHOWN)))
    return max(0, end - CANDLES_SHOWN), end


def _figures(figures: Figures) -> str:
    return _pairs({words: getattr(figures, name) for name, words in WORDS.items()})


def _months(outcome: Outcome) -> str:
    found = {(one.year, one.month): one.return_pct for one in months_of(outcome)}
    years = sorted({year for year, _ in found})
    cells = [[found.get((year, month)) for month in range(1, 13)] for year in years]
    whole = [_compounded(value for value in row if value is not None) for row in cells]
    return _scroll(
        heat_map(
            [[*row, total] for row, total in zip(cells, whole, strict=True)],
            rows=[str(year) for year in years],
            columns=[*MONTHS, "year"],
            titles=("year", "month"),
        )
    )


def _compounded(changes: Iterable[float]) -> float:
    return float((np.prod([1 + change / 100 for change in changes]) - 1) * 100)


def _trades(outcome: Outcome, trades: Sequence[Any]) -> str:
    opened = outcome.candles.opened_at_ms
    return _table(
        ["entry", "exit", "side", "entry price", "exit price", "profit", "ended by"],
        (
            [
                _instant(int(opened[one.entry_bar])),
                _instant(int(opened[one.exit_bar])),
                "long" if one.side > 0 else "short",
                one.entry_price,
                one.exit_price,
                one.profit,
                one.ending.name.lower(),
            ]
            for one in trades
        ),
    )


def _heat(swept: Swept) -> list[str]:
    varied = [
        name for name in swept.combinations[0] if len({values[name] for values in swept.combinations}) > 1
    ]
    if len(varied) < 2:
        return []
    down, across = varied[:2]
    rows = sorted({values[down] for values in swept.combinations})
    columns = sorted({values[across] for values in swept.combinations})
    best: dict[tuple[float, float], float] = {}
    for values, sharpe in zip(swept.combinations, swept.table["sharpe"].tolist(), strict=True):
        place = (values[down], values[across])
        best[place] = max(best.get(place, -np.inf), sharpe)
    cells = [[best.get((row, column)) for column in columns] for row in rows]
    drawn = heat_map(
        cells,
        rows=[f"{row:g}" for row in rows],
        columns=[f"{column:g}" for column in columns],
        titles=(down, across),
    )
    return [
        f"<h2>Sharpe ratio by {escape(down)} and {escape(across)}, the best of the other parameters</h2>",
        _scroll(drawn),
    ]


def _pairs(told: Mapping[str, Any]) -> str:
    lines = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(_text(value))}</td></tr>"
        for name, value in told.items()
    )
    return f"<table>{lines}</table>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return _scroll(f"<table><tr>{head}</tr>{lines}</table>")


def _scroll(table: str) -> str:
    return f'<div class="scroll">{table}</div>'


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if not isfinite(value):
        return "-"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.6g}"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _page(title: str, parts: Sequence[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}.fall{{fill:none;stroke:rgb(var(--red))}}</style></head><body>{''.join(parts)}</body></html>\n"
    )

"""Draws curves, candles and heat maps as SVG that needs nothing but a browser."""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from pregao.research.backtests.outcome import Trade
from pregao.research.candles import Candles, Prices

WIDTH: Final = 960
MARGIN: Final = 64  # left of the curve, for its numbers
POINTS_MAX: Final = 1_200  # more than a screen has columns


def curve(values: Prices, *, height: int = 220, css: str = "line", fills: bool = False) -> str:
    """Draw a curve; of many values the lowest and highest of each column are kept, so no peak is lost."""
    places, kept = thinned(values)
    if not len(kept):
        return ""
    low, high = _span(kept)
    across = MARGIN + places / max(len(values) - 1, 1) * (WIDTH - MARGIN - 8)
    down = _down(kept, low=low, high=high, height=height)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across.tolist(), down.tolist(), strict=True))
    shape = f'<polyline class="{css}" points="{points}"/>'
    if fills:
        base = f"{across[-1]:.1f},12 {across[0]:.1f},12"  # it hangs from the top
        shape = f'<polygon class="{css} filled" points="{points} {base}"/>'
    return _frame(shape, low=low, high=high, height=height)


def candles_with_trades(
    candles: Candles, trades: Sequence[Trade], *, first: int, end: int, height: int = 320
) -> str:
    """Draw the candles from ``first`` up to ``end``, with the entries and exits that lie there."""
    part = candles.part(first, end)
    low, high = float(part.low.min()), float(part.high.max())
    step = (WIDTH - MARGIN - 8) / len(part)

    def across(bar: int) -> float:
        return MARGIN + (bar - first + 0.5) * step

    def down(price: float) -> float:
        return float(_down(np.array([price]), low=low, high=high, height=height)[0])

    shapes = []
    for at in range(len(part)):
        x = across(first + at)
        top, bottom = max(part.open[at], part.close[at]), min(part.open[at], part.close[at])
        css = "up" if part.close[at] >= part.open[at] else "down"
        body = max(down(bottom) - down(top), 0.8)
        shapes.append(
            f'<line class="{css}" x1="{x:.1f}" x2="{x:.1f}" y1="{down(part.high[at]):.1f}" y2="{down(part.low[at]):.1f}"/>'
            f'<rect class="{css}" x="{x - step * 0.35:.1f}" width="{step * 0.7:.1f}" y="{down(top):.1f}" height="{body:.1f}"/>'
        )
    for trade in trades:
        if first <= trade.entry_bar < end:
            sign = 1 if trade.side > 0 else -1
            x, y = across(trade.entry_bar), down(trade.entry_price)
            said = f"{'long' if trade.side > 0 else 'short'} at {trade.entry_price:g}"
            shapes.append(
                f'<path class="entry" d="M{x:.1f} {y:.1f}l-5 {sign * 9}h10z"><title>{escape(said)}</title></path>'
            )
        if first <= trade.exit_bar < end:
            x, y = across(trade.exit_bar), down(trade.exit_price)
            css = "won" if trade.profit > 0 else "lost"
            said = f"{trade.ending.name.lower()} at {trade.exit_price:g}: {trade.profit:.2f}"
            shapes.append(
                f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(said)}</title></circle>'
            )
    return _frame("".join(shapes), low=low, high=high, height=height)


def heat_map(
    cells: Sequence[Sequence[float | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str],
) -> str:
    """Draw a table of numbers as colors: green above 0, red below, stronger the further away."""
    known = [abs(value) for row in cells for value in row if value is not None]
    largest = max(known, default=0.0) or 1.0
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = [f"<tr><th>{escape(titles[0])} \\ {escape(titles[1])}</th>{head}</tr>"]
    for name, row in zip(rows, cells, strict=True):
        shown = "".join(_cell(value, largest=largest) for value in row)
        lines.append(f"<tr><th>{escape(name)}</th>{shown}</tr>")
    return f'<table class="heat">{"".join(lines)}</table>'


def thinned(values: Prices) -> tuple[Prices, Prices]:
    """Give places and values of a curve, the lowest and highest of each column when there are more values than columns."""
    if len(values) <= POINTS_MAX:
        return np.arange(len(values), dtype=float), values
    edges = np.linspace(0, len(values), POINTS_MAX // 2 + 1).astype(int)
    kept: list[int] = []
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[first:end]
        kept += sorted({first + int(part.argmin()), first + int(part.argmax())})
    places = np.array(kept)
    return places.astype(float), values[places]


def _cell(value: float | None, *, largest: float) -> str:
    if value is None:
        return "<td></td>"
    css = "good" if value > 0 else "bad"
    return f'<td class="{css}" style="--weight:{abs(value) / largest:.2f}">{value:.2f}</td>'


def _span(values: Prices) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 1, high + 1)


def _down(values: Prices, *, low: float, high: float, height: int) -> Prices:
    down: Prices = 12 + (high - values) / ((high - low) or 1.0) * (height - 24)
    return down


def _frame(shapes: str, *, low: float, high: float, height: int) -> str:
    lines = []
    for share in (0.0, 0.5, 1.0):
        value = high - (high - low) * share
        y = 12 + share * (height - 24)
        lines.append(
            f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{MARGIN - 6}" y="{y + 4:.1f}">{value + 0.0:,.6g}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(lines)}{shapes}</svg>'

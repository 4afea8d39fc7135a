"""In what amounts one trade differs that both have: its delay, prices, quantity, fees and profit."""

from bisect import bisect_left
from functools import partial
from typing import Final

from pregao.domain.traded import SignalOrder, SignalPosition
from pregao.research.backtests.terms import BASIS_POINTS
from pregao.research.comparison.beside import Beside, prices_of
from pregao.research.comparison.difference import Cause, Difference, Kind
from pregao.research.comparison.expected import ExpectedTrade

ASTRAY_BPS_MAX: Final = 50.0  # beyond the prices that ran meanwhile: a thin book; more is no slippage
REST_MAX: Final = 1e-6  # of what was traded: parts that are added up in floats


def by_latency(beside: Beside, what: str, wanted_ms: int, filled_ms: int) -> Difference:
    """Give how long after the close it was wanted at something filled."""
    late = filled_ms - wanted_ms
    bars = bisect_left(beside.closes, filled_ms) - bisect_left(beside.closes, wanted_ms) - 1
    passed = f", {bars} more candles had closed by then" if bars > 0 else ""
    return Difference(
        kind=Kind.LATENCY,
        desk=float(late),
        backtest=0.0,
        unit="ms",
        cause=Cause.FILLED_LATER if late >= 0 else Cause.UNKNOWN,
        reason=f"It {what} {late} ms after the candle's close{passed}; a backtest has the next open.",
    )


def by_price(
    beside: Beside,
    kind: Kind,
    desk: float,
    backtest: float,
    *,
    worse: int,
    since_ms: int,
    at_ms: int,
    more: str = "",
) -> Difference:
    """Give by how much a fill was worse, and the prices that ran from the close it was wanted at until then."""
    bps = worse * (desk - backtest) / backtest * BASIS_POINTS
    span = beside.ran(since_ms, at_ms)
    if span is None:
        reason = f"{bps:+.2f} bps against us. It filled after the last candle."
        cause = Cause.LAST_CANDLE
    else:
        low, high = span
        astray = max(low - desk, desk - high, 0.0) / backtest * BASIS_POINTS
        cause = Cause.PRICES_RAN if astray <= ASTRAY_BPS_MAX else Cause.UNKNOWN
        beyond = f", and the fill lies {astray:.2f} bps beyond" if astray else ""
        reason = f"{bps:+.2f} bps against us: meanwhile prices ran from {low:g} to {high:g}{beyond}."
    return Difference(kind=kind, desk=desk, backtest=backtest, unit="", cause=cause, reason=reason + more)


def by_quantity(
    beside: Beside, desk: float, backtest: float, *, order: SignalOrder | None, decision: float | None
) -> Difference:
    """Give the quantity that the entry's own price buys, rounded to the venue's step."""
    say = partial(Difference, kind=Kind.QUANTITY, desk=desk, backtest=backtest, unit="")
    if order is None or order.margin_usd is None or decision is None or order.quantity is None:
        return say(cause=Cause.UNKNOWN, reason="No entry says what it was sized by.")
    money, leverage = float(order.margin_usd), int(order.leverage or 1)
    bought, planned = money * leverage / decision, float(order.quantity)
    rounded = bought - planned
    reason = f"{money:g} x {leverage} at {decision:g} buy {bought:.8g}, rounded down to {planned:g} by the venue's step."
    if desk < planned:
        reason += f" {planned - desk:g} of it did not fill."
    is_known = -REST_MAX * bought <= rounded < beside.step * (1 + REST_MAX) and desk <= planned
    return say(cause=Cause.SIZED_BY_ITS_PRICE if is_known else Cause.UNKNOWN, reason=reason)


def by_fees(beside: Beside, desk: SignalPosition, backtest: float) -> Difference:
    """Give the rate that the venue has taken."""
    fees, turned = float(desk.fees), float(desk.entry_notional + desk.exit_notional)
    return Difference(
        kind=Kind.FEES,
        desk=fees,
        backtest=backtest,
        unit="",
        cause=Cause.FEE_RATE,
        reason=f"The venue took {fees / turned * BASIS_POINTS:.2f} bps of what was traded, the backtest takes "
        f"{beside.fee_bps:.2f}.",
    )


def by_profit(desk: SignalPosition, backtest: ExpectedTrade) -> Difference:
    """Take the difference apart; what is left over has no reason."""
    trade, side = backtest.trade, backtest.trade.side
    entry_price, exit_price = prices_of(desk)
    assert exit_price is not None
    quantity = float(desk.entered_quantity)
    parts = {
        "entry price": -side * trade.quantity * (entry_price - trade.entry_price),
        "exit price": side * trade.quantity * (exit_price - trade.exit_price),
        "quantity": side * (quantity - trade.quantity) * (exit_price - entry_price),
        "fees": trade.fees - float(desk.fees),
        "funding": trade.funding,
    }
    earned = float(desk.realized_pnl)
    rest = earned - trade.profit - sum(parts.values())
    is_known = abs(rest) <= REST_MAX * max(float(desk.entry_notional), 1.0)
    told = ", ".join(f"{name} {value:+.6f}" for name, value in parts.items() if value)
    return Difference(
        kind=Kind.PROFIT,
        desk=earned,
        backtest=trade.profit,
        unit="",
        cause=Cause.ADDED_UP if is_known else Cause.UNKNOWN,
        reason=f"{earned - trade.profit:+.6f}: {told}." + ("" if is_known else f" {rest:+.6f} is left over."),
    )

"""How a trade that both have ended: by the same signal or level, or why not."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pregao.domain.clock import to_ms
from pregao.domain.traded import HeardSignal, SignalPosition
from pregao.research.backtests.terms import Ending
from pregao.research.comparison.beside import EARLIER, Beside, side_of
from pregao.research.comparison.difference import Cause, Difference, Kind
from pregao.research.comparison.expected import ExpectedTrade

Say = Callable[..., Difference]
"""Gives a difference whose kind and values are known already."""

BY_LEVEL: Final = {
    "stop_loss": Ending.STOP,
    "trailing_stop": Ending.STOP,
    "take_profit": Ending.TARGET,
}


def by_ending(beside: Beside, desk: SignalPosition, backtest: ExpectedTrade) -> Difference | None:
    """Give why one ended by another reason, or at another candle; None where both ended alike."""
    trade = backtest.trade
    ended = ending_of(desk)
    say = partial(Difference, kind=Kind.ENDING, desk=ended, backtest=trade.ending.name.lower(), unit="")
    if trade.ending is Ending.END:
        return _still_held(beside, desk, say)
    if desk.close_reason in BY_LEVEL or trade.ending in (Ending.STOP, Ending.TARGET):
        return _by_level(beside, desk, backtest, say)
    wanted_ms = beside.closes[trade.exit_bar - 1]
    exit_signal = None if desk.exit_signal_id is None else beside.signals.get(desk.exit_signal_id)
    if exit_signal is not None and to_ms(exit_signal.closed_at) == wanted_ms:
        return None
    if desk.close_reason is not None and exit_signal is None:
        return _closed_by_somebody(desk, say)
    said = beside.why_not(wanted_ms, None)
    if said is None and _ends_so_by_own(beside, desk, exit_signal):
        return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("that it ended here"))
    if said is None:
        return say(cause=Cause.UNKNOWN, reason="Nothing says why it did not end when the backtest's did.")
    return say(cause=said.cause, code=said.code, reason=said.reason)


def _closed_by_somebody(desk: SignalPosition, say: Say) -> Difference:
    return say(
        cause=Cause.CLOSED_BY_SOMEBODY,
        code="CLOSED_BY_SOMEBODY",
        reason=f"It was closed ({desk.close_reason}), not by a signal of the strategy.",
    )


def _still_held(beside: Beside, desk: SignalPosition, say: Say) -> Difference | None:
    if desk.closed_at is None:
        return say(
            cause=Cause.LAST_CANDLE, reason="Both held it at the last candle; the backtest closes there."
        )
    if to_ms(desk.closed_at) >= beside.closes[-1]:
        return say(
            cause=Cause.LAST_CANDLE,
            reason="It was closed after the last candle; the backtest closes there.",
        )
    if desk.close_reason in BY_LEVEL:
        return say(
            cause=Cause.STOP_MOVED if desk.is_stop_moved else Cause.UNKNOWN,
            reason="Its stop or target stood elsewhere, or was met by a price that no candle has.",
        )
    exit_signal = None if desk.exit_signal_id is None else beside.signals.get(desk.exit_signal_id)
    if exit_signal is None:
        return _closed_by_somebody(desk, say)
    if _ends_so_by_own(beside, desk, exit_signal):
        return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("that it ended here"))
    return say(cause=Cause.UNKNOWN, reason="Nothing says why it ended.")


def _ends_so_by_own(beside: Beside, desk: SignalPosition, exit_signal: HeardSignal | None) -> bool:
    """Say whether of what the desk saw the backtest makes this trade, too, with its end wanted at the same close."""
    own = None if beside.of_own is None else beside.of_own.get((beside.wanted_at_ms(desk), side_of(desk)))
    if own is None:
        return False
    if exit_signal is None:
        return own.ending is Ending.END and desk.closed_at is None
    return own.ending is Ending.SIGNAL and own.ends_at_ms == to_ms(exit_signal.closed_at)


def _by_level(beside: Beside, desk: SignalPosition, backtest: ExpectedTrade, say: Say) -> Difference | None:
    """Say whether the levels explain it: each side's hangs on the price that it paid."""
    trade = backtest.trade
    ended = None if desk.close_reason is None else BY_LEVEL.get(desk.close_reason)
    if desk.is_stop_moved:
        return say(
            cause=Cause.STOP_MOVED,
            reason="The bot moves its stop behind the price, which the backtest does not.",
        )
    exit_bar = None if desk.closed_at is None else beside.bar_at(desk.closed_at)
    if ended is trade.ending and exit_bar == trade.exit_bar:
        return None
    first = min(trade.exit_bar, len(beside.bars) - 1 if exit_bar is None else exit_bar)
    if first >= len(beside.bars):
        return say(cause=Cause.LAST_CANDLE, reason="It ended after the last candle.")
    between = _between_levels(beside, desk, backtest, first)
    if between is not None:
        return say(cause=Cause.OWN_LEVEL, reason=between)
    filled_later = _level_while_on_its_way(beside, desk, backtest, ended=ended)
    if filled_later is not None:
        return say(cause=Cause.FILLED_LATER, reason=filled_later)
    if first == trade.entry_bar or trade.exit_bar == beside.bar_at(desk.opened_at):
        return say(
            cause=Cause.ENTERED_WITHIN,
            reason="It ended on the candle of the entry: the backtest enters at an open, the desk a little later.",
        )
    if abs((exit_bar if exit_bar is not None else first) - trade.exit_bar) <= 1 and ended is trade.ending:
        return say(
            cause=Cause.TURN_OF_CANDLES,
            reason="The same level, met at the turn from one candle to the next.",
        )
    low, high = float(beside.bars.low[first]), float(beside.bars.high[first])
    return say(
        cause=Cause.UNKNOWN,
        reason=f"On one side a level was met at the candle from {low:g} to {high:g}, on the other it was not.",
    )


def _between_levels(beside: Beside, desk: SignalPosition, backtest: ExpectedTrade, bar: int) -> str | None:
    """Say that a candle came between two stops or two targets, which hang on the prices paid; None where it did not."""
    low, high = float(beside.bars.low[bar]), float(beside.bars.high[bar])
    worst, best = (low, high) if backtest.trade.side > 0 else (high, low)
    for what, own, other, reached in (
        ("stop", desk.initial_stop, backtest.stop_price, worst),
        ("target", desk.target_price, backtest.target_price, best),
    ):
        if own is None or other is None:
            continue
        if min(float(own), other) <= reached <= max(float(own), other):
            return (
                f"The {what} stood at {own:g} on the desk and at {other:g} in the backtest, by the prices paid; the candle "
                f"came to {reached:g}, between them."
            )
    return None


def _level_while_on_its_way(
    beside: Beside, desk: SignalPosition, backtest: ExpectedTrade, *, ended: Ending | None
) -> str | None:
    """Say that a level was met while only one side held the trade, its entry or exit being on its way; None where it was not."""
    trade = backtest.trade
    if trade.ending is not Ending.SIGNAL and trade.exit_bar < beside.bar_at(desk.opened_at):
        late = to_ms(desk.opened_at) - beside.closes[trade.exit_bar]
        return f"The backtest's {trade.ending.name.lower()} was met {late} ms before the desk's entry had filled."
    if trade.ending is not Ending.SIGNAL or ended is None or desk.closed_at is None:
        return None
    wanted_ms = beside.closes[trade.exit_bar - 1]
    if to_ms(desk.closed_at) < wanted_ms or beside.signal_at(wanted_ms, None) is None:
        return None
    return (
        f"Its {ended.name.lower()} was met {to_ms(desk.closed_at) - wanted_ms} ms after the close at which its end was wanted, "
        "the exit being on its way."
    )


def ending_of(position: SignalPosition) -> str:
    """Give how a position of the desk ended, in the words of its books."""
    return "held" if position.closed_at is None else position.close_reason or "closed"

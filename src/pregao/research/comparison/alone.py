"""A trade that only one of the two has, and why the other has it not."""

from functools import partial
from typing import Final

from pregao.research.comparison.beside import EARLIER, Beside
from pregao.research.comparison.difference import Cause, Difference, Kind
from pregao.research.comparison.expected import ExpectedTrade

ACTS: Final = {1: "buy", -1: "sell"}


def only_in_backtest(beside: Beside, place: tuple[int, int], backtest: ExpectedTrade) -> Difference:
    """Give why the desk has no such trade."""
    say = partial(Difference, kind=Kind.ONLY_IN_BACKTEST, desk=None, backtest=backtest.trade.profit, unit="")
    said = beside.why_not(place[0], ACTS[place[1]])
    if said is None and beside.of_own is not None and place not in beside.of_own:
        return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("no such trade"))
    if said is None:
        return say(cause=Cause.UNKNOWN, reason="The desk has no such trade, and nothing says why.")
    return say(cause=said.cause, code=said.code, reason=said.reason)


def only_on_desk(beside: Beside, place: tuple[int, int]) -> Difference:
    """Give why the backtest has no such trade."""
    say = partial(Difference, kind=Kind.ONLY_ON_DESK, desk=None, backtest=None, unit="")
    wanted_ms, side = place
    if wanted_ms >= beside.closes[-1]:
        return say(
            cause=Cause.LAST_CANDLE,
            reason="It was wanted at the close of the last candle: a backtest has no next open.",
        )
    for one in beside.expected.values():
        begins, ends = one.signal_bar, one.trade.exit_bar
        if one.trade.side == side and beside.closes[begins] < wanted_ms < beside.closes[ends]:
            return say(
                cause=Cause.STILL_HELD,
                reason="The backtest still held its trade of this side, which had ended on the desk.",
            )
    if beside.of_own is not None and place in beside.of_own:
        return say(cause=Cause.EARLIER_CANDLES, reason=EARLIER.format("this trade"))
    return say(cause=Cause.UNKNOWN, reason="The backtest has no such trade, and nothing says why.")

"""What a strategy's bot is asked for when what the strategy wants changes."""

from dataclasses import dataclass
from enum import StrEnum

from pregao.research.strategies.live import Opinion
from pregao.research.strategies.strategy import FLAT, KEEP, LONG


class Act(StrEnum):
    """What a bot is asked for, in the words of alerts."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One signal: what is asked, at the close of which candle, at which price."""

    act: Act
    closed_at_ms: int
    price: float
    opinion: Opinion


def act_of(before: int | None, wanted: int, *, is_paused: bool = False) -> Act | None:
    """
    Give what to ask for when after ``before`` this is wanted; None where nothing changes.

    It is what a backtest follows: a side is entered when it is wanted and was not at the candle before; one that ended by its
    stop is not entered again until something else was wanted. What was wanted before the first candle seen is nobody's
    business. Paused, an entry on the other side is a close, and one out of nothing is nothing.
    """
    if before is None or wanted in (before, KEEP):
        return None
    if wanted == FLAT:
        return Act.CLOSE
    if is_paused:
        return None if before == FLAT else Act.CLOSE
    return Act.BUY if wanted == LONG else Act.SELL

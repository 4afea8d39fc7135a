"""A level: how far from its entry a stop or a target is asked for, what price that is on the tick, and when it is reached."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pregao.domain.candle import Measure
from pregao.domain.money import HUNDRED, ONE, ZERO, ceil_to_step, floor_to_step, to_text
from pregao.domain.position import Direction


class StopUnusableError(Exception):
    """A stop or target cannot stand where it is asked for."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the stable ``code`` apart from the sentence."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Method(StrEnum):
    """How far away a level is."""

    PERCENT = "percent"  # of the entry price
    ABSOLUTE = "absolute"  # it is a price
    ATR = "atr"  # so many average true ranges
    RISK = "risk"  # so many times the distance between entry and stop; of targets only


class TriggerKind(StrEnum):
    """What is reached."""

    STOP = "stop"
    TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A level as somebody asks for it: kept with the stop, so that it can be said where the price came from."""

    method: Method
    value: Decimal
    measure: Measure | None = None  # of ATR: which candles the range is the average of


def level_price(
    level: Level,
    *,
    kind: TriggerKind,
    direction: Direction,
    entry_price: Decimal,
    price_tick: Decimal,
    atr: Decimal | None = None,
    risk: Decimal | None = None,
) -> Decimal:
    """
    Give the price of a level on its tick, rounded towards the entry: never more is lost, no profit is missed.

    Percent p (B1.2, D1.3): long stop = entry (1 - p/100), target = entry (1 + p/100), short mirrored; k ranges: entry
    -+ k ATR; k risks: entry +- k (entry - stop). Where the entry lies within the same tick, the next tick beyond is
    taken: a level never touches the entry.

    :raises StopUnusableError: where that is on the wrong side of the entry, not above 0, or what measures it is not known.
    """
    price = _exact_price(level, kind=kind, direction=direction, entry_price=entry_price, atr=atr, risk=risk)
    is_below = (direction is Direction.LONG) is (kind is TriggerKind.STOP)
    where = f"kind={kind} direction={direction} price={to_text(price)} entry={to_text(entry_price)}"
    if (price >= entry_price) if is_below else (price <= entry_price):
        side = "below" if is_below else "above"
        raise StopUnusableError(
            "STOP_WRONG_SIDE", f"{where}. The {kind} of a {direction} lies {side} its entry."
        )
    nearer, farther = (ceil_to_step, floor_to_step) if is_below else (floor_to_step, ceil_to_step)
    on_tick = nearer(price, step=price_tick)
    if (on_tick >= entry_price) if is_below else (on_tick <= entry_price):
        on_tick = farther(price, step=price_tick)
    if on_tick <= ZERO:
        raise StopUnusableError(
            "STOP_NOT_POSITIVE", f"{where} tick={to_text(price_tick)}. Ask for less distance."
        )
    return on_tick


def _exact_price(
    level: Level,
    *,
    kind: TriggerKind,
    direction: Direction,
    entry_price: Decimal,
    atr: Decimal | None,
    risk: Decimal | None,
) -> Decimal:
    if level.method is Method.ABSOLUTE:
        return level.value
    sign = -1 if (direction is Direction.LONG) is (kind is TriggerKind.STOP) else 1
    if level.method is Method.PERCENT:
        return entry_price * (ONE + sign * level.value / HUNDRED)
    if level.method is Method.RISK:
        if risk is None or kind is TriggerKind.STOP:
            raise StopUnusableError(
                "RISK_UNKNOWN", f"risks={to_text(level.value)}. Name the stop that the risk is measured by."
            )
        return entry_price + sign * level.value * risk
    if atr is None or atr <= ZERO:
        raise StopUnusableError(
            "ATR_UNAVAILABLE",
            f"ranges={to_text(level.value)}. Candles are missing; ask for percent or a price.",
        )
    return entry_price + sign * level.value * atr


def watched_price(*, direction: Direction, bid: Decimal, ask: Decimal) -> Decimal:
    """Give the price a position would be closed at: the bid of a long, the ask of a short; on a tape both are the trade."""
    return bid if direction is Direction.LONG else ask


def is_reached(level: Decimal, *, kind: TriggerKind, direction: Direction, price: Decimal) -> bool:
    """Say whether the price has come to the level; exactly there counts (F084)."""
    falls = (direction is Direction.LONG) is (kind is TriggerKind.STOP)
    return price <= level if falls else price >= level


def check_market_side(
    *,
    direction: Direction,
    bid: Decimal,
    ask: Decimal,
    stop_price: Decimal | None = None,
    target_price: Decimal | None = None,
) -> None:
    """
    See that levels somebody sets by hand would not trigger at once (D-13); whoever forces it does not ask.

    :raises StopUnusableError: naming the level and the price it would trigger at.
    """
    price = watched_price(direction=direction, bid=bid, ask=ask)
    for kind, level in ((TriggerKind.STOP, stop_price), (TriggerKind.TARGET, target_price)):
        if level is not None and is_reached(level, kind=kind, direction=direction, price=price):
            raise StopUnusableError(
                "STOP_AT_MARKET",
                f"kind={kind} direction={direction} level={to_text(level)} price={to_text(price)}. It would trigger at "
                "once; close the position instead, or force it.",
            )

"""
A stop that follows the price: the hand-span of system D and the percent of system E, and the move to break-even.

The corrections of spec D1.4 hold: from the immutable first stop, never at or through the market, never loosened, and
every step at most once. Prices are the bid for a long and the ask for a short.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from pregao.domain.money import HUNDRED, ONE, ZERO, ceil_to_step, floor_to_step, to_text
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, moved
from pregao.domain.stop_rule import Costs, TrailingMode


class Reason(StrEnum):
    """Why a stop is moved."""

    BREAK_EVEN = "BREAK_EVEN"  # one span is crossed, or the first target filled
    TRAILING = "TRAILING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    One move of a stop, as D1.4 step 6 records it; when and on which symbol, the fact that carries it says.

    ``step_index`` is the level taken: 1 is break-even, n is the level n spans give. ``spans_crossed`` is what the price
    had crossed then, which is more where break-even could not be placed at first. Both are 0 for percent.
    """

    position_id: int
    old_stop: Decimal
    new_stop: Decimal
    reason: Reason
    current_price: Decimal
    spans_crossed: int
    step_index: int
    span: Decimal
    adjustment_token: str


def span_of(*, entry_price: Decimal, initial_stop: Decimal) -> Decimal:
    """Give the hand-span: the first distance between entry and stop (D1.4 step 2)."""
    return abs(entry_price - initial_stop)


def spans_crossed(
    *, direction: Direction, entry_price: Decimal, initial_stop: Decimal, price: Decimal
) -> int:
    """Give how many whole spans the price is in profit, 0 where it is in none; the exact boundary counts (D1.4 step 3)."""
    profit = _profit(direction, entry_price=entry_price, price=price)
    if profit <= ZERO:
        return 0
    return int(profit // span_of(entry_price=entry_price, initial_stop=initial_stop))


def break_even_price(*, direction: Direction, entry_price: Decimal, costs: Costs) -> Decimal:
    """Give where an exit earns its costs back: entry x 1.0015 for a long, entry / 1.0015 for a short (D1.4 step 4)."""
    return entry_price * costs.factor if direction is Direction.LONG else entry_price / costs.factor


def span_level(
    *, direction: Direction, entry_price: Decimal, initial_stop: Decimal, step_index: int
) -> Decimal:
    """Give the stop for so many spans: entry + (n - 1) span for a long, entry - (n - 1) span for a short (D1.4 step 4)."""
    behind = (step_index - 1) * span_of(entry_price=entry_price, initial_stop=initial_stop)
    return entry_price + behind if direction is Direction.LONG else entry_price - behind


def percent_level(*, direction: Direction, price: Decimal, percent: Decimal) -> Decimal:
    """Give the stop so many percent behind a price: price (1 - p/100) for a long, (1 + p/100) for a short (E7)."""
    share = percent / HUNDRED
    return price * (ONE - share if direction is Direction.LONG else ONE + share)


def adjustment_of(stop: Stop, *, price: Decimal) -> Adjustment | None:
    """
    Give the move that a price asks for: the best level that lies at least one tick from the market; None to keep it.

    ``price`` is the bid for a long, the ask for a short. A level beyond reach waits until the price has gone on.
    """
    if stop.status is not StopStatus.ARMED or stop.stop_price is None or price <= ZERO:
        return None
    best: tuple[Decimal, Reason, int] | None = None
    for level, reason, step_index in _levels_at(stop, price):
        new_stop = nearer_on_tick(stop.direction, level, tick=stop.price_tick)
        if is_behind_market(stop.direction, new_stop, price=price, tick=stop.price_tick) and is_tighter(
            stop.direction, new_stop, than=stop.stop_price if best is None else best[0]
        ):
            best = (new_stop, reason, step_index)
    return None if best is None else _adjustment(stop, *best, price=price)


def raised(stop: Stop, adjustment: Adjustment) -> Stop:
    """Give the stop after a move, as its next version; a stop that changed meanwhile is not moved by an old look at it."""
    assert stop.stop_price == adjustment.old_stop, "compared and set under the position's lock"
    assert is_tighter(stop.direction, adjustment.new_stop, than=adjustment.old_stop), (
        "a stop is never loosened"
    )
    return moved(stop, stop_price=adjustment.new_stop)


def nearer_on_tick(direction: Direction, price: Decimal, *, tick: Decimal) -> Decimal:
    """Give the tick at a price, or the next one towards the market: what the rule protects is protected."""
    return ceil_to_step(price, step=tick) if direction is Direction.LONG else floor_to_step(price, step=tick)


def is_behind_market(direction: Direction, stop_price: Decimal, *, price: Decimal, tick: Decimal) -> bool:
    """Say whether a stop is at least one tick from the market: at most bid - 1 tick, at least ask + 1 tick."""
    return stop_price <= price - tick if direction is Direction.LONG else stop_price >= price + tick


def is_tighter(direction: Direction, stop_price: Decimal, *, than: Decimal) -> bool:
    """Say whether a stop protects more than another."""
    return stop_price > than if direction is Direction.LONG else stop_price < than


def _levels_at(stop: Stop, price: Decimal) -> Iterator[tuple[Decimal, Reason, int]]:
    direction, entry_price = stop.direction, stop.entry_price
    assert stop.initial_stop is not None
    assert stop.stop_price is not None
    break_even = break_even_price(direction=direction, entry_price=entry_price, costs=stop.rule.costs)
    if stop.rule.break_even_after_target and any(
        target.status is StopStatus.DISARMED for target in stop.targets
    ):
        yield break_even, Reason.BREAK_EVEN, 1
    trailing = stop.rule.trailing
    if trailing is None:
        return
    if trailing.mode is TrailingMode.PERCENT:
        level = _followed(stop, price, percent=trailing.percent)
        step = max(stop.price_tick, stop.entry_price * trailing.step_percent / HUNDRED)
        least = stop.stop_price + (step if direction is Direction.LONG else -step)
        if level == least or is_tighter(direction, level, than=least):
            yield level, Reason.TRAILING, 0
        return
    crossed = _crossed(stop, price)
    if crossed >= 1:
        yield break_even, Reason.BREAK_EVEN, 1
    step_index = min(crossed, _steps_behind_market(stop, price))
    if step_index >= 2:
        level = span_level(
            direction=direction,
            entry_price=entry_price,
            initial_stop=stop.initial_stop,
            step_index=step_index,
        )
        yield level, Reason.TRAILING, step_index


def _followed(stop: Stop, price: Decimal, *, percent: Decimal) -> Decimal:
    # A percentage of less than a tick is a tick: else a price that falls far enough would never be followed.
    level = percent_level(direction=stop.direction, price=price, percent=percent)
    on_tick = nearer_on_tick(stop.direction, level, tick=stop.price_tick)
    behind = _nearest_behind(stop, price)
    return behind if is_tighter(stop.direction, on_tick, than=behind) else on_tick


def _steps_behind_market(stop: Stop, price: Decimal) -> int:
    # The last level at least one tick from the market: with a span below a tick the newest ones are nearer.
    assert stop.initial_stop is not None
    behind = _nearest_behind(stop, price)
    profit = _profit(stop.direction, entry_price=stop.entry_price, price=behind)
    span = span_of(entry_price=stop.entry_price, initial_stop=stop.initial_stop)
    return int((profit / span).to_integral_value(ROUND_FLOOR)) + 1


def _nearest_behind(stop: Stop, price: Decimal) -> Decimal:
    tick = stop.price_tick
    if stop.direction is Direction.LONG:
        return floor_to_step(price, step=tick) - tick
    return ceil_to_step(price, step=tick) + tick


def _adjustment(
    stop: Stop, new_stop: Decimal, reason: Reason, step_index: int, *, price: Decimal
) -> Adjustment:
    assert stop.initial_stop is not None
    assert stop.stop_price is not None
    # A step is taken at most once: this names it, whichever worker comes first. Percent has no steps but its prices.
    step = str(step_index) if step_index else to_text(new_stop)
    return Adjustment(
        position_id=stop.position_id,
        old_stop=stop.stop_price,
        new_stop=new_stop,
        reason=reason,
        current_price=price,
        spans_crossed=_crossed(stop, price),
        step_index=step_index,
        span=span_of(entry_price=stop.entry_price, initial_stop=stop.initial_stop),
        adjustment_token=f"{stop.position_id}:{step}",
    )


def _crossed(stop: Stop, price: Decimal) -> int:
    assert stop.initial_stop is not None
    return spans_crossed(
        direction=stop.direction, entry_price=stop.entry_price, initial_stop=stop.initial_stop, price=price
    )


def _profit(direction: Direction, *, entry_price: Decimal, price: Decimal) -> Decimal:
    return price - entry_price if direction is Direction.LONG else entry_price - price

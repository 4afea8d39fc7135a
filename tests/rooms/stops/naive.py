"""The oracle of the stop book: every stop looked at on every tick, by the rules in decimals."""

from dataclasses import replace

from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus, TriggerKind, is_reached, watched_price
from pregao.domain.trailing import adjustment_of, raised

JUMP = 100  # basis points, and five ticks at least
JUMP_TICKS = 5


class NaiveBook:
    """A list of stops; prices are in ticks, and what it says is sorted within one tick."""

    def __init__(self, *, price_tick):
        self.price_tick = price_tick
        self.stops: dict[int, Stop] = {}
        self.before: list[tuple[int, int]] = []

    def watch(self, stop):
        self.stops[stop.position_id] = stop

    def forget(self, position_id):
        self.stops.pop(position_id, None)

    def move(self, position_id, *, stop, version):
        self.stops[position_id] = replace(
            self.stops[position_id], stop_price=stop * self.price_tick, version=version
        )

    def tick(self, bid, ask):
        if bid <= 0 or ask < bid:
            return []
        is_near = all(
            any(_is_near(price, earlier[place]) for earlier in self.before)
            for place, price in enumerate((bid, ask))
        )
        self.before = [*self.before[-1:], (bid, ask)]
        return sorted(self._look(bid, ask)) if is_near else []

    def _look(self, bid, ask):
        for position_id, stop in list(self.stops.items()):
            price = watched_price(
                direction=stop.direction, bid=bid * self.price_tick, ask=ask * self.price_tick
            )
            ticks = bid if stop.direction is Direction.LONG else ask
            asked = {"direction": stop.direction, "price": price}
            if stop.stop_price is not None and is_reached(stop.stop_price, kind=TriggerKind.STOP, **asked):
                del self.stops[position_id]
                yield position_id, "stop", 0, self._ticks(stop.stop_price), ticks, stop.version
                continue
            targets = []
            for target in stop.targets:
                is_due = target.status is StopStatus.ARMED and is_reached(
                    target.price, kind=TriggerKind.TARGET, **asked
                )
                targets.append(replace(target, status=StopStatus.TRIGGERED) if is_due else target)
                if is_due:
                    yield position_id, "target", target.number, self._ticks(target.price), ticks, stop.version
            left = replace(stop, targets=tuple(targets))
            adjustment = adjustment_of(left, price=price)
            self.stops[position_id] = raised(left, adjustment) if adjustment else left
            if adjustment:
                level = self._ticks(adjustment.new_stop)
                yield position_id, "raised", adjustment.step_index, level, ticks, stop.version + 1

    def _ticks(self, price):
        return int(price / self.price_tick)


def _is_near(price, other):
    return other > 0 and (abs(price - other) <= JUMP_TICKS or abs(price - other) * 10_000 <= other * JUMP)

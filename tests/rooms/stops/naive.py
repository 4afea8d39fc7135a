"""The oracle of the stop book: every stop looked at on every tick, by the rules in decimals."""

from dataclasses import replace

from pregao.domain.level import TriggerKind, is_reached
from pregao.domain.position import Direction
from pregao.domain.stop import Stop, StopStatus
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
        if not self.before:
            self.before = [(bid, ask)]
            return []
        sides = {}
        for place, (side, price) in enumerate((("bid", bid), ("ask", ask))):
            is_near = any(_is_near(price, earlier[place]) for earlier in self.before)
            both = (price,) if is_near else (price, self.before[-1][place])
            sides[side] = (max(both), min(both))
        self.before = [*self.before[-1:], (bid, ask)]
        return sorted(self._look(sides))

    def _look(self, sides):
        for position_id, stop in list(self.stops.items()):
            direction = stop.direction
            highest, lowest = sides["bid" if direction is Direction.LONG else "ask"]
            losing, earning = (highest, lowest) if direction is Direction.LONG else (lowest, highest)
            worst, best = losing * self.price_tick, earning * self.price_tick
            if stop.stop_price is not None and is_reached(
                stop.stop_price, kind=TriggerKind.STOP, direction=direction, price=worst
            ):
                del self.stops[position_id]
                yield position_id, "stop", 0, self._ticks(stop.stop_price), losing, stop.version
                continue
            due = [
                target.number
                for target in stop.targets
                if target.status is StopStatus.ARMED
                and is_reached(target.price, kind=TriggerKind.TARGET, direction=direction, price=best)
            ]
            if due:
                for target in stop.targets:
                    if target.number in due:
                        level = self._ticks(target.price)
                        yield position_id, "target", target.number, level, earning, stop.version
                targets = [
                    replace(target, status=StopStatus.TRIGGERED) if target.number in due else target
                    for target in stop.targets
                ]
                self.stops[position_id] = replace(stop, targets=tuple(targets))
            adjustment = adjustment_of(self.stops[position_id], price=best)
            if adjustment:
                self.stops[position_id] = raised(self.stops[position_id], adjustment)
                level = self._ticks(adjustment.new_stop)
                yield position_id, "raised", adjustment.step_index, level, earning, stop.version + 1

    def _ticks(self, price):
        return int(price / self.price_tick)


def _is_near(price, other):
    return other > 0 and (abs(price - other) <= JUMP_TICKS or abs(price - other) * 10_000 <= other * JUMP)

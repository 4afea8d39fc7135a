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
        prices = {"bid": bid * self.price_tick, "ask": ask * self.price_tick}
        for position_id, stop in list(self.stops.items()):
            direction = stop.direction
            price = watched_price(direction=direction, **prices)
            ticks = bid if direction is Direction.LONG else ask
            if stop.stop_price is not None and is_reached(
                stop.stop_price, kind=TriggerKind.STOP, direction=direction, price=price
            ):
                del self.stops[position_id]
                yield position_id, "stop", 0, self._ticks(stop.stop_price), ticks, stop.version
                continue
            due = [
                target.number
                for target in stop.targets
                if target.status is StopStatus.ARMED
                and is_reached(target.price, kind=TriggerKind.TARGET, direction=direction, price=price)
            ]
            if due:
                for target in stop.targets:
                    if target.number in due:
                        level = self._ticks(target.price)
                        yield position_id, "target", target.number, level, ticks, stop.version
                targets = [
                    replace(target, status=StopStatus.TRIGGERED) if target.number in due else target
                    for target in stop.targets
                ]
                self.stops[position_id] = replace(stop, targets=tuple(targets))
            adjustment = adjustment_of(self.stops[position_id], price=price)
            if adjustment:
                self.stops[position_id] = raised(self.stops[position_id], adjustment)
                level = self._ticks(adjustment.new_stop)
                yield position_id, "raised", adjustment.step_index, level, ticks, stop.version + 1

    def _ticks(self, price):
        return int(price / self.price_tick)


def _is_near(price, other):
    return other > 0 and (abs(price - other) <= JUMP_TICKS or abs(price - other) * 10_000 <= other * JUMP)

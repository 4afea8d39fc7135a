"""
How long what was held stood open, measured from outside: the exchange's own books, and what the monitors said. Pure.

Held is what the exchange's trades say. It is guarded while a conditional order for it waits at the exchange, or while its
stop is armed, not triggered, and a monitor holds its symbol's lease with a price younger than thirty seconds. What is
claimed and has not traded yet is not guarded: its time counts until the exchange has closed it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pregao.domain.clock import from_ms
from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX, UNGUARDED_SECONDS_MAX
from pregao.domain.money import ZERO
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.orders.resolve import CLOCK_MARGIN_MS
from pregao.proof.compare import Difference
from pregao.proof.exits import OwnGuards, OwnPosition, Place, VenueGuards

UNGUARDED = "unguarded too long"
PROVEN_DEAD_MS = RECV_WINDOW_MS + CLOCK_MARGIN_MS + 1_000  # and a second between two questions

Span = tuple[int, int]
"""From, until: in milliseconds."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a monitor said of a symbol it watched, as it stood when somebody looked."""

    symbol: str
    told_ms: int
    price_ms: int | None
    lease_until_ms: int

    @property
    def until_ms(self) -> int:
        """Until when that guards."""
        price_ms = self.price_ms or 0
        return min(self.lease_until_ms, price_ms + int(PRICE_AGE_SECONDS_MAX * 1_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Naked:
    """A time in which nothing guarded what was held."""

    place: Place
    position_id: int | None
    held: Span
    span: Span
    excused_ms: int  # of it, the database was away, the exchange answered nobody, or an exit had to be proven dead first

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.span[1] - self.span[0]) / 1_000

    @property
    def limit_seconds(self) -> float:
        """How long it might have been."""
        return UNGUARDED_SECONDS_MAX + self.excused_ms / 1_000

    @property
    def is_too_long(self) -> bool:
        """Whether it was longer."""
        return self.seconds > self.limit_seconds


def find_naked(
    own: OwnGuards,
    venue: VenueGuards,
    *,
    watched: Sequence[Watched],
    outages: Sequence[Span],
    now_ms: int,
) -> list[Naked]:
    """Give every time in which something was held and nothing guarded it."""
    found = []
    for place, held, position_id in _episodes(own, venue, now_ms=now_ms):
        position = next((one for one in own.positions if one.position_id == position_id), None)
        guarded = [*_by_venue(venue, place, held), *_by_us(own, position, watched)]
        excuses = [*outages, *_proving(own, venue, position_id)]
        for span in subtract(held, guarded):
            excused = span[1] - span[0] - sum(end - start for start, end in subtract(span, excuses))
            one = Naked(place=place, position_id=position_id, held=held, span=span, excused_ms=excused)
            found.append(one)
    return found


def too_long(naked: Iterable[Naked]) -> list[Difference]:
    """Give those that were too long."""
    return [
        Difference(
            UNGUARDED,
            f"position={one.position_id} {one.place} seconds={one.seconds:.1f} limit={one.limit_seconds:.1f} "
            f"from={_clock(one.span[0])}, held from {_clock(one.held[0])} until {_clock(one.held[1])}",
        )
        for one in naked
        if one.is_too_long
    ]


def _clock(at_ms: int) -> str:
    return from_ms(at_ms).isoformat(timespec="milliseconds")


def subtract(span: Span, others: Iterable[Span]) -> list[Span]:
    """Give what is left of a span without the others."""
    left = []
    start, end = span
    for other_start, other_end in sorted(others):
        if other_end <= start:
            continue
        if other_start >= end:
            break
        if other_start > start:
            left.append((start, other_start))
        start = other_end
        if start >= end:
            return left
    if start < end:
        left.append((start, end))
    return left


def _episodes(own: OwnGuards, venue: VenueGuards, *, now_ms: int) -> list[tuple[Place, Span, int | None]]:
    """Give each time that something was held, and the position that it was."""
    found: list[tuple[Place, Span, int | None]] = []
    held = dict.fromkeys((fill.place for fill in venue.fills), ZERO)
    began: dict[Place, tuple[int, int | None]] = {}
    for fill in venue.fills:
        account_id, symbol, _ = fill.place
        held[fill.place] += fill.quantity if fill.side == "buy" else -fill.quantity
        if fill.place not in began:
            began[fill.place] = fill.traded_ms, own.fills.get((account_id, symbol, fill.trade_id))
        if held[fill.place] == ZERO:
            start, position_id = began.pop(fill.place)
            found.append((fill.place, (start, fill.traded_ms), position_id))
    return [*found, *((place, (start, now_ms), number) for place, (start, number) in began.items())]


def _by_venue(venue: VenueGuards, place: Place, held: Span) -> Iterable[Span]:
    """What waits there for all that is held; one with a quantity is believed to be for all, as ours are."""
    for line in venue.lines:
        if line.place == place and line.created_ms <= held[1]:
            yield line.created_ms, held[1] if line.ended_ms is None else line.ended_ms


def _by_us(own: OwnGuards, position: OwnPosition | None, watched: Sequence[Watched]) -> list[Span]:
    if position is None or position.armed_ms is None:
        return []
    _, symbol, _ = position.place
    triggered = [
        (one.seen_ms, one.ended_ms or 2**62)
        for one in own.claims
        if one.position_id == position.position_id and one.kind == "stop"
    ]
    return [
        part
        for one in watched
        if one.symbol == symbol and one.told_ms >= position.armed_ms and one.until_ms > one.told_ms
        for part in subtract((one.told_ms, one.until_ms), triggered)
    ]


def _proving(own: OwnGuards, venue: VenueGuards, position_id: int | None) -> Iterable[Span]:
    """Exits that never reached the exchange: another may leave only once that is certain."""
    for attempt in own.exits:
        if attempt.position_id == position_id and attempt.client_order_id not in venue.orders:
            yield attempt.planned_ms, min(attempt.known_ms, attempt.planned_ms + PROVEN_DEAD_MS)

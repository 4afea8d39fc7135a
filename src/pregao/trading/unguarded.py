"""How long what must be guarded stands open: looked at each second, told once when it is too long, and when it is over."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from pregao.domain.account import Venue
from pregao.domain.facts import Fact, PositionGuarded, PositionUnguarded
from pregao.domain.guarding import Look, Watch, after_look
from pregao.stops.ports import LeftOpen
from pregao.trading.floor import Floor

LOOK_SECONDS = 1.0
OPEN_PER_LOOK = 1_000
MILLISECOND = Decimal("0.001")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """One position that nothing guards, since when, and whether that was told."""

    position: LeftOpen
    watch: Watch
    is_told: bool = False


class Unguarded:
    """The loop that measures the invariant: no open quantity without an effective stop for more than five seconds."""

    def __init__(self, floor: Floor) -> None:
        """Look at no venue's positions yet."""
        self._floor = floor
        self._venues: set[Venue] = set()
        self._spans: Mapping[int, Span] = {}
        self._taken_over: set[Venue] = set()  # what was told of their positions before is not known here yet

    def go_round(self, venue: Venue) -> None:
        """Look at the venue's positions."""
        if venue not in self._venues:
            self._taken_over.add(venue)
        self._venues.add(venue)

    def leave(self, venue: Venue) -> None:
        """Leave the venue's positions to another trader."""
        self._venues.discard(venue)
        self._taken_over.discard(venue)

    async def look(self) -> None:
        """Look once, a second after the last time."""
        await asyncio.sleep(LOOK_SECONDS)
        await self.look_now()

    async def look_now(self) -> None:
        """Look at what stands open, and tell of spans that have become too long, and of told ones that are over."""
        if not self._venues and not self._spans:
            return
        await self._recall()
        found = await self._floor.store.peek_open(self._venues, limit=OPEN_PER_LOOK)
        now = self._floor.clock()
        spans = {one.position_id: _seen(self._spans.get(one.position_id), one, now=now) for one in found}
        facts = [_guarded(span, now=now) for span in _over(self._spans, spans) if span.is_told]
        told = {number for number, span in spans.items() if span.watch.alarm_due(now) and not span.is_told}
        facts += [_unguarded(spans[number], now=now) for number in sorted(told)]
        if facts:
            await self._floor.record(facts)
        self._spans = {
            number: Span(span.position, span.watch, is_told=span.is_told or number in told)
            for number, span in spans.items()
        }

    async def _recall(self) -> None:
        """Know what another trader has told to stand open: it is not told twice, and its end is told by us."""
        if not self._taken_over:
            return
        venues = set(self._taken_over)
        told = await self._floor.store.peek_told_open(venues)
        before = {one.position_id: Span(one, Watch(unguarded_since=one.since), is_told=True) for one in told}
        self._spans = {**before, **self._spans}
        self._taken_over -= venues


def _seen(before: Span | None, position: LeftOpen, *, now: datetime) -> Span:
    if before is None:
        look = Look(at=now, is_guarded=False, held_since=position.since)
        return Span(position, after_look(Watch(), look))
    return Span(
        before.position, after_look(before.watch, Look(at=now, is_guarded=False)), is_told=before.is_told
    )


def _over(before: Mapping[int, Span], spans: Mapping[int, Span]) -> list[Span]:
    return [span for number, span in sorted(before.items()) if number not in spans]


def _unguarded(span: Span, *, now: datetime) -> Fact:
    seconds = _seconds(span, now=now)
    position = span.position
    assert span.watch.unguarded_since is not None
    log.critical(
        "stops.position.unguarded",
        position_id=position.position_id,
        account_id=position.account_id,
        seconds=str(seconds),
    )
    return PositionUnguarded(
        happened_at=now,
        position_id=position.position_id,
        account_id=position.account_id,
        signal_id=position.signal_id,
        since=span.watch.unguarded_since,
        seconds=seconds,
    )


def _guarded(span: Span, *, now: datetime) -> Fact:
    seconds = _seconds(span, now=now)
    position = span.position
    assert span.watch.unguarded_since is not None
    log.warning(
        "stops.position.guarded",
        position_id=position.position_id,
        account_id=position.account_id,
        seconds=str(seconds),
    )
    return PositionGuarded(
        happened_at=now,
        position_id=position.position_id,
        account_id=position.account_id,
        signal_id=position.signal_id,
        since=span.watch.unguarded_since,
        seconds=seconds,
    )


def _seconds(span: Span, *, now: datetime) -> Decimal:
    return Decimal(span.watch.seconds(now)).quantize(MILLISECOND)

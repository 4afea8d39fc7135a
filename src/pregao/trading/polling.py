"""One look at every armed stop by the prices that the venues are asked for: the backstop, and what a person runs by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog

from pregao.domain.account import Venue
from pregao.domain.execution import expected_pnl
from pregao.domain.facts import ExecutionMoved, GuardrailBlocked, OrderPlanned, StopRaised
from pregao.domain.guarding import VENUE_FIRST_SECONDS
from pregao.domain.level import watched_price
from pregao.domain.stop import Source, Trigger, trigger_of
from pregao.domain.trailing import Adjustment, adjustment_of
from pregao.domain.venue import VenueError
from pregao.stops.book import Fired, Raised
from pregao.stops.feed import DOUBT_SECONDS
from pregao.stops.ports import ArmedStop, Prices
from pregao.trading.claims import Claims, Reached
from pregao.trading.floor import Floor
from pregao.trading.watches import Pair, Watches

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A level that the asked price has reached."""

    armed: ArmedStop
    trigger: Trigger
    expected_pnl: Decimal  # of all that is held, before fees
    reached: Reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of one claim as far as it is known when the order is on its way."""

    position_id: int
    token: str | None  # None: somebody else has claimed it, or the level has moved
    order_id: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A stop that the asked price moves."""

    armed: ArmedStop
    adjustment: Adjustment
    reached: Reached


class Polling:
    """Asks, tests, claims; by the same claim as the stream, so that both exit nothing twice."""

    def __init__(
        self,
        floor: Floor,
        *,
        watches: Watches,
        prices: Mapping[Venue, Prices],
        claimed_by: str,
        start_venue: Callable[[Venue], Awaitable[None]],
    ) -> None:
        """Ask ``prices``, and commit through the floor; ``start_venue`` is called before a venue is asked at first."""
        self._floor = floor
        self._watches = watches
        self._prices = prices
        self._start_venue = start_venue
        self._started: set[Venue] = set()
        self._claims = Claims(floor, claimed_by=claimed_by)

    async def look(self) -> list[Seen]:
        """
        Give what is reached, changing nothing.

        What seems reached is asked for once more: one odd answer exits nothing.
        """
        stops = await self._stops()
        first = await self._triggers(stops, await self._ask(set(stops)))
        if not first:
            return []
        await asyncio.sleep(DOUBT_SECONDS)
        again = {one.reached.pair for one in first}
        return await self._triggers(
            {pair: stops[pair] for pair in again}, await self._ask(again, is_followed=True)
        )

    async def look_to_follow(self) -> list[Followed]:
        """Give the stops that their prices move, changing nothing."""
        stops = await self._stops()
        told = await self._ask(set(stops))
        found = []
        for pair, (bid, ask) in told.items():
            for one in stops[pair]:
                tick = one.stop.price_tick
                price = watched_price(direction=one.stop.direction, bid=bid * tick, ask=ask * tick)
                adjustment = adjustment_of(one.stop, price=price) if one.is_anchor_final else None
                if adjustment is not None:
                    raised = Raised(
                        one.stop.position_id,
                        int(adjustment.old_stop / tick),
                        int(adjustment.new_stop / tick),
                        adjustment.step_index,
                        int(price / tick),
                        one.stop.version + 1,
                    )
                    reached = self._reached(one, raised, bid=bid, ask=ask)
                    found.append(Followed(armed=one, adjustment=adjustment, reached=reached))
        return found

    async def follow(self, found: Sequence[Followed]) -> list[StopRaised]:
        """Write the moves down, each once."""
        taken = await self._claims.take([one.reached for one in found])
        return [fact for fact in taken.done if isinstance(fact, StopRaised)]

    async def exit(self, seen: Sequence[Seen]) -> list[Attempted]:
        """Claim what is reached and send what follows; the venue's own order goes first where it stands."""
        attempted: list[Attempted] = []
        batch = [one.reached for one in seen]
        while batch:
            taken = await self._claims.take(batch)
            orders = {
                fact.execution.token: fact.order_id
                for fact in taken.done
                if isinstance(fact, OrderPlanned) and fact.execution is not None
            }
            kept: dict[str, str] = {}
            for fact in taken.done:
                if isinstance(fact, GuardrailBlocked):
                    kept.setdefault(fact.token, fact.guardrail)
                elif isinstance(fact, ExecutionMoved) and fact.code is not None:
                    kept[fact.token] = fact.code
            attempted += [
                Attempted(
                    position_id=fact.stop.position_id,
                    token=fact.token,
                    order_id=orders.get(fact.token),
                    error=None if fact.token in orders else kept.get(fact.token),
                )
                for fact in taken.claimed
            ]
            attempted += [
                Attempted(position_id=one.position_id, token=None, order_id=None, error=why)
                for one, why in taken.lost
            ]
            batch = taken.waiting
            if batch:
                await asyncio.sleep(VENUE_FIRST_SECONDS)
        return attempted

    async def _stops(self) -> dict[Pair, list[ArmedStop]]:
        pairs = [pair for pair in await self._watches.watched_pairs() if pair[0] in self._prices]
        stops: dict[Pair, list[ArmedStop]] = {}
        for one in await self._watches.armed(pairs):
            stops.setdefault((one.venue, one.symbol), []).append(one)
        for venue in {pair[0] for pair in stops} - self._started:
            self._started.add(venue)
            await self._start_venue(venue)
        for (venue, symbol), here in stops.items():
            # What is not followed is not asked for; one tick serves all that were armed by it.
            self._prices[venue].follow(symbol, price_tick=here[0].stop.price_tick, take=_take_nothing)
        return stops

    async def _ask(self, pairs: set[Pair], *, is_followed: bool = False) -> dict[Pair, tuple[int, int]]:
        told: dict[Pair, tuple[int, int]] = {}
        for venue in {pair[0] for pair in pairs}:
            symbols = sorted(pair[1] for pair in pairs if pair[0] == venue)
            try:
                answer = await self._prices[venue].ask(symbols)
            except VenueError as silent:
                log.warning("stops.poll.unasked", venue=venue, symbols=len(symbols), code=silent.code)
                continue
            told |= {(venue, symbol): price for symbol, price in answer.items()}
        if not is_followed:
            await self._floor.read_prices(set(told))  # the steps of quantities, before a target needs them
        return told

    async def _triggers(
        self, stops: Mapping[Pair, Sequence[ArmedStop]], told: Mapping[Pair, tuple[int, int]]
    ) -> list[Seen]:
        found = []
        for pair, (bid, ask) in told.items():
            for one in stops[pair]:
                tick = one.stop.price_tick
                trigger = trigger_of(one.stop, bid=bid * tick, ask=ask * tick)
                if trigger is not None:
                    found.append((one, trigger, bid, ask))
        held = await self._floor.store.books().lock_positions([one.stop.position_id for one, *_ in found])
        return [
            Seen(
                armed=one,
                trigger=trigger,
                expected_pnl=expected_pnl(
                    direction=one.stop.direction,
                    entry_price=one.stop.entry_price,
                    price=trigger.price,
                    quantity=held[one.stop.position_id].quantity,
                ),
                reached=self._reached(one, _fired(one, trigger), bid=bid, ask=ask),
            )
            for one, trigger, bid, ask in found
        ]

    def _reached(self, one: ArmedStop, event: Fired | Raised, *, bid: int, ask: int) -> Reached:
        now = self._floor.clock()
        return Reached(
            pair=(one.venue, one.symbol),
            event=event,
            price_tick=one.stop.price_tick,
            source=Source.POLL,
            seen_at=now,
            price_at=now,
            bid=bid,
            ask=ask,
        )


def _fired(one: ArmedStop, trigger: Trigger) -> Fired:
    tick = one.stop.price_tick
    return Fired(
        one.stop.position_id,
        trigger.kind,
        trigger.number,
        int(trigger.level / tick),
        int(trigger.price / tick),
        trigger.version,
    )


def _take_nothing(_bid: int, _ask: int) -> None:
    """Asked for, not listened to."""

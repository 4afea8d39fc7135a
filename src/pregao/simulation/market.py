"""
Where prices come from: a seeded random walk, a recorded tape, or whoever sets them by hand.

Each gives ticks in order of time, and is asked with a time; none reads a clock or a file.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil, floor
from typing import Final, Protocol

from pregao.domain.money import ZERO, floor_to_step, is_on_step
from pregao.domain.order import Side
from pregao.simulation.books import Quote
from pregao.simulation.instruments import Listing

STEP_MS: Final = 250  # of the simulated market
STEPS_MAX: Final = 40  # made up for after a pause; the rest of the pause is skipped
STEP_VOLATILITY: Final = 0.00012  # of the price, per step: about half a percent an hour
PULL: Final = 0.0002  # back towards the start price, so that a year later the scale still fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One trade of the market; bid and ask follow from it."""

    symbol: str
    price: Decimal
    quantity: Decimal
    taker: Side
    at_ms: int


class Market(Protocol):
    """A source of ticks."""

    @property
    def label(self) -> str:
        """What the prices are: SIMULATED, TAPE or STILL. Shown wherever they are shown."""

    @property
    def has_spread(self) -> bool:
        """Whether bid and ask lie a tick apart (else both are the trade's price)."""

    def opening(self, at_ms: int) -> Sequence[Tick]:
        """Give the first tick of every symbol it has."""

    def advance(self, at_ms: int) -> Sequence[Tick]:
        """Give the ticks since the last call."""


class StillMarket:
    """Prices stand at the start until somebody sets them."""

    label = "STILL"
    has_spread = True

    def __init__(self, listings: Iterable[Listing]) -> None:
        """Hold the given contracts still."""
        self._listings = tuple(listings)

    def opening(self, at_ms: int) -> Sequence[Tick]:
        """Give every contract its start price."""
        return [opening_tick(listing, at_ms) for listing in self._listings]

    def advance(self, at_ms: int) -> Sequence[Tick]:
        """Give nothing."""
        del at_ms
        return ()


class SimulatedMarket:
    """Every contract walks at random, four steps a second; the same seed walks the same way."""

    label = "SIMULATED"
    has_spread = True

    def __init__(self, listings: Iterable[Listing], *, seed: int) -> None:
        """Walk the given contracts."""
        self._walks = [_Walk(listing, seed=seed) for listing in listings]
        self._walked_ms = 0

    def resume(self, quotes: Iterable[Quote]) -> None:
        """Walk on from where prices stood before a restart."""
        last = {quote.symbol: quote.last for quote in quotes}
        for walk in self._walks:
            walk.stand_at(last.get(walk.symbol))

    def opening(self, at_ms: int) -> Sequence[Tick]:
        """Give every contract its first price."""
        self._walked_ms = at_ms
        return [walk.tick(at_ms) for walk in self._walks]

    def advance(self, at_ms: int) -> Sequence[Tick]:
        """Give one tick per contract and step since the last call."""
        steps = (at_ms - self._walked_ms) // STEP_MS
        self._walked_ms += steps * STEP_MS
        taken = min(steps, STEPS_MAX)
        return [
            walk.step(self._walked_ms - (taken - number - 1) * STEP_MS)
            for number in range(taken)
            for walk in self._walks
        ]


class RecordedTape:
    """
    One or more symbols' recorded trades, played at ``speed`` times their pace from the moment it opens.

    Each has the time at which it is played, whenever it is asked for. With ``align_ms`` the tape begins so much later that its
    candles of ``align_ms`` times the speed are whole candles of ``align_ms`` here: a minute at speed 60 is a second of the clock.
    When it ends the last price stays, unless it loops. One that holds stands at its first price until it is told to play.
    """

    label = "TAPE"
    has_spread = False

    def __init__(
        self,
        ticks: Sequence[Tick],
        *,
        speed: float = 1.0,
        loops: bool = False,
        align_ms: int = 1,
        holds: bool = False,
    ) -> None:
        """Play these ticks, which are in order of time."""
        assert align_ms >= 1
        self._ticks = ticks
        self._speed = speed
        self._loops = loops
        self._align_ms = align_ms
        self._holds = holds
        self._next = 0
        self._begin(0)

    def opening(self, at_ms: int) -> Sequence[Tick]:
        """Give the first tick of every symbol, at the time the tape starts."""
        self._begin(at_ms)
        first: dict[str, Tick] = {}
        for tick in self._ticks:
            first.setdefault(tick.symbol, tick)
        return [replace(tick, at_ms=at_ms) for tick in first.values()]

    def advance(self, at_ms: int) -> Sequence[Tick]:
        """Give what has been played since the last call."""
        if self._holds:
            return ()
        start = self._next
        while self._next < len(self._ticks) and self._played_ms(self._ticks[self._next]) <= at_ms:
            self._next += 1
        played = [replace(tick, at_ms=self._played_ms(tick)) for tick in self._ticks[start : self._next]]
        if played and self._next == len(self._ticks) and self._loops:
            self._begin(at_ms)
        return played

    def play(self, at_ms: int) -> bool:
        """Begin now where it holds; False where it plays already."""
        if not self._holds:
            return False
        self._holds = False
        self._begin(at_ms)
        return True

    def _begin(self, at_ms: int) -> None:
        """Say by how much the tape's time, divided by its speed, is behind the clock."""
        self._next = 0
        first = self._ticks[0].at_ms / self._speed if self._ticks else 0.0
        self._behind_ms = ceil((at_ms - first) / self._align_ms) * self._align_ms

    def _played_ms(self, tick: Tick) -> int:
        return floor(self._behind_ms + tick.at_ms / self._speed)


def read_tape(lines: Iterable[str], *, symbol: str) -> Iterator[Tick]:
    """
    Read a tape's CSV lines, header first: ``ts_ms``, ``price``, ``qty`` and ``side`` or ``buyer_is_maker``.

    Rows without a price or a quantity are left out: the venue's raw trade stream does send such rows.
    """
    rows = iter(lines)
    columns = {name.strip(): place for place, name in enumerate(next(rows).split(","))}
    time_at, price_at, quantity_at = columns["ts_ms"], columns["price"], columns["qty"]
    side_at, maker_at = columns.get("side"), columns.get("buyer_is_maker")
    for row in rows:
        cells = row.rstrip("\r\n").split(",")
        price, quantity = Decimal(cells[price_at]), Decimal(cells[quantity_at])
        if price <= ZERO or quantity <= ZERO:
            continue
        sells = (
            cells[side_at] == "sell"
            if side_at is not None
            else maker_at is not None and cells[maker_at] == "1"
        )
        yield Tick(
            symbol=symbol,
            price=price,
            quantity=quantity,
            taker=Side.SELL if sells else Side.BUY,
            at_ms=int(cells[time_at]),
        )


def opening_tick(listing: Listing, at_ms: int, *, price: Decimal | None = None) -> Tick:
    """Give a tick of the smallest quantity at a price, the start price unless another is given."""
    return Tick(
        symbol=listing.symbol,
        price=price or listing.start_price,
        quantity=listing.instrument.quantity_min,
        taker=Side.BUY,
        at_ms=at_ms,
    )


def quote_after(
    tick: Tick, *, listing: Listing, trade_id: int, has_spread: bool, mark: Decimal | None = None
) -> Quote:
    """Give the quote a tick leaves behind; a buy traded at the ask, a sell at the bid."""
    bid = ask = tick.price
    price_tick = listing.instrument.price_tick
    if has_spread and is_on_step(tick.price, step=price_tick):
        if tick.taker is Side.BUY:
            bid = max(tick.price - price_tick, price_tick)
        else:
            ask = tick.price + price_tick
    return Quote(
        symbol=tick.symbol,
        bid=bid,
        ask=ask,
        last=tick.price,
        mark=mark if mark is not None else tick.price,
        quantity=tick.quantity,
        is_buyer_maker=tick.taker is Side.SELL,
        trade_id=trade_id,
        at_ms=tick.at_ms,
    )


class _Walk:
    def __init__(self, listing: Listing, *, seed: int) -> None:
        self.symbol = listing.symbol
        self._chance = random.Random(f"{seed}/{listing.symbol}")
        self._listing = listing
        self._tick = listing.instrument.price_tick
        self._home = int(listing.start_price / self._tick)
        self._ticks = float(self._home)

    def stand_at(self, price: Decimal | None) -> None:
        if price is not None:
            self._ticks = float(price / self._tick)

    def step(self, at_ms: int) -> Tick:
        noise = self._chance.gauss(0.0, STEP_VOLATILITY)
        self._ticks *= 1.0 + noise
        self._ticks += (self._home - self._ticks) * PULL
        self._ticks = max(self._ticks, 10.0)
        return self.tick(at_ms)

    def tick(self, at_ms: int) -> Tick:
        price = round(self._ticks) * self._tick
        notional = Decimal(self._chance.randint(20, 20_000))
        step = self._listing.instrument.quantity_step
        return Tick(
            symbol=self.symbol,
            price=price,
            quantity=max(floor_to_step(notional / price, step=step), step),
            taker=Side.BUY if self._chance.random() < 0.5 else Side.SELL,
            at_ms=at_ms,
        )

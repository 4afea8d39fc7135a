"""Binance's candles, asked for at the weight the venue counts: closed ones as stops are measured by them, any for charts."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TypeAlias

import msgspec

from pregao.domain.candle import Candle, Timeframe
from pregao.domain.clock import from_ms, to_ms
from pregao.domain.weight import Importance
from pregao.edges.exchanges.binance.exchange import BinanceExchange
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.binance.signing import Value
from pregao.market.ports import CandleSource
from pregao.views.bars import BARS_MAX, Bar, Window

WEIGHTS = ((99, 1), (499, 2), (1_000, 5), (1_500, 10))  # up to so many candles: what the question weighs
OPENED, OPEN, HIGH, LOW, CLOSE, VOLUME, CLOSED = range(
    7
)  # where a row has what; its last millisecond ends a candle

WholeCandle: TypeAlias = tuple[int, str, str, str, str, str]
"""Opening time in milliseconds, open, high, low, close and volume, as the venue writes them."""

_rows = msgspec.json.Decoder(list[list[int | str]])


class BinanceCandles(CandleSource):
    """The port ``market.ports.CandleSource``, beside the venue's ``BinanceExchange``."""

    def __init__(self, exchange: BinanceExchange) -> None:
        """Ask through the exchange's line, within its limits and past its breakers."""
        self._exchange = exchange

    async def candles(self, symbol: str, *, timeframe: Timeframe, limit: int) -> Sequence[Candle]:
        """Give the closed ones of the symbol's latest ``limit`` candles, oldest first."""
        parameters: dict[str, Value] = {"symbol": symbol, "interval": timeframe.value, "limit": limit}
        closed = partial(_closed, now_ms=self._exchange.venue_now_ms())
        return await self._exchange.rest.public(_call(limit), parameters, translate=closed)

    async def whole(self, symbol: str, *, interval: str, since_ms: int, limit: int) -> list[WholeCandle]:
        """Give the closed ones of the first ``limit`` candles since then, oldest first."""
        parameters: dict[str, Value] = {
            "symbol": symbol,
            "interval": interval,
            "limit": limit,
            "startTime": since_ms,
        }
        now_ms = self._exchange.venue_now_ms()
        call = replace(_call(limit), importance=Importance.REST, is_on_an_orders_way=False)
        return await self._exchange.rest.public(
            call, parameters, translate=lambda body: _whole(body, now_ms=now_ms)
        )

    async def unread(self, symbol: str, *, interval: str, limit: int) -> bytes:
        """Give the latest ``limit`` candles in the venue's own bytes, the one that still grows among them: others read them."""
        parameters: dict[str, Value] = {"symbol": symbol, "interval": interval, "limit": limit}
        call = replace(_call(limit), importance=Importance.REST, is_on_an_orders_way=False)
        return await self._exchange.rest.public(call, parameters, translate=bytes)


class BinanceBars:
    """What charts show, beside the venue's ``BinanceExchange``: nothing hangs on it, so it is the first that is not asked."""

    def __init__(self, exchange: BinanceExchange) -> None:
        """Ask through the exchange's line, within its limits and past its breakers."""
        self._exchange = exchange

    async def bars(self, symbol: str, window: Window) -> Sequence[Bar]:
        """
        Give the window's candles, oldest first; the last may still grow.

        :raises VenueError: when the venue gives none, or the minute's weight is kept for what matters more.
        """
        parameters: dict[str, Value] = {
            "symbol": symbol,
            "interval": window.timeframe.value,
            "startTime": to_ms(window.since),
            "endTime": to_ms(window.until),
            "limit": BARS_MAX,
        }
        call = replace(_call(BARS_MAX), importance=Importance.REST, is_on_an_orders_way=False)
        return await self._exchange.rest.public(call, parameters, translate=_bars)


def _call(limit: int) -> Call:
    weight = next(weight for most, weight in WEIGHTS if limit <= most)
    # An entry hangs on it; what is asked ahead of one weighs no more.
    return Call(
        method="GET",
        path="/fapi/v1/klines",
        weight=weight,
        importance=Importance.BOOKS,
        is_on_an_orders_way=True,
    )


def _bars(body: bytes) -> list[Bar]:
    return [
        Bar(
            opened_at=from_ms(int(row[OPENED])),
            open=Decimal(row[OPEN]),
            high=Decimal(row[HIGH]),
            low=Decimal(row[LOW]),
            close=Decimal(row[CLOSE]),
        )
        for row in _rows.decode(body)
    ]


def _whole(body: bytes, *, now_ms: int) -> list[WholeCandle]:
    rows = [row for row in _rows.decode(body) if int(row[CLOSED]) < now_ms]
    texts = [(int(row[OPENED]), [str(row[at]) for at in (OPEN, HIGH, LOW, CLOSE, VOLUME)]) for row in rows]
    return [(opened, *told) for opened, told in texts]  # type: ignore[misc]  # five there are


def _closed(body: bytes, *, now_ms: int) -> list[Candle]:
    rows = [row for row in _rows.decode(body) if int(row[CLOSED]) < now_ms]
    return [
        Candle(
            opened_at=from_ms(int(row[OPENED])),
            high=Decimal(row[HIGH]),
            low=Decimal(row[LOW]),
            close=Decimal(row[CLOSE]),
        )
        for row in rows
    ]

"""The market streams: what every price, every round and every second says to those who have subscribed."""

from typing import Any, Final

from pregao.domain.money import to_text
from pregao.domain.order import Side
from pregao.edges.paper.prices import ladder_rows, next_funding_ms
from pregao.edges.paper.streams import Hub
from pregao.edges.paper.venue import FUNDING_RATE, Venue
from pregao.edges.paper.wire import Json, amount_text, price_text, quantity_text
from pregao.simulation.books import Quote
from pregao.simulation.history import INTERVALS, Candle

DEPTH_LEVELS: Final = 20
SECOND_MS: Final = 1_000
MARK_SECONDS: Final = 3  # <symbol>@markPrice without a speed


class Broadcast:
    """Turns what the market does into stream messages."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        """Publish to the hub's subscribers."""
        self._venue = venue
        self._hub = hub
        self._depths: dict[str, tuple[int, dict[str, list[list[str]]]]] = {}
        self._second = 0

    def trade(self, quote: Quote) -> None:
        """Tell one trade of the market."""
        lower, hub = quote.symbol.lower(), self._hub
        if hub.has(f"{lower}@aggTrade"):
            hub.publish(f"{lower}@aggTrade", _aggregate_trade(quote))
        if hub.has(f"{lower}@trade"):
            hub.publish(f"{lower}@trade", _trade(quote))
        for stream in (f"{lower}@bookTicker", "!bookTicker"):
            if hub.has(stream):
                hub.publish(stream, self._book_ticker(quote))

    def round(self, moved: set[str], *, at_ms: int) -> None:
        """Tell what has changed since the last round: candles and depth now, marks and tickers by the second."""
        second = at_ms // SECOND_MS
        is_new_second, self._second = second != self._second, second
        for stream in self._hub.streams:
            message = self._message(stream, moved, at_ms=at_ms, second=second if is_new_second else -1)
            if message is not None:
                self._hub.publish(stream, message)

    def _message(self, stream: str, moved: set[str], *, at_ms: int, second: int) -> Any:
        if stream.startswith("!"):
            return self._all(stream, at_ms=at_ms) if second >= 0 else None
        name, _, kind = stream.partition("@")
        symbol = name.upper()
        if symbol not in self._venue.books.quotes:
            return None
        if kind.startswith("kline_"):
            return self._kline(symbol, kind[6:], at_ms=at_ms) if symbol in moved else None
        if kind.startswith("depth"):
            return self._depth(stream, symbol, kind, at_ms=at_ms) if symbol in moved else None
        if second < 0:
            return None
        if kind.startswith("markPrice"):
            is_due = kind.endswith("@1s") or second % MARK_SECONDS == 0
            return self._mark(symbol, at_ms=at_ms) if is_due else None
        if kind == "ticker":
            return self._ticker(symbol, at_ms=at_ms)
        if kind == "miniTicker":
            return self._mini_ticker(symbol, at_ms=at_ms)
        return None

    def _all(self, stream: str, *, at_ms: int) -> list[Json] | None:
        symbols = self._venue.books.quotes
        if stream.startswith("!markPrice@arr"):
            return [self._mark(symbol, at_ms=at_ms) for symbol in symbols]
        if stream == "!ticker@arr":
            return [self._ticker(symbol, at_ms=at_ms) for symbol in symbols]
        if stream == "!miniTicker@arr":
            return [self._mini_ticker(symbol, at_ms=at_ms) for symbol in symbols]
        return None

    def _kline(self, symbol: str, interval: str, *, at_ms: int) -> Json | None:
        length_ms = INTERVALS.get(interval)
        if length_ms is None:
            return None
        candle = self._venue.histories[symbol].latest(interval)
        return {
            "e": "kline",
            "E": at_ms,
            "s": symbol,
            "k": _candle(symbol, interval, candle, closes_ms=candle.opened_ms + length_ms - 1, at_ms=at_ms),
        }

    def _depth(self, stream: str, symbol: str, kind: str, *, at_ms: int) -> Json:
        levels = int(kind[5:].partition("@")[0] or 0)
        rows = {
            "b": ladder_rows(self._venue, symbol, Side.SELL, levels=levels or DEPTH_LEVELS),
            "a": ladder_rows(self._venue, symbol, Side.BUY, levels=levels or DEPTH_LEVELS),
        }
        quote = self._venue.books.quotes[symbol]
        before, known = self._depths.get(stream, (quote.trade_id - 1, {"b": [], "a": []}))
        self._depths[stream] = (quote.trade_id, rows)
        shown = rows if levels else {side: _changes(known[side], rows[side]) for side in rows}
        return {
            "e": "depthUpdate",
            "E": at_ms,
            "T": quote.at_ms,
            "s": symbol,
            "ps": symbol,
            "U": before + 1,
            "u": quote.trade_id,
            "pu": before,
            **shown,
            "st": 1,
        }

    def _book_ticker(self, quote: Quote) -> Json:
        symbol = quote.symbol
        (bid,), (ask,) = (ladder_rows(self._venue, symbol, side, levels=1) for side in (Side.SELL, Side.BUY))
        return {
            "e": "bookTicker",
            "u": quote.trade_id,
            "E": quote.at_ms,
            "T": quote.at_ms,
            "s": symbol,
            "ps": symbol,
            "b": bid[0],
            "B": bid[1],
            "a": ask[0],
            "A": ask[1],
            "st": 1,
        }

    def _mark(self, symbol: str, *, at_ms: int) -> Json:
        mark = amount_text(self._venue.books.quotes[symbol].mark)
        return {
            "e": "markPriceUpdate",
            "E": at_ms,
            "s": symbol,
            "p": mark,
            "ap": mark,
            "P": mark,
            "i": mark,
            "r": amount_text(FUNDING_RATE),
            "T": next_funding_ms(at_ms),
            "st": 1,
        }

    def _mini_ticker(self, symbol: str, *, at_ms: int) -> Json:
        day = self._venue.histories[symbol].day()
        return {
            "e": "24hrMiniTicker",
            "E": at_ms,
            "s": symbol,
            "ps": symbol,
            "c": price_text(symbol, day.close),
            "o": price_text(symbol, day.open),
            "h": price_text(symbol, day.high),
            "l": price_text(symbol, day.low),
            "v": quantity_text(symbol, day.volume),
            "q": to_text(day.quote_volume),
            "st": 1,
        }

    def _ticker(self, symbol: str, *, at_ms: int) -> Json:
        day, quote = self._venue.histories[symbol].day(), self._venue.books.quotes[symbol]
        change = day.close - day.open
        average = day.quote_volume / day.volume if day.volume else day.close
        return self._mini_ticker(symbol, at_ms=at_ms) | {
            "e": "24hrTicker",
            "p": to_text(change),
            "P": f"{change / day.open * 100:.3f}",
            "w": price_text(symbol, average),
            "Q": quantity_text(symbol, quote.quantity),
            "O": day.opened_ms,
            "C": at_ms,
            "F": day.first_id,
            "L": day.last_id,
            "n": day.trades,
        }


def _changes(before: list[list[str]], after: list[list[str]]) -> list[list[str]]:
    known: dict[str, str] = {row[0]: row[1] for row in before}
    standing = {price for price, _ in after}
    changed = [row for row in after if known.get(row[0]) != row[1]]
    return changed + [[price, "0"] for price in known if price not in standing]


def _aggregate_trade(quote: Quote) -> Json:
    return {
        "e": "aggTrade",
        "E": quote.at_ms,
        "a": quote.trade_id,
        "s": quote.symbol,
        "p": price_text(quote.symbol, quote.last),
        "q": quantity_text(quote.symbol, quote.quantity),
        "f": quote.trade_id,
        "l": quote.trade_id,
        "T": quote.at_ms,
        "m": quote.is_buyer_maker,
        "st": 1,
    }


def _trade(quote: Quote) -> Json:
    return {
        "e": "trade",
        "E": quote.at_ms,
        "T": quote.at_ms,
        "s": quote.symbol,
        "t": quote.trade_id,
        "p": price_text(quote.symbol, quote.last),
        "q": quantity_text(quote.symbol, quote.quantity),
        "X": "MARKET",
        "m": quote.is_buyer_maker,
        "st": 1,
    }


def _candle(symbol: str, interval: str, candle: Candle, *, closes_ms: int, at_ms: int) -> Json:
    return {
        "t": candle.opened_ms,
        "T": closes_ms,
        "s": symbol,
        "i": interval,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": price_text(symbol, candle.open),
        "c": price_text(symbol, candle.close),
        "h": price_text(symbol, candle.high),
        "l": price_text(symbol, candle.low),
        "v": quantity_text(symbol, candle.volume),
        "n": candle.trades,
        "x": at_ms > closes_ms,
        "q": to_text(candle.quote_volume),
        "V": quantity_text(symbol, candle.taker_volume),
        "Q": to_text(candle.taker_quote_volume),
        "B": "0",
    }

"""What shows the market to everybody: contracts, tickers, books, candles, trades, marks."""

from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from pregao.domain.money import to_text
from pregao.domain.order import Side
from pregao.edges.paper.calls import Call, Endpoint
from pregao.edges.paper.venue import FUNDING_RATE, Venue
from pregao.edges.paper.wire import Json, amount_text, price_text, quantity_text
from pregao.simulation.books import OrderKind, Quote
from pregao.simulation.history import INTERVALS, Candle
from pregao.simulation.instruments import TRIGGER_PROTECT, Listing
from pregao.simulation.limits import ORDERS_PER_10S_MAX, ORDERS_PER_MINUTE_MAX
from pregao.simulation.refusals import ExchangeError
from pregao.simulation.risk import FUNDING_EVERY_MS

ONBOARDED_MS: Final = 1_569_398_400_000
DELIVERED_MS: Final = 4_133_404_800_000  # perpetuals are delivered in the year 2100


def ping(_: Call) -> Json:
    """``GET /fapi/v1/ping``."""
    return {}


def show_time(call: Call) -> Json:
    """``GET /fapi/v1/time``."""
    return {"serverTime": call.at_ms}


def show_exchange(call: Call) -> Json:
    """``GET /fapi/v1/exchangeInfo``."""
    return {
        "timezone": "UTC",
        "serverTime": call.at_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": call.venue.weight_max,
            },
            {
                "rateLimitType": "ORDERS",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": ORDERS_PER_MINUTE_MAX,
            },
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_PER_10S_MAX},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_contract(call.venue.listings[symbol]) for symbol in call.venue.books.quotes],
    }


def show_price(call: Call) -> Json | list[Json]:
    """``GET /fapi/v1/ticker/price`` and ``/fapi/v2/ticker/price``."""
    return _one_or_all(call, _price)


def show_book_ticker(call: Call) -> Json | list[Json]:
    """``GET /fapi/v1/ticker/bookTicker``."""
    return _one_or_all(call, lambda quote: _book_ticker(call.venue, quote))


def show_day(call: Call) -> Json | list[Json]:
    """``GET /fapi/v1/ticker/24hr``."""
    return _one_or_all(call, lambda quote: _day(call.venue, quote))


def show_premium_index(call: Call) -> Json | list[Json]:
    """``GET /fapi/v1/premiumIndex``."""
    return _one_or_all(call, lambda quote: _premium_index(call, quote))


def show_depth(call: Call) -> Json:
    """``GET /fapi/v1/depth``."""
    quote = _quote(call)
    levels = call.limit(500, most=1_000)
    return {
        "lastUpdateId": quote.trade_id,
        "E": call.at_ms,
        "T": quote.at_ms,
        "bids": ladder_rows(call.venue, quote.symbol, Side.SELL, levels=levels),
        "asks": ladder_rows(call.venue, quote.symbol, Side.BUY, levels=levels),
    }


def show_klines(call: Call) -> list[list[Any]]:
    """``GET /fapi/v1/klines``."""
    return _klines(call, _quote(call).symbol)


def show_continuous_klines(call: Call) -> list[list[Any]]:
    """``GET /fapi/v1/continuousKlines``: only perpetuals are listed here."""
    pair = call.venue.exchange.floor.listing(call.text("pair")).symbol
    return _klines(call, pair)


def show_trades(call: Call) -> list[Json]:
    """``GET /fapi/v1/trades``."""
    trades = list(call.venue.histories[_quote(call).symbol].trades)[-call.limit(500, most=1_000) :]
    return [
        {
            "id": quote.trade_id,
            "price": price_text(quote.symbol, quote.last),
            "qty": quantity_text(quote.symbol, quote.quantity),
            "quoteQty": to_text(quote.last * quote.quantity),
            "time": quote.at_ms,
            "isBuyerMaker": quote.is_buyer_maker,
        }
        for quote in trades
    ]


def show_aggregate_trades(call: Call) -> list[Json]:
    """``GET /fapi/v1/aggTrades``: every trade is its own aggregate here."""
    since, until = call.find_number("startTime") or 0, call.find_number("endTime") or call.at_ms
    trades = [
        quote for quote in call.venue.histories[_quote(call).symbol].trades if since <= quote.at_ms <= until
    ]
    return [
        {
            "a": quote.trade_id,
            "p": price_text(quote.symbol, quote.last),
            "q": quantity_text(quote.symbol, quote.quantity),
            "f": quote.trade_id,
            "l": quote.trade_id,
            "T": quote.at_ms,
            "m": quote.is_buyer_maker,
        }
        for quote in trades[-call.limit(500, most=1_000) :]
    ]


def show_funding_rates(call: Call) -> list[Json]:
    """``GET /fapi/v1/fundingRate``: the same rate at every eight-hour mark."""
    symbol = call.params.get("symbol") or next(iter(call.venue.books.quotes))
    last = call.at_ms - call.at_ms % FUNDING_EVERY_MS
    marks = [last - FUNDING_EVERY_MS * number for number in range(call.limit(100, most=1_000))]
    return [
        {
            "symbol": symbol,
            "fundingRate": amount_text(FUNDING_RATE),
            "fundingTime": mark_ms,
            "markPrice": amount_text(call.venue.books.quotes[symbol].mark),
        }
        for mark_ms in reversed(marks)
    ]


def show_open_interest(call: Call) -> Json:
    """``GET /fapi/v1/openInterest``: what the accounts of this exchange hold long."""
    symbol = _quote(call).symbol
    held = [
        position.quantity
        for account in call.venue.books.accounts.values()
        for position in account.positions.values()
        if position.symbol == symbol and position.quantity > 0
    ]
    return {
        "openInterest": quantity_text(symbol, sum(held, Decimal(0))),
        "symbol": symbol,
        "time": call.at_ms,
    }


def ladder_rows(venue: Venue, symbol: str, side: Side, *, levels: int) -> list[list[str]]:
    """Give price and quantity of what a taker on ``side`` meets, best first."""
    return [
        [price_text(symbol, price), quantity_text(symbol, quantity)]
        for price, quantity in islice(venue.exchange.floor.ladder(symbol, side), levels)
    ]


def kline_row(symbol: str, candle: Candle, *, length_ms: int) -> list[Any]:
    """Give a candle as ``klines`` lists it."""
    return [
        candle.opened_ms,
        price_text(symbol, candle.open),
        price_text(symbol, candle.high),
        price_text(symbol, candle.low),
        price_text(symbol, candle.close),
        quantity_text(symbol, candle.volume),
        candle.opened_ms + length_ms - 1,
        to_text(candle.quote_volume),
        candle.trades,
        quantity_text(symbol, candle.taker_volume),
        to_text(candle.taker_quote_volume),
        "0",
    ]


def next_funding_ms(at_ms: int) -> int:
    """Give the next eight-hour mark."""
    return at_ms - at_ms % FUNDING_EVERY_MS + FUNDING_EVERY_MS


def _klines(call: Call, symbol: str) -> list[list[Any]]:
    interval = call.text("interval")
    if interval not in INTERVALS:
        raise ExchangeError(-1120)
    since, until = call.find_number("startTime"), call.find_number("endTime")
    limit = call.limit(500, most=1_500)
    candles = call.venue.histories[symbol].candles(
        interval, limit=1_500, until_ms=call.at_ms if until is None else until
    )
    if since is not None:
        candles = [candle for candle in candles if candle.opened_ms >= since][:limit]
    return [kline_row(symbol, candle, length_ms=INTERVALS[interval]) for candle in candles[-limit:]]


def _quote(call: Call) -> Quote:
    return call.venue.exchange.floor.quote(call.venue.exchange.floor.listing(call.text("symbol")).symbol)


def _one_or_all(call: Call, show: Callable[[Quote], Json]) -> Json | list[Json]:
    if call.params.get("symbol"):
        return show(_quote(call))
    return [show(quote) for quote in call.venue.books.quotes.values()]


def _price(quote: Quote) -> Json:
    return {"symbol": quote.symbol, "price": price_text(quote.symbol, quote.last), "time": quote.at_ms}


def _book_ticker(venue: Venue, quote: Quote) -> Json:
    symbol = quote.symbol
    bid, ask = (ladder_rows(venue, symbol, side, levels=1)[0] for side in (Side.SELL, Side.BUY))
    return {
        "symbol": symbol,
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        "time": quote.at_ms,
        "lastUpdateId": quote.trade_id,
    }


def _day(venue: Venue, quote: Quote) -> Json:
    symbol, day = quote.symbol, venue.histories[quote.symbol].day()
    change = day.close - day.open
    average = day.quote_volume / day.volume if day.volume else day.close
    return {
        "symbol": symbol,
        "priceChange": to_text(change),
        "priceChangePercent": f"{change / day.open * 100:.3f}",
        "weightedAvgPrice": price_text(symbol, average),
        "lastPrice": price_text(symbol, quote.last),
        "lastQty": quantity_text(symbol, quote.quantity),
        "openPrice": price_text(symbol, day.open),
        "highPrice": price_text(symbol, day.high),
        "lowPrice": price_text(symbol, day.low),
        "volume": quantity_text(symbol, day.volume),
        "quoteVolume": to_text(day.quote_volume),
        "openTime": day.opened_ms,
        "closeTime": quote.at_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }


def _premium_index(call: Call, quote: Quote) -> Json:
    mark = amount_text(quote.mark)
    return {
        "symbol": quote.symbol,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": amount_text(FUNDING_RATE),
        "nextFundingTime": next_funding_ms(call.at_ms),
        "interestRate": "0.00010000",
        "time": quote.at_ms,
    }


def _contract(listing: Listing) -> Json:
    instrument = listing.instrument
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": DELIVERED_MS,
        "onboardDate": ONBOARDED_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "marginAsset": instrument.margin_asset,
        "pricePrecision": listing.price_digits,
        "quantityPrecision": listing.quantity_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": f"{TRIGGER_PROTECT:.4f}",
        "liquidationFee": f"{listing.liquidation_fee_rate:.6f}",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(listing),
        "orderTypes": [kind.value for kind in OrderKind],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _filters(listing: Listing) -> list[Json]:
    instrument = listing.instrument
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": to_text(listing.price_min),
            "maxPrice": to_text(listing.price_max),
            "tickSize": to_text(instrument.price_tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": to_text(instrument.quantity_min),
            "maxQty": to_text(instrument.quantity_max),
            "stepSize": to_text(instrument.quantity_step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": to_text(instrument.market_quantity_min),
            "maxQty": to_text(instrument.market_quantity_max),
            "stepSize": to_text(instrument.market_quantity_step),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": to_text(instrument.notional_min)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{listing.price_up_ratio:.4f}",
            "multiplierDown": f"{listing.price_down_ratio:.4f}",
            "multiplierDecimal": "4",
        },
    ]


ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {
    ("GET", "/fapi/v1/ping"): Endpoint(act=ping),
    ("GET", "/fapi/v1/time"): Endpoint(act=show_time),
    ("GET", "/fapi/v1/exchangeInfo"): Endpoint(act=show_exchange),
    ("GET", "/fapi/v1/ticker/price"): Endpoint(act=show_price, weight_without_symbol=2),
    ("GET", "/fapi/v2/ticker/price"): Endpoint(act=show_price, weight_without_symbol=2),
    ("GET", "/fapi/v1/ticker/bookTicker"): Endpoint(act=show_book_ticker, weight=2, weight_without_symbol=5),
    ("GET", "/fapi/v1/ticker/24hr"): Endpoint(act=show_day, weight_without_symbol=40),
    ("GET", "/fapi/v1/premiumIndex"): Endpoint(act=show_premium_index, weight_without_symbol=10),
    ("GET", "/fapi/v1/depth"): Endpoint(act=show_depth, weight=10),
    ("GET", "/fapi/v1/klines"): Endpoint(act=show_klines, weight=5),
    ("GET", "/fapi/v1/continuousKlines"): Endpoint(act=show_continuous_klines, weight=5),
    ("GET", "/fapi/v1/trades"): Endpoint(act=show_trades, weight=5),
    ("GET", "/fapi/v1/aggTrades"): Endpoint(act=show_aggregate_trades, weight=20),
    ("GET", "/fapi/v1/fundingRate"): Endpoint(act=show_funding_rates),
    ("GET", "/fapi/v1/openInterest"): Endpoint(act=show_open_interest),
}

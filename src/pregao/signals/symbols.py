"""How senders spell a symbol, and the exchange's spelling of it: BTCUSDT for BINANCE:BTCUSDT.P and BTC-USDT-SWAP."""

import re
from functools import lru_cache

from pregao.signals.unreadable import Unreadable, has_placeholder, shown, unfilled

DOLLARS = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD")
STABLE = frozenset({"FDUSD", "USDT", "USDC", "BUSD", "TUSD", "DAI"})
FIAT = frozenset(
    [
        "USD",
        "EUR",
        "BRL",
        "GBP",
        "JPY",
        "TRY",
        "AUD",
        "CAD",
        "CHF",
        "NZD",
        "MXN",
        "ARS",
        "COP",
        "ZAR",
        "PLN",
        "UAH",
        "RUB",
        "IDR",
        "NGN",
        "RON",
        "CZK",
        "SEK",
        "NOK",
        "DKK",
        "HUF",
        "INR",
        "SGD",
        "HKD",
    ]
)
COINS = ("BTC", "ETH", "BNB")  # earlier ones are the quote of later ones
MONEY = STABLE | FIAT
QUOTES = MONEY | frozenset(COINS)
SYMBOL_CHARACTERS_MAX = 80  # with exchange and suffix; longer texts are no symbols and would fill the cache

_EXCHANGE = re.compile(r"[A-Za-z][A-Za-z0-9_ ]{0,23}:(?=[^:]+$)")
_SETTLED = re.compile(r"([^:/]+/[^:/]+):[A-Za-z]{2,6}")  # ccxt: BTC/USDT:USDT
_PERPETUAL = re.compile(r"(?:[.]P|[._-]PERP|-PERPETUAL|[_-]SWAP|_UMCBL|PERP)$")
_SYMBOL = re.compile(r"(?=[^A-Za-z一-鿿]*[A-Za-z一-鿿])[A-Za-z0-9一-鿿][A-Za-z0-9._!&一-鿿]{0,39}")
_NUMBERED = re.compile(r"[A-Za-z][A-Za-z0-9]{0,29}_\d{1,8}", re.ASCII)
_LIST = re.compile(r"[,;|\n]\s*\S")


@lru_cache(maxsize=4096)
def to_symbol(spelling: str, *, field: str) -> str:
    """
    Give the exchange's spelling of a symbol.

    :raises Unreadable: when it is none, several, or names no certain quote asset
    """
    text = spelling.strip()
    if has_placeholder(text):
        raise unfilled(field)
    if _LIST.search(text):
        raise Unreadable(
            "SEVERAL_ORDERS", f"field={shown(field)} names several symbols. Send one alert for each."
        )
    settled = _SETTLED.fullmatch(text)
    exchange = _EXCHANGE.match(text)
    text = settled[1] if settled else text[exchange.end() :] if exchange else text
    perpetual = _PERPETUAL.search(text.upper())
    if perpetual:
        text = text[: perpetual.start()]
    return _joined(text, spelling=spelling, field=field, needs_quote=_says_only_perpetual(perpetual))


def names_base_of(spelling: str, symbol: str) -> bool:
    """Say whether a spelling without a quote names the base of a symbol: ETH-PERP, or ETH, that of ETHUSDT."""
    text = spelling.strip().upper()
    exchange = _EXCHANGE.match(text)
    text = text[exchange.end() :] if exchange else text
    base = _PERPETUAL.sub("", text)
    return spelling.isascii() and any(symbol == base + quote for quote in DOLLARS)


def is_pair(symbol: str) -> bool:
    """Say whether the symbol certainly ends in its quote asset."""
    if len(symbol) == 6 and symbol[:3] in FIAT and symbol[3:] in FIAT:
        return True
    return has_dollar_quote(symbol) or any(
        symbol.endswith(coin) and len(symbol) > len(coin) + 1 for coin in COINS
    )


def has_dollar_quote(symbol: str) -> bool:
    """Say whether the symbol ends in a dollar or a coin that stands for one."""
    return any(symbol.endswith(quote) and len(symbol) > len(quote) + 1 for quote in DOLLARS)


def _says_only_perpetual(suffix: re.Match[str] | None) -> bool:
    # ".P" is TradingView's and follows a whole symbol; ETH-PERP and BTCPERP may leave the quote out.
    return suffix is not None and suffix[0] != ".P"


def _joined(text: str, *, spelling: str, field: str, needs_quote: bool) -> str:
    for separator in "/-_":
        if separator in text:
            symbol = _paired(text.split(separator), quote_first=separator == "_")
            if symbol is None and not needs_quote and _NUMBERED.fullmatch(text):
                return text.upper()  # R_100, BTCUSDT_260327: the venue's own underscore
            break
    else:
        symbol = _plain(text)
        if symbol is not None and (symbol in QUOTES or (needs_quote and not has_dollar_quote(symbol))):
            symbol = None
    if symbol is None or not _SYMBOL.fullmatch(symbol):
        raise _uncertain(spelling, field=field)
    return symbol


def _paired(parts: list[str], *, quote_first: bool) -> str | None:
    if len(parts) != 2 or not all(part.isalnum() and part.isascii() for part in parts):
        return None
    first, second = parts[0].upper(), parts[1].upper()
    if second in MONEY or (second in COINS and first not in QUOTES):
        return first + second
    if first in STABLE:
        return second + first if quote_first and not second.isdigit() else None  # 3Commas: USDT_BTC
    if first in COINS and second in COINS and COINS.index(first) > COINS.index(second):
        return first + second  # ETH/BTC; BTC/ETH could be either way round
    return None


def _plain(text: str) -> str | None:
    if not _SYMBOL.fullmatch(text):
        return None
    return text if "." in text else text.upper()  # US30.Cash: the broker's own suffix is kept as written


def _uncertain(spelling: str, *, field: str) -> Unreadable:
    return Unreadable(
        "SYMBOL_AMBIGUOUS",
        f"field={shown(field)} symbol={shown(spelling)}. It names no certain base and quote; "
        "write the exchange's own symbol, such as BTCUSDT.",
    )

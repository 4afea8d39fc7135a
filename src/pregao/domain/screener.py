"""The screener: an ordered list of tickers that entries may be bound to, and the strategy it is made by."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

_EXCHANGE = re.compile(r"^[A-Z][A-Z0-9_ ]{0,23}:(?=[^:]+$)")
_TICKER = re.compile(r"(?=.*[A-Z一-鿿])[A-Z0-9一-鿿][A-Z0-9._!&一-鿿]{0,39}")
_PARTS = re.compile(r"([A-Z0-9]+)[-/_]([A-Z0-9]+)")
_SHARE_CLASS_CHARACTERS_MAX = 2  # BRK-B, and no coin that prices are told in is as short


class Source(StrEnum):
    """Where a strategy's tickers come from."""

    FINVIZ = "finviz"  # the pages of its screener
    FINVIZ_EXPORT = "finviz_export"  # its paid export, one CSV
    STATIC = "static"  # a list that somebody wrote into the strategy
    FILE = "file"  # a file in the desk's folder for screeners
    MOST_TRADED = "most_traded"  # a venue's symbols by what was traded in 24 hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How the list is made: from where, how long it is, how often it is made anew. One strategy is active."""

    strategy_id: UUID
    name: str
    source: Source
    changed_at: datetime
    address: str = (
        ""  # Finviz: the screener's; a file: its name; most traded: the venue; a static list has none
    )
    tickers: tuple[str, ...] = ()  # of a static list, the best first
    description: str = ""
    top_n: int = 100
    refresh_seconds: int = 10
    page_pause_seconds: int = 0  # between two pages of one list
    reprocess_enabled: bool = False  # a ticker that enters has its last declined entry tried again
    reprocess_window_seconds: int = 300  # how old that entry may be; 0 is no limit
    respect_sell_chronology: bool = True  # not where a sell came after it
    sell_chronology_window_seconds: int = (
        300  # how far from it, or from now, such a sell counts; 0 is no limit
    )
    is_active: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the list says of one ticker."""

    ticker: str
    strategy: str  # whose list it is; empty: there is none yet
    size: int  # tickers on the list
    rank: int | None  # 1 is the best; None: it is not on it
    listed_at: datetime | None  # when the list last changed


def ticker_of(text: str) -> str | None:
    """
    Give a ticker's one spelling, None where the text is none: BRK.B for BRK-B, BTCUSDT for BINANCE:BTC-USDT.P.

    Lists and signals spell differently; both are compared in this spelling.
    """
    word = _EXCHANGE.sub("", text.strip().upper()).removesuffix(".P")
    parts = _PARTS.fullmatch(word)
    if parts and not parts[2].isdigit():
        is_share_class = len(parts[2]) <= _SHARE_CLASS_CHARACTERS_MAX
        word = f"{parts[1]}.{parts[2]}" if is_share_class else f"{parts[1]}{parts[2]}"
    return word if _TICKER.fullmatch(word) else None


class Reprocessed(StrEnum):
    """What became of a declined entry whose ticker entered the list."""

    SUCCESS = "success"  # it is decided anew, as a signal of the screener's own
    SKIPPED_POSITION_EXISTS = "skipped_position_exists"
    SKIPPED_SELL_CHRONOLOGY = "skipped_sell_chronology"  # a sell came after it

"""
Whether a price may be believed, and who watches: the stream while it speaks, asking while it is silent.

Every source feeds the same book and makes the same claim, so that a hand-over can exit nothing twice (F095).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from pregao.domain.guarding import PRICE_AGE_SECONDS_MAX, is_stale
from pregao.domain.money import ZERO
from pregao.domain.stop import Source
from pregao.stops.book import ask_ticks, bid_ticks

ASK_AFTER_SECONDS = 20.0  # of silence; a quiet market is asked about before it counts as a blind one
POLL_SECONDS = 5.0  # between two questions, the source's --interval
DOUBT_SECONDS = 0.2  # until a price far from all before it is asked for once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """When the last believable price of a symbol came, by source; our clock."""

    streamed_at: datetime | None = None
    polled_at: datetime | None = None
    asked_at: datetime | None = None  # the last question, answered or not
    is_in_doubt: bool = False  # the last price lay far from those before it

    @property
    def price_at(self) -> datetime | None:
        """Give when the last price came, whoever told it: what a software line is effective by."""
        return max((at for at in (self.streamed_at, self.polled_at) if at is not None), default=None)


def after_price(feed: Feed, *, source: Source, at: datetime, is_in_doubt: bool = False) -> Feed:
    """Give the feed after a believable price; instants that come late change nothing."""
    if source is Source.STREAM:
        latest = at if feed.streamed_at is None else max(at, feed.streamed_at)
        return replace(feed, streamed_at=latest, is_in_doubt=is_in_doubt)
    latest = at if feed.polled_at is None else max(at, feed.polled_at)
    return replace(feed, polled_at=latest, is_in_doubt=is_in_doubt)


def after_question(feed: Feed, *, at: datetime) -> Feed:
    """Give the feed after the venue was asked for the price."""
    return replace(feed, asked_at=at)


def watcher_of(feed: Feed, *, now: datetime) -> Source:
    """Give who watches: asking, once the stream has been silent for thirty seconds; the stream again with its first price."""
    return Source.POLL if is_stale(feed.streamed_at, now=now) else Source.STREAM


def is_blind(feed: Feed, *, now: datetime) -> bool:
    """Say whether nobody sees the price any more: the software lines of the symbol guard nothing, and an alarm rings."""
    return is_stale(feed.price_at, now=now)


def question_due_at(feed: Feed, *, now: datetime, every_seconds: float = POLL_SECONDS) -> datetime:
    """Give when the venue is asked for the price next: at the end of the stream's patience, then every so often."""
    if feed.is_in_doubt:
        first, wait = now, DOUBT_SECONDS
    elif feed.streamed_at is None:
        first, wait = now, every_seconds
    else:
        first, wait = feed.streamed_at + timedelta(seconds=ASK_AFTER_SECONDS), every_seconds
    return first if feed.asked_at is None else max(first, feed.asked_at + timedelta(seconds=wait))


def goes_blind_at(feed: Feed) -> datetime | None:
    """Give until when the last price says something; None where none came."""
    at = feed.price_at
    return None if at is None else at + timedelta(seconds=PRICE_AGE_SECONDS_MAX)


# --- what may be believed ---------------------------------------------------------------------------------


def trade_ticks(price: str, quantity: str, *, tick: Decimal) -> tuple[int, int] | None:
    """
    Give a trade's price as bid and ask in ticks; None for what is none.

    Binance's raw trade stream sends rows with price 0 and quantity 0 that are no trades; a text may be no number.
    """
    seen = _positive(price)
    if seen is None or _positive(quantity) is None:
        return None
    return bid_ticks(seen, tick=tick), ask_ticks(seen, tick=tick)


def quote_ticks(bid: str, ask: str, *, tick: Decimal) -> tuple[int, int] | None:
    """Give the best bid and ask in ticks; None where one is missing or they are crossed."""
    best_bid, best_ask = _positive(bid), _positive(ask)
    if best_bid is None or best_ask is None or best_ask < best_bid:
        return None
    return bid_ticks(best_bid, tick=tick), ask_ticks(best_ask, tick=tick)


def _positive(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and value > ZERO else None

"""A forward: an order that is posted to somebody else's webhook, which trades for itself."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pregao.domain.order import Leg

TIMEOUT_SECONDS_MIN, TIMEOUT_SECONDS_MAX = 1, 60
TIMEOUT_SECONDS_DEFAULT = 5
ANSWER_CHARACTERS_MAX = 500  # of an answer's text are kept

TIMED_OUT = "FORWARD_TIMEOUT"  # no answer in time, or none that could be read: the destination may have it
HTTP_ERROR = "FORWARD_HTTP_ERROR"  # it answered, and not with 2xx
UNREACHABLE = "FORWARD_UNREACHABLE"  # nothing has left: no address, no connection
FORWARD_CODES = frozenset({TIMED_OUT, HTTP_ERROR, UNREACHABLE})
"""How a forward ends that did not succeed."""


class BodyForm(StrEnum):
    """How an order is written for its destination."""

    PLAIN = "plain"  # the signal's own words: ticker, side, action, price, time
    TRADERSPOST = "traderspost"  # ticker, action (buy or exit), sentiment, price


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """How an account at the venue `webhook` posts; its URL is kept apart, sealed as credentials are."""

    host: str  # of the URL, for people to tell one from another
    timeout_seconds: int = TIMEOUT_SECONDS_DEFAULT  # for the whole of one post
    honours_idempotency: bool = (
        False  # it takes what comes with one Idempotency-Key once, however often it is posted
    )
    body: BodyForm = BodyForm.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardAnswer:
    """What a destination said to one post."""

    http_status: int | None  # None: it said nothing, or nothing that could be read
    text: str  # how its answer begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An order with the signal that asked for it, and where it goes."""

    order_id: str
    signal_id: UUID
    leg: Leg
    ticker: str
    price: Decimal | None  # the signal's own
    received_at: datetime
    body: bytes  # the signal's, secrets masked
    destination: Destination

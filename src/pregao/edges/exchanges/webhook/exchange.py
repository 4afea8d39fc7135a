"""
Somebody else's webhook as our ``Exchange``: an order is posted, and an answer 2xx says that it was taken whole.

Nothing can be asked there: no price, no order, no position. What was posted is what the books say.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime

from pregao.destinations.ports import Destinations
from pregao.destinations.refusals import DestinationError
from pregao.domain.clock import Clock, to_ms
from pregao.domain.forward import HTTP_ERROR, TIMED_OUT, UNREACHABLE, ForwardAnswer, Parcel
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO
from pregao.domain.order import PositionMode, order_of
from pregao.domain.position import UNKNOWN_PRICE
from pregao.domain.venue import (
    Acknowledgement,
    MarginMode,
    NeverKnown,
    OrderAttempt,
    Quote,
    Refused,
    RetryLater,
    VenueError,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)
from pregao.edges.exchanges.webhook.parcel import body_of
from pregao.edges.exchanges.webhook.post import Answered, NoAnswerError, NotPostedError, Post, Posts
from pregao.orders.ports import Parcels

AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0)  # by attempt: what came to nothing is posted again so much later
RETRY_AFTER_SECONDS_MAX = 3_600.0  # who wants a longer silence is posted to again then
TOO_MANY, SERVER_ERROR = 429, 500
UNRESOLVED = "DESTINATION_UNRESOLVED"  # the one code of an address that may be another in a moment
NOT_KEPT = "A destination is posted to and cannot be asked."

UrlOf = Callable[[int], Awaitable[str]]
"""Gives an account's URL; LookupError where it has none."""


class WebhookExchange:
    """The port `orders.ports.Exchange`, for all accounts at the venue `webhook`."""

    def __init__(self, *, parcels: Parcels, url_of: UrlOf, destinations: Destinations, clock: Clock) -> None:
        """Post what ``parcels`` holds where ``destinations`` allows it."""
        self._parcels = parcels
        self._url_of = url_of
        self._destinations = destinations
        self._clock = clock
        self._posts = Posts()

    async def close(self) -> None:
        """Close all connections."""
        await self._posts.close()

    async def prepare(self, attempt: OrderAttempt) -> None:
        """Nothing is signed."""

    async def submit(self, attempt: OrderAttempt) -> Acknowledgement:
        """Post the attempt once, after it was written that it leaves."""
        parcel = await self._parcels.find_parcel(_order_id(attempt))
        if parcel is None:
            raise Refused(
                UNREACHABLE, f"account={attempt.account_id}. The account has no destination any more."
            )
        post = await self._post(parcel, attempt)
        if not await self._parcels.begin(attempt):
            raise RetryLater(
                UNREACHABLE, "Not posted: somebody else has the order by now.", retry_after_seconds=0
            )
        sent_at = self._clock()
        try:
            answered = await self._posts.send(post)
        except NotPostedError as trouble:
            raise _unreachable(attempt, str(trouble)) from None
        except NoAnswerError as trouble:
            raise _silent(parcel, attempt, str(trouble)) from None
        if not 200 <= answered.status < 300:
            raise _declined(answered, attempt, now=self._clock())
        return self._taken(parcel, attempt, answered, sent_at=sent_at)

    async def _post(self, parcel: Parcel, attempt: OrderAttempt) -> Post:
        try:
            url = await self._url_of(attempt.account_id)
        except LookupError:
            raise Refused(
                UNREACHABLE, f"account={attempt.account_id}. No URL is kept for it; set one."
            ) from None
        try:
            checked = await self._destinations.check(url)
        except DestinationError as refusal:
            if refusal.code == UNRESOLVED:
                raise _unreachable(attempt, refusal.code) from None
            raise Refused(UNREACHABLE, f"{refusal.code}: {refusal.message}") from None
        return Post(
            url=url,
            addresses=checked.addresses,
            key=parcel.order_id,
            body=body_of(parcel),
            timeout_seconds=parcel.destination.timeout_seconds,
            keeps_connection=parcel.destination.honours_idempotency,
        )

    def _taken(
        self, parcel: Parcel, attempt: OrderAttempt, answered: Answered, *, sent_at: datetime
    ) -> Acknowledgement:
        now = self._clock()
        trade = VenueTrade(
            trade_id=parcel.order_id,
            exchange_order_id=parcel.order_id,
            client_order_id=attempt.client_order_id,
            symbol=attempt.symbol,
            side=attempt.side,
            position_side=attempt.position_side,
            price=UNKNOWN_PRICE if parcel.price is None else parcel.price,
            quantity=attempt.quantity,
            commission=ZERO,
            commission_asset="",
            is_maker=False,
            realized_pnl=ZERO,
            traded_at=now,
        )
        return Acknowledgement(
            exchange_order_id=parcel.order_id,
            sent_at=sent_at,
            acknowledged_at=now,
            answer=answered.answer,
            trade=trade,
        )

    async def find_order(self, *, account_id: int, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Nobody can say."""
        raise _not_kept(account_id)

    async def client_order_id_of(self, *, account_id: int, symbol: str, exchange_order_id: str) -> str | None:
        """Nobody can say."""
        raise _not_kept(account_id)

    async def trades_of(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> Sequence[VenueTrade]:
        """Nobody can say."""
        raise _not_kept(account_id)

    async def trades_since(self, *, account_id: int, symbol: str, since_ms: int) -> Sequence[VenueTrade]:
        """Give none: of what was traded there nothing is ever told."""
        return []

    async def positions(self, *, account_id: int, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Nobody can say."""
        raise _not_kept(account_id)

    async def ensure_leverage(
        self, *, account_id: int, symbol: str, leverage: int, margin_mode: MarginMode
    ) -> None:
        """Nothing is set there."""

    async def position_mode(self, *, account_id: int) -> PositionMode:
        """Give the one there is."""
        return PositionMode.ONE_WAY

    async def balance(self, *, account_id: int) -> Decimal:
        """Nobody can say."""
        raise _not_kept(account_id)

    async def instruments(self) -> dict[str, Instrument]:
        """Give none: whatever a signal names is posted, and no stop stands there."""
        return {}

    async def quote(self, symbol: str) -> Quote:
        """Nobody can say."""
        raise Refused("FORWARD_NOT_ASKED", f"symbol={symbol}. {NOT_KEPT}")

    def venue_now_ms(self) -> int:
        """Give our clock: a destination has none."""
        return to_ms(self._clock())


def _order_id(attempt: OrderAttempt) -> str:
    own = order_of(attempt.client_order_id)
    assert own is not None, "what we send bears our name"
    return own[0]


def _number(attempt: OrderAttempt) -> int:
    own = order_of(attempt.client_order_id)
    assert own is not None, "what we send bears our name"
    return own[1]


def _not_kept(account_id: int) -> Refused:
    return Refused("FORWARD_NOT_ASKED", f"account={account_id}. {NOT_KEPT}")


def _wait(attempt: OrderAttempt) -> float:
    return AGAIN_SECONDS[min(_number(attempt), len(AGAIN_SECONDS)) - 1]


def _unreachable(attempt: OrderAttempt, cause: str) -> VenueError:
    return RetryLater(
        UNREACHABLE,
        f"cause={cause}. The destination could not be reached; nothing was posted.",
        retry_after_seconds=_wait(attempt),
    )


def _silent(parcel: Parcel, attempt: OrderAttempt, cause: str) -> VenueError:
    values = f"cause={cause} timeout_seconds={parcel.destination.timeout_seconds}"
    silence = ForwardAnswer(http_status=None, text="")
    if parcel.destination.honours_idempotency:
        later = RetryLater(
            TIMED_OUT,
            f"{values}. No answer came back; it is posted again under the same Idempotency-Key.",
            retry_after_seconds=_wait(attempt),
        )
        return _with_answer(later, silence)
    end = NeverKnown(
        TIMED_OUT,
        f"{values}. No answer came back: the destination may have it. It is not posted again, because the destination is "
        "not said to honour the header Idempotency-Key. Look there.",
    )
    return _with_answer(end, silence)


def _declined(answered: Answered, attempt: OrderAttempt, *, now: datetime) -> VenueError:
    status = answered.status
    problem: VenueError
    if status == TOO_MANY or status >= SERVER_ERROR:
        wait = max(_wait(attempt), retry_seconds(answered.retry_after, now=now))
        problem = RetryLater(
            HTTP_ERROR, f"http_status={status}. It is posted again.", retry_after_seconds=wait
        )
    else:
        problem = Refused(HTTP_ERROR, f"http_status={status}. The destination did not take it.")
    return _with_answer(problem, answered.answer)


def retry_seconds(text: str | None, *, now: datetime) -> float:
    """Give how long a header Retry-After wants us to wait, in seconds or until a date; 0 where it says nothing readable."""
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), RETRY_AFTER_SECONDS_MAX)


def _with_answer(problem: VenueError, answer: ForwardAnswer) -> VenueError:
    problem.answer = answer
    return problem

"""
The webhooks: bytes become a committed signal before anybody is answered.

A bare ASGI application in front of the API: what is no webhook passes through. Size, bot, address, secret and
limits are looked at in this order; then the body is read once, stored, and its signal answered for.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import structlog

from pregao import rehearsal
from pregao.domain.bot import Bot, BotStatus, secrets_taken
from pregao.domain.clock import Clock
from pregao.domain.facts import DeliveryTurnedAway, SignalAccepted, SignalRefused
from pregao.domain.signal import Action
from pregao.edges.http.answers import (
    JSON_HEADER,
    MASTER_PATH,
    QUEUE_PATH,
    Answer,
    Broadcast,
    BroadcastStats,
    Queued,
    broadcast_of,
    encode,
    over_failures,
    queue_full,
    secret_wrong,
    signal_limit,
    signature_stale,
    signature_wrong,
)
from pregao.edges.http.delivery import (
    Delivery,
    Gone,
    arrival_of,
    asked_of,
    content_type_of,
    header_secret,
    read_body,
    source_of,
)
from pregao.edges.http.gate import (
    Deliveries,
    Failures,
    address_of,
    is_secret_right,
    is_signature_right,
    read_signature,
    secrets_in,
    to_networks,
)
from pregao.edges.http.live.lines import MESSAGE_BYTES_MAX, PING_SECONDS, PONG_SECONDS, websocket_protocol
from pregao.edges.http.posts import Reply, Sender, WebhookProtocol
from pregao.edges.http.waiting import Deadlines, Settlements
from pregao.signals.formats import find_secret, parse, secrets_named
from pregao.signals.ports import Arrival, Arrivals, BotBook, Record, Recorded, StoreAway
from pregao.views.receipts import Receipts

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

RECORD_SECONDS_MAX = 2.0  # TradingView waits 3
RECEIPT_SECONDS_MAX = 1.0  # a sender waits no longer for a database that is slow to read
AWAY_RETRY_SECONDS = 5  # when TradingView sends again
TURNED_AWAY_MAX = 1_000  # knocks that wait to be written down; more are forgotten, none is waited for
TURNED_AWAY_SECONDS = 0.2
COUNT_SECONDS = 1.0
DEFAULT_BOT = "default"
SIGNATURE_SECONDS_MAX = (
    300  # either way: what a sender's clock may be off; a replay within it is known as one
)

UVICORN_OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": WebhookProtocol,
    "ws": websocket_protocol,
    "ws_max_size": MESSAGE_BYTES_MAX,
    "ws_ping_interval": PING_SECONDS,
    "ws_ping_timeout": PONG_SECONDS,
    "ws_per_message_deflate": False,  # the same bytes for all who watch, and no memory for each
    "access_log": False,
    "proxy_headers": False,  # the gate decides whose X-Forwarded-For is believed
    "server_header": False,
    "date_header": False,
}
"""What ``uvicorn.Config`` needs to serve the intake as it was measured."""


log = structlog.get_logger()


class Intake:
    """The ASGI application. `start` before the first request, `close` after the last."""

    def __init__(
        self,
        app: App,
        *,
        book: BotBook,
        record: Record,
        arrivals: Arrivals,
        receipts: Receipts,
        ring: Callable[[], None],
        clock: Clock,
        trusted_proxies: Sequence[str] = (),
        webhook_wait_seconds: float = 1.5,
        signal_age_seconds_max: int = 60,
        queue_signals_max: int = 100_000,
    ) -> None:
        """
        ``record`` stores one arrival (``GroupCommit.submit``); ``ring`` rings the bell `signals`.

        :raises ValueError: when a trusted proxy is neither an address nor a network
        """
        self._app = app
        self._book = book
        self._record = record
        self._arrivals = arrivals
        self._receipts = receipts
        self._ring = ring
        self._clock = clock
        self._trusted = to_networks(trusted_proxies)
        self._wait_seconds = webhook_wait_seconds
        self._age_seconds_max = signal_age_seconds_max
        self._queue_max = queue_signals_max
        self._failures = Failures()
        self._deliveries = Deliveries()
        self._deadlines = Deadlines(RECORD_SECONDS_MAX)
        self._settlements = Settlements(arrivals.settled)
        self._turned_away: deque[DeliveryTurnedAway] = deque(maxlen=TURNED_AWAY_MAX)
        self._undecided = 0
        self._accepted = 0  # since the undecided were last counted
        self._tasks: list[asyncio.Task[None]] = []
        self._elapsed: Callable[[], float] = time.monotonic

    @property
    def queue_size(self) -> int:
        """How many accepted signals wait for their decision, as far as this process knows."""
        return self._undecided + self._accepted

    def rung(self, words: str) -> None:
        """Hear the bell `receipts`: these signals have settled."""
        self._settlements.rung(words)

    async def start(self) -> None:
        """Begin what runs beside the requests."""
        # Kept, because asking for the running loop is a system call each time on Python 3.11.
        self._elapsed = asyncio.get_running_loop().time
        beside = (self._deadlines.keep, self._settlements.keep, self._keep_turned_away, self._keep_count)
        self._tasks = [asyncio.create_task(keep(), name=f"intake {keep.__name__}") for keep in beside]

    async def close(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" and scope["method"] == "POST" else ""
        if not path.startswith(MASTER_PATH) and path != QUEUE_PATH:
            await self._app(scope, receive, send)
            return
        try:
            sent = await read_body(receive, length=dict(scope["headers"]).get(b"content-length"))
            status, body, headers = await self.take(scope, sent)
        except Gone:
            return
        except Answer as answer:
            status, body, headers = _reply_of(answer)
        headers = [JSON_HEADER, (b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def take(self, scope: Scope, body: bytes) -> Reply:
        """Answer a POST to one of the webhooks, whose body is whole; never raises."""
        began = self._elapsed()
        webhook_path = _webhook_path(scope)
        try:
            bot = self._find_bot(webhook_path) or await self._look_for_bot(webhook_path)
            return await self._take(self._read(scope, body, bot, began=began))
        except Exception as failure:
            return _reply_of(failure)

    def begin(self, scope: Scope, body: bytes, sender: Sender) -> None:
        """Do as ``take`` does; without a task, where nothing has to be waited for but the commit."""
        began = self._elapsed()
        try:
            bot = self._find_bot(_webhook_path(scope))
            if bot is None:
                sender.wait(self.take(scope, body))
                return
            delivery = self._read(scope, body, bot, began=began)
            waits = delivery.is_master and delivery.wait_seconds > 0
            if waits or bot.status is BotStatus.ARCHIVED or not self._is_known(delivery):
                sender.wait(_whole(self._take(delivery)))
                return
            arrival = self._arrive(delivery)
            self._keep(arrival).add_done_callback(partial(self._kept, delivery, arrival, sender))
        except Exception as failure:
            sender.reply(_reply_of(failure))

    async def _take(self, delivery: Delivery) -> Reply:
        if not delivery.bot.is_open:
            await self._authenticate(delivery)
        return await self._answer(delivery)

    # The gate ----------------------------------------------------------------------------------------------

    def _read(self, scope: Scope, body: bytes, bot: Bot, *, began: float) -> Delivery:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_master = scope["path"] != QUEUE_PATH
        address = address_of(scope, self._trusted)
        in_query, wait_seconds = asked_of(scope["query_string"])
        parsed = parse(body)
        secrets = [secret for secret in (find_secret(parsed), in_query, header_secret(headers)) if secret]
        return Delivery(
            bot=bot,
            body=body,
            parsed=parsed,
            secrets=tuple(dict.fromkeys(secrets) if len(secrets) > 1 else secrets),
            signature=None if bot.is_open else read_signature(headers.get(b"x-pregao-signature")),
            content_type=content_type_of(headers.get(b"content-type", b"")),
            source=source_of(address, is_master=is_master),
            address=address,
            is_master=is_master,
            now=self._clock(),
            began=began,
            wait_seconds=self._wait_seconds
            if wait_seconds is None
            else min(wait_seconds, self._wait_seconds),
        )

    def _find_bot(self, webhook_path: str | None) -> Bot | None:
        if webhook_path is None:
            return self._book.find_bot_by_name(DEFAULT_BOT)
        return self._book.find_bot_by_path(webhook_path)

    async def _look_for_bot(self, webhook_path: str | None) -> Bot:
        # It may have been made this very second, and a 404 is final for TradingView.
        await self._book.look_again()
        bot = self._find_bot(webhook_path)
        if bot is None:
            raise Answer(
                404, "PATH_UNKNOWN", "No bot has this path. The alert may use an old webhook address."
            )
        return bot

    def _is_known(self, delivery: Delivery) -> bool:
        """Say whether nothing more has to be looked at to let it in: the bot is open, or its secret or signature right."""
        bot = delivery.bot
        if bot.is_open:
            return True
        address, path = delivery.address, bot.webhook_path
        if (
            delivery.signature is not None
            or self._failures.retry_seconds(address, path, now=delivery.now)
            or not _is_proven(bot, delivery)
        ):
            return False
        self._failures.proved(address, path)
        return True

    async def _authenticate(self, delivery: Delivery) -> None:
        address, bot, now = delivery.address, delivery.bot, delivery.now
        if retry_seconds := self._failures.retry_seconds(address, bot.webhook_path, now=now):
            raise over_failures(retry_seconds)
        if not _is_proven(bot, delivery):
            # It may have been changed this very second.
            await self._book.look_again()
            changed = self._book.find_bot_by_path(bot.webhook_path)
            if changed is None or not _is_proven(changed, delivery):
                raise self._turn_away(delivery, signature_wrong() if delivery.signature else secret_wrong())
            delivery.bot = changed
        if delivery.signature is not None:
            self._check_age(delivery, signed_at=delivery.signature.signed_at)
        self._failures.proved(address, bot.webhook_path)

    def _check_age(self, delivery: Delivery, *, signed_at: int) -> None:
        age_seconds = int(delivery.now.timestamp()) - signed_at
        if abs(age_seconds) > SIGNATURE_SECONDS_MAX:
            raise self._turn_away(
                delivery, signature_stale(age_seconds, age_seconds_max=SIGNATURE_SECONDS_MAX)
            )

    def _turn_away(self, delivery: Delivery, answer: Answer) -> Answer:
        if self._failures.is_over(delivery.address, now=delivery.now):
            return over_failures(self._failures.retry_seconds(delivery.address, "", now=delivery.now))
        self._failures.failed(delivery.address, now=delivery.now)
        self._turned_away.append(
            DeliveryTurnedAway(
                happened_at=delivery.now,
                webhook_path=delivery.bot.webhook_path,
                body_sha256=hashlib.sha256(delivery.body).hexdigest(),
                body_size=len(delivery.body),
                source_address=delivery.address,
            )
        )
        return answer

    def _limit(self, bot: Bot, *, now: datetime) -> None:
        if self.queue_size >= self._queue_max:
            raise queue_full(self.queue_size, retry_seconds=AWAY_RETRY_SECONDS)
        if retry_seconds := self._deliveries.retry_seconds(bot, now=now):
            raise signal_limit(bot.signals_per_minute_max, retry_seconds=retry_seconds)

    # The signal --------------------------------------------------------------------------------------------

    def _arrive(self, delivery: Delivery) -> Arrival:
        taken = secrets_taken(delivery.bot, now=delivery.now)
        if len(taken) > 1:
            delivery.secrets += secrets_in(delivery.body, secrets_named(delivery.parsed), taken)
        self._limit(delivery.bot, now=delivery.now)
        return arrival_of(delivery, age_seconds_max=self._age_seconds_max)

    def _keep(self, arrival: Arrival) -> asyncio.Future[Recorded]:
        rehearsal.reach("web.signal.received")
        future = self._record(arrival)
        self._deadlines.watch(future, since=self._elapsed())
        return future

    def _kept(
        self, delivery: Delivery, arrival: Arrival, sender: Sender, future: asyncio.Future[Recorded]
    ) -> None:
        try:
            failure = future.exception()
            if failure is not None:
                unfit = _unfit(arrival, failure)
                self._keep(unfit).add_done_callback(partial(self._kept, delivery, unfit, sender))
                return
            recorded = future.result()
            self._count(delivery, recorded)
            if delivery.is_master and not recorded.is_first:
                sender.wait(_whole(self._broadcast(delivery, recorded)))
                return
            if delivery.is_master:
                reply = _reply(self._pending(delivery, recorded))
            else:
                reply = self._queued(arrival, recorded)
        except Exception as failure:
            reply = _reply_of(failure)
        sender.reply(reply)

    async def _answer(self, delivery: Delivery) -> Reply:
        arrival = self._arrive(delivery)
        if delivery.bot.status is BotStatus.ARCHIVED:
            await self._let_close(arrival)
        try:
            recorded = await self._keep(arrival)
        except Exception as failure:
            arrival = _unfit(arrival, failure)
            recorded = await self._keep(arrival)
        self._count(delivery, recorded)
        if delivery.is_master:
            return await self._broadcast(delivery, recorded)
        return self._queued(arrival, recorded)

    def _count(self, delivery: Delivery, recorded: Recorded) -> None:
        rehearsal.reach("web.signal.committed")
        if recorded.code is not None:
            raise Answer(
                422,
                recorded.code,
                recorded.reason or "",
                signal_id=recorded.signal_id,
                bot_name=delivery.bot.name,
            )
        if recorded.is_first:
            self._accepted += 1
            self._ring()

    def _queued(self, arrival: Arrival, recorded: Recorded) -> Reply:
        outcome = arrival.outcome
        ticker = outcome.instruction.symbol if isinstance(outcome, SignalAccepted) else None
        queued = Queued(queued=True, queue_size=self.queue_size, signal_id=recorded.signal_id, ticker=ticker)
        return 202, encode(queued), ()

    async def _let_close(self, arrival: Arrival) -> None:
        # Whoever archived it chose to keep what was open: its closes are still wanted, and entries that close.
        asked = arrival.outcome.instruction if isinstance(arrival.outcome, SignalAccepted) else None
        against = asked if asked is not None and asked.action is Action.ENTER else None
        if asked is None or not await self._arrivals.is_holding(arrival.received.bot_id, against=against):
            raise Answer(
                400, "BOT_NOT_ACTIVE", "The bot is archived: it takes closes only, while it holds something."
            )

    async def _broadcast(self, delivery: Delivery, recorded: Recorded) -> Reply:
        answer = None
        if not recorded.is_first:
            answer = await self._receipt(delivery, recorded)
        if answer is None or answer.status == "pending":
            left = delivery.wait_seconds - (self._elapsed() - delivery.began)
            if left > 0:
                await self._settlements.wait(recorded.signal_id, seconds=left)
                answer = await self._receipt(delivery, recorded) or answer
        return _reply(answer or self._pending(delivery, recorded))

    def _pending(self, delivery: Delivery, recorded: Recorded) -> Broadcast:
        return Broadcast(
            success=True,
            bot_name=delivery.bot.name,
            signal_id=recorded.signal_id,
            status="pending",
            repeated=not recorded.is_first,
            broadcast_stats=BroadcastStats(duration_ms=int((self._elapsed() - delivery.began) * 1000)),
            executions=(),
            timestamp=delivery.now,
        )

    async def _receipt(self, delivery: Delivery, recorded: Recorded) -> Broadcast | None:
        try:
            async with asyncio.timeout(RECEIPT_SECONDS_MAX):
                receipt = await self._receipts.find_receipt(recorded.signal_id, owner=None)
        except Exception as failure:
            # The signal is committed: it must not be sent again because its receipt cannot be shown.
            log.warning(
                "intake.receipt.missed", signal_id=str(recorded.signal_id), error=type(failure).__name__
            )
            return None
        if receipt is None:
            return None
        elapsed = self._elapsed() - delivery.began
        return broadcast_of(
            receipt, repeated=not recorded.is_first, duration_ms=int(elapsed * 1000), now=delivery.now
        )

    # Beside the requests -----------------------------------------------------------------------------------

    async def _keep_turned_away(self) -> None:
        while True:
            await asyncio.sleep(TURNED_AWAY_SECONDS)
            if self._turned_away:
                facts = [self._turned_away.popleft() for _ in range(len(self._turned_away))]
                try:
                    await self._arrivals.record_turned_away(facts)
                except Exception as failure:
                    log.warning("intake.turned_away.lost", knocks=len(facts), error=type(failure).__name__)

    async def _keep_count(self) -> None:
        while True:
            before = self._accepted
            try:
                self._undecided = await self._arrivals.count_undecided(at_most=self._queue_max)
                self._accepted -= before
            except Exception as failure:
                log.warning("intake.count.missed", error=type(failure).__name__)
            await asyncio.sleep(COUNT_SECONDS)


def _webhook_path(scope: Scope) -> str | None:
    path: str = scope["path"]
    return None if path == QUEUE_PATH else path[len(MASTER_PATH) :]


def _is_proven(bot: Bot, delivery: Delivery) -> bool:
    # A signature that is sent must be right: beside a wrong one, the secret proves nothing about the body.
    taken = secrets_taken(bot, now=delivery.now)
    if delivery.signature is not None:
        return is_signature_right(taken, delivery.signature, delivery.body)
    return is_secret_right(taken, delivery.secrets)


def _unfit(arrival: Arrival, failure: BaseException) -> Arrival:
    # Something in the reading does not fit into a row: that is no order to carry out, but it is kept.
    received = arrival.received
    if isinstance(failure, StoreAway) or isinstance(arrival.outcome, SignalRefused):
        raise failure
    log.warning("intake.record.unfit", signal_id=str(received.signal_id), error=type(failure).__name__)
    refused = SignalRefused(
        happened_at=received.happened_at,
        signal_id=received.signal_id,
        bot_id=received.bot_id,
        code="VALUE_UNUSABLE",
        reason="A value of the alert is too large or too long to be kept. Send plain numbers and names.",
    )
    return Arrival(received, refused, signature=arrival.signature)


def _reply(answer: Broadcast) -> Reply:
    return 202 if answer.status == "pending" else 200, encode(answer), ()


async def _whole(rest: Awaitable[Reply]) -> Reply:
    try:
        return await rest
    except Exception as failure:
        return _reply_of(failure)


def _reply_of(failure: Exception) -> Reply:
    answer = _answer_of(failure)
    return answer.status, answer.body, answer.headers()


def _answer_of(failure: Exception) -> Answer:
    if isinstance(failure, Answer):
        return failure
    if isinstance(failure, StoreAway):
        return Answer(
            503,
            "DATABASE_AWAY",
            "The signal could not be stored, so it was not taken; send it again.",
            retry_seconds=AWAY_RETRY_SECONDS,
        )
    log.error("intake.delivery.failed", exc_info=failure)
    return Answer(500, "INTAKE_FAILED", "The signal was not taken; the log says why.")

"""
Requests to Binance: built, signed, sent and judged.

Nothing here knows what a request is for; it gives a success's body or raises one of the four kinds of no.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from pregao import tally
from pregao.domain.clock import Clock
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, RetryLater, VenueError
from pregao.domain.weight import Importance, asking_for, importance_of
from pregao.edges.exchanges.binance.errors import CLOCK_CODES, Kind
from pregao.edges.exchanges.binance.limits import Limits
from pregao.edges.exchanges.binance.outcomes import (
    refusal_in,
    unanswered,
    unreadable,
    venues_fault,
    verdict_on,
)
from pregao.edges.exchanges.binance.passage import Passages
from pregao.edges.exchanges.binance.signing import ApiKey, Credentials, Value, query_of, signed
from pregao.edges.exchanges.binance.venue_clock import VenueClock
from pregao.edges.exchanges.wire import Answer, Line, NotSent, Priority, WireError

T = TypeVar("T")

UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, msgspec.DecodeError)
"""What an answer raises that is not what the venue promised."""
CREDENTIALS_RETRY_SECONDS = 5.0
RESYNC_SECONDS_MAX = 2.0  # then the next attempt takes its chance with the clock as it is
CLOCK_TOLD = frozenset(map(str, CLOCK_CODES))
TOO_MANY_ORDERS = -1015  # counted per account; every other limit is the address's

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One kind of request: where it goes and what it weighs."""

    method: str
    path: str
    weight: int = 1
    importance: Importance = Importance.REST  # by itself; it may be asked for the sake of something less
    is_on_an_orders_way: bool = False  # then it never waits for a slice of the weight
    tells_limits: bool = False  # then it is asked whatever is used up: how much that is, only its answer says
    priority: Priority = Priority.READ


TIME = Call(method="GET", path="/fapi/v1/time", importance=Importance.EXITS)


class BinanceRest:
    """One venue's requests for all accounts: keys, clock, limits, and the line."""

    def __init__(
        self,
        *,
        line: Line,
        credentials: Credentials,
        clock: Clock,
        recv_window_ms: int,
        user_agent: str,
        passages: Passages,
    ) -> None:
        """Open nothing; ``credentials`` gives an account's key and is asked every time, so a new key counts at once."""
        self._passage = passages.of_reads
        self.clock = VenueClock(clock)
        self.limits = Limits()
        self._line = line
        self._credentials = credentials
        self._recv_window_ms = recv_window_ms
        self._tail = f"Host: {line.host_header}\r\nUser-Agent: {user_agent}\r\nAccept: application/json\r\n"
        self._resync: asyncio.Task[None] | None = None

    async def signed_order(self, path: str, query: str, *, account_id: int) -> bytes:
        """Write and sign an order's request as it stands; nothing leaves."""
        key = await self._key_of(account_id)
        return self._payload("POST", path, signed(query, secret=key.secret), key=key.key)

    def order(
        self, request: bytes, *, what: str, account_id: int, priority: Priority
    ) -> Coroutine[None, None, Answer]:
        """Send an order's request, once, past no breaker but its caller's; give the answer of a success."""
        if self.limits.is_any_paused:
            self.limits.check_pause(account_id=account_id, now_ms=self.clock.now_ms())
        return self._ask(request, priority=priority, account_id=account_id, what=what, is_patient=True)

    async def read(
        self, call: Call, parameters: dict[str, Value], *, account_id: int, translate: Callable[[Any], T]
    ) -> T:
        """Ask something of an account; give the decoded body as ``translate`` understands it."""
        return await self._signed_call(call, parameters, account_id=account_id, translate=translate)

    async def change(self, call: Call, parameters: dict[str, Value], *, account_id: int) -> None:
        """Change an account's setting; that it stands already is as good as done."""
        await self._signed_call(call, parameters, account_id=account_id, translate=_as_it_is)

    async def with_key(self, call: Call, parameters: dict[str, Value], *, account_id: int) -> Any:
        """Ask with the account's key and no signature (listen keys)."""
        key = await self._key_of(account_id)
        payload = self._payload(call.method, call.path, query_of(parameters), key=key.key)
        return await self._body_of(call, payload, account_id=account_id, translate=_as_it_is)

    async def public(self, call: Call, parameters: dict[str, Value], *, translate: Callable[[bytes], T]) -> T:
        """Ask what needs no key; ``translate`` decodes of the bytes only what it wants."""
        payload = self._payload(call.method, call.path, query_of(parameters), key=None)
        async with self._watched(call, account_id=None):
            answer = await self._ask_call(call, payload, account_id=None)
            return understood(translate, answer.body, what=call.path)

    async def measure_clock(self) -> None:
        """Measure the distance between the venue's clock and ours."""
        await self.clock.measure(self._server_time)

    async def close(self) -> None:
        """End a measurement under way."""
        await self.limits.close()
        if self._resync is not None:
            self._resync.cancel()
            await asyncio.gather(self._resync, return_exceptions=True)

    async def _server_time(self) -> int:
        body = await self.public(TIME, {}, translate=_as_it_is)
        try:
            return int(msgspec.json.decode(body)["serverTime"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
            raise RetryLater(
                "CLOCK_UNREADABLE", "the venue's clock could not be read", retry_after_seconds=1.0
            ) from problem

    async def _signed_call(
        self, call: Call, parameters: dict[str, Value], *, account_id: int, translate: Callable[[Any], T]
    ) -> T:
        key = await self._key_of(account_id)

        async def ask() -> T:
            timed = parameters | {"recvWindow": self._recv_window_ms, "timestamp": self.clock.now_ms()}
            payload = self._payload(
                call.method, call.path, signed(query_of(timed), secret=key.secret), key=key.key
            )
            return await self._body_of(call, payload, account_id=account_id, translate=translate)

        offset_ms = self.clock.offset_ms
        try:
            return await ask()
        except RetryLater as late:
            # Nothing was done, and the clock is known better now: whoever waits for the answer need not come again.
            if late.code not in CLOCK_TOLD or self.clock.offset_ms == offset_ms:
                raise
        return await ask()

    async def _body_of(
        self, call: Call, payload: bytes, *, account_id: int, translate: Callable[[Any], T]
    ) -> T:
        async with self._watched(call, account_id=account_id):
            body = self._body(await self._ask_call(call, payload, account_id=account_id), what=call.path)
            return understood(translate, body, what=call.path)

    @contextlib.asynccontextmanager
    async def _watched(self, call: Call, *, account_id: int | None) -> AsyncIterator[None]:
        """Let a call leave when nothing stands against it; what comes of it is told to the breaker."""
        now_ms = self.clock.now_ms()
        self.limits.check_pause(account_id=account_id, now_ms=now_ms)
        importance = importance_of(call.importance)
        ticket = self._passage.begin(is_exit=importance is Importance.EXITS)
        try:
            hurries = call.is_on_an_orders_way or importance is Importance.EXITS
            if not call.tells_limits:
                await self.limits.take(call.weight, importance=importance, hurries=hurries, now_ms=now_ms)
            yield
        except BaseException as problem:
            self._passage.end(ticket, problem)
            raise
        self._passage.end(ticket)

    async def _key_of(self, account_id: int) -> ApiKey:
        try:
            key = self._credentials(account_id)
            return key if isinstance(key, ApiKey) else await key
        except LookupError as missing:
            raise OperatorNeeded("CREDENTIALS_MISSING", f"account={account_id} has no key") from missing
        except Exception as problem:
            raise RetryLater(
                "CREDENTIALS_UNREADABLE",
                f"account={account_id}: {type(problem).__name__}",
                retry_after_seconds=CREDENTIALS_RETRY_SECONDS,
            ) from problem

    def _payload(self, method: str, path: str, query: str, *, key: str | None) -> bytes:
        target = f"{path}?{query}" if query else path
        length = "" if method == "GET" else "Content-Length: 0\r\n"
        secret_line = f"X-MBX-APIKEY: {key}\r\n" if key is not None else ""
        return f"{method} {target} HTTP/1.1\r\n{self._tail}{secret_line}{length}\r\n".encode("ascii")

    async def _ask_call(self, call: Call, payload: bytes, *, account_id: int | None) -> Answer:
        return await self._ask(
            payload,
            priority=call.priority,
            account_id=account_id,
            what=call.path,
            is_repeatable=call.method == "GET",
        )

    async def _ask(
        self,
        payload: bytes,
        *,
        priority: Priority,
        account_id: int | None,
        what: str,
        is_repeatable: bool = False,
        is_patient: bool = False,
    ) -> Answer:
        try:
            answer = await self._line.ask(
                payload, priority=priority, is_repeatable=is_repeatable, is_patient=is_patient
            )
        except WireError as failure:
            tally.count(
                "deriv_bot_api_calls_total", what, "not_sent" if isinstance(failure, NotSent) else "lost"
            )
            raise unanswered(failure, what=what) from failure
        tally.count("deriv_bot_api_calls_total", what, str(answer.status))
        took = answer.answered_at - answer.sent_at
        tally.observe("deriv_bot_api_latency_milliseconds", what, value=took.total_seconds() * 1_000)
        now_ms = self.clock.now_ms()
        self.limits.note(answer, account_id=account_id, now_ms=now_ms)
        if answer.status == 200:
            return answer
        verdict = verdict_on(answer, now_ms=now_ms)
        if verdict.code in CLOCK_CODES:
            await self._resync_first()
        if verdict.kind is Kind.ALREADY_SO:
            return answer
        self._pause_after(verdict.error, answer, code=verdict.code, account_id=account_id, now_ms=now_ms)
        raise verdict.error

    def _pause_after(
        self, error: VenueError, answer: Answer, *, code: int | None, account_id: int | None, now_ms: int
    ) -> None:
        if answer.status not in (418, 429) or not isinstance(error, RetryLater):
            return
        whose = account_id if code == TOO_MANY_ORDERS else None
        self.limits.pause(error.retry_after_seconds, now_ms=now_ms, account_id=whose)
        log.warning(
            "binance.limits.paused", status=answer.status, account_id=whose, seconds=error.retry_after_seconds
        )

    def _body(self, answer: Answer, *, what: str) -> Any:
        try:
            body = msgspec.json.decode(answer.body)
        except msgspec.DecodeError as problem:
            raise unreadable(answer, what=what) from problem
        refusal = refusal_in(answer) if answer.status == 200 and isinstance(body, dict) else None
        if refusal is not None and refusal.code < 0:
            verdict = verdict_on(answer, now_ms=self.clock.now_ms())
            if verdict.kind is not Kind.ALREADY_SO:
                raise verdict.error
        return body

    async def _resync_first(self) -> None:
        """Measure the clock before the next attempt is signed: this one is dead, and another would die like it."""
        if self._resync is None or self._resync.done():
            self._resync = asyncio.get_running_loop().create_task(self._resynced())
        await asyncio.wait({self._resync}, timeout=RESYNC_SECONDS_MAX)

    async def _resynced(self) -> None:
        try:
            # Whoever needs it first may ask for little: by a wrong clock nobody is answered, and each question weighs all the same.
            with asking_for(Importance.EXITS):
                await self.measure_clock()
            log.info("binance.clock.measured", offset_ms=self.clock.offset_ms)
        except VenueError as problem:
            log.warning("binance.clock.unmeasured", code=problem.code)


def understood(translate: Callable[[Any], T], body: Any, *, what: str) -> T:
    """
    Translate an answer.

    :raises OutcomeUnknown: by the venue's fault, where it cannot be.
    """
    try:
        return translate(body)
    except UNREADABLE as problem:
        raise venues_fault(
            OutcomeUnknown("ANSWER_UNREADABLE", f"{what}: {type(problem).__name__}")
        ) from problem


def _as_it_is(body: T) -> T:
    return body

"""
What anybody asks the API to change or takes away is written down: who, from where, what came of it; refused ones too.

The action is committed before its answer goes out, so that what somebody was told is in the log. Bodies are never
kept: there may be secrets in them. A database that is away costs the log a line, never the caller an answer.
"""

import asyncio
import json
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import structlog
from starlette.routing import BaseRoute, Match

from pregao.accounts.principal import Principal
from pregao.domain.clock import Clock
from pregao.domain.facts import ActionTaken
from pregao.edges.http.admission import CLOSED, SAFE_METHODS, App, Message, Receive, Send, user_agent_of
from pregao.edges.http.login_limits import network_of
from pregao.edges.ids import uuid7

DOORS = frozenset(
    {"/console/sign-in", "/console/sign-in/code", "/console/sign-out", "/console/first-run"}
)  # to the pages, which only read
EXPORTS = ("/export", "/export-csv")
CHECKS = "/check"  # forms ask while somebody types; nothing is changed
RECORD_SECONDS_MAX = 2.0  # a database this slow is as good as away: the caller has waited enough
PATH_CHARACTERS_MAX = 300
TARGET_CHARACTERS_MAX = 100
TARGETS_MAX = 20
HELD_BYTES_MAX = 64 * 1024  # of an answer that is looked into: errors and what was made are far smaller
STRANGERS_PER_MINUTE_MAX = 10  # refused requests of one address that are written down; the rest are counted
ALL_STRANGERS_PER_MINUTE_MAX = 100  # of all addresses together: a journal is for ever
ADDRESSES_MAX = 10_000
MINUTE = timedelta(minutes=1)

RecordAction: TypeAlias = Callable[[ActionTaken], Awaitable[None]]

log = structlog.get_logger()


class Audit:
    """Writes down what goes through to ``app`` and what came of it."""

    def __init__(self, app: App, *, record: RecordAction, clock: Clock, routes: Iterable[BaseRoute]) -> None:
        """``routes`` name the actions and their targets."""
        self._app = app
        self._record = record
        self._clock = clock
        self._routes = list(routes)
        self._strangers = Strangers()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not _is_asked(scope) or (_is_reading(scope) and not _takes_away(scope)):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, written=lambda status, body: self._write(scope, status, body, began=began))
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            # Nobody has answered yet: the app's outermost layer says INTERNAL after this.
            if not answer.is_begun:
                await self._write(scope, 500, b"", began=began)
            raise

    async def _write(
        self, scope: MutableMapping[str, Any], status: int, body: bytes, *, began: float
    ) -> None:
        fact = self._action(scope, status, body, duration_ms=int((time.perf_counter() - began) * 1000))
        if fact.principal == "" and status >= 400:
            left_out = self._strangers.count(fact.source_address, now=fact.happened_at)
            if left_out:
                return
        try:
            async with asyncio.timeout(RECORD_SECONDS_MAX):
                await self._record(fact)
        except Exception as failure:
            log.warning(
                "http.audit.lost",
                error=type(failure).__name__,
                user_id=fact.user_id and str(fact.user_id),
                principal=fact.principal,
                source_address=fact.source_address,
                action=fact.action,
                targets=fact.targets,
                status=fact.status,
                error_code=fact.error_code,
            )

    def _action(
        self, scope: MutableMapping[str, Any], status: int, body: bytes, *, duration_ms: int
    ) -> ActionTaken:
        now = self._clock()
        principal: Principal | None = scope.get("principal")
        action, targets = self._asked(scope)
        told = _read(body)
        if status == 201:
            targets |= {name: value for name, value in told.items() if name.endswith("_id") and value}
        targets |= scope.get("action_targets", {})
        return ActionTaken(
            happened_at=now,
            action_id=uuid7(now),
            user_id=None if principal is None else principal.user_id,
            principal="" if principal is None else principal.label,
            source_address=scope.get("source_address", ""),
            user_agent=user_agent_of(scope),
            method=_printable(scope["method"], 20),
            path=_printable(scope["path"], PATH_CHARACTERS_MAX),
            action=action,
            targets={
                name: _printable(str(value), TARGET_CHARACTERS_MAX)
                for name, value in list(targets.items())[:TARGETS_MAX]
            },
            status=status,
            error_code=None if status < 400 else _code_of(told, status),
            duration_ms=duration_ms,
        )

    def _asked(self, scope: MutableMapping[str, Any]) -> tuple[str, dict[str, Any]]:
        # The router's own finding is there for what got so far only; who is refused at the door never did.
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return getattr(route, "name", ""), dict(found.get("path_params", {}))
        return "", {}


class Strangers:
    """Refused requests of people nobody knows, within a minute: a journal that keeps everything must not keep those."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._all: deque[datetime] = deque(maxlen=ALL_STRANGERS_PER_MINUTE_MAX)

    def count(self, address: str, *, now: datetime) -> bool:
        """Count one, and say whether it is to be left out."""
        key = network_of(address)
        own = self._times.setdefault(key, deque(maxlen=STRANGERS_PER_MINUTE_MAX))
        self._times.move_to_end(key)
        if len(self._times) > ADDRESSES_MAX:
            self._times.popitem(last=False)
        if any(len(times) == times.maxlen and times[0] > now - MINUTE for times in (own, self._all)):
            return True
        own.append(now)
        self._all.append(now)
        return False


class _Answer:
    """Passes an answer on once its action is written; of errors and of what was made the body is looked into first."""

    def __init__(self, send: Send, *, written: Callable[[int, bytes], Awaitable[None]]) -> None:
        self._send = send
        self._written = written
        self._held: list[Message] = []
        self._body = bytearray()
        self._status = 0
        self.is_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_begun = True
            self._status = message["status"]
            if self._status == 201 or self._status >= 400:
                self._held.append(message)
                return
            await self._written(self._status, b"")
        elif self._held:
            self._held.append(message)
            self._body += message.get("body", b"")
            if message.get("more_body") and len(self._body) < HELD_BYTES_MAX:
                return
            await self._written(self._status, bytes(self._body))
            held, self._held = self._held, []
            for one in held:
                await self._send(one)
            return
        await self._send(message)


def _is_asked(scope: Mapping[str, Any]) -> bool:
    return scope["type"] == "http" and (scope["path"].startswith(CLOSED) or scope["path"] in DOORS)


def _is_reading(scope: Mapping[str, Any]) -> bool:
    return scope["method"] in SAFE_METHODS or scope["path"].endswith(CHECKS)


def _takes_away(scope: MutableMapping[str, Any]) -> bool:
    """Say whether a whole list is asked for as a file: who took it is asked some day."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return scope["method"] == "GET" and (scope["path"].endswith(EXPORTS) or "csv" in asked.get("format", ()))


def _read(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _code_of(told: dict[str, Any], status: int) -> str:
    error = told.get("error")
    if isinstance(error, dict):
        return _printable(str(error.get("code")), TARGET_CHARACTERS_MAX)
    # FastAPI's own 422 has no code; the command line calls it so too.
    return "SETTING_UNREADABLE" if status == 422 else "INTERNAL" if status >= 500 else f"HTTP_{status}"


def _printable(text: str, characters_max: int) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:characters_max])

"""
A websocket: who opens it is let in by a header, a ticket, a session's cookie or its first message; then it is told.

Two tasks: one tells, one reads, so that pings are answered and a client that leaves is noticed at once.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pregao.accounts.ports import Tickets
from pregao.accounts.principal import ADMIN_TOKEN, Principal
from pregao.domain.clock import Clock
from pregao.domain.user import Role
from pregao.edges.http.admission import HOW_TO_COME_IN, Tokens, session_of, token_of
from pregao.edges.http.answers import encode
from pregao.edges.http.errors import DATABASE_AWAY, DATABASE_AWAY_ERRORS, error_body
from pregao.edges.http.live.feed import FULL, LEFT, SLOW, STOPPING, Ended, Feed, View, Watcher
from pregao.edges.http.live.lines import drop_of
from pregao.edges.http.tokens import sha256_of

AUTH_SECONDS_MAX = 5.0  # for the first message of whoever sends neither header nor ticket
LOOK_AGAIN_SECONDS = 60.0
QUIET_SECONDS = 30.0
ASKED_PER_SECOND_MAX = 5  # what a client asks for; more is read later, so that it waits for itself

NOT_LET_IN, ROLE_TOO_SMALL = 4401, 4403  # 4000 to 4999 are an application's own: HTTP's statuses behind the 4
RESTARTING, AWAY = 1012, 1013
CLOSE_CODES = {SLOW: AWAY, STOPPING: RESTARTING, FULL: AWAY}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Guest:
    """Who opened it, and by the token with which SHA-256; None is the admin token, which nothing ends."""

    principal: Principal
    token_sha256: str | None


class NotLetIn(Exception):
    """The websocket is closed with this code."""

    def __init__(self, code: int, error: str, message: str) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.message = message


class Talk(Protocol):
    """What one websocket's view says beside what happens: at first, and when it is asked."""

    def view(self) -> View:
        """Give what is told."""
        ...

    async def welcome(self) -> Sequence[bytes]:
        """Give what is said first."""
        ...

    async def answer(self, asked: Mapping[str, Any]) -> Sequence[bytes]:
        """Answer a message of the client's; what is told from then on may be another view."""
        ...

    def quiet(self) -> Sequence[bytes]:
        """Give what is said when nothing has happened for half a minute."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Lets people in."""

    tokens: Tokens
    tickets: Tickets
    clock: Clock

    async def let_in(self, socket: WebSocket) -> Guest:
        """
        Find who opens it.

        :raises NotLetIn: with the code to close with
        """
        if "authorization" in socket.headers:
            return await self._by_token(token_of(dict(socket.scope["headers"])))
        if ticket := socket.query_params.get("ticket"):
            return await self._by_ticket(ticket)
        if (session := session_of(socket.scope, dict(socket.scope["headers"]))) is not None:
            return await self._by_token(session)
        return await self._by_token(await _first_message(socket))

    async def still_in(self, guest: Guest) -> Principal | None:
        """Give who the guest's token is of now."""
        if guest.token_sha256 is None:
            return ADMIN_TOKEN
        return await self.tokens.owner_of_kept(guest.token_sha256)

    async def _by_token(self, token: bytes | None) -> Guest:
        principal = None if token is None else await self.tokens.owner_of(token)
        if token is None or principal is None:
            raise NotLetIn(NOT_LET_IN, "TOKEN_WRONG", HOW_TO_COME_IN)
        return Guest(principal, None if self.tokens.is_admins(token) else sha256_of(token.decode("latin-1")))

    async def _by_ticket(self, ticket: str) -> Guest:
        found = await self.tickets.redeem(sha256_of(ticket), now=self.clock())
        if found is not None:
            guest = Guest(ADMIN_TOKEN, found.token_sha256)
            if (principal := await self.still_in(guest)) is not None:
                return Guest(principal, found.token_sha256)
        raise NotLetIn(
            NOT_LET_IN, "TICKET_WRONG", "A ticket lets in once, within 30 seconds. Ask for another."
        )


async def talk(
    socket: WebSocket, *, door: Door, feed: Feed, needed: Role, made: Callable[[Guest], Talk]
) -> None:
    """Serve one websocket until either end leaves."""
    is_told_by_status = (
        "authorization" in socket.headers
    )  # a program reads it; a browser sees close codes only
    if not is_told_by_status:
        await socket.accept()
    try:
        guest = await door.let_in(socket)
        if not guest.principal.role.includes(needed):
            raise NotLetIn(
                ROLE_TOO_SMALL, "ROLE_FORBIDDEN", f"needed={needed}. An admin may give you the role."
            )
    except NotLetIn as refused:
        await _refuse(socket, refused)
        return
    except DATABASE_AWAY_ERRORS:
        await _refuse(socket, NotLetIn(AWAY, "DATABASE_AWAY", DATABASE_AWAY))
        return
    except WebSocketDisconnect:
        return
    if is_told_by_status:
        await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        await _serve(socket, door=door, feed=feed, guest=guest, talk=made(guest))


async def _serve(socket: WebSocket, *, door: Door, feed: Feed, guest: Guest, talk: Talk) -> None:
    try:
        async with feed.watch(talk.view()) as watcher:
            watcher.drop = lambda: drop_of(socket.scope)(SLOW.encode())
            reading = asyncio.create_task(_read(socket, talk, watcher))
            try:
                await _tell(socket, await talk.welcome())
                await _go_on(socket, talk, watcher, still_in=lambda: _is_still_in(door, guest))
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    except Ended as ended:
        await _close(socket, CLOSE_CODES.get(ended.code, 1000), ended.code)
    except NotLetIn as refused:
        await _close(socket, refused.code, refused.error)
    except DATABASE_AWAY_ERRORS:
        await _close(socket, AWAY, "DATABASE_AWAY")


async def _go_on(
    socket: WebSocket, talk: Talk, watcher: Watcher, *, still_in: Callable[[], Awaitable[bool]]
) -> None:
    looked_at = time.monotonic()
    while True:
        taken = await watcher.take(seconds=QUIET_SECONDS)
        if time.monotonic() - looked_at > LOOK_AGAIN_SECONDS:
            looked_at = time.monotonic()
            if not await still_in():
                raise NotLetIn(NOT_LET_IN, "SIGNED_OUT", "")
        if taken.is_reset:
            await _tell(socket, (message("reset", {}),))
        await _tell(socket, taken.messages or talk.quiet())


async def _is_still_in(door: Door, guest: Guest) -> bool:
    try:
        return await door.still_in(guest) == guest.principal
    except DATABASE_AWAY_ERRORS:
        return True  # nobody can say; asked again in a minute


async def _read(socket: WebSocket, talk: Talk, watcher: Watcher) -> None:
    try:
        while True:
            asked = _asked(await socket.receive_text())
            watcher.give(await _answered(talk, asked), place=watcher.place)
            watcher.view = talk.view()
            await asyncio.sleep(1 / ASKED_PER_SECOND_MAX)
    except (WebSocketDisconnect, KeyError):
        watcher.end(LEFT)
    except Exception:
        log.exception("live.socket.failed")
        watcher.end(LEFT)


async def _answered(talk: Talk, asked: Mapping[str, Any] | None) -> Sequence[bytes]:
    if asked is None:
        return (
            message("error", error_body("MESSAGE_UNREADABLE", "Send a JSON object with a `type`.")["error"]),
        )
    if asked["type"] == "ping":
        return (message("pong", {}),)
    try:
        return await talk.answer(asked)
    except DATABASE_AWAY_ERRORS:
        return (message("error", error_body("DATABASE_AWAY", DATABASE_AWAY)["error"]),)


async def _tell(socket: WebSocket, messages: Sequence[bytes]) -> None:
    for one in messages:
        await socket.send({"type": "websocket.send", "text": one.decode()})


async def _first_message(socket: WebSocket) -> bytes | None:
    try:
        async with asyncio.timeout(AUTH_SECONDS_MAX):
            asked = _asked(await socket.receive_text())
    except (TimeoutError, KeyError):
        return None
    token = asked.get("token") if asked is not None and asked["type"] == "auth" else None
    return token.encode(errors="surrogatepass") if isinstance(token, str) else None


def _asked(text: str) -> dict[str, Any] | None:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) and isinstance(asked.get("type"), str) else None


async def _refuse(socket: WebSocket, refused: NotLetIn) -> None:
    body = error_body(refused.error, refused.message)
    if socket.application_state is WebSocketState.CONNECTED:
        with contextlib.suppress(WebSocketDisconnect):
            await _tell(socket, (message("auth_status_update", {"authenticated": False, **body["error"]}),))
        await _close(socket, refused.code, refused.error)
        return
    status = {NOT_LET_IN: 401, ROLE_TOO_SMALL: 403}.get(refused.code, 503)
    await socket.send({"type": "websocket.http.response.start", "status": status, "headers": _JSON})
    await socket.send({"type": "websocket.http.response.body", "body": encode(body)})


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        await socket.close(code, reason)


_JSON = [(b"content-type", b"application/json")]


def message(kind: str, data: Any) -> bytes:
    """Write a message in the envelope that all have."""
    return encode({"type": kind, "data": data})

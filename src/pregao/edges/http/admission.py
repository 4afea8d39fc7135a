"""
Who may use the API, and how much they may send: decided before a byte of the body is read.

Closed by default: a path below `/api/`, or one of system A's that we answer, is open only when it is named here. Who came in stands in the scope as
`principal`, from where as `source_address`; what he may do, each route says (api/roles.py).
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from starlette.exceptions import HTTPException

from pregao.accounts.principal import ADMIN_TOKEN, Principal
from pregao.domain.clock import Clock
from pregao.edges.http.errors import (
    AWAY_RETRY_SECONDS,
    DATABASE_AWAY,
    DATABASE_AWAY_ERRORS,
    TOO_LARGE,
    error_body,
)
from pregao.edges.http.gate import address_of, to_networks
from pregao.edges.http.tokens import is_of_ours, sha256_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

CLOSED = (
    "/api/",
    "/finviz/",
    "/admin/finviz/",
    "/admin/engine/",
    "/admin/top-n-tickers",
    "/admin/reprocessing/",
)
OPEN_PATHS = frozenset({"/api/v1/bots/health", "/api/v1/auth/login"})
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455 and its registry: what a websocket is closed with
USER_AGENT_CHARACTERS_MAX = 200
BODY_BYTES_MAX = 64 * 1024  # like a webhook's; the largest honest body has a few hundred

HOW_TO_COME_IN = (
    "Send the admin token, an API token or that of a session as `Authorization: Bearer …`. "
    "`POST /api/v1/auth/login` begins a session."
)
BEARER = (b"www-authenticate", b"Bearer")
RETRY = (b"retry-after", b"%d" % AWAY_RETRY_SECONDS)


class FindPrincipal(Protocol):
    """Gives whose token this is, by its SHA-256."""

    async def __call__(self, token_sha256: str, *, now: datetime) -> Principal | None:
        """Give nobody where the token ended, was revoked, or never was."""
        ...


class Admission:
    """Lets requests of people it knows through to ``app``, and answers the others itself."""

    def __init__(
        self,
        app: App,
        *,
        admin_token: str,
        find_principal: FindPrincipal,
        clock: Clock,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        """An empty admin token admits nobody."""
        self._app = app
        self._admin_sha256 = hashlib.sha256(admin_token.encode()).digest() if admin_token else b""
        self._find_principal = find_principal
        self._clock = clock
        self._trusted = to_networks(trusted_proxies)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope["source_address"] = address_of(scope, self._trusted)
        scope["principal"] = None
        if scope["path"].startswith(CLOSED) and scope["path"] not in OPEN_PATHS:
            try:
                principal = await self._principal(headers)
            except DATABASE_AWAY_ERRORS:
                await _turn_away(scope, send, 503, error_body("DATABASE_AWAY", DATABASE_AWAY), RETRY)
                return
            if principal is None:
                await _turn_away(scope, send, 401, error_body("TOKEN_WRONG", HOW_TO_COME_IN), BEARER)
                return
            scope["principal"] = principal
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            body = error_body("BODY_TOO_LARGE", TOO_LARGE, {"bytes_max": BODY_BYTES_MAX})
            await _refuse(send, 413, body, (b"connection", b"close"))
            return
        await self._limited(scope, receive, send)

    async def _principal(self, headers: dict[bytes, bytes]) -> Principal | None:
        scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = sent.strip()
        # The admin token needs no database: whoever has it can ask what is wrong with it.
        if hmac.compare_digest(hashlib.sha256(token).digest(), self._admin_sha256):
            return ADMIN_TOKEN
        text = token.decode("latin-1")
        return await self._find_principal(sha256_of(text), now=self._clock()) if is_of_ours(text) else None

    async def _limited(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        size = 0

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > BODY_BYTES_MAX:
                raise HTTPException(413)  # FastAPI lets its own kind through while it reads a body
            return message

        await self._app(scope, receive_limited, send)


def user_agent_of(scope: MutableMapping[str, Any]) -> str:
    """Give what the client calls itself, cut, and without what is no text."""
    named = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    text = named.decode("latin-1")[:USER_AGENT_CHARACTERS_MAX]
    return "".join(one for one in text if one.isprintable())


async def _turn_away(
    scope: MutableMapping[str, Any],
    send: Send,
    status: int,
    body: dict[str, Any],
    header: tuple[bytes, bytes],
) -> None:
    if scope["type"] == "websocket":
        await send(
            {"type": "websocket.close", "code": POLICY_VIOLATION if status == 401 else TRY_AGAIN_LATER}
        )
        return
    await _refuse(send, status, body, header)


async def _refuse(send: Send, status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    text = json.dumps(body).encode()
    length = (b"content-length", str(len(text)).encode())
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": text})

"""
Who may use the API, and how much they may send: decided before a byte of the body is read, or after the part a token stands in.

Closed by default: a path below `/api/`, `/admin/` or `/finviz/` is open only when it is named here. Who came in stands in the scope as
`principal`, from where as `source_address`; what he may do, each route says (api/roles.py).
"""

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

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

AT_SOURCE = ("/admin/", "/finviz/")  # system A's paths: their token may stand in the body, as a field `token`
CLOSED = ("/api/", *AT_SOURCE)
STRATEGIES = "/admin/finviz/strategies"
OPEN_PATHS = frozenset({"/api/v1/bots/health", "/api/v1/auth/login"})
SETTING_UP = frozenset(
    {
        "/api/v1/auth/me",
        "/api/v1/auth/logout",
        "/api/v1/auth/password",
        "/api/v1/auth/second-factor",
        "/api/v1/auth/second-factor/confirm",
    }
)
"""All that is left to whoever must have a second factor and has none."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455 and its registry: what a websocket is closed with
USER_AGENT_CHARACTERS_MAX = 200
BODY_BYTES_MAX = 64 * 1024  # like a webhook's; the largest honest body has a few hundred
FILE_BYTES_MAX = 32 * 1024 * 1024  # 100,000 events have some twenty million
FILE_PATHS = frozenset({"/admin/import-csv", "/admin/database/import", "/api/v1/signals/events/import"})

HOW_TO_COME_IN = (
    "Send the admin token, an API token or that of a session as `Authorization: Bearer …`. "
    "`POST /api/v1/auth/login` begins a session."
)
SECOND_FACTOR_DEMANDED = (
    "Your role needs a second factor, and you have none. Log in and turn it on: `POST /api/v1/auth/second-factor`, or on the "
    "console's page. Your programs' tokens count again then."
)
SESSION_COOKIE = (
    "pregao_session"  # the console's; what a browser sends by itself counts for our own pages only
)
IN_A_FORM = re.compile(rb'name="token"\r\n(?:[!-~ ]+\r\n)*\r\n([!-~]{1,200})\r\n')
WRONG_IN_BODY = "The field `token` is none of ours. Send the admin token, an API token or that of a session."
BEARER = (b"www-authenticate", b"Bearer")
RETRY = (b"retry-after", b"%d" % AWAY_RETRY_SECONDS)


class FindPrincipal(Protocol):
    """Gives whose token this is, by its SHA-256."""

    async def __call__(self, token_sha256: str, *, now: datetime) -> Principal | None:
        """Give nobody where the token ended, was revoked, or never was."""
        ...


class Tokens:
    """Says whose a token is."""

    def __init__(
        self,
        *,
        admin_token: str,
        find_principal: FindPrincipal,
        clock: Clock,
        knows_lacking: bool = False,
    ) -> None:
        """An empty admin token is nobody's; who lacks a second factor is nobody, unless he is to be told."""
        self._knows_lacking = knows_lacking
        self._admin_sha256 = hashlib.sha256(admin_token.encode()).digest() if admin_token else b""
        self._find_principal = find_principal
        self._clock = clock

    async def owner_of(self, token: bytes) -> Principal | None:
        """Give whose it is; the admin's needs no database, so that whoever has it can ask what is wrong with that."""
        if self.is_admins(token):
            return ADMIN_TOKEN
        text = token.decode("latin-1")
        return await self.owner_of_kept(sha256_of(text)) if is_of_ours(text) else None

    async def owner_of_kept(self, token_sha256: str) -> Principal | None:
        """Give whose the token with this SHA-256 is."""
        found = await self._find_principal(token_sha256, now=self._clock())
        return None if found is not None and found.lacks_second_factor and not self._knows_lacking else found

    def is_admins(self, token: bytes) -> bool:
        """Say whether it is the admin token."""
        return hmac.compare_digest(hashlib.sha256(token).digest(), self._admin_sha256)


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
        public_url: str = "",
    ) -> None:
        """An empty admin token admits nobody; ``public_url`` is where browsers think they are, behind a proxy."""
        self._app = app
        self._public_origin = origin_of(public_url)
        self._tokens = Tokens(
            admin_token=admin_token, find_principal=find_principal, clock=clock, knows_lacking=True
        )
        self._trusted = to_networks(trusted_proxies)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope["source_address"] = address_of(scope, self._trusted)
        scope["principal"] = None
        scope["public_origin"] = self._public_origin
        if scope["path"].startswith(CLOSED) and scope["path"] not in OPEN_PATHS:
            is_in_body = _may_be_in_body(scope, headers)
            if is_in_body:
                read = await _read_some(receive)
                receive = _again(read, receive)
                sent = _token_in(read) or session_of(scope, headers)
            else:
                sent = token_of(headers) or session_of(scope, headers)
            try:
                principal = None if sent is None else await self._tokens.owner_of(sent)
            except DATABASE_AWAY_ERRORS:
                await _turn_away(scope, send, 503, error_body("DATABASE_AWAY", DATABASE_AWAY), RETRY)
                return
            if principal is None:
                # The source's own words for it, where somebody comes in the source's own way.
                is_forbidden = is_in_body and sent is not None and not scope["path"].startswith(STRATEGIES)
                told = error_body("TOKEN_WRONG", WRONG_IN_BODY if is_forbidden else HOW_TO_COME_IN)
                await _turn_away(scope, send, 403 if is_forbidden else 401, told, BEARER)
                return
            scope["principal"] = principal
            if principal.lacks_second_factor and scope["path"] not in SETTING_UP:
                told = error_body("SECOND_FACTOR_DEMANDED", SECOND_FACTOR_DEMANDED)
                await _turn_away(scope, send, 403, told)
                return
        length, bytes_max = headers.get(b"content-length", b"0"), _bytes_max(scope)
        if not length.isdigit() or int(length) > bytes_max:
            body = error_body("BODY_TOO_LARGE", TOO_LARGE, {"bytes_max": bytes_max})
            await _refuse(send, 413, body, (b"connection", b"close"))
            return
        await self._limited(scope, receive, send)

    async def _limited(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        size, bytes_max = 0, _bytes_max(scope)

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > bytes_max:
                raise HTTPException(413)  # FastAPI lets its own kind through while it reads a body
            return message

        await self._app(scope, receive_limited, send)


def _bytes_max(scope: MutableMapping[str, Any]) -> int:
    return FILE_BYTES_MAX if scope["path"] in FILE_PATHS else BODY_BYTES_MAX


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Give the bearer's token; None where none was sent."""
    scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
    return sent.strip() if scheme.lower() == b"bearer" else None


def session_of(scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> bytes | None:
    """
    Give the session token a browser sent as a cookie.

    A browser sends it whoever's page asks. So what changes something, and a websocket, must come from a page of ours;
    what only reads needs no such proof: another's page cannot see the answer.
    """
    is_safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
    if not is_safe and not _is_from_our_page(headers, scope.get("public_origin", b"")):
        return None
    for pair in headers.get(b"cookie", b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == SESSION_COOKIE.encode():
            return value
    return None


def origin_of(url: str) -> bytes:
    """Give the origin of an address as browsers write it: in small letters, without the port everybody knows."""
    parts = urlsplit(url.strip().lower())
    host = parts.netloc.rpartition("@")[2].removesuffix(
        {"https": ":443", "http": ":80"}.get(parts.scheme, " ")
    )
    return f"{parts.scheme}://{host}".encode() if parts.scheme and host else b""


def _is_from_our_page(headers: Mapping[bytes, bytes], public_origin: bytes) -> bool:
    # A proxy may change `Host` on the way here; what a browser calls `Origin` it cannot.
    origin = headers.get(b"origin", b"")
    return bool(origin) and (origin == public_origin or origin.partition(b"://")[2] == headers.get(b"host"))


def _may_be_in_body(scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> bool:
    is_small = headers.get(b"content-length", b"0").isdigit()
    return (
        scope["type"] == "http"
        and scope["path"].startswith(AT_SOURCE)
        and scope["method"] != "GET"
        and b"authorization" not in headers
        and is_small
        and int(headers.get(b"content-length", b"0")) <= _bytes_max(scope)
    )


async def _read_some(receive: Receive) -> list[Message]:
    """Read a body as far as it may go; whoever reads it next finds out that it goes on."""
    read, size = [], 0
    while True:
        message = await receive()
        read.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body") or size > BODY_BYTES_MAX:
            return read


def _again(read: Sequence[Message], receive: Receive) -> Receive:
    waiting = deque(read)

    async def receive_again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return receive_again


def _token_in(read: Sequence[Message]) -> bytes | None:
    body = b"".join(message.get("body", b"") for message in read)
    if (in_form := IN_A_FORM.search(body)) is not None:
        return in_form[1]
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    token = told.get("token") if isinstance(told, dict) else None
    return token.encode(errors="surrogatepass") if isinstance(token, str) else None


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
    *headers: tuple[bytes, bytes],
) -> None:
    if scope["type"] == "websocket":
        await send(
            {"type": "websocket.close", "code": POLICY_VIOLATION if status in (401, 403) else TRY_AGAIN_LATER}
        )
        return
    await _refuse(send, status, body, *headers)


async def _refuse(send: Send, status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    text = json.dumps(body).encode()
    length = (b"content-length", str(len(text)).encode())
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": text})

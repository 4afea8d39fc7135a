"""
Who may use the API, and how much they may send: decided before a byte of the body is read.

Closed by default: a path below `/api/` is open only when it is named here.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from pregao.edges.http.errors import TOO_LARGE, error_body

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

CLOSED = "/api/"
OPEN_PATHS = frozenset({"/api/v1/bots/health"})
POLICY_VIOLATION = 1008  # RFC 6455: what a websocket is closed with
BODY_BYTES_MAX = 64 * 1024  # like a webhook's; the largest honest body has a few hundred


class Admission:
    """Lets the admin's requests through to ``app``, and answers the others itself."""

    def __init__(self, app: App, *, admin_token: str) -> None:
        """An empty token admits nobody."""
        self._app = app
        self._token_sha256 = hashlib.sha256(admin_token.encode()).digest() if admin_token else b""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if (
            scope["path"].startswith(CLOSED)
            and scope["path"] not in OPEN_PATHS
            and not self._is_admin(headers)
        ):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            await _refuse(
                send,
                401,
                error_body("TOKEN_WRONG", "Send the admin token as `Authorization: Bearer …`."),
                (b"www-authenticate", b"Bearer"),
            )
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            body = error_body("BODY_TOO_LARGE", TOO_LARGE, {"bytes_max": BODY_BYTES_MAX})
            await _refuse(send, 413, body, (b"connection", b"close"))
            return
        await self._limited(scope, receive, send)

    def _is_admin(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        sent = hashlib.sha256(token.strip()).digest()
        return scheme.lower() == b"bearer" and hmac.compare_digest(sent, self._token_sha256)

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


async def _refuse(send: Send, status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    text = json.dumps(body).encode()
    length = (b"content-length", str(len(text)).encode())
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": text})

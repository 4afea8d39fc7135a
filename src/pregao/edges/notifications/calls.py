"""One HTTP request to a service that carries messages, and what its answer means."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import httpx

from pregao.alerts.ports import MESSAGE_REFUSED, ChannelError

ANSWER_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 64 * 1024
BUSY = 429
OF_MESSAGE = frozenset({400, 413, 422})
"""Refusals of what was sent, not of who sends."""


def open_client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Give a client that follows nobody elsewhere: where a secret address leads is said in the settings."""
    return httpx.AsyncClient(
        timeout=ANSWER_SECONDS_MAX, follow_redirects=False, trust_env=False, transport=transport
    )


async def post(client: httpx.AsyncClient, address: str, body: Mapping[str, Any], *, done: int) -> None:
    """
    Post a message as JSON; ``done`` is the status of one that was taken.

    :raises ChannelError: for every other answer, and where there is none. Its text has no word of theirs.
    """
    try:
        async with client.stream("POST", address, json=body) as answer:
            status, headers = answer.status_code, answer.headers
            told = b"" if status == done else await _read(answer)
    except (httpx.TransportError, httpx.InvalidURL) as away:
        raise ChannelError(
            "CHANNEL_AWAY", f"error={type(away).__name__}. Nobody answers.", is_final=False
        ) from None
    if status == done:
        return
    if status == BUSY:
        raise ChannelError(
            "CHANNEL_BUSY",
            f"status={status}. It asks for patience.",
            is_final=False,
            retry_seconds=_retry_seconds(told, headers),
        )
    if status >= 500:
        raise ChannelError("CHANNEL_AWAY", f"status={status}. It failed.", is_final=False)
    if status in OF_MESSAGE:
        raise ChannelError(MESSAGE_REFUSED, f"status={status}. It does not take this message.", is_final=True)
    raise ChannelError(
        "CHANNEL_REFUSED", f"status={status}. See whether its address and token still hold.", is_final=True
    )


async def _read(answer: httpx.Response) -> bytes:
    told = b""
    async for part in answer.aiter_bytes():
        told += part
        if len(told) > ANSWER_BYTES_MAX:
            break
    return told


def _retry_seconds(told: bytes, headers: httpx.Headers) -> float:
    """Discord says it at the top, Telegram among its parameters, others in the header."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        body = json.loads(told)
        found = body.get("retry_after", (body.get("parameters") or {}).get("retry_after"))
        if found is not None:
            return max(0.0, float(found))
    with contextlib.suppress(ValueError):
        return max(0.0, float(headers.get("retry-after", "0")))
    return 0.0

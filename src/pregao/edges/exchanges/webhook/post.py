"""One post over HTTP: to an address that was checked, no redirect followed, and told apart whether anything has left."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pregao import __version__
from pregao.domain.forward import ANSWER_CHARACTERS_MAX, ForwardAnswer

KEPT_SECONDS = 15.0  # a kept connection that is silent for longer may be closed at the other side just now
CONNECTIONS_MAX = 100
ANSWER_BYTES_MAX = 4 * ANSWER_CHARACTERS_MAX  # a character of UTF-8 has four bytes at most
KEY_HEADER = "Idempotency-Key"


class NotPostedError(Exception):
    """Provably nothing has left."""


class NoAnswerError(Exception):
    """Something has left, and no answer that could be read came back in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What is posted, and how."""

    url: str = field(repr=False)  # it may hold a secret
    addresses: Sequence[str]  # of its host, checked: no other is connected to
    key: str  # the same at every attempt
    body: bytes
    timeout_seconds: float
    keeps_connection: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The whole answer, as far as it is kept."""

    answer: ForwardAnswer
    status: int
    retry_after: str | None


class Posts:
    """All posts of one process."""

    def __init__(self) -> None:
        """Connect when the first post is made."""
        self._addresses = _Checked()
        self._kept: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def send(self, post: Post) -> Answered:
        """
        Post once and give the answer.

        :raises NotPostedError: when provably nothing has left.
        :raises NoAnswerError: when something has, and no answer could be read in time.
        """
        progress = SimpleNamespace(has_left=False)
        try:
            return await self._send(post, progress)
        except (aiohttp.ClientError, OSError, ValueError) as trouble:  # TimeoutError is an OSError
            said = type(trouble).__name__
            if progress.has_left:
                raise NoAnswerError(said) from None  # its text may hold the URL
            raise NotPostedError(said) from None

    async def _send(self, post: Post, progress: SimpleNamespace) -> Answered:
        session = self._session(keeps_connection=post.keeps_connection)
        url = URL(post.url)
        self._addresses.of[url.raw_host or ""] = post.addresses
        headers = {"Content-Type": "application/json", KEY_HEADER: post.key}
        async with asyncio.timeout(post.timeout_seconds) as waiting:
            answer = await session.post(
                url, data=post.body, headers=headers, allow_redirects=False, trace_request_ctx=progress
            )
        try:
            text = await _beginning(answer, url=post.url, until=waiting.when())
        finally:
            answer.release()  # closes it where anything is left unread
        return Answered(
            answer=ForwardAnswer(http_status=answer.status, text=text),
            status=answer.status,
            retry_after=answer.headers.get("Retry-After"),
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._kept, self._fresh):
            if session is not None:
                await session.close()

    def _session(self, *, keeps_connection: bool) -> aiohttp.ClientSession:
        # A kept connection may be closed at the other side in the moment of the post: nobody knows then whether it
        # arrived. Where a second post could do harm, each has a connection of its own.
        if keeps_connection:
            self._kept = self._kept or self._open(keepalive_timeout=KEPT_SECONDS)
            return self._kept
        self._fresh = self._fresh or self._open(force_close=True)
        return self._fresh

    def _open(self, **kept: Any) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_note_left)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX, resolver=self._addresses, use_dns_cache=False, **kept
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": f"pregao/{__version__}", "Accept-Encoding": "identity"},
            trace_configs=[tracing],
            auto_decompress=False,
            trust_env=False,
        )


async def _note_left(_session: Any, context: Any, _told: Any) -> None:
    context.trace_request_ctx.has_left = True


async def _beginning(answer: aiohttp.ClientResponse, *, url: str, until: float | None) -> str:
    """Give how the answer's text begins; that the rest of it does not come changes nothing of its status."""
    read = bytearray()
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout_at(until):
            while len(read) < ANSWER_BYTES_MAX and (some := await answer.content.read(ANSWER_BYTES_MAX)):
                read += some
    text = bytes(read[:ANSWER_BYTES_MAX]).decode(errors="replace").replace("\0", "\ufffd")
    return text.replace(url, "…")[:ANSWER_CHARACTERS_MAX]


class _Checked(AbstractResolver):
    """Gives of each host what was checked, and asks nobody."""

    def __init__(self) -> None:
        self.of: dict[str, Sequence[str]] = {}

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  # all that were checked
    ) -> list[ResolveResult]:
        addresses = self.of.get(host)
        if not addresses:
            raise OSError("no address of this host was checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""

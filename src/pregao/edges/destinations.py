"""
Where a destination's host stands: asked of the system's resolver, and checked before anything connects there.

The connection is made to what was checked and to no name, so that an answer that changes meanwhile changes nothing.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence

from pregao.destinations.addresses import allowed_hosts, check_addresses, read_url
from pregao.destinations.ports import CheckedAddress

RESOLVE_SECONDS_MAX = 5.0
CLOSE_SECONDS_MAX = 1.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives a host's addresses; none where it has none."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS_MAX):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # unknown, away, slow, or no name at all
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedDestinations:
    """The port `destinations.ports.Destinations`."""

    def __init__(self, allowed: Sequence[str], *, resolve: Resolve = resolve) -> None:
        """Hosts named in ``allowed`` may have any address."""
        self._trusted: ssl.SSLContext | None = None
        self._allowed = allowed_hosts(allowed)
        self._resolve = resolve

    async def check(self, url: str) -> CheckedAddress:
        read = read_url(url)
        found = tuple(await self._resolve(read.host, read.port))
        check_addresses(read.host, found, allowed=self._allowed)
        return CheckedAddress(
            host=read.host, port=read.port, is_secured=read.scheme == "https", addresses=found
        )

    async def connect(self, checked: CheckedAddress, *, seconds_max: float) -> float:
        began = time.monotonic()
        async with asyncio.timeout(seconds_max):
            writer = await self._connect(checked)
        seconds = time.monotonic() - began
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):  # how it says goodbye changes nothing
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await writer.wait_closed()
        return seconds

    async def _connect(self, checked: CheckedAddress) -> asyncio.StreamWriter:
        trouble: OSError | None = None
        for address in checked.addresses:
            try:
                _, writer = await asyncio.open_connection(
                    address,
                    checked.port,
                    ssl=self._certificates() if checked.is_secured else None,
                    server_hostname=checked.host if checked.is_secured else None,
                )
            except OSError as refused:
                trouble = refused
            else:
                return writer
        raise trouble or OSError("it has no address")

    def _certificates(self) -> ssl.SSLContext:
        self._trusted = self._trusted or ssl.create_default_context()
        return self._trusted

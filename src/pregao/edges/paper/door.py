"""How the desk knocks at its paper exchange: opens accounts there, asks whether it is up."""

import asyncio
import time
import urllib.error
import urllib.request
from decimal import Decimal

import msgspec

from pregao.domain.order import PositionMode

SECONDS_MAX = 3.0
TRY_SECONDS = 0.2
MARKET_SECONDS = 30.0  # what was said counts for so long
MARKET_WAIT_SECONDS = 0.25


class PaperDoor:
    """The control paths of one paper exchange, as seen from the desk."""

    def __init__(self, url: str) -> None:
        """Knock at ``url``, the exchange's base address."""
        self._url = url.rstrip("/")
        self._market, self._market_until = "", 0.0
        self._looking: asyncio.Task[None] | None = None
        # A proxy of the environment is for the world, not for a neighbor on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def open_account(
        self, *, key: str, secret: str, balance_usdt: Decimal, position_mode: PositionMode
    ) -> None:
        """
        Open the account, or find it open already with the same secret.

        :raises OSError: when the exchange does not answer, or says no.
        """
        account = {
            "key": key,
            "secret": secret,
            "balance": str(balance_usdt),
            "position_mode": position_mode.value,
        }
        await asyncio.to_thread(self._ask, "/paper/accounts", msgspec.json.encode(account))

    async def is_up(self) -> bool:
        """Say whether it answers."""
        try:
            await asyncio.to_thread(self._ask, "/paper/health", None)
        except OSError:
            return False
        return True

    async def market(self) -> str:
        """Say what its prices are: SIMULATED, TAPE or STILL; empty while that is not known. No page waits long for it."""
        now = time.monotonic()
        if now >= self._market_until and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_at_market())
        if self._looking is not None and not self._looking.done():
            await asyncio.wait({self._looking}, timeout=MARKET_WAIT_SECONDS)
        return self._market

    async def _look_at_market(self) -> None:
        try:
            told = msgspec.json.decode(await asyncio.to_thread(self._ask, "/paper/health", None))
            self._market = str(told["market"])
        except (OSError, ValueError, KeyError, TypeError):
            self._market = ""
        self._market_until = time.monotonic() + (MARKET_SECONDS if self._market else TRY_SECONDS)

    async def wait_until_up(self) -> None:
        """Return once it answers."""
        while not await self.is_up():  # noqa: ASYNC110  # it is another process: no event of ours tells
            await asyncio.sleep(TRY_SECONDS)

    def _ask(self, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=body, headers=headers)  # noqa: S310  # our own setting
        try:
            with self._opener.open(request, timeout=SECONDS_MAX) as answer:
                read: bytes = answer.read()
                return read
        except urllib.error.HTTPError as refusal:
            refusal.close()
            raise OSError(f"PAPER_REFUSED: path={path} status={refusal.code}") from None

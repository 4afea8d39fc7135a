"""How the desk knocks at its paper exchange: opens accounts there, asks whether it is up."""

import asyncio
import urllib.error
import urllib.request
from decimal import Decimal

import msgspec

from pregao.domain.order import PositionMode

SECONDS_MAX = 3.0
TRY_SECONDS = 0.2


class PaperDoor:
    """The control paths of one paper exchange, as seen from the desk."""

    def __init__(self, url: str) -> None:
        """Knock at ``url``, the exchange's base address."""
        self._url = url.rstrip("/")
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

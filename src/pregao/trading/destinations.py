"""Destinations are looked over like accounts at exchanges: when they are new, changed or asked about, and in turn."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pregao.accounts.destination_checks import Connected, FoundDestination, Trouble, judge_destination
from pregao.accounts.sealing import SealError
from pregao.destinations.ports import Destinations
from pregao.destinations.refusals import DestinationError
from pregao.domain.account import Account, Venue
from pregao.domain.preflight import CheckResult, Result
from pregao.edges.postgres import preflights
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.preflights import BELL, Due
from pregao.trading.trouble import AWAY

VENUES = (Venue.WEBHOOK,)
PACE_SECONDS = 1.0
CHANGES_SECONDS = 15.0  # a ring may be lost: this long at most until a change is found anyway
AT_ONCE = 4
CONNECT_SECONDS_MAX = 4.0  # whoever asked waits for five
NEXT_SECONDS, NEXT_SECONDS_FAILED = 3_600.0, 60.0

UrlOf = Callable[[int], Awaitable[str]]
"""Gives an account's URL; LookupError where it has none."""

log = structlog.get_logger()


class DestinationPreflight:
    """The loop that looks them over; whichever trader comes first looks, each at others."""

    def __init__(
        self, journal: Journal, doorbell: Doorbell, *, url_of: UrlOf, destinations: Destinations
    ) -> None:
        """Look as soon as the loop runs; say so before the doorbell is started."""
        self._pool = journal.pool
        self._url_of = url_of
        self._destinations = destinations
        self._rung = asyncio.Event()
        self._is_changed = True
        self._looked_at = 0.0  # for changes, monotonic
        doorbell.listen(BELL, lambda _words: self._rung.set())
        for bell in ("accounts", "bots"):
            doorbell.listen(bell, lambda _words: self._note_change())

    async def look(self) -> None:
        """Look over those that are due longest, some at once; then wait for a ring, or a moment."""
        now = asyncio.get_running_loop().time()
        if self._is_changed or now - self._looked_at > CHANGES_SECONDS:
            self._is_changed = False
            await preflights.call_changed(self._pool, VENUES)
            self._looked_at = now
        due = await preflights.claim_due(self._pool, VENUES, limit=AT_ONCE)
        await asyncio.gather(*(self._check(one) for one in due))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE_SECONDS):
                await self._rung.wait()
        self._rung.clear()

    def _note_change(self) -> None:
        self._is_changed = True
        self._rung.set()

    async def _check(self, due: Due) -> None:
        account_id = due.account_id
        try:
            followed = await preflights.read_followed(self._pool, account_id)
            results = judge_destination(await self._find_out(followed.account))
            light = await preflights.keep(
                self._pool, due, results, seconds=_next_seconds(results), settings_of=followed.settings_of
            )
            log.info("trader.preflight.checked", account_id=account_id, light=light)
        except AWAY as away:
            log.warning("trader.preflight.put_off", account_id=account_id, error=type(away).__name__)
        except Exception:
            log.exception("trader.preflight.failed", account_id=account_id)

    async def _find_out(self, account: Account) -> FoundDestination:
        destination = account.destination
        host = "" if destination is None else destination.host
        try:
            url = await self._url_of(account.account_id)
            checked = await self._destinations.check(url)
        except LookupError:
            return FoundDestination(host=host, addresses=Trouble(code="DESTINATION_MISSING", message=SET_ONE))
        except SealError as sealed:
            code = str(sealed).partition(":")[0]
            return FoundDestination(host=host, addresses=Trouble(code=code, message=SET_ONE))
        except DestinationError as refusal:
            trouble = Trouble(code=refusal.code, message=refusal.message)
            return FoundDestination(host=host, addresses=trouble)
        connected: Connected | Trouble
        try:
            seconds = await self._destinations.connect(checked, seconds_max=CONNECT_SECONDS_MAX)
        except OSError as away:  # TimeoutError is one, and so is a bad certificate
            connected = Trouble(code="DESTINATION_AWAY", message=type(away).__name__)
        else:
            connected = Connected(milliseconds=round(seconds * 1_000))
        return FoundDestination(host=host, addresses=checked.addresses, connected=connected)


SET_ONE = "No URL that can be read is kept for it; set one."


def _next_seconds(results: Sequence[CheckResult]) -> float:
    has_failed = any(one.result is Result.FAILED for one in results)
    return NEXT_SECONDS_FAILED if has_failed else NEXT_SECONDS

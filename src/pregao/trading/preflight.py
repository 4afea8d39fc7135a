"""Accounts are looked over before a signal comes: when they are new, changed or asked about, and all day in turn."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from pregao.accounts.ports import AccountVenue
from pregao.accounts.preflight import judge
from pregao.accounts.survey import survey_account
from pregao.domain.account import Venue
from pregao.domain.preflight import CheckResult, Result
from pregao.domain.venue import RetryLater
from pregao.edges.postgres import preflights
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.preflights import BELL, Due
from pregao.orders.sizing import size_entry
from pregao.trading.floor import Floor
from pregao.trading.trouble import AWAY

PACE_SECONDS = 1.0  # one account after the other: each costs about 17 of a minute's 2,400 weight
CHANGES_SECONDS = 15.0  # a ring may be lost: this long at most until a change is found anyway
ASKED_AT_ONCE = 4
SURVEY_SECONDS_MAX = 50.0  # less than a claim holds

NEXT_SECONDS = {Result.OK: 3_600.0, Result.WARNING: 900.0, Result.UNKNOWN: 900.0, Result.FAILED: 60.0}
"""Until the next look, by the worst that was found: what is red was probably being mended."""
NEXT_SECONDS_OF_CODES = {"STREAM_AWAY": 60.0, "UNANSWERED": 60.0, "PRICE_UNAVAILABLE": 60.0}

log = structlog.get_logger()


class Preflight:
    """The loops that look accounts over."""

    def __init__(self, journal: Journal, floor: Floor, accounts: Mapping[Venue, AccountVenue]) -> None:
        """Look over the accounts of no venue, yet; ``accounts`` says how each venue is asked."""
        self._pool = journal.pool
        self._floor = floor
        self._accounts = accounts
        self._venues: set[Venue] = set()
        self._doubted: set[int] = set()
        self._unstreamed: set[int] = set()  # had no stream when they were looked over
        self._rejected: set[str] = set()  # orders, since the last look
        self._asked = asyncio.Event()
        self._is_changed = True
        self._looked_at = 0.0  # for changes, monotonic
        floor.listen_to_rejections(self._rejected.add)
        floor.doorbell.listen(BELL, lambda _words: self._asked.set())
        for bell in ("accounts", "bots"):
            floor.doorbell.listen(bell, lambda _words: self._note_change())

    def go_round(self, venue: Venue) -> None:
        """Look over the venue's accounts from now on."""
        if venue in self._accounts:
            self._venues.add(venue)
            self._note_change()

    def leave(self, venue: Venue) -> None:
        """Leave the venue's accounts to another trader."""
        self._venues.discard(venue)

    def doubt(self, account_id: int) -> None:
        """Look soon: the account's stream is back, and what is set there may not be known any more."""
        is_known = any(venue.has_settings(account_id) for venue in self._accounts.values())
        if account_id in self._unstreamed or not is_known:
            self._doubted.add(account_id)

    def _note_change(self) -> None:
        self._is_changed = True

    async def answer_asked(self) -> None:
        """Look over the accounts that somebody waits for, some at once; then wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE_SECONDS):
                await self._asked.wait()
        self._asked.clear()
        if self._venues:
            await self._look_over(ASKED_AT_ONCE, only_asked=True)

    async def look_in_turn(self) -> None:
        """Look over the account that is due longest; then pause."""
        await asyncio.sleep(PACE_SECONDS)
        pool, now = self._pool, asyncio.get_running_loop().time()
        if self._rejected:
            # Whoever follows the account's venue looks: that may be another trader.
            rejected = set(self._rejected)
            await preflights.call_rejected(pool, rejected)
            self._rejected -= rejected
        if not self._venues:
            return
        if self._is_changed or now - self._looked_at > CHANGES_SECONDS:
            self._is_changed = False
            await preflights.call_changed(pool, self._venues)
            self._looked_at = now
        if self._doubted:
            doubted = set(self._doubted)
            await preflights.call_soon(pool, doubted)
            self._doubted -= doubted
        await self._floor.orders_have_left()
        await self._look_over(1)

    async def _look_over(self, limit: int, *, only_asked: bool = False) -> None:
        due = await preflights.claim_due(self._pool, self._venues, limit=limit, only_asked=only_asked)
        await asyncio.gather(*(self._check(one) for one in due))

    async def _check(self, due: Due) -> None:
        pool, account_id = self._pool, due.account_id
        try:
            followed = await preflights.read_followed(pool, account_id)
            async with asyncio.timeout(SURVEY_SECONDS_MAX):
                found = await survey_account(
                    followed.account,
                    followed.follows,
                    venue=self._accounts[followed.account.venue],
                    is_quiet=partial(preflights.is_quiet, pool, account_id),
                    fixes_position_mode=due.fixes,
                )
            results = judge(found, size=size_entry)
            self._note_stream(account_id, results)
            light = await preflights.keep(
                pool, due, results, seconds=_next_seconds(results), settings_of=followed.settings_of
            )
            log.info("trader.preflight.checked", account_id=account_id, light=light)
        except RetryLater as busy:
            await preflights.put_off(pool, account_id, seconds=busy.retry_after_seconds)
        except AWAY as away:
            log.warning("trader.preflight.put_off", account_id=account_id, error=type(away).__name__)
        except Exception:
            log.exception("trader.preflight.failed", account_id=account_id)

    def _note_stream(self, account_id: int, results: Sequence[CheckResult]) -> None:
        if any(one.code == "STREAM_AWAY" for one in results):
            self._unstreamed.add(account_id)
        else:
            self._unstreamed.discard(account_id)


def _next_seconds(results: Sequence[CheckResult]) -> float:
    return min(NEXT_SECONDS_OF_CODES.get(one.code, NEXT_SECONDS[one.result]) for one in results)

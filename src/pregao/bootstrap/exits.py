"""What a person should hear of a guarded exit, and the tenants whose entries pause after a bad one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial

import structlog

from pregao.accounts.halt import Asker, set_state
from pregao.domain.account import Account
from pregao.domain.execution import ExecutionStatus
from pregao.domain.facts import (
    ExecutionMoved,
    Fact,
    GuardrailBlocked,
    StopUnusable,
)
from pregao.domain.money import ZERO
from pregao.domain.trading_state import Scope, TradingState, scope_of_account, scope_of_user
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.exits import Slipped, slipped_since
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.trading_states import BELL, PostgresTradingStateBooks
from pregao.stops.guardrails import pauses_entries
from pregao.stops.limits import STANDARD
from pregao.trading.floor import Floor

RECALLED = timedelta(
    hours=1
)  # so far back exits are looked at that slipped while nobody was there to pause their tenant
BY_DESK = Asker(name="desk", user_id=None, is_staff=True, source_address="")

log = structlog.get_logger()


def watch_exits(
    floor: Floor, journal: Journal, *, join: Callable[[Callable[[], Awaitable[None]]], None]
) -> None:
    """Tell of each commit what a person must hear, and pause whose exits have slipped too far."""
    pauses = Pauses(journal, floor)
    floor.listen_to_commits(tell_exits)
    floor.listen_to_commits(pauses.note)
    join(pauses.pause_next)


def tell_exits(done: Sequence[Fact]) -> None:
    """Say what keeps a position from its exit, or leaves it open; each once, by the process that found it."""
    for fact in done:
        match fact:
            case GuardrailBlocked():
                tell = log.critical if fact.is_critical else log.warning
                tell(
                    "stops.guardrail.said_no",
                    guardrail=fact.guardrail,
                    instead=fact.instead,
                    position_id=fact.position_id,
                    token=fact.token,
                    remedy=fact.remedy,
                    **fact.numbers,
                )
            case ExecutionMoved(status=ExecutionStatus.BLOCKED):
                log.critical(
                    "stops.exit.blocked",
                    position_id=fact.position_id,
                    token=fact.token,
                    code=fact.code,
                    reason=fact.reason,
                )
            case StopUnusable():
                log.critical(
                    "stops.stop.unusable", position_id=fact.position_id, code=fact.code, reason=fact.reason
                )


class Pauses:
    """The loop that keeps a tenant from entering after an exit that slipped too far, until somebody says so."""

    def __init__(self, journal: Journal, floor: Floor) -> None:
        """Pause through the journal's books of trading states."""
        self._books_of_accounts = PostgresBooks(journal.pool)
        self._floor = floor
        self._books = PostgresTradingStateBooks(journal, ring=partial(floor.doorbell.ring, BELL))
        self._pool = journal.pool
        self._noted: deque[Slipped] = deque()
        self._is_recalled = False
        self._came = asyncio.Event()

    def note(self, done: Sequence[Fact]) -> None:
        """Note whose entries may have to pause by these facts; what is allowed to whom is looked up then."""
        for fact in done:
            if isinstance(fact, ExecutionMoved) and fact.slippage_percent and fact.slippage_percent > ZERO:
                self._noted.append(
                    Slipped(
                        token=fact.token, account_id=fact.account_id, slippage_percent=fact.slippage_percent
                    )
                )
            elif isinstance(fact, GuardrailBlocked) and fact.pauses_entries:
                self._noted.append(
                    Slipped(token=fact.token, account_id=fact.account_id, slippage_percent=None)
                )
        if self._noted:
            self._came.set()

    async def pause_next(self) -> None:
        """Pause the tenants that were noted; one that an operator has stopped already stays as he said."""
        if not self._is_recalled:
            # Whoever noted these may have died before he paused anybody.
            self._noted.extend(await slipped_since(self._pool, since=self._floor.clock() - RECALLED))
            self._is_recalled = True
        else:
            await self._came.wait()
        while self._noted:
            one = self._noted[0]
            account = (await self._books_of_accounts.accounts([one.account_id]))[one.account_id]
            if one.slippage_percent is None or await self._is_too_far(one.slippage_percent, account):
                await self._pause(account, reason=f"SLIPPAGE_BREACH: token={one.token}")
            self._noted.popleft()
        self._came.clear()

    async def _is_too_far(self, slippage: Decimal, account: Account) -> bool:
        user_id = account.user_id
        known = {} if user_id is None else await self._books_of_accounts.tenant_limits([user_id])
        return pauses_entries(slippage, limits=STANDARD if user_id is None else known.get(user_id, STANDARD))

    async def _pause(self, account: Account, *, reason: str) -> None:
        scope: Scope = (
            scope_of_account(account.account_id)
            if account.user_id is None
            else scope_of_user(account.user_id)
        )
        async with self._books.open(owner=None) as book:
            if await book.find_state(scope) is not None:
                return
            facts = await set_state(
                scope, TradingState.REDUCING, reason=reason, by=BY_DESK, book=book, now=self._floor.clock()
            )
            await book.append(facts)
        log.critical("stops.entries.paused", level=scope.level, subject=scope.subject, reason=reason)

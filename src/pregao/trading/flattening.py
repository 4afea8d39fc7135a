"""
Carries on the jobs that sell out: asks for closes, again and again, until every account is proven flat.

It closes as a signal does: by signals of the desk's own, with the same exits, waits and retries. Nothing is kept here
that is not found in the state again; one trader at a time works, under the lease named ``flattens``.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from pregao.domain.desk import Desk
from pregao.domain.facts import Fact, FlattenAccountSeen, FlattenEnded
from pregao.domain.position import PositionStatus
from pregao.domain.trading_state import ScopeLevel, TradingStates
from pregao.domain.venue import VenueError
from pregao.edges.ids import uuid7
from pregao.edges.postgres import flattens
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.flattens import ExitsDone, LivePosition, RunningFlatten
from pregao.edges.postgres.journal import Journal
from pregao.edges.postgres.trading_states import BELL as STATES
from pregao.edges.postgres.trading_states import read_watched
from pregao.edges.postgres.workers import Lease, Workers
from pregao.orders.denial import Denial
from pregao.orders.ports import NOTHING_ON_THE_WAY
from pregao.orders.states import denial_of_exit
from pregao.signals.own import close_now
from pregao.trading.comparison import Comparison
from pregao.trading.floor import LOOK_SECONDS, Floor
from pregao.trading.trouble import AWAY

LEASE = "flattens"
PAUSE_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # then every half minute, while nothing changes
TOLD_AFTER_LOOKS = 3  # what stands for less than two seconds is only on its way
PROOFS_AT_ONCE = 5  # reading positions costs weight that exits may need
PROOF_SECONDS_MAX = 5.0  # of one look: a venue that is silent on many accounts keeps no close waiting
ONE_BY_ONE_MAX = (
    20  # positions of a bot that are closed each by a signal of its own; more by one for the whole bot
)

FLAT = Denial(code="", reason="")

log = structlog.get_logger()


@dataclass(slots=True)
class Patience:
    """How often a job was looked at since something changed, and when it is looked at again, in the loop's time."""

    looks: int = 0
    due: float = 0.0
    stood: object = None
    asked_at: dict[int, float] = field(default_factory=dict)  # account → when its venue was asked last

    def wait(self, stood: object, *, now: float) -> None:
        """Look again soon when something has changed, else later and later."""
        self.looks = self.looks + 1 if stood == self.stood else 0
        self.stood = stood
        self.due = now + PAUSE_SECONDS[min(self.looks, len(PAUSE_SECONDS) - 1)]


class Flattening:
    """The loop that sells out."""

    def __init__(self, journal: Journal, floor: Floor, comparison: Comparison, *, desk: Desk) -> None:
        """Work while ``desk``'s worker holds the lease; look at venues through ``comparison``."""
        self._journal = journal
        self._floor = floor
        self._comparison = comparison
        self._desk = desk
        self._lease = Lease(worker_id=desk.owner, lease_epoch=desk.lease_epoch)
        self._workers = Workers(journal.pool)
        self._patience: dict[UUID, Patience] = {}
        self._rung = asyncio.Event()
        for bell in (flattens.BELL, STATES):  # a state may have kept exits back
            floor.doorbell.listen(bell, lambda _words: self._rung.set())

    async def follow(self) -> None:
        """Carry on every job that is due; then wait for the next, for the bell, or a second."""
        if self._rung.is_set():
            self._patience.clear()
        self._rung.clear()
        jobs = await flattens.running_flattens(self._journal.pool)
        if jobs and await self._workers.hold(LEASE, self._lease):
            self._patience = {one.flatten_id: self._patience.get(one.flatten_id, Patience()) for one in jobs}
            for job in jobs:
                if self._patience[job.flatten_id].due <= self._now():
                    await self._carry_on(job)
        due = [one.due - self._now() for one in self._patience.values()] if jobs else []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, min([LOOK_SECONDS, *due]))):
                await self._rung.wait()

    async def look(self, job: RunningFlatten) -> None:
        """Look at a job once: ask for closes, prove what is closed, end it when all is proven."""
        pool = self._journal.pool
        live = await flattens.live_positions(pool, job.scope)
        on_the_way = await PostgresBooks(pool).on_the_way([one.position.position_id for one in live])
        states = (await read_watched(pool)).states
        standing = {
            one.position.position_id: _why(one, states=states)
            for one in live
            if not on_the_way.get(one.position.position_id, NOTHING_ON_THE_WAY).closes_all(
                one.position.quantity
            )
        }
        patience = self._patience.setdefault(job.flatten_id, Patience())
        await self._ask(job, [one for one in live if standing.get(one.position.position_id) is FLAT])
        facts = await self._seen(job, live, standing=standing, is_new=patience.looks < TOLD_AFTER_LOOKS)
        if facts:
            await self._write(job, facts)
        patience.wait((_stood(live), len(await self._unproven(job))), now=self._now())
        if not live:
            await self._end_if_proven(job)

    async def _carry_on(self, job: RunningFlatten) -> None:
        try:
            await self.look(job)
        except AWAY:
            raise
        except Exception:
            # Whatever it is: the other jobs, and everything else this trader does, go on.
            log.exception("trader.flatten.failed", flatten_id=str(job.flatten_id))
            self._patience[job.flatten_id].due = self._now() + PAUSE_SECONDS[-1]

    # --- close --------------------------------------------------------------------------------------------

    async def _ask(self, job: RunningFlatten, positions: Sequence[LivePosition]) -> None:
        """Have positions closed by signals of the desk's own: the same close that a sender asks for."""
        by_bot: defaultdict[UUID, list[LivePosition]] = defaultdict(list)
        for one in positions:
            by_bot[one.position.bot_id].append(one)
        now = self._floor.clock()
        facts: list[Fact] = []
        for bot_id, held in by_bot.items():
            is_whole = job.level in (ScopeLevel.DESK, ScopeLevel.BOT) and len(held) > ONE_BY_ONE_MAX
            subscriptions = [None] if is_whole else sorted({one.position.subscription_id for one in held})
            for subscription_id in subscriptions:
                facts.extend(
                    close_now(
                        signal_id=uuid7(now),
                        bot_id=bot_id,
                        subscription_id=subscription_id,
                        symbol=held[0].position.symbol if job.level is ScopeLevel.SYMBOL else None,
                        flatten_id=job.flatten_id,
                        now=now,
                    )
                )
        if facts:
            await self._write(job, facts)
            self._floor.doorbell.ring("signals")

    # --- prove --------------------------------------------------------------------------------------------

    async def _seen(
        self, job: RunningFlatten, live: Sequence[LivePosition], *, standing: dict[int, Denial], is_new: bool
    ) -> list[Fact]:
        """Give what has changed on the accounts: what stands there and why, and who is proven flat."""
        pool = self._journal.pool
        known = {one.account_id: one for one in await flattens.accounts_seen(pool, job.flatten_id)}
        found = await self._standing(live, standing=standing)
        unproven = [number for number, one in known.items() if one.proved_at is None and number not in found]
        proofs = await self._prove_some(unproven, self._patience[job.flatten_id])
        # A venue that lags is no news for two seconds; an account that was proven and holds something again is.
        told = {
            number: why
            for number, why in (found | proofs).items()
            if why is FLAT
            or number not in known
            or known[number].proved_at is not None
            or (not is_new and known[number].code != why.code)
        }
        exits = await flattens.exits_since(pool, job, list(told)) if told else {}
        return [
            FlattenAccountSeen(
                happened_at=self._floor.clock(),
                flatten_id=job.flatten_id,
                account_id=number,
                is_flat=why is FLAT,
                code=why.code,
                reason=why.reason,
                closed=exits.get(number, ExitsDone()).closed,
                attempts=exits.get(number, ExitsDone()).attempts,
                foreign=await flattens.foreign_held(pool, number),
            )
            for number, why in sorted(told.items())
        ]

    async def _standing(
        self, live: Sequence[LivePosition], *, standing: dict[int, Denial]
    ) -> dict[int, Denial]:
        """Give by account why something stands there: of several positions the last."""
        last = await flattens.last_exits(self._journal.pool, [one.position.position_id for one in live])
        found: dict[int, Denial] = {}
        for one in live:
            position, why = one.position, standing.get(one.position.position_id)
            place = f"position={position.position_id} symbol={position.symbol} quantity={position.quantity}"
            before = last.get(position.position_id)
            if why is not None and why is not FLAT:
                found[position.account_id] = why
            elif position.status is PositionStatus.PENDING:
                found[position.account_id] = Denial(
                    code="ENTRY_ON_ITS_WAY", reason=f"{place}. What fills is exited at once."
                )
            elif why is None:
                status = before.status if before else "waits"
                found[position.account_id] = Denial(code="EXIT_IN_FLIGHT", reason=f"{place} exit={status}.")
            else:
                code = before.code if before and before.code else "CLOSE_ASKED"
                found[position.account_id] = Denial(code=code, reason=f"{place}. It is asked to close again.")
        return found

    async def _prove_some(self, account_ids: Sequence[int], patience: Patience) -> dict[int, Denial]:
        """Ask about as many accounts as time allows, those first that have waited longest."""
        until = self._now() + PROOF_SECONDS_MAX
        waiting = sorted(account_ids, key=lambda number: patience.asked_at.get(number, 0.0))
        proofs: dict[int, Denial] = {}
        while waiting and self._now() < until:
            some, waiting = waiting[:PROOFS_AT_ONCE], waiting[PROOFS_AT_ONCE:]
            patience.asked_at.update(dict.fromkeys(some, self._now()))
            answers = await asyncio.gather(*(self._prove(number) for number in some))
            proofs.update(zip(some, answers, strict=True))
        return proofs

    async def _prove(self, account_id: int) -> Denial:
        """Ask the venue what the account holds; flat is who holds nothing but what is known not to be ours."""
        try:
            look = await self._comparison.look_at(account_id)
        except VenueError as trouble:
            return Denial(code=trouble.code, reason=trouble.message)
        except AWAY:
            raise
        except Exception:
            log.exception("trader.flatten.unproven", account_id=account_id)
            return Denial(code="DESK_FAILED", reason="The desk could not ask the venue; its log says why.")
        if look is None:
            return Denial(code="ORDER_IN_FLIGHT", reason="An order of the account is on its way.")
        if look.changed:
            # Seen twice, after asking for trades nobody told of, it is known whose it is.
            self._floor.doubts.compare_after_gap(account_id)
            places = " ".join(f"{one.symbol}={one.quantity}" for one in look.changed)
            return Denial(code="VENUE_DIFFERS", reason=f"{places}. The venue holds this beside the books.")
        return FLAT

    async def _unproven(self, job: RunningFlatten) -> list[int]:
        seen = await flattens.accounts_seen(self._journal.pool, job.flatten_id)
        return [one.account_id for one in seen if one.proved_at is None]

    async def _end_if_proven(self, job: RunningFlatten) -> None:
        if await self._unproven(job):
            return
        ended = FlattenEnded(
            happened_at=self._floor.clock(),
            flatten_id=job.flatten_id,
            is_done=True,
            ended_by=self._desk.owner,
            reason="Every account is proven flat.",
        )
        async with self._journal.transaction() as transaction:
            if not await flattens.is_running(transaction.connection, job.flatten_id):
                return
            # Under the job's lock: an entry since then, or an account that somebody asked for, is seen next time.
            if not await flattens.live_positions(transaction.connection, job.scope):
                await transaction.append([ended])

    async def _write(self, job: RunningFlatten, facts: Sequence[Fact]) -> None:
        """Write facts, unless somebody has stopped the job meanwhile."""
        async with self._journal.transaction() as transaction:
            if await flattens.is_running(transaction.connection, job.flatten_id):
                await transaction.append(facts)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _stood(live: Sequence[LivePosition]) -> list[object]:
    """Give what only changes where something has come of what was asked: an exit that comes and is refused changes nothing."""
    return [
        (one.position.position_id, one.position.status is PositionStatus.PENDING, one.position.quantity)
        for one in live
    ]


def _why(one: LivePosition, *, states: TradingStates) -> Denial:
    """Give what keeps a position from being closed now; nothing but a state that blocks exits does."""
    blocked = denial_of_exit(
        states, account=one.account, bot_id=one.position.bot_id, symbol=one.position.symbol
    )
    return FLAT if blocked is None else blocked

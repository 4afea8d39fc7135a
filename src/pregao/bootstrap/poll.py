"""The monitor that a person or cron runs: it asks once, or again and again, and exits by the same claim as the stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from pregao.bootstrap.exits import watch_exits
from pregao.bootstrap.monitor import build_feeds, build_floor
from pregao.bootstrap.process import now_utc
from pregao.bootstrap.venues import open_sender
from pregao.domain.clock import Clock
from pregao.domain.facts import StopRaised
from pregao.edges.postgres.watches import PostgresWatches
from pregao.settings import Settings
from pregao.trading.polling import Attempted, Followed, Polling, Seen

OUTCOME_SECONDS_MAX = 10.0  # so long an exit is waited for: the trader books its fills
LOOK_SECONDS = 0.05

Told: TypeAlias = Callable[[dict[str, Any]], None]

OUTCOME = """
SELECT c.status, c.code, c.order_id, p.realized_pnl
FROM stop_claims AS c JOIN positions AS p USING (position_id) WHERE c.token = $1 AND c.position_id = $2
ORDER BY c.seen_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one look found."""

    triggers: int
    failures: int


@asynccontextmanager
async def open_polling(settings: Settings, *, clock: Clock = now_utc) -> AsyncIterator["Poll"]:
    """Take a lease, and be ready to ask and to send; what is on the wire at the end is finished first."""
    async with open_sender(settings, role="poll", clock=clock) as sender:
        floor = build_floor(settings, sender, clock=clock)
        watches = PostgresWatches(sender.journal.pool, sender.lease)
        polling = Polling(
            floor,
            watches=watches,
            prices=build_feeds(sender),
            claimed_by=sender.lease.worker_id,
            start_venue=lambda venue: sender.exchanges[venue].start(),
        )
        tasks: list[asyncio.Task[None]] = []
        watch_exits(
            floor, sender.journal, join=lambda work: tasks.append(asyncio.ensure_future(floor.keep(work)))
        )
        await sender.doorbell.start()
        tasks.append(asyncio.create_task(sender.run()))
        try:
            yield Poll(polling, pool=sender.journal.pool)
        finally:
            await floor.close()
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)


class Poll:
    """Asks and tells, in the words of the source system."""

    def __init__(self, polling: Polling, *, pool: Any) -> None:
        """Look up in ``pool`` what became of an exit."""
        self._polling = polling
        self._pool = pool

    async def look_once(self, *, dry_run: bool, told: Told) -> Round:
        """Tell each trigger, exit it unless it is a dry run, and tell what came of it."""
        seen = await self._polling.look()
        for one in seen:
            told(_trigger(one))
        if dry_run or not seen:
            return Round(triggers=len(seen), failures=0)
        failures = 0
        for attempted in await self._polling.exit(seen):
            outcome = await self._outcome(attempted)
            failures += not outcome["success"] and attempted.token is not None
            told(outcome)
        return Round(triggers=len(seen), failures=failures)

    async def follow_once(self, *, dry_run: bool, told: Told) -> int:
        """Tell each move that the prices ask for, and write it down unless it is a dry run; give how many."""
        found = await self._polling.look_to_follow()
        if dry_run:
            for one in found:
                told(_move(one))
            return len(found)
        moved = await self._polling.follow(found) if found else []
        for fact in moved:
            told(_moved(fact))
        return len(moved)

    async def _outcome(self, attempted: Attempted) -> dict[str, Any]:
        row = None
        if attempted.token is not None:
            row = await self._ended(attempted)
        is_done = row is not None and row["status"] == "executed"
        error = attempted.error or (None if row is None or is_done else row["code"] or row["status"])
        return {
            "type": "execution",
            "success": is_done,
            "operation_id": attempted.position_id,
            "order_id": attempted.order_id if row is None else row["order_id"],
            "pnl": _text(row["realized_pnl"]) if row is not None and is_done else None,
            "error": None if is_done else error,
        }

    async def _ended(self, attempted: Attempted) -> Any:
        """Give the claim when its exit is over, or when it was waited for long enough."""
        row = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTCOME_SECONDS_MAX):
                while True:
                    row = await self._pool.fetchrow(OUTCOME, attempted.token, attempted.position_id)
                    if row is None or row["status"] not in ("pending", "submitted"):
                        break
                    await asyncio.sleep(LOOK_SECONDS)
        return row


def _trigger(one: Seen) -> dict[str, Any]:
    return {
        "type": "trigger",
        "operation_id": one.armed.stop.position_id,
        "trigger_type": one.trigger.kind.value,
        "symbol": one.armed.symbol,
        "current_price": _text(one.trigger.price),
        "trigger_price": _text(one.trigger.level),
        "expected_pnl": _text(one.expected_pnl),
    }


def _move(one: Followed) -> dict[str, Any]:
    adjustment = one.adjustment
    return {
        "type": "adjustment",
        "operation_id": adjustment.position_id,
        "symbol": one.armed.symbol,
        "reason": adjustment.reason.value,
        "old_stop": _text(adjustment.old_stop),
        "new_stop": _text(adjustment.new_stop),
        "current_price": _text(adjustment.current_price),
    }


def _moved(fact: StopRaised) -> dict[str, Any]:
    adjustment = fact.adjustment
    return {
        "type": "adjustment",
        "operation_id": adjustment.position_id,
        "symbol": fact.symbol,
        "reason": adjustment.reason.value,
        "old_stop": _text(adjustment.old_stop),
        "new_stop": _text(adjustment.new_stop),
        "current_price": _text(adjustment.current_price),
    }


def _text(value: Decimal) -> str:
    return format(value.normalize(), "f")


async def monitor_once(
    settings: Settings, *, dry_run: bool, told: Told, every_seconds: float | None = None
) -> Round:
    """Look once, and give what was found; or every so many seconds, until canceled."""
    async with open_polling(settings) as poll:
        while True:
            found = await poll.look_once(dry_run=dry_run, told=told)
            if every_seconds is None:
                return found
            await asyncio.sleep(every_seconds)


async def follow_once(settings: Settings, *, dry_run: bool, told: Told) -> int:
    """Move each stop that follows its price; give how many."""
    async with open_polling(settings) as poll:
        return await poll.follow_once(dry_run=dry_run, told=told)

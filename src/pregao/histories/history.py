"""
One history: a desk of one or two traders and up to two monitors, a venue, a database and all that goes wrong, replayed to the byte by its seed.

The loops are the ones that trade; the journal, the venue, the bell and the clock are in memory.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from pregao.domain.facts import (
    AccountConfigured,
    BotConfigured,
    Fact,
    SubscriptionConfigured,
    UserConfigured,
)
from pregao.histories.lives import Lives
from pregao.histories.market import Market
from pregao.histories.people import People
from pregao.histories.plan import TROUBLE_SECONDS, Plan, make_plan
from pregao.histories.safety import differs_from_journal, unsettled, unwatched
from pregao.histories.strikes import Strikes
from pregao.histories.world import World
from pregao.simulation.loop import VirtualLoop, run_in_virtual_time

SETTLE_SECONDS_MAX = 240.0  # after the last fault: the slowest question is asked every half minute
CALM_SECONDS = 15.0  # what has settled must stay so

EXPECTED = frozenset({"orders.outcome.unwritten", "stops.outcome.unwritten"})
"""What a broken connection leaves to be asked about."""
DRIFTS = frozenset({"positions.drift", "stops.line.unknown"})
"""What was forgotten, or is somebody else's, is told, and held beside ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one history came to."""

    seed: int
    sha256: str  # of all that was committed and sent, in order
    signals: int
    orders: int
    fills: int
    seconds: float  # virtual ones
    hits: dict[str, int]
    is_alone: bool  # nobody but the desk, as it remembers itself, has traded on its accounts
    found: tuple[str, ...]


def run_history(seed: int) -> Outcome:
    """Run the history of a seed."""
    plan = make_plan(seed)

    async def live(loop: VirtualLoop) -> Outcome:
        return await History(plan, loop).run()

    with structlog.testing.capture_logs() as said:
        outcome: Outcome = run_in_virtual_time(seed, live)
    expected = EXPECTED | (frozenset() if outcome.is_alone else DRIFTS)
    mistakes = [
        f"log {entry['event']}: {entry.get('exc_info') or entry.get('error', '')!r}"
        for entry in said
        if entry["log_level"] == "error" and entry["event"] not in expected
    ]
    return replace(outcome, found=(*outcome.found, *dict.fromkeys(mistakes)))


class History:
    """A world, who lives in it and what happens to them."""

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        """Set up the desk of the plan; ``run`` lets it live."""
        self._plan = plan
        self._loop = loop
        self._world = World(plan, loop, claimed=self._claimed)
        self._market = Market(self._world)
        self._lives = Lives(self._world)
        self._people = People(self._world, ring=self._lives.ring)
        self._strikes = Strikes(self._world, lives=self._lives, market=self._market)

    def _claimed(self) -> None:
        self._strikes.spring()  # which were made after the world that tells of claims

    async def run(self) -> Outcome:
        """Let the history happen; then wait until everything has settled."""
        await self._open()
        self._lives.start_all()
        planned = [
            self._loop.create_task(self._people.deliver_all()),
            self._loop.create_task(self._strikes.strike_all()),
            self._loop.create_task(self._people.trade_by_hand()),
        ]
        endless = [
            self._loop.create_task(self._market.move()),
            self._loop.create_task(self._people.answer_questions()),
        ]
        await asyncio.sleep(TROUBLE_SECONDS)
        await asyncio.gather(*planned)
        self._strikes.end_all()
        await self._settle()
        for task in endless:
            task.cancel()
        return self._outcome()

    async def _open(self) -> None:
        plan, now = self._plan, self._world.clock()
        self._market.open()
        for account in plan.accounts:
            self._world.venue.open_account(
                account.account_id,
                balance=plan.balances[account.account_id],
                position_mode=account.position_mode,
            )
        facts: list[Fact] = [
            *(UserConfigured(happened_at=now, user=one) for one in plan.users),
            *(AccountConfigured(happened_at=now, account=one) for one in plan.accounts),
            *(BotConfigured(happened_at=now, bot=one) for one in plan.bots),
            *(SubscriptionConfigured(happened_at=now, subscription=one) for one in plan.subscriptions),
        ]
        async with self._world.journal.transaction() as transaction:
            await transaction.append(facts)

    async def _settle(self) -> None:
        """Wait until everything has settled, and a little more: it must stay so."""
        left: list[str] = []
        calm_since: float | None = None
        until = self._loop.time() + SETTLE_SECONDS_MAX
        while self._loop.time() < until:
            await asyncio.sleep(1.0)
            left = self._left()
            calm_since = None if left else calm_since or self._loop.time()
            if calm_since is not None and self._loop.time() - calm_since > CALM_SECONDS:
                break
        for one in [*left, *differs_from_journal(self._world.journal.state)]:
            self._world.find(f"after {SETTLE_SECONDS_MAX:.0f} s: {one}")
        self._world.watch.check_executions(self._world.venue.engine)

    def _left(self) -> list[str]:
        """Give what has not settled yet."""
        world = self._world
        left = unsettled(
            world.journal.state,
            world.venue.engine,
            forgotten=world.watch.forgotten,
            is_alone=world.is_alone,
        )
        if self._plan.monitors:
            left += unwatched(world.journal.state, world.venue.engine, world.watching, now=world.clock())
        return left

    def _outcome(self) -> Outcome:
        world, state = self._world, self._world.journal.state
        return Outcome(
            seed=self._plan.seed,
            sha256=world.sha256,
            signals=len(state.signals),
            orders=sum(row.attempt > 0 for row in state.orders.values()),
            fills=len(state.fills),
            seconds=round(self._loop.time(), 3),
            hits={**world.hits, **world.venue.hits, **self._liquidations()},
            is_alone=world.is_alone,
            found=tuple(world.found),
        )

    def _liquidations(self) -> dict[str, int]:
        accounts = self._world.venue.engine.books.accounts.values()
        count = sum(order.is_liquidation for account in accounts for order in account.orders.values())
        return {"liquidation": count} if count else {}

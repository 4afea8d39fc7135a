"""What there is in one history, all of it in memory: the clock, the database and the venue; and what is noted of it."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from pregao.domain.facts import Fact, StopTriggered
from pregao.domain.venue import OrderAttempt
from pregao.histories.plan import STARTS_AT, Plan
from pregao.histories.safety import Watch
from pregao.histories.streams import Streams
from pregao.simulation.desk.journal import MemoryJournal
from pregao.simulation.desk.store import MemoryStore
from pregao.simulation.desk.watches import Watching
from pregao.simulation.loop import PROCESS, VirtualLoop
from pregao.simulation.venue import SimulatedVenue


class World:
    """What everybody in a history shares."""

    def __init__(self, plan: Plan, loop: VirtualLoop, *, claimed: Callable[[], None]) -> None:
        """Make an empty desk at an empty venue; ``claimed`` is called when a claim was committed, before anybody goes on."""
        self.plan = plan
        self.loop = loop
        self.chance = random.Random(f"{plan.seed}/world")
        self.is_troubled = True
        self.database_is_away = False
        self.gone: set[UUID] = set()  # signals that a restore took
        self.found: list[str] = []
        self.hits: dict[str, int] = {}
        self._trace = hashlib.sha256()
        self._claimed = claimed
        self.watch = Watch(plan, find=self.find)
        self.journal = MemoryJournal(moment=self.moment, tell=self._committed)
        self.watching = Watching()
        self.store = MemoryStore(
            self.journal,
            clock=self.clock,
            moment=self.moment,
            acknowledged=self._acknowledged,
            watching=self.watching,
        )
        self.streams = Streams(plan.accounts, loop=loop, clock=self.clock, chance=self.chance)
        self.venue = SimulatedVenue(
            clock=self.clock,
            chance=random.Random(f"{plan.seed}/venue"),
            tell=self.streams.tell,
            submitted=self._sent,
            cut_streams=self.streams.cut,
            manners=plan.manners,
        )

    def clock(self) -> datetime:
        """Give the world's time, which is everybody's."""
        return STARTS_AT + timedelta(seconds=self.loop.time())

    async def moment(self, moment: str) -> None:
        """
        Wait for the database.

        :raises ConnectionError: when it is away, or the connection breaks: at a commit it is not known which.
        """
        await asyncio.sleep(0.0002 + 0.002 * self.chance.random())
        if self.database_is_away:
            raise ConnectionError("the database is away")
        may_break = moment in ("commit", "committed") and self.is_troubled and PROCESS.get() != ""
        if may_break and self.chance.random() < self.plan.database_loss:
            self.hit(f"database {moment}")
            raise ConnectionError(f"the connection broke at {moment}")

    # --- what is noted ---

    @property
    def sha256(self) -> str:
        """Of all that was noted so far, in order."""
        return self._trace.hexdigest()

    @property
    def is_alone(self) -> bool:
        """Whether nobody but the desk, as it remembers itself, has traded on its accounts."""
        return not ({*self.hits, *self.venue.hits} & {"restore", "crash", "hand"})

    def note(self, what: str) -> None:
        """Note that it happened now."""
        self._trace.update(f"{self.loop.time():.9f} {what}\n".encode())

    def find(self, what: str) -> None:
        """Note, once, that something is wrong."""
        if what not in self.found:
            self.found.append(what)
            self.note(f"found {what}")

    def hit(self, what: str) -> None:
        """Count something that happened to the desk."""
        self.hits[what] = self.hits.get(what, 0) + 1

    def _committed(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.note(f"{type(fact).__name__} {msgspec.json.encode(fact).decode()}")
        self.watch.committed(facts, self.journal.state)
        if any(isinstance(fact, StopTriggered) for fact in facts):
            self._claimed()

    def _sent(self, attempt: OrderAttempt) -> None:
        self.note(f"sent {attempt.client_order_id}")
        self.watch.sent(attempt, now=self.clock(), by=PROCESS.get())

    def _acknowledged(self, worker_id: str, version: int) -> None:
        self.note(f"acknowledged {version} by {worker_id}")
        self.watch.acknowledged(worker_id, version)

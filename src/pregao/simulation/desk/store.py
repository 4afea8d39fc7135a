"""What the trader's loops ask, answered from memory: the port `trading.store.Store`."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from itertools import count, islice
from uuid import UUID

from pregao.decisions.ports import Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.clock import Clock
from pregao.domain.facts import DecisionPending, Fact, StopDisarmed
from pregao.domain.trading_state import Watched
from pregao.domain.venue import VenueTrade
from pregao.orders.ports import LiveOrder, WaitingEntry
from pregao.positions.compare import HeldHere
from pregao.positions.ports import WaitingExit
from pregao.simulation.desk import checks, exits, held, lines, live_orders, trading_states, waiting
from pregao.simulation.desk.books import MemoryBooks
from pregao.simulation.desk.journal import MemoryJournal, MemoryTransaction, Moment, at_once
from pregao.simulation.desk.state import State
from pregao.simulation.desk.watches import Watching
from pregao.stops.ports import DueExit, LeftOpen, Line

Acknowledged = Callable[[str, int], None]


def unheard(_worker_id: str, _version: int) -> None:
    """Tell nobody."""


class MemoryStore:
    """The journal of a desk in memory, and what is found in its state."""

    def __init__(
        self,
        journal: MemoryJournal,
        *,
        clock: Clock,
        moment: Moment = at_once,
        acknowledged: Acknowledged = unheard,
        watching: Watching | None = None,
    ) -> None:
        """
        Judge what is due by ``clock``; ``moment`` is where a reader waits for the database.

        ``acknowledged`` hears which worker lets nothing out any more that a version of the trading states forbids;
        ``watching`` knows which monitor watches what.
        """
        self._watching = Watching() if watching is None else watching
        self._acknowledged = acknowledged
        self._journal = journal
        self._clock = clock
        self._moment = moment
        self._ids = count(1)

    def transaction(self) -> AbstractAsyncContextManager[MemoryTransaction]:
        return self._journal.transaction()

    def savepoint(self, transaction: MemoryTransaction) -> AbstractAsyncContextManager[object]:
        return transaction.savepoint()

    def books(self, transaction: MemoryTransaction | None = None) -> MemoryBooks:
        def read() -> State:
            return self._journal.state if transaction is None else transaction.state

        return MemoryBooks(read, take_ids=lambda number: list(islice(self._ids, number)))

    async def read(self) -> State:
        """Give what is committed."""
        await self._moment("read")
        return self._journal.state

    # --- what waits ---

    async def peek_waiting_signals(self, *, limit: int) -> list[WaitingSignal]:
        return waiting.peek_waiting_signals(await self.read(), now=self._clock(), limit=limit)

    async def claim_waiting_signals(
        self, transaction: MemoryTransaction, signal_ids: Sequence[UUID]
    ) -> list[Waiting]:
        return waiting.claim_waiting_signals(transaction.state, signal_ids)

    async def claim_overdue(
        self, transaction: MemoryTransaction, *, now: datetime, limit: int
    ) -> list[DecisionPending]:
        return waiting.claim_overdue(transaction.state, now=now, limit=limit)

    async def settled_signals(self, signal_ids: Collection[UUID]) -> list[UUID]:
        return waiting.settled_signals(await self.read(), signal_ids)

    async def peek_waiting_entries(self, *, limit: int) -> list[tuple[Venue, WaitingEntry]]:
        return waiting.peek_waiting_entries(await self.read(), now=self._clock(), limit=limit)

    async def measures(self) -> list[Measure]:
        return waiting.measures(await self.read())

    async def peek_waiting_exits(self, *, limit: int) -> list[WaitingExit]:
        return waiting.peek_waiting_exits(await self.read(), limit=limit)

    # --- what is on its way ---

    async def lock_positions_of(self, transaction: MemoryTransaction, facts: Sequence[Fact]) -> None:
        """Nothing: one transaction at a time."""

    async def claim_due_orders(self, transaction: MemoryTransaction, *, limit: int) -> list[LiveOrder]:
        return live_orders.claim_due_orders(transaction.state, now=self._clock(), limit=limit)

    async def put_off_question(self, order: LiveOrder, *, seconds: float | None) -> None:
        async with self._journal.transaction() as transaction:
            live_orders.put_off_question(transaction.state, order, now=self._clock(), seconds=seconds)

    async def ask_soon(self, *, put_off_seconds: float) -> None:
        async with self._journal.transaction() as transaction:
            live_orders.ask_soon(transaction.state, now=self._clock(), put_off_seconds=put_off_seconds)

    async def ask_now(self, order_ids: Sequence[str]) -> None:
        async with self._journal.transaction() as transaction:
            live_orders.ask_now(transaction.state, order_ids, now=self._clock())

    async def live_orders_of_account(self, account_id: int) -> list[LiveOrder]:
        return live_orders.live_orders_of_account(await self.read(), account_id)

    async def find_live_order(self, order_id: str) -> LiveOrder | None:
        return live_orders.find_live_order(await self.read(), order_id)

    async def explain_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> tuple[list[VenueTrade], bool]:
        return live_orders.explain_trades(
            await self.read(), account_id=account_id, symbol=symbol, trades=trades
        )

    async def peek_due_exits(self, *, now: datetime, limit: int) -> list[DueExit]:
        return exits.peek_due_exits(await self.read(), now=now, limit=limit)

    async def lock_due_exits(
        self, transaction: MemoryTransaction, position_ids: Collection[int]
    ) -> list[int]:
        return exits.lock_due_exits(transaction.state, position_ids)

    async def put_off_due_exits(
        self, transaction: MemoryTransaction, position_ids: Collection[int], *, now: datetime, seconds: float
    ) -> None:
        exits.put_off_due_exits(transaction.state, position_ids, now=now, seconds=seconds)

    # --- what is held ---

    async def held_positions(self, account_id: int) -> tuple[bool, list[HeldHere]]:
        return held.held_positions(await self.read(), account_id)

    async def held_symbols(self, account_id: int) -> list[tuple[Venue, str, datetime]]:
        return held.held_symbols(await self.read(), account_id)

    async def mark_unreconciled(self, venue: Venue) -> list[int]:
        async with self._journal.transaction() as transaction:
            return checks.mark_unreconciled(transaction.state, venue, now=self._clock())

    async def mark_doubted(self, account_id: int) -> None:
        async with self._journal.transaction() as transaction:
            checks.mark_doubted(transaction.state, account_id, now=self._clock())

    async def mark_forgotten(self) -> None:
        """Note on every account that the books may lack what they knew; whoever puts them back says so."""
        async with self._journal.transaction() as transaction:
            checks.mark_forgotten(transaction.state, now=self._clock())

    async def forgetful_accounts(self, venue: Venue) -> list[int]:
        return checks.forgetful_accounts(await self.read(), venue)

    async def mark_reconciled(self, account_id: int) -> bool:
        async with self._journal.transaction() as transaction:
            return checks.mark_reconciled(transaction.state, account_id)

    async def claim_due(self, venues: Collection[Venue], *, limit: int) -> list[int]:
        async with self._journal.transaction() as transaction:
            return checks.claim_due(transaction.state, venues, now=self._clock(), limit=limit)

    async def note_check(self, account_id: int, *, agrees: bool) -> None:
        async with self._journal.transaction() as transaction:
            checks.note_check(transaction.state, account_id, agrees=agrees, now=self._clock())

    # --- what guards at the venues ---

    async def claim_due_lines(self, transaction: MemoryTransaction, *, limit: int) -> list[Line]:
        return lines.claim_due(transaction.state, now=self._clock(), limit=limit)

    async def standing_lines(
        self, *, account_id: int | None = None, position_ids: Collection[int] = ()
    ) -> list[Line]:
        return lines.standing(await self.read(), account_id=account_id, position_ids=position_ids)

    async def peek_unarmed(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        return lines.peek_unarmed(await self.read(), venues, limit=limit)

    async def peek_misplaced(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        return lines.peek_misplaced(await self.read(), venues, now=self._clock(), limit=limit)

    async def peek_unleft(self, venues: Collection[Venue], *, limit: int) -> list[StopDisarmed]:
        return lines.peek_unleft(await self.read(), venues, limit=limit)

    async def peek_open(self, venues: Collection[Venue], *, limit: int) -> list[LeftOpen]:
        return lines.peek_open(
            await self.read(), venues, watching=self._watching, now=self._clock(), limit=limit
        )

    async def peek_told_open(self, venues: Collection[Venue]) -> list[LeftOpen]:
        return lines.peek_told_open(await self.read(), venues)

    async def is_watched(self, venue: Venue, symbol: str) -> bool:
        await self._moment("read")
        return self._watching.is_watched((venue, symbol), now=self._clock())

    # --- what may be traded ---

    async def read_watched(self) -> Watched:
        return trading_states.read_watched(await self.read())

    async def acknowledge(self, *, worker_id: str, lease_epoch: int, version: int) -> None:
        del lease_epoch  # here every life has a name of its own
        await self._moment("write")
        self._acknowledged(worker_id, version)

"""What the trader's loops ask of PostgreSQL, over one journal: the port `trading.store.Store`."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from pregao.decisions.ports import Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import DecisionApproved, DecisionPending, Fact, StopDisarmed
from pregao.domain.trading_state import Watched
from pregao.domain.venue import VenueTrade
from pregao.edges.postgres import checks, exits, held, lines, live_orders, locks, trading_states, waiting
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.members import KnownMembers
from pregao.orders.ports import LiveOrder, WaitingEntry
from pregao.positions.compare import HeldHere
from pregao.positions.ports import WaitingExit
from pregao.stops.ports import DueExit, LeftOpen, Line


class PostgresStore:
    """The journal of a desk, and what is found in its state."""

    def __init__(self, journal: Journal) -> None:
        """Ask through ``journal``'s pool what needs no transaction."""
        self._journal = journal
        self._pool = journal.pool
        self._known_members = KnownMembers()

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._journal.transaction(written_at_end=True)

    def savepoint(self, transaction: Transaction) -> AbstractAsyncContextManager[None]:
        return transaction.savepoint()

    def books(self, transaction: Transaction | None = None) -> PostgresBooks:
        if transaction is None:
            return PostgresBooks(self._pool, known_members=self._known_members)
        return PostgresBooks(
            transaction.connection, known_members=self._known_members, transaction=transaction
        )

    # --- what waits ---

    async def peek_waiting_signals(self, *, limit: int) -> list[WaitingSignal]:
        return await waiting.peek_waiting_signals(self._pool, limit=limit)

    async def claim_waiting_signals(
        self, transaction: Transaction, signal_ids: Sequence[UUID]
    ) -> list[Waiting]:
        claimed = await waiting.claim_waiting_signals(transaction.connection, signal_ids)
        transaction.seen.unplanned.update(
            one.signal_id for one in claimed if not isinstance(one, DecisionApproved)
        )
        return claimed

    async def claim_overdue(
        self, transaction: Transaction, *, now: datetime, limit: int
    ) -> list[DecisionPending]:
        return await waiting.claim_overdue(transaction.connection, now=now, limit=limit)

    async def settled_signals(self, signal_ids: Collection[UUID]) -> list[UUID]:
        return await waiting.settled_signals(self._pool, signal_ids)

    async def peek_waiting_entries(self, *, limit: int) -> list[tuple[Venue, WaitingEntry]]:
        return await waiting.peek_waiting_entries(self._pool, limit=limit)

    async def measures(self) -> list[Measure]:
        return await waiting.measures(self._pool)

    async def peek_waiting_exits(self, *, limit: int) -> list[WaitingExit]:
        return await waiting.peek_waiting_exits(self._pool, limit=limit)

    # --- what is on its way ---

    async def lock_positions_of(self, transaction: Transaction, facts: Sequence[Fact]) -> None:
        await locks.lock_positions_of(transaction.connection, facts)

    async def claim_due_orders(self, transaction: Transaction, *, limit: int) -> list[LiveOrder]:
        return await live_orders.claim_due_orders(transaction.connection, limit=limit)

    async def put_off_question(self, order: LiveOrder, *, seconds: float | None) -> None:
        await live_orders.put_off_question(self._pool, order, seconds=seconds)

    async def ask_soon(self, *, put_off_seconds: float) -> None:
        await live_orders.ask_soon(self._pool, put_off_seconds=put_off_seconds)

    async def ask_now(self, order_ids: Sequence[str]) -> None:
        await live_orders.ask_now(self._pool, order_ids)

    async def live_orders_of_account(self, account_id: int) -> list[LiveOrder]:
        return await live_orders.live_orders_of_account(self._pool, account_id)

    async def find_live_order(self, order_id: str) -> LiveOrder | None:
        return await live_orders.find_live_order(self._pool, order_id)

    async def explain_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> tuple[list[VenueTrade], bool]:
        return await live_orders.explain_trades(
            self._pool, account_id=account_id, symbol=symbol, trades=trades
        )

    async def peek_due_exits(self, *, now: datetime, limit: int) -> list[DueExit]:
        return await exits.peek_due_exits(self._pool, now=now, limit=limit)

    async def lock_due_exits(self, transaction: Transaction, position_ids: Collection[int]) -> list[int]:
        return await exits.lock_due_exits(transaction.connection, position_ids)

    async def put_off_due_exits(
        self, transaction: Transaction, position_ids: Collection[int], *, now: datetime, seconds: float
    ) -> None:
        await exits.put_off_due_exits(transaction.connection, position_ids, now=now, seconds=seconds)

    # --- what is held ---

    async def held_positions(self, account_id: int) -> tuple[bool, list[HeldHere]]:
        return await held.held_positions(self._pool, account_id)

    async def held_symbols(self, account_id: int) -> list[tuple[Venue, str, datetime]]:
        return await held.held_symbols(self._pool, account_id)

    async def mark_unreconciled(self, venue: Venue) -> list[int]:
        return await checks.mark_unreconciled(self._pool, venue)

    async def mark_doubted(self, account_id: int) -> None:
        await checks.mark_doubted(self._pool, account_id)

    async def forgetful_accounts(self, venue: Venue) -> list[int]:
        return await checks.forgetful_accounts(self._pool, venue)

    async def mark_reconciled(self, account_id: int) -> bool:
        return await checks.mark_reconciled(self._pool, account_id)

    async def claim_due(self, venues: Collection[Venue], *, limit: int) -> list[int]:
        return await checks.claim_due(self._pool, venues, limit=limit)

    async def note_check(self, account_id: int, *, agrees: bool) -> None:
        await checks.note_check(self._pool, account_id, agrees=agrees)

    # --- what guards at the venues ---

    async def claim_due_lines(self, transaction: Transaction, *, limit: int) -> list[Line]:
        return await lines.claim_due(transaction.connection, limit=limit)

    async def standing_lines(
        self, *, account_id: int | None = None, position_ids: Collection[int] = ()
    ) -> list[Line]:
        return await lines.standing(self._pool, account_id=account_id, position_ids=position_ids)

    async def peek_unarmed(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        return await lines.peek_unarmed(self._pool, venues, limit=limit)

    async def peek_misplaced(self, venues: Collection[Venue], *, limit: int) -> list[tuple[int, Venue, str]]:
        return await lines.peek_misplaced(self._pool, venues, limit=limit)

    async def peek_unleft(self, venues: Collection[Venue], *, limit: int) -> list[StopDisarmed]:
        return await lines.peek_unleft(self._pool, venues, limit=limit)

    async def peek_open(self, venues: Collection[Venue], *, limit: int) -> list[LeftOpen]:
        return await lines.peek_open(self._pool, venues, limit=limit)

    async def peek_told_open(self, venues: Collection[Venue]) -> list[LeftOpen]:
        return await lines.peek_told_open(self._pool, venues)

    async def is_watched(self, venue: Venue, symbol: str) -> bool:
        return await lines.is_watched(self._pool, venue=venue, symbol=symbol)

    # --- what may be traded ---

    async def read_watched(self) -> Watched:
        return await trading_states.read_watched(self._pool)

    async def acknowledge(self, *, worker_id: str, lease_epoch: int, version: int) -> None:
        await trading_states.acknowledge(
            self._pool, worker_id=worker_id, lease_epoch=lease_epoch, version=version
        )

"""
What the trader's loops need from outside: the journal, the books, and what is to be done, found in the state.

PostgreSQL answers in `edges.postgres.store`, memory in `simulation.desk.store`. Without a transaction an answer is of
what is committed at the moment, and locks nothing.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from pregao.decisions import ports as decisions
from pregao.decisions.ports import Waiting, WaitingSignal
from pregao.domain.account import Venue
from pregao.domain.candle import Measure
from pregao.domain.facts import DecisionPending, Fact, StopDisarmed
from pregao.domain.trading_state import Watched
from pregao.domain.venue import VenueTrade
from pregao.fills import ports as fills
from pregao.orders import ports as orders
from pregao.orders.ports import LiveOrder, WaitingEntry
from pregao.positions import ports as positions
from pregao.positions.compare import HeldHere
from pregao.positions.ports import WaitingExit
from pregao.runner import Append
from pregao.stops import ports as stops
from pregao.stops.ports import DueExit, LeftOpen, Line

Tx = TypeVar("Tx", bound=Append)


class Books(orders.Books, positions.Positions, fills.Ledger, decisions.Bots, stops.Exits, Protocol):
    """The ports of every room that trades, over one open transaction."""


class Bell(Protocol):
    """Rings and hears named bells; a ring may be lost, so whoever listens also looks."""

    def ring(self, bell: str, *words: str) -> None:
        """Ring soon."""
        ...

    def listen(self, bell: str, listener: "Listener") -> None:
        """Call ``listener`` with the words of each ring."""
        ...


class Listener(Protocol):
    """Hears a bell."""

    def __call__(self, words: str, /) -> None:
        """Take the words of a ring."""
        ...


class Store(Protocol[Tx]):
    """Where a desk keeps all it knows."""

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction; it commits when the block ends, and leaves no trace when the block fails."""
        ...

    def savepoint(self, transaction: Tx) -> AbstractAsyncContextManager[object]:
        """Leave no trace of the block in the transaction when it fails."""
        ...

    def books(self, transaction: Tx | None = None) -> Books:
        """Give the books, under the transaction's locks."""
        ...

    # --- what waits ---

    async def peek_waiting_signals(self, *, limit: int) -> Sequence[WaitingSignal]:
        """Give the signals waiting to be decided or planned, those a person has answered too, oldest first."""
        ...

    async def claim_waiting_signals(self, transaction: Tx, signal_ids: Sequence[UUID]) -> Sequence[Waiting]:
        """Claim those of the signals that still wait, oldest first, as the facts they wait with."""
        ...

    async def claim_overdue(self, transaction: Tx, *, now: datetime, limit: int) -> Sequence[DecisionPending]:
        """Claim signals that were put to a person and not answered in time."""
        ...

    async def settled_signals(self, signal_ids: Collection[UUID]) -> Sequence[UUID]:
        """Give those of the signals that are settled."""
        ...

    async def peek_waiting_entries(self, *, limit: int) -> Sequence[tuple[Venue, WaitingEntry]]:
        """Give entries whose position has nothing on its way any more, and where they trade."""
        ...

    async def measures(self) -> Collection[Measure]:
        """Give all that stops of bots and subscriptions are measured by."""
        ...

    async def peek_waiting_exits(self, *, limit: int) -> Sequence[WaitingExit]:
        """Give the oldest waiting exit of each position that has nothing on its way."""
        ...

    # --- what is on its way ---

    async def lock_positions_of(self, transaction: Tx, facts: Sequence[Fact]) -> None:
        """Lock the positions that facts from a venue are about, before anything else of theirs."""
        ...

    async def claim_due_orders(self, transaction: Tx, *, limit: int) -> Sequence[LiveOrder]:
        """Give orders that are due to be asked about, and put off their next question."""
        ...

    async def put_off_question(self, order: LiveOrder, *, seconds: float | None) -> None:
        """Ask about an order no sooner than in so many seconds; None: until somebody says that things have changed."""
        ...

    async def ask_soon(self, *, put_off_seconds: float) -> None:
        """Ask about the orders now whose next question is further away than so many seconds."""
        ...

    async def ask_now(self, order_ids: Sequence[str]) -> None:
        """Ask about these orders now, where they may still have traded unheard."""
        ...

    async def live_orders_of_account(self, account_id: int) -> Sequence[LiveOrder]:
        """Give the account's orders that may have traded unseen, oldest first."""
        ...

    async def find_live_order(self, order_id: str) -> LiveOrder | None:
        """Give an order with the attempt that counts, None when it never had one."""
        ...

    async def explain_trades(
        self, *, account_id: int, symbol: str, trades: Sequence[VenueTrade]
    ) -> tuple[list[VenueTrade], bool]:
        """Give the trades of our orders with their client order ids, and whether the others may be ours, too."""
        ...

    async def peek_due_exits(self, *, now: datetime, limit: int) -> Sequence[DueExit]:
        """Give claimed exits that are to be looked at again, longest due first, without locking them."""
        ...

    async def lock_due_exits(self, transaction: Tx, position_ids: Collection[int]) -> Sequence[int]:
        """Lock those of the positions that nobody else is busy with."""
        ...

    async def put_off_due_exits(
        self, transaction: Tx, position_ids: Collection[int], *, now: datetime, seconds: float
    ) -> None:
        """Look at what is still due of these positions no sooner than in so many seconds."""
        ...

    # --- what is held ---

    async def held_positions(self, account_id: int) -> tuple[bool, list[HeldHere]]:
        """Say whether nothing of the account is on its way, and give what the books hold there, ours and foreign."""
        ...

    async def held_symbols(self, account_id: int) -> Sequence[tuple[Venue, str, datetime]]:
        """Give (venue, symbol, since when) of what the account holds."""
        ...

    async def mark_unreconciled(self, venue: Venue) -> Sequence[int]:
        """Note that what happened on the venue's accounts is not known; give those of which something is live."""
        ...

    async def mark_doubted(self, account_id: int) -> None:
        """Note that the account holds something else than the books say, perhaps, until it was compared."""
        ...

    async def forgetful_accounts(self, venue: Venue) -> Sequence[int]:
        """Give the venue's accounts of which a restored database does not know yet what it forgot."""
        ...

    async def mark_reconciled(self, account_id: int) -> bool:
        """Note that its orders and trades are known; say whether entries, that were not taken, are taken by that."""
        ...

    async def claim_due(self, venues: Collection[Venue], *, limit: int) -> Sequence[int]:
        """Give accounts that are due to be compared, those longest due first, and put off their next time."""
        ...

    async def note_check(self, account_id: int, *, agrees: bool) -> None:
        """Note that the account was compared just now, and whether the venue holds what the books say."""
        ...

    # --- what guards at the venues ---

    async def claim_due_lines(self, transaction: Tx, *, limit: int) -> Sequence[Line]:
        """Give protective orders that are due to be asked about, and put off their next question."""
        ...

    async def standing_lines(
        self, *, account_id: int | None = None, position_ids: Collection[int] = ()
    ) -> Sequence[Line]:
        """Give the protective orders of an account or of positions that may still trade, told or not."""
        ...

    async def peek_unarmed(
        self, venues: Collection[Venue], *, limit: int
    ) -> Sequence[tuple[int, Venue, str]]:
        """Give (position, venue, symbol) of what is held and has no stop yet."""
        ...

    async def peek_misplaced(
        self, venues: Collection[Venue], *, limit: int
    ) -> Sequence[tuple[int, Venue, str]]:
        """Give (position, venue, symbol) of armed stops whose line is missing, stands elsewhere or has a quantity, and is due."""
        ...

    async def peek_unleft(self, venues: Collection[Venue], *, limit: int) -> Sequence[StopDisarmed]:
        """Give what was disarmed and not left yet: its lines are to be taken back."""
        ...

    async def peek_open(self, venues: Collection[Venue], *, limit: int) -> Sequence[LeftOpen]:
        """Give what is held, must be guarded, and has neither a line at the venue for all of it nor a monitor that watches."""
        ...

    async def peek_told_open(self, venues: Collection[Venue]) -> Sequence[LeftOpen]:
        """Give what was told to stand open, and whose end nobody has told; ``since`` is as it was told."""
        ...

    async def is_watched(self, venue: Venue, symbol: str) -> bool:
        """Say whether a monitor watches the symbol's price now."""
        ...

    # --- what may be traded ---

    async def read_watched(self) -> Watched:
        """Give the trading states as they stand now."""
        ...

    async def acknowledge(self, *, worker_id: str, lease_epoch: int, version: int) -> None:
        """Write on the worker's row that nothing of it leaves any more that the version forbids."""
        ...

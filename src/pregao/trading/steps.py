"""The dry lines of the journey, bound: each call gets its ports from the transaction it runs in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from uuid import UUID

import structlog

from pregao.decisions.approve import settle_approval
from pregao.decisions.decide import decide
from pregao.domain.clock import Clock
from pregao.domain.facts import (
    ApprovalAnswered,
    DecisionApproved,
    EntryRequested,
    ExitRequested,
    Fact,
    FillBooked,
    FillReported,
    OrderDenied,
    OrderEnded,
    OrderRejected,
    SignalAccepted,
)
from pregao.edges.postgres.books import KnownMembers, PostgresBooks
from pregao.edges.postgres.journal import Transaction
from pregao.fills.book import book_fill
from pregao.market.live import LiveMarket
from pregao.orders import close, enter, plan
from pregao.orders.ports import Desk
from pregao.positions import update
from pregao.runner import Bound, BoundInTurns

log = structlog.get_logger()

Step = Callable[..., Awaitable[list[Fact]]]


def bind_steps(
    *, market: LiveMarket, desk: Desk, clock: Clock, rates: Mapping[tuple[str, str], Decimal]
) -> tuple[dict[type[Fact], Bound[Transaction]], dict[type[Fact], BoundInTurns[Transaction]]]:
    """Bind the steps, and those that give what follows in turns."""
    known_members = KnownMembers()

    def planned(step: Step) -> Bound[Transaction]:
        async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
            books = PostgresBooks(tx.connection, known_members=known_members)
            return await step(facts, books=books, market=market.seen(), desk=desk, now=clock())

        return run

    def positioned(step: Step) -> Bound[Transaction]:
        async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
            return await step(facts, positions=PostgresBooks(tx.connection), now=clock())

        return run

    def decided(step: Step) -> Bound[Transaction]:
        async def run(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
            return await step(facts, bots=PostgresBooks(tx.connection), market=market.seen(), now=clock())

        return run

    async def booked(facts: Sequence[Fact], tx: Transaction) -> Sequence[Fact]:
        reports = [fact for fact in facts if isinstance(fact, FillReported)]
        return await book_fill(reports, ledger=PostgresBooks(tx.connection), rates=rates, now=clock())

    def planned_in_turns(approved: Fact, tx: Transaction) -> AsyncIterator[Sequence[Fact]]:
        assert isinstance(approved, DecisionApproved)
        books = PostgresBooks(tx.connection, known_members=known_members)
        return plan.plan_orders(
            approved,
            books=books,
            market=market.seen(),
            desk=desk,
            now=clock(),
            on_mistake=partial(_log_mistake, approved.signal_id),
        )

    steps = {
        SignalAccepted: decided(decide),
        ApprovalAnswered: decided(settle_approval),
        EntryRequested: planned(enter.plan_entry_again),
        ExitRequested: planned(close.plan_exit),
        OrderDenied: positioned(update.release_denied),
        OrderRejected: positioned(update.release),
        OrderEnded: positioned(update.release_rest),
        FillReported: booked,
        FillBooked: positioned(update.update_position),
    }
    return steps, {DecisionApproved: planned_in_turns}


def _log_mistake(signal_id: UUID, account_id: int, mistake: Exception) -> None:
    log.error(
        "trader.plan.failed",
        signal_id=str(signal_id),
        account_id=account_id,
        error=type(mistake).__name__,
        exc_info=mistake,
    )

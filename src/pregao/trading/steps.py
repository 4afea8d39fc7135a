"""The dry lines of the journey, bound: each call gets its ports from the transaction it runs in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial

import structlog

from pregao.decisions.approve import settle_approval
from pregao.decisions.decide import decide
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.desk import Desk
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
    PositionChanged,
    ProtectionRejected,
    ProtectionReported,
    SignalAccepted,
    StopTriggered,
)
from pregao.fills.book import book_fill
from pregao.market.live import LiveMarket
from pregao.orders import close, enter, plan
from pregao.positions import update
from pregao.runner import Bound, BoundInTurns
from pregao.stops.exit import judge_trigger
from pregao.stops.follow import follow_position
from pregao.stops.refused import answer_refusal
from pregao.stops.told import follow_report
from pregao.trading.store import Store, Tx

log = structlog.get_logger()

Step = Callable[..., Awaitable[list[Fact]]]


def bind_steps(
    store: Store[Tx],
    *,
    market: LiveMarket,
    desk: Desk,
    clock: Clock,
    rates: Mapping[tuple[str, str], Decimal],
    part_sizes: Sequence[int],
    keeps_lines: Collection[Venue] = (),
) -> tuple[dict[type[Fact], Bound[Tx]], dict[type[Fact], BoundInTurns[Tx]]]:
    """Bind the steps to the store's books, and those that give what follows in turns."""

    def planned(step: Step) -> Bound[Tx]:
        async def run(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
            return await step(facts, books=store.books(tx), market=market.seen(), desk=desk, now=clock())

        return run

    def positioned(step: Step) -> Bound[Tx]:
        async def run(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
            return await step(facts, positions=store.books(tx), now=clock())

        return run

    def decided(step: Step) -> Bound[Tx]:
        async def run(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
            return await step(facts, bots=store.books(tx), market=market.seen(), now=clock())

        return run

    async def booked(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
        reports = [fact for fact in facts if isinstance(fact, FillReported)]
        return await book_fill(
            reports, ledger=store.books(tx), rates=rates, desk_id=desk.desk_id, now=clock()
        )

    async def followed(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
        return await follow_position(
            [fact for fact in facts if isinstance(fact, PositionChanged)],
            guards=store.books(tx),
            market=market.seen(),
            desk=desk,
            keeps_lines=keeps_lines,
            now=clock(),
            on_mistake=_log_unguarded,
        )

    def guarded(step: Step) -> Bound[Tx]:
        async def run(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
            return await step(facts, guards=store.books(tx), now=clock())

        return run

    async def judged(facts: Sequence[Fact], tx: Tx) -> Sequence[Fact]:
        triggers = [fact for fact in facts if isinstance(fact, StopTriggered)]
        return await judge_trigger(triggers, exits=store.books(tx), market=market.seen(), now=clock())

    def planned_in_turns(facts: Sequence[Fact], tx: Tx) -> AsyncIterator[Sequence[Fact]]:
        approved = [fact for fact in facts if isinstance(fact, DecisionApproved)]
        return plan.plan_orders(
            approved,
            books=store.books(tx),
            market=market.seen(),
            desk=desk,
            now=clock(),
            on_mistake=partial(_log_mistake, [str(fact.signal_id) for fact in approved]),
            part_sizes=part_sizes,
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
        PositionChanged: followed,
        ProtectionRejected: guarded(answer_refusal),
        ProtectionReported: guarded(follow_report),
        StopTriggered: judged,
    }
    return steps, {DecisionApproved: planned_in_turns}


def _log_mistake(signal_ids: Sequence[str], account_id: int, mistake: Exception) -> None:
    log.error(
        "trader.plan.failed",
        signal_ids=signal_ids,
        account_id=account_id,
        error=type(mistake).__name__,
        exc_info=mistake,
    )


def _log_unguarded(position_id: int, mistake: Exception) -> None:
    log.critical(
        "stops.follow.failed", position_id=position_id, error=type(mistake).__name__, exc_info=mistake
    )

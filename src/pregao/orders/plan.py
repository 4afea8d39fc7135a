"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

A signal of many accounts is planned in parts, each in a transaction of its own: the first orders are with the venue
while the last are being planned. The first part is small, for the first order not to wait; the second fills the wire
while the others, which are large, are planned.

Takes DecisionApproved. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import DecisionApproved, Fact, OrderDenied, OrderPlanned, SignalPlanned
from pregao.domain.market import Market
from pregao.domain.signal import Action
from pregao.orders.close import plan_closes
from pregao.orders.denial import Denial
from pregao.orders.enter import plan_entries
from pregao.orders.ports import Books, Member, Part
from pregao.orders.rows import FAILED, Moment, OnMistake, Row, deny_member, tell_nobody

LARGE = 32  # times the first part
STARTS = 1 << 62


def sizes_of_parts(first: int, *, in_flight_max: int) -> tuple[int, ...]:
    """Give how many accounts the parts have: a few, then as many as may be on the wire at once, then many."""
    return first, max(first, in_flight_max), max(LARGE * first, in_flight_max)


async def plan_orders(
    decision: DecisionApproved,
    *,
    books: Books,
    market: Market,
    desk: Desk,
    now: datetime,
    part_sizes: Sequence[int],
    on_mistake: OnMistake = tell_nobody,
) -> AsyncIterator[list[Fact]]:
    """
    Give one order or one denial for every account of the next part; two where one waits for the other.

    The parts have so many accounts, in their order; every other has as many as the last of ``part_sizes``.

    The orders come account by account, so that the first can be written while the next are planned; the books are
    not asked any more then. Last comes what waits, what is denied, and how many there are.
    """
    moment = Moment(market=market, desk=desk, now=now, on_mistake=on_mistake)
    plan = plan_entries if decision.instruction.action is Action.ENTER else plan_closes
    part = await _next_part(decision, books=books, part_sizes=part_sizes)
    kept_out = await _kept_out(decision, part.members, books=books)
    members = [one for one in part.members if one.subscription.subscription_id not in kept_out]
    accounts: set[int] = set()
    orders = 0
    unsent: list[Row] = [
        deny_member(
            one,
            kept_out[one.subscription.subscription_id],
            decision=decision,
            desk=desk,
            now=now,
        )
        for one in part.members
        if one.subscription.subscription_id in kept_out
    ]
    accounts.update(row.account_id for row in unsent)
    async for rows in plan(decision, members, books=books, moment=moment):
        # The end of what it made useless, another signal's entry that still waited, is not the signal's own.
        own = [row for row in rows if row.signal_id == decision.signal_id]
        accounts.update([row.account_id for row in own])
        orders += sum([not isinstance(row, OrderDenied) for row in own])
        yield [row for row in rows if isinstance(row, OrderPlanned)]
        unsent.extend([row for row in rows if not isinstance(row, OrderPlanned)])
    # Facts of one kind that stand together are folded in one statement.
    unsent.sort(key=lambda row: isinstance(row, OrderDenied))
    yield [*unsent, _to_planned(decision, part, accounts=len(accounts), orders=orders, now=now)]


async def deny_next_part(
    decision: DecisionApproved, *, books: Books, desk: Desk, now: datetime, part_sizes: Sequence[int]
) -> list[Fact]:
    """Deny every account of the next part, which could not be planned; those before it have their orders already."""
    part = await _next_part(decision, books=books, part_sizes=part_sizes)
    denied = [deny_member(one, FAILED, decision=decision, desk=desk, now=now) for one in part.members]
    return [*denied, _to_planned(decision, part, accounts=len(denied), orders=0, now=now)]


async def _kept_out(
    decision: DecisionApproved, members: Sequence[Member], *, books: Books
) -> dict[UUID, Denial]:
    """Give whom a signal that is sent again must not reach, whatever he was chosen for: looked at under the locks."""
    asked = decision.instruction
    if asked.is_replay:
        return {
            one.subscription.subscription_id: Denial(
                code="REPLAY_ON_PAPER_ONLY", reason=f"venue={one.account.venue}. A replay reaches paper only."
            )
            for one in members
            if one.account.venue is not Venue.PAPER
        }
    if asked.again is None or not asked.is_retry or asked.action is not Action.ENTER:
        return {}
    ids = [one.subscription.subscription_id for one in members]
    entered = await books.entered_before(asked.again.before, subscription_ids=ids)
    traded = Denial(
        code="ENTERED_BEFORE",
        reason=f"signal={asked.again.before[-1]}. It has traded here, or still may: it is not entered twice.",
    )
    return dict.fromkeys(entered, traded)


async def _next_part(decision: DecisionApproved, *, books: Books, part_sizes: Sequence[int]) -> Part:
    progress = await books.progress(decision.signal_id)
    return await books.next_part(
        decision.bot_id,
        after=progress,
        # Another account begins for every signal, so that nobody always trades last.
        start=decision.signal_id.int % STARTS,
        limit=part_sizes[min(progress.parts, len(part_sizes) - 1)],
        only=decision.instruction.only,
    )


def _to_planned(
    decision: DecisionApproved, part: Part, *, accounts: int, orders: int, now: datetime
) -> SignalPlanned:
    return SignalPlanned(
        happened_at=now,
        signal_id=decision.signal_id,
        bot_id=decision.bot_id,
        accounts=accounts,
        orders=orders,
        part=part.progress.parts,
        first_account_id=part.progress.first_account_id,
        last_account_id=part.progress.last_account_id,
        is_whole=part.is_last,
    )

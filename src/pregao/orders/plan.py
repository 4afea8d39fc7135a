"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

A signal of many accounts is planned in parts, each in a transaction of its own: the first orders are with the venue
while the last are being planned. The first part is small, for the first order not to wait, and smaller still where
others come after it; the second fills the wire while the others, which are large, are planned.

Takes DecisionApproved. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pregao.domain.account import Venue
from pregao.domain.desk import Desk
from pregao.domain.facts import DecisionApproved, Fact, OrderDenied, OrderPlanned, SignalPlanned
from pregao.domain.market import Market
from pregao.domain.signal import Action, Instruction
from pregao.orders.close import plan_closes
from pregao.orders.denial import Denial
from pregao.orders.enter import plan_entries
from pregao.orders.ports import NOT_BEGUN, Books, Member, Part
from pregao.orders.rows import FAILED, Moment, OnMistake, Row, deny_member, tell_nobody

LARGE = 32  # times the first part
FEW = 8  # of the first part, where it is not the last
STARTS = 1 << 62


def sizes_of_parts(first: int, *, in_flight_max: int) -> tuple[int, ...]:
    """Give how many accounts the parts have: a few, then as many as may be on the wire at once, then many."""
    return first, max(first, in_flight_max), max(LARGE * first, in_flight_max)


def goes_with_others(asked: Instruction) -> bool:
    """Say whether a signal may be planned together with others of its bot: it closes or enters one symbol, for all who follow."""
    return (
        asked.action in (Action.CLOSE, Action.ENTER)
        and asked.symbol is not None
        and asked.only is None
        and asked.risk is None
    )


async def plan_orders(
    decisions: Sequence[DecisionApproved],
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

    The parts have so many accounts, in their order; every other has as many as the last of ``part_sizes``. Where others come
    after it the first has ``FEW`` at most.

    Several decisions are planned together where all of them ``goes_with_others``, by one bot, each another symbol, none
    begun; entries count their limits in the order given. If that bot has more accounts than the first part nothing is
    given: each is then planned on its own, in parts.

    The orders come account by account, so that the first can be written while the next are planned; the books are
    not asked any more then. Last comes what waits, what is denied, and how many there are.
    """
    moment = Moment(market=market, desk=desk, now=now, on_mistake=on_mistake)
    if len(decisions) > 1:
        async for facts in _plan_together(decisions, books=books, moment=moment, part_sizes=part_sizes):
            yield facts
        return
    [decision] = decisions
    part = await _next_part(decision, books=books, part_sizes=part_sizes)
    kept_out = await _kept_out(decision, part.members, books=books)
    members = [one for one in part.members if one.subscription.subscription_id not in kept_out]
    denied: list[Row] = [
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
    planned = (
        plan_entries([(decision, members)], books=books, moment=moment)
        if decision.instruction.action is Action.ENTER
        else plan_closes(decisions, members, books=books, moment=moment)
    )
    parts = {decision.signal_id: part}
    async for rows in _counted(planned, decisions, parts=parts, denied=denied, now=now):
        yield rows


async def _plan_together(
    decisions: Sequence[DecisionApproved], *, books: Books, moment: Moment, part_sizes: Sequence[int]
) -> AsyncIterator[list[Fact]]:
    """Plan what is asked of different symbols: what is held and what is on its way is read once for all of a kind."""
    first = decisions[0]
    symbols = {one.instruction.symbol for one in decisions if one.bot_id == first.bot_id}
    assert len(symbols) == len(decisions), "each must see what the one before it has done to its symbol"
    assert all(goes_with_others(one.instruction) for one in decisions), (
        "the books are read once for all of them"
    )
    part = await books.next_part(first.bot_id, after=NOT_BEGUN, start=0, limit=part_sizes[0])
    if not part.is_last:
        return
    parts = {one.signal_id: _turned(part, start=one.signal_id.int % STARTS) for one in decisions}
    entering = [one for one in decisions if one.instruction.action is Action.ENTER]
    closing = [one for one in decisions if one.instruction.action is not Action.ENTER]
    planned: list[list[Row]] = []  # of a few accounts: all is read before the first is written
    if entering:
        turns = [(one, parts[one.signal_id].members) for one in entering]
        planned += [rows async for rows in plan_entries(turns, books=books, moment=moment)]
    # What was an entry asks for rules of its own; the others close for whoever holds.
    for together in [
        [one for one in closing if not one.instruction.was_entry],
        *([one] for one in closing if one.instruction.was_entry),
    ]:
        if together:
            members = parts[together[0].signal_id].members
            closes = plan_closes(together, members, books=books, moment=moment)
            planned += [rows async for rows in closes]
    async for facts in _counted(_given(planned), decisions, parts=parts, denied=[], now=moment.now):
        yield facts


async def _given(planned: Sequence[list[Row]]) -> AsyncIterator[list[Row]]:
    for rows in planned:
        yield rows


def _turned(part: Part, *, start: int) -> Part:
    """Give a whole bot's only part, its first account at place ``start``: as a part of its own would begin."""
    if not part.members:
        return part
    place = start % len(part.members)
    members = [*part.members[place:], *part.members[:place]]
    progress = replace(
        part.progress,
        first_account_id=members[0].account.account_id,
        last_account_id=members[-1].account.account_id,
    )
    return replace(part, members=members, progress=progress)


async def _counted(
    planned: AsyncIterator[list[Row]],
    decisions: Sequence[DecisionApproved],
    *,
    parts: Mapping[UUID, Part],
    denied: Sequence[Row],
    now: datetime,
) -> AsyncIterator[list[Fact]]:
    """Give the orders as they come; last what waits, what is denied, and how many of each decision there are."""
    accounts: defaultdict[UUID, set[int]] = defaultdict(set)
    orders: Counter[UUID] = Counter()
    unsent: list[Row] = [*denied]
    for row in denied:
        accounts[row.signal_id].add(row.account_id)
    async for rows in planned:
        for row in rows:
            accounts[row.signal_id].add(row.account_id)
            orders[row.signal_id] += not isinstance(row, OrderDenied)
        yield [row for row in rows if isinstance(row, OrderPlanned)]
        unsent.extend([row for row in rows if not isinstance(row, OrderPlanned)])
    # Facts of one kind that stand together are folded in one statement.
    unsent.sort(key=lambda row: isinstance(row, OrderDenied))
    # The end of what was made useless, another signal's entry that still waited, is counted as none of theirs.
    ends = [
        _to_planned(
            decision,
            parts[decision.signal_id],
            accounts=len(accounts[decision.signal_id]),
            orders=orders[decision.signal_id],
            now=now,
        )
        for decision in decisions
    ]
    yield [*unsent, *ends]


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
        few=min(FEW, part_sizes[0]) if progress == NOT_BEGUN else None,
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

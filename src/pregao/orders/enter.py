"""
Plan entries: what each account does with a signal depends on what it holds already.

Takes EntryRequested, PositionLeft, and what an entry signal's DecisionApproved asks. Gives OrderPlanned,
OrderDenied, OrderDeferred, EntryRequested.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from pregao.domain.account import EXCHANGES
from pregao.domain.bot import (
    Bot,
    BotStatus,
)
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    Fact,
    OrderDenied,
    OrderPlanned,
)
from pregao.domain.market import Market, MarketView
from pregao.domain.order import client_order_id
from pregao.domain.position import PositionStatus
from pregao.orders.denial import NO_PRICE, Denial
from pregao.orders.entry import deny, enter_member, left_to_wait_for, plan_member, takes_part
from pregao.orders.limits import (
    Allowance,
    denial_of_member,
    denial_of_obstacle,
    denial_of_outage,
    is_counted,
    rules_asked,
)
from pregao.orders.ports import Books, Member, WaitingEntry
from pregao.orders.rows import FAILED, Moment, Row, deny_again, deny_waiting, in_turns, plan_alone
from pregao.orders.standing import Asked, Standing, read_standings, to_asked


async def plan_entries(
    turns: Sequence[tuple[DecisionApproved, Sequence[Member]]], *, books: Books, moment: Moment
) -> AsyncIterator[list[Row]]:
    """
    Give the rows of each member for an entry; the newest signal takes the place of an entry that still waits.

    Several decisions are entries of one bot, each on another symbol, each with the same members in an order of its own:
    what they look at is read once for all, and each sees the places that those before it have taken.
    """
    bot = await books.get_bot(turns[0][0].bot_id)
    # What a restored database may have forgotten of the first signal must not be entered by the one that repeats it.
    firsts = {decision.signal_id: _first_id(decision) for decision, _ in turns}
    standings = await read_standings(
        bot,
        turns[0][1],
        symbols={firsts[decision.signal_id]: decision.instruction.symbol or "" for decision, _ in turns},
        books=books,
        now=moment.now,
    )
    entries: list[_Entry] = []
    for decision, members in turns:
        asked, standing = to_asked(decision, bot=bot), standings[firsts[decision.signal_id]]
        taking_part = [one for one in members if takes_part(one, asked=asked, standing=standing)]
        entries.append(_Entry(asked, standing, taking_part))
    new_ids = iter(await books.new_position_ids(sum(len(entry.members) for entry in entries)))
    for entry in entries:
        placed = list(zip(entry.members, new_ids, strict=False))
        for rows in _plan_entry(placed, asked=entry.asked, standing=entry.standing, moment=moment):
            yield rows


class _Entry(NamedTuple):
    asked: Asked
    standing: Standing
    members: Sequence[Member]


def _first_id(decision: DecisionApproved) -> UUID:
    again = decision.instruction.again
    return decision.signal_id if again is None else again.before[0]


def _plan_entry(
    placed: Sequence[tuple[Member, int]], *, asked: Asked, standing: Standing, moment: Moment
) -> Iterator[list[Row]]:
    """Give one signal's rows of each member, beside whom stands the id that a new position of his would have."""
    plan = partial(plan_member, asked=asked, standing=standing, moment=moment)

    def failed(one: tuple[Member, int]) -> Row:
        return deny(one[0], FAILED, asked=asked, moment=moment)

    for some in in_turns(placed):
        rows: list[Row] = []
        for one in some:
            member = one[0]
            own = plan_alone(plan, one, account_id=member.account.account_id, failed=failed, moment=moment)
            rows.extend(own)
            if not standing.waiting:
                continue
            waiting = standing.waiting.get(member.subscription.subscription_id)
            if waiting is not None and not all(isinstance(row, OrderDenied) for row in own):
                reason = (
                    f"signal={asked.signal_id}. A newer signal came while the entry waited; nothing was sent."
                )
                rows.append(deny_waiting(waiting, code="SUPERSEDED", reason=reason, now=moment.now))
        yield rows


# --- entries whose time comes later -----------------------------------------------------------------------


async def request_waiting(settled: Sequence[WaitingEntry], *, now: datetime) -> list[EntryRequested]:
    """Ask for the entries whose position has nothing on its way any more: it is closed, or could not be."""
    return [
        EntryRequested(
            happened_at=now,
            signal_id=one.signal_id,
            bot_id=one.bot_id,
            order_id=one.order_id,
            attempt=1,
            reason=f"position={one.position_id}: nothing of it is on its way any more",
        )
        for one in settled
    ]


async def plan_entry_again(
    requests: Sequence[EntryRequested], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """
    Plan one signal's entries that have waited for a close, or next attempts where one provably died; or deny them.

    Nothing follows from a request that is out of date: meanwhile the order went on.
    """
    moment = Moment(market=market, desk=desk, now=now)
    waited = [request for request in requests if request.attempt == 1]
    died = [request for request in requests if request.attempt > 1]
    return [
        *await _plan_waited(waited, books=books, moment=moment),
        *await _plan_died(died, books=books, moment=moment),
    ]


async def _plan_waited(requests: Sequence[EntryRequested], *, books: Books, moment: Moment) -> list[Fact]:
    if not requests:
        return []
    signals = {(request.bot_id, request.signal_id) for request in requests}
    assert len(signals) == 1, "a second signal must see the places that the first has taken"
    [(bot_id, _)] = signals
    assert bot_id is not None, "who waited was planned for a bot"
    wanted = {request.order_id for request in requests}
    await books.lock_bots([bot_id], symbols=None)
    members = await books.members(bot_id)
    bot = await books.get_bot(bot_id)
    waiting = [
        one
        for one in await books.waiting_entries(
            bot_id, subscription_ids=[member.subscription.subscription_id for member in members]
        )
        if one.order_id in wanted
    ]
    if not waiting:
        return []
    waiting.sort(key=lambda one: one.account_id)
    return await _plan_together(waiting, bot=bot, members=members, books=books, moment=moment)


async def _plan_together(
    waiting: Sequence[WaitingEntry],
    *,
    bot: Bot,
    members: Sequence[Member],
    books: Books,
    moment: Moment,
) -> list[Fact]:
    """Plan the entries of one signal that have waited: every limit is looked at again."""
    subscribed = {member.subscription.subscription_id: member for member in members}
    symbol, signal_id = waiting[0].symbol, waiting[0].signal_id
    entering = [subscribed[one.subscription_id] for one in waiting]
    standings = await read_standings(bot, entering, symbols={signal_id: symbol}, books=books, now=moment.now)
    standing = standings[signal_id]
    new_ids = await books.new_position_ids(len(waiting))
    facts: list[Fact] = []
    for one, member, new_id in zip(waiting, entering, new_ids, strict=True):
        asked = Asked(
            signal_id=one.signal_id, bot=bot, symbol=symbol, side=one.side, send_before=one.send_before
        )
        own = standing.own.get(one.subscription_id)
        denial = _denial_of_bot(bot)
        if (
            denial is None
            and own is None
            and left_to_wait_for(member, asked=asked, standing=standing, moment=moment) is not None
        ):
            continue  # another flat position has not been left yet
        if denial is None and own is not None:
            denial = Denial(
                code="REVERSE_INCOMPLETE",
                reason=f"position={own.position_id} direction={own.direction} quantity={own.quantity}. "
                "It could not be closed whole; the rest stays open and nothing is entered.",
            )
        facts.append(
            deny(member, denial, asked=asked, moment=moment)
            if denial
            else enter_member(member, asked=asked, standing=standing, moment=moment, position_id=new_id)
        )
    return facts


def _denial_of_bot(bot: Bot) -> Denial | None:
    if bot.status is BotStatus.ACTIVE:
        return None
    return Denial(code="BOT_STATUS", reason=f"status={bot.status}.")


async def _plan_died(requests: Sequence[EntryRequested], *, books: Books, moment: Moment) -> list[Fact]:
    if not requests:
        return []
    standing = await books.open_attempts(sorted({request.order_id for request in requests}))
    current = {
        request.order_id: request
        for request in requests
        if standing.get(request.order_id) == request.attempt - 1
    }
    last = await books.planned_orders(list(current))
    members = await books.members_named({before.subscription_id for before in last.values()})
    states = await books.trading_states()
    stops = await _stops_of_died(list(last.values()), members=members, books=books, now=moment.now)
    facts: list[Fact] = []
    for request in current.values():
        before = last[request.order_id]
        bot = await books.get_bot(before.bot_id)
        market, view = moment.market, moment.view_of(before.venue, before.symbol)
        assert before.send_before is not None, "only entries are requested again here"
        denial = (
            denial_of_member(
                members[before.subscription_id],
                bot=bot,
                symbol=before.symbol,
                states=states,
                send_before=before.send_before,
                now=moment.now,
            )
            or _denial_of_bot(bot)
            or stops.get(before.order_id)
            or denial_of_outage(market, venue=before.venue, symbol=before.symbol)
            or (NO_PRICE if view is None and before.venue in EXCHANGES else None)
        )
        facts.append(
            deny_again(before, denial=denial, now=moment.now)
            if denial
            else _attempt_again(before, attempt=request.attempt, view=view, moment=moment)
        )
    return facts


async def _stops_of_died(
    died: Sequence[OrderPlanned], *, members: Mapping[UUID, Member], books: Books, now: datetime
) -> dict[str, Denial]:
    """
    Give by order what has come up since it was planned: its position was closed, a loss reached its limit, a foreign holding.

    Its place in the limits of positions it holds already, unless that was closed. Nothing is locked: the positions are, and whoever plans
    locks them last.
    """
    stops: dict[str, Denial] = {}
    asked = sorted({(before.bot_id, before.symbol, before.signal_id) for before in died})
    for bot_id, symbol, signal_id in asked:
        together = [
            before
            for before in died
            if (before.bot_id, before.symbol, before.signal_id) == (bot_id, symbol, signal_id)
        ]
        bot = await books.get_bot(bot_id)
        asking = [members[before.subscription_id] for before in together]
        usage = await books.usage(
            bot_id,
            subscription_ids=[before.subscription_id for before in together],
            symbols=[symbol],
            day=now.date(),
            rules=rules_asked(bot, asking),
            is_counted=is_counted(bot, asking, symbols=[symbol]),
        )
        allowance = Allowance(bot, usage=usage, now=now)
        accounts = [before.account_id for before in together]
        met = await books.obstacles({signal_id: symbol}, account_ids=accounts)
        live = await books.live_positions(account_ids=accounts, symbols=[symbol])
        standing = {one.position_id for one in live if one.status is not PositionStatus.CLOSING}
        for before in together:
            denial = (
                (None if before.position_id in standing else _closed_meanwhile(before))
                or allowance.denial(members[before.subscription_id], symbol=symbol, takes_place=False)
                or denial_of_obstacle(
                    met[signal_id],
                    account_id=before.account_id,
                    subscription_id=before.subscription_id,
                    symbol=symbol,
                    position_side=before.position_side,
                )
            )
            if denial is not None:
                stops[before.order_id] = denial
    return stops


def _closed_meanwhile(before: OrderPlanned) -> Denial:
    return Denial(
        code="CLOSED_MEANWHILE",
        reason=f"position={before.position_id} attempt={before.attempt}. It was closed, or is being closed, while this entry "
        "was in doubt; whoever closes wants to be out.",
    )


def _attempt_again(
    before: OrderPlanned, *, attempt: int, view: MarketView | None, moment: Moment
) -> OrderPlanned:
    assert view is not None or before.venue not in EXCHANGES, "without a price it was denied"
    return replace(
        before,
        happened_at=moment.now,
        attempt=attempt,
        client_order_id=client_order_id(before.order_id, attempt=attempt),
        decision_price=None if view is None else view.quote.last_price,
        signed_at_ms=moment.market.venue_now_ms[before.venue],
        owner=moment.desk.owner,
        lease_epoch=moment.desk.lease_epoch,
    )

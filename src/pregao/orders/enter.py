"""
Plan entries: what each account does with a signal depends on what it holds already.

Takes EntryRequested, PositionLeft, and what an entry signal's DecisionApproved asks. Gives OrderPlanned,
OrderDenied, OrderDeferred, EntryRequested.
"""

from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from pregao.domain.account import EXCHANGES, Account, Venue
from pregao.domain.bot import (
    Bot,
    BotStatus,
    EffectiveSettings,
    OppositeSide,
    SameSide,
    Subscription,
    SubscriptionStatus,
    effective_settings,
    set_by,
)
from pregao.domain.desk import Desk
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    Fact,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
)
from pregao.domain.market import Market, MarketView
from pregao.domain.money import ZERO
from pregao.domain.order import Leg, PositionMode, PositionSide, Side, client_order_id
from pregao.domain.position import FORWARDED_LEVERAGE, LIVE_STATUSES, Direction, Position
from pregao.domain.signal import Risked
from pregao.domain.trading_state import TradingStates
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.orders.close import plan_close
from pregao.orders.denial import NO_PRICE, Denial
from pregao.orders.limits import (
    Allowance,
    denial_of_holding,
    denial_of_instrument,
    denial_of_member,
    denial_of_obstacle,
    denial_of_outage,
    denial_of_range,
    denial_of_short,
    is_counted,
    rules_asked,
)
from pregao.orders.ports import NOTHING_ON_THE_WAY, Books, Member, Obstacles, OnTheWay, WaitingEntry
from pregao.orders.risk import denial_of_reward, denial_of_size, reward_of_risked, reward_to_risk
from pregao.orders.rows import FAILED, Moment, Row, deny_again, deny_waiting, entry_id, in_turns, plan_alone
from pregao.orders.sizing import FORWARDED_QUANTITY, size_entry, size_risked


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The entry that a signal asks of every account."""

    signal_id: UUID
    bot: Bot
    symbol: str
    side: Side
    send_before: datetime
    risk: Risked | None = None  # a trade by hand is sized by it
    is_retry: bool = False  # it neither adds nor reverses, and takes the place of nothing newer


@dataclass(slots=True)
class Terms:
    """What subscriptions that set the same enter with; what was sized for one of them holds for all."""

    settings: EffectiveSettings
    sizes: dict[tuple[Venue, str], Decimal | Denial] = field(default_factory=dict)  # by margin asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is there on one symbol, on all accounts of the bot, under the transaction's locks."""

    own: Mapping[UUID, Position]  # by subscription
    owners: Mapping[tuple[int, PositionSide], Position]  # by place, whoever opened it
    obstacles: Obstacles
    on_the_way: Mapping[int, OnTheWay]  # by position
    waiting: Mapping[UUID, WaitingEntry]  # by subscription
    states: TradingStates
    allowance: Allowance
    terms: dict[Hashable, Terms] = field(default_factory=dict)  # by what a subscription sets

    def terms_of(self, subscription: Subscription, *, asked: Asked) -> Terms:
        """Give what it enters with: worked out for the first of those that set the same."""
        own = set_by(subscription)
        terms = self.terms.get(own)
        if terms is None:
            settings = effective_settings(asked.bot, subscription, symbol=asked.symbol)
            terms = self.terms[own] = Terms(settings)
        return terms


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
    standings = await _standings(
        bot,
        turns[0][1],
        symbols={firsts[decision.signal_id]: decision.instruction.symbol or "" for decision, _ in turns},
        books=books,
        now=moment.now,
    )
    entries: list[_Entry] = []
    for decision, members in turns:
        asked, standing = _asked(decision, bot=bot), standings[firsts[decision.signal_id]]
        taking_part = [one for one in members if _takes_part(one, asked=asked, standing=standing)]
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


def _asked(decision: DecisionApproved, *, bot: Bot) -> Asked:
    instruction = decision.instruction
    assert instruction.side is not None, "an entry has a side"
    return Asked(
        signal_id=decision.signal_id,
        bot=bot,
        symbol=instruction.symbol or "",
        side=instruction.side,
        send_before=instruction.send_before,
        risk=instruction.risk,
        is_retry=instruction.is_retry,
    )


def _first_id(decision: DecisionApproved) -> UUID:
    again = decision.instruction.again
    return decision.signal_id if again is None else again.before[0]


def _plan_entry(
    placed: Sequence[tuple[Member, int]], *, asked: Asked, standing: Standing, moment: Moment
) -> Iterator[list[Row]]:
    """Give one signal's rows of each member, beside whom stands the id that a new position of his would have."""
    plan = partial(_plan_member, asked=asked, standing=standing, moment=moment)

    def failed(one: tuple[Member, int]) -> Row:
        return _deny(one[0], FAILED, asked=asked, moment=moment)

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


async def _standings(
    bot: Bot, members: Sequence[Member], *, symbols: Mapping[UUID, str], books: Books, now: datetime
) -> dict[UUID, Standing]:
    """Give what is there for each signal, each on a symbol of its own; what one of them takes counts for all."""
    accounts = [member.account.account_id for member in members]
    subscriptions = [member.subscription.subscription_id for member in members]
    states = await books.trading_states()
    asked = list(symbols.values())
    positions = await books.live_positions(account_ids=accounts, symbols=asked)
    own_ids = [position.position_id for position in positions if position.bot_id == bot.bot_id]
    if own_ids:
        # Under their locks, or what an order waits for may have happened before it began to wait.
        locked = await books.lock_positions(sorted(own_ids))
        positions = [locked.get(position.position_id, position) for position in positions]
        positions = [position for position in positions if position.status in LIVE_STATUSES]
    obstacles = await books.obstacles(symbols, account_ids=accounts)
    on_the_way = await books.on_the_way(own_ids) if own_ids else {}
    waiting = await books.waiting_entries(bot.bot_id, subscription_ids=subscriptions)
    usage = await books.usage(
        bot.bot_id,
        subscription_ids=subscriptions,
        symbols=asked,
        day=now.date(),
        rules=rules_asked(bot, members),
        is_counted=is_counted(bot, members, symbols=asked),
    )
    allowance = Allowance(bot, usage=usage, now=now)
    standings: dict[UUID, Standing] = {}
    for signal_id, symbol in symbols.items():
        here = [position for position in positions if position.symbol == symbol]
        standings[signal_id] = Standing(
            own={position.subscription_id: position for position in here},
            owners={(position.account_id, position.position_side): position for position in here},
            obstacles=obstacles[signal_id],
            on_the_way=on_the_way,
            waiting={one.subscription_id: one for one in waiting if one.symbol == symbol},
            states=states,
            allowance=allowance,
        )
    return standings


def _takes_part(member: Member, *, asked: Asked, standing: Standing) -> bool:
    """Leave out canceled subscriptions, but for those that hold what the signal goes against: that is still closed."""
    if member.subscription.status is not SubscriptionStatus.CANCELED:
        return True
    own = standing.own.get(member.subscription.subscription_id)
    return own is not None and own.direction.entry_side is not asked.side


def _plan_member(one: tuple[Member, int], *, asked: Asked, standing: Standing, moment: Moment) -> list[Row]:
    """Give the rows of one member; beside it stands the id that a new position of it would have."""
    member, new_id = one
    own = standing.own.get(member.subscription.subscription_id) if standing.own else None
    waiting = standing.waiting.get(member.subscription.subscription_id) if standing.waiting else None
    if asked.is_retry and waiting is not None:
        return [_deny(member, _newer_waits(waiting), asked=asked, moment=moment)]
    if own is None:
        left = _left_to_wait_for(member, asked=asked, standing=standing, moment=moment)
        if left is not None:
            return [_wait_for_line(member, left, asked=asked, moment=moment)]
        return [_enter(member, asked=asked, standing=standing, moment=moment, position_id=new_id)]
    terms = standing.terms_of(member.subscription, asked=asked)
    settings = terms.settings
    denial = _denial_of_member(
        member, asked=asked, standing=standing, moment=moment
    ) or standing.allowance.denial(member, symbol=asked.symbol, takes_place=False)
    if asked.risk is not None or asked.is_retry:
        return [_deny(member, denial or _in_the_way(own, asked), asked=asked, moment=moment)]
    waits = (
        _deny(member, denial, asked=asked, moment=moment)
        if denial
        else _wait(member, own, asked=asked, moment=moment)
    )
    if standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY).closes_all(own.quantity):
        return [waits]
    values = f"position={own.position_id} direction={own.direction} status={own.status}"
    if own.direction.entry_side is asked.side:
        if settings.same_side is SameSide.IGNORE:
            stands = Denial(code="SAME_SIDE_OPEN", reason=f"{values}. The position stands; nothing is added.")
            return [_deny(member, denial or stands, asked=asked, moment=moment)]
        if denial is not None:
            return [waits]
        if settings.same_side is SameSide.ADD:
            return [_add(member, own, asked=asked, standing=standing, moment=moment)]
        vain = _denial_of_place(member, asked=asked, standing=standing) or _fit(
            member, terms, asked=asked, standing=standing, moment=moment
        )
        if isinstance(vain, Denial):
            return [_deny(member, vain, asked=asked, moment=moment)]  # nothing could take its place
        return [_close(member, own, asked=asked, standing=standing, moment=moment), waits]
    if settings.opposite_side is OppositeSide.IGNORE:
        stands = Denial(
            code="OPPOSITE_SIDE_OPEN", reason=f"{values}. The position stands; nothing is reversed."
        )
        return [_deny(member, denial or stands, asked=asked, moment=moment)]
    exit_row = _close(member, own, asked=asked, standing=standing, moment=moment)
    if member.account.venue not in EXCHANGES:
        return [exit_row]  # nothing is sold there that is not held: there is nothing to reverse to
    return [exit_row, waits] if settings.opposite_side is OppositeSide.REVERSE else [exit_row]


def _left_to_wait_for(member: Member, *, asked: Asked, standing: Standing, moment: Moment) -> int | None:
    """Give the flat position of which something may still trade where the entry would; None where it is denied."""
    if not standing.obstacles.leaving:
        return None
    place = member.account.account_id, _position_side(member.account, asked.side)
    left = standing.obstacles.leaving.get(place)
    if left is None or _denial(member, asked=asked, standing=standing, moment=moment, is_new=True):
        return None
    return left


def _in_the_way(own: Position, asked: Asked) -> Denial:
    """Say what a trade by hand or a retry has met: it was asked for an account that is flat, so it neither adds nor reverses."""
    code = "SAME_SIDE_OPEN" if own.direction.entry_side is asked.side else "OPPOSITE_SIDE_OPEN"
    values = f"position={own.position_id} direction={own.direction} status={own.status}"
    return Denial(
        code=code,
        reason=f"{values}. The position stands; close it before another is opened by hand."
        if asked.risk is not None
        else f"{values}. It was opened meanwhile and stands; a retry neither adds nor reverses.",
    )


def _newer_waits(waiting: WaitingEntry) -> Denial:
    return Denial(
        code="ORDER_IN_FLIGHT",
        reason=f"signal={waiting.signal_id}. Its entry waits for its turn here; a retry does not take its place.",
    )


def _close(member: Member, own: Position, *, asked: Asked, standing: Standing, moment: Moment) -> Row:
    return plan_close(
        own,
        signal_id=asked.signal_id,
        share=None,
        on_the_way=standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY),
        account=member.account,
        states=standing.states,
        moment=moment,
    )


def _add(
    member: Member, own: Position, *, asked: Asked, standing: Standing, moment: Moment
) -> OrderPlanned | OrderDenied:
    if standing.on_the_way.get(own.position_id, NOTHING_ON_THE_WAY).has_orders:
        busy = Denial(
            code="ORDER_IN_FLIGHT",
            reason=f"position={own.position_id} status={own.status}. It is added to when nothing is on its way.",
        )
        return _deny(member, busy, asked=asked, moment=moment)
    added = _enter(
        member, asked=asked, standing=standing, moment=moment, position_id=own.position_id, is_new=False
    )
    instrument = moment.instrument_of(member.account.venue, asked.symbol)
    if isinstance(added, OrderPlanned) and instrument is not None:
        too_large = denial_of_holding(own.quantity, added=added.quantity, instrument=instrument)
        if too_large is not None:
            return _deny(member, too_large, asked=asked, moment=moment)
    return added


def _enter(
    member: Member,
    *,
    asked: Asked,
    standing: Standing,
    moment: Moment,
    position_id: int,
    is_new: bool = True,
) -> OrderPlanned | OrderDenied:
    account = member.account
    view = moment.view_of(account.venue, asked.symbol)
    terms = standing.terms_of(member.subscription, asked=asked)
    quantity = _denial(member, asked=asked, standing=standing, moment=moment, is_new=is_new) or (
        _fit(member, terms, asked=asked, standing=standing, moment=moment)
    )
    if isinstance(quantity, Denial):
        return _deny(member, quantity, asked=asked, moment=moment)
    price = None if view is None else view.quote.last_price
    assert price is not None or account.venue not in EXCHANGES, "what has a size had a price"
    if is_new:
        standing.allowance.take(member, symbol=asked.symbol)
    settings = terms.settings
    identity = entry_id(asked.signal_id, account, desk=moment.desk)
    return OrderPlanned(
        happened_at=moment.now,
        order_id=identity,
        attempt=1,
        client_order_id=client_order_id(identity, attempt=1),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=account.account_id,
        venue=account.venue,
        leg=Leg.ENTRY,
        position_id=position_id,
        symbol=asked.symbol,
        side=asked.side,
        position_side=_position_side(account, asked.side),
        quantity=quantity,
        reduce_only=False,
        leverage=FORWARDED_LEVERAGE if account.venue not in EXCHANGES else settings.leverage,
        margin_mode=account.margin_mode,
        margin_usd=_margin(settings, asked.risk, quantity=quantity, price=price),
        decision_price=price,
        send_before=asked.send_before,
        signed_at_ms=moment.market.venue_now_ms[account.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=moment.desk.owner,
        lease_epoch=moment.desk.lease_epoch,
    )


def _margin(
    settings: EffectiveSettings, risk: Risked | None, *, quantity: Decimal, price: Decimal | None
) -> Decimal | None:
    if price is None:
        return None  # what a destination pays with is not ours to know
    return settings.margin_usd if risk is None else quantity * price / settings.leverage


def _denial(
    member: Member, *, asked: Asked, standing: Standing, moment: Moment, is_new: bool
) -> Denial | None:
    """Give the first thing that keeps this account from entering now."""
    denial = _denial_of_member(member, asked=asked, standing=standing, moment=moment) or denial_of_short(
        member.account, side=asked.side, symbol=asked.symbol
    )
    if denial is not None:
        return denial
    owner = (
        standing.owners.get((member.account.account_id, _position_side(member.account, asked.side)))
        if is_new and standing.owners
        else None
    )
    if owner is not None:
        return Denial(
            code="SYMBOL_OWNED",
            reason=f"position={owner.position_id} direction={owner.direction} status={owner.status} "
            f"subscription={owner.subscription_id}. Another subscription trades this symbol here.",
        )
    denial = _denial_of_place(member, asked=asked, standing=standing)
    return denial or standing.allowance.denial(member, symbol=asked.symbol, takes_place=is_new)


def _denial_of_member(member: Member, *, asked: Asked, standing: Standing, moment: Moment) -> Denial | None:
    return denial_of_member(
        member,
        bot=asked.bot,
        symbol=asked.symbol,
        states=standing.states,
        send_before=asked.send_before,
        now=moment.now,
    )


def _denial_of_place(member: Member, *, asked: Asked, standing: Standing) -> Denial | None:
    if standing.obstacles.is_clear:
        return None
    return denial_of_obstacle(
        standing.obstacles,
        account_id=member.account.account_id,
        subscription_id=member.subscription.subscription_id,
        symbol=asked.symbol,
        position_side=_position_side(member.account, asked.side),
    )


def _fit(
    member: Member, terms: Terms, *, asked: Asked, standing: Standing, moment: Moment
) -> Decimal | Denial:
    """Give how much to trade, within the rules of what one position may be worth and has to aim for."""
    account = member.account
    held = standing.own.get(member.subscription.subscription_id) if standing.own else None
    if held is not None:
        return _fitted(account, held, settings=terms.settings, asked=asked, moment=moment)
    alike = account.venue, account.margin_asset
    quantity = terms.sizes.get(alike)
    if quantity is None:
        quantity = _fitted(account, None, settings=terms.settings, asked=asked, moment=moment)
        terms.sizes[alike] = quantity
    return quantity


def _fitted(
    account: Account, held: Position | None, *, settings: EffectiveSettings, asked: Asked, moment: Moment
) -> Decimal | Denial:
    rules = settings.risk
    quantity = (
        _sized(account, settings, symbol=asked.symbol, moment=moment)
        if asked.risk is None
        else _size_risked(account, asked.risk, asked=asked, moment=moment)
    )
    view = moment.view_of(account.venue, asked.symbol)
    if isinstance(quantity, Denial) or account.venue not in EXCHANGES or view is None:
        return quantity
    price = view.quote.last_price
    adds = held is not None and held.direction.entry_side is asked.side and settings.same_side is SameSide.ADD
    together = quantity + (held.quantity if held is not None and adds else ZERO)
    reward = (
        reward_to_risk(
            settings, venue=account.venue, symbol=asked.symbol, price=price, ranges=moment.market.ranges
        )
        if asked.risk is None
        else reward_of_risked(asked.risk, price=price)
    )
    return (
        denial_of_size(rules, quantity=together, price=price) or denial_of_reward(rules, reward) or quantity
    )


def _sized(account: Account, settings: EffectiveSettings, *, symbol: str, moment: Moment) -> Decimal | Denial:
    if account.venue not in EXCHANGES:
        return FORWARDED_QUANTITY
    unmeasured = denial_of_range(settings, market=moment.market, venue=account.venue, symbol=symbol)
    return unmeasured or _size(account, settings, symbol=symbol, moment=moment)


def _size(account: Account, settings: EffectiveSettings, *, symbol: str, moment: Moment) -> Decimal | Denial:
    view = _view(account, symbol=symbol, moment=moment)
    if isinstance(view, Denial):
        return view
    return size_entry(
        margin_usd=settings.margin_usd,
        leverage=settings.leverage,
        price=view.quote.last_price,
        instrument=view.instrument,
    )


def _size_risked(account: Account, risk: Risked, *, asked: Asked, moment: Moment) -> Decimal | Denial:
    view = _view(account, symbol=asked.symbol, moment=moment)
    if isinstance(view, Denial):
        return view
    return size_risked(risk, side=asked.side, price=view.quote.last_price, instrument=view.instrument)


def _view(account: Account, *, symbol: str, moment: Moment) -> MarketView | Denial:
    """Give the symbol and its price where the account may enter it, or why it may not."""
    outage = denial_of_outage(moment.market, venue=account.venue, symbol=symbol)
    if outage is not None:
        return outage
    view = moment.view_of(account.venue, symbol)
    if view is None:
        return NO_PRICE
    return denial_of_instrument(account, view=view) or view


def _position_side(account: Account, side: Side) -> PositionSide:
    if account.position_mode is PositionMode.ONE_WAY:
        return PositionSide.BOTH
    return PositionSide.LONG if Direction.of_entry(side) is Direction.LONG else PositionSide.SHORT


def _deny(member: Member, denial: Denial, *, asked: Asked, moment: Moment) -> OrderDenied:
    return OrderDenied(
        happened_at=moment.now,
        order_id=entry_id(asked.signal_id, member.account, desk=moment.desk),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=member.account.account_id,
        leg=Leg.ENTRY,
        symbol=asked.symbol,
        side=asked.side,
        position_id=None,
        code=denial.code,
        reason=denial.reason,
    )


def _wait(member: Member, own: Position, *, asked: Asked, moment: Moment) -> OrderDeferred:
    reason = (
        f"position={own.position_id} direction={own.direction}. It is closed first; then this is entered."
    )
    return _defer(member, own.position_id, code="EXIT_ON_ITS_WAY", reason=reason, asked=asked, moment=moment)


def _wait_for_line(member: Member, left: int, *, asked: Asked, moment: Moment) -> OrderDeferred:
    reason = f"position={left}. It is flat, and what may still trade of it ends first; then this is entered."
    return _defer(member, left, code="PROTECTION_STANDS", reason=reason, asked=asked, moment=moment)


def _defer(
    member: Member, position_id: int, *, code: str, reason: str, asked: Asked, moment: Moment
) -> OrderDeferred:
    return OrderDeferred(
        happened_at=moment.now,
        order_id=entry_id(asked.signal_id, member.account, desk=moment.desk),
        signal_id=asked.signal_id,
        bot_id=asked.bot.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=member.account.account_id,
        symbol=asked.symbol,
        position_id=position_id,
        leg=Leg.ENTRY,
        side=asked.side,
        send_before=asked.send_before,
        code=code,
        reason=reason,
    )


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
    standings = await _standings(bot, entering, symbols={signal_id: symbol}, books=books, now=moment.now)
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
            and _left_to_wait_for(member, asked=asked, standing=standing, moment=moment) is not None
        ):
            continue  # another flat position has not been left yet
        if denial is None and own is not None:
            denial = Denial(
                code="REVERSE_INCOMPLETE",
                reason=f"position={own.position_id} direction={own.direction} quantity={own.quantity}. "
                "It could not be closed whole; the rest stays open and nothing is entered.",
            )
        facts.append(
            _deny(member, denial, asked=asked, moment=moment)
            if denial
            else _enter(member, asked=asked, standing=standing, moment=moment, position_id=new_id)
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
    Give by order what has come up since it was planned: a loss that reached its limit, a foreign holding.

    Its place in the limits of positions it holds already. Nothing is locked: the positions are, and whoever plans
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
        met = await books.obstacles(
            {signal_id: symbol}, account_ids=[before.account_id for before in together]
        )
        for before in together:
            denial = allowance.denial(
                members[before.subscription_id], symbol=symbol, takes_place=False
            ) or denial_of_obstacle(
                met[signal_id],
                account_id=before.account_id,
                subscription_id=before.subscription_id,
                symbol=symbol,
                position_side=before.position_side,
            )
            if denial is not None:
                stops[before.order_id] = denial
    return stops


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

"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

Takes DecisionApproved, EntryRequested. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import Bot, BotStatus, EffectiveSettings, SubscriptionStatus, effective_settings
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    Fact,
    OrderDenied,
    OrderPlanned,
    SignalPlanned,
)
from pregao.domain.market import Market, MarketView
from pregao.domain.order import Leg, PositionMode, PositionSide, Side, client_order_id, order_id
from pregao.domain.position import Direction, Position
from pregao.domain.signal import Action, Instruction
from pregao.orders.close import Row, plan_closes
from pregao.orders.denial import NO_PRICE, Denial
from pregao.orders.limits import expired, find_denial
from pregao.orders.ports import RECV_WINDOW_MS, Books, Desk, Member
from pregao.orders.sizing import size_entry


async def plan_orders(
    decisions: Sequence[DecisionApproved], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """Give one order or one denial for every account that follows the bot."""
    facts: list[Fact] = []
    for decision in decisions:
        if decision.instruction.action is Action.ENTER:
            rows = await _plan_entries(decision, books=books, market=market, desk=desk, now=now)
        else:
            rows = await plan_closes(decision, books=books, market=market, desk=desk, now=now)
        facts.append(
            SignalPlanned(
                happened_at=now,
                signal_id=decision.signal_id,
                bot_id=decision.bot_id,
                accounts=len({row.account_id for row in rows}),
                orders=sum(not isinstance(row, OrderDenied) for row in rows),
            ),
        )
        # Denials last: facts of one kind that stand together are folded in one statement.
        facts.extend(sorted(rows, key=lambda row: isinstance(row, OrderDenied)))
    return facts


async def _plan_entries(
    decision: DecisionApproved, *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Row]:
    bot = await books.get_bot(decision.bot_id)
    members = [
        member
        for member in await books.members(decision.bot_id)
        if member.subscription.status is not SubscriptionStatus.CANCELED
    ]
    symbol = decision.instruction.symbol or ""
    owned = await books.live_positions(account_ids=[one.account.account_id for one in members], symbol=symbol)
    owners = {(position.account_id, position.position_side): position for position in owned}
    new_ids = iter(await books.new_position_ids(len(members)))
    return [
        _plan_entry(
            member,
            decision=decision,
            bot=bot,
            owners=owners,
            market=market,
            desk=desk,
            now=now,
            position_id=next(new_ids),
        )
        for member in _rotated(members, by=decision.signal_id)
    ]


def _rotated(members: Sequence[Member], *, by: UUID) -> list[Member]:
    """Start with another account for every signal, so that nobody always trades last."""
    start = by.int % len(members) if members else 0
    return [*members[start:], *members[:start]]


def _plan_entry(
    member: Member,
    *,
    decision: DecisionApproved,
    bot: Bot,
    owners: dict[tuple[int, PositionSide], Position],
    market: Market,
    desk: Desk,
    now: datetime,
    position_id: int,
) -> OrderPlanned | OrderDenied:
    account, subscription, instruction = member.account, member.subscription, decision.instruction
    side = _side_of(instruction)
    position_side = _position_side(account, Direction.of_entry(side))
    view = market.views.get((account.venue, instruction.symbol or ""))
    settings = effective_settings(bot, subscription, symbol=instruction.symbol)
    identity = order_id(
        desk_id=desk.desk_id,
        signal_id=decision.signal_id,
        account_id=account.account_id,
        leg=Leg.ENTRY,
        position_id=0,
    )
    owner = owners.get((account.account_id, position_side))
    quantity = find_denial(
        member, side=side, send_before=instruction.send_before, owner=owner, view=view, now=now
    ) or _sized(settings, view=view)
    if isinstance(quantity, Denial):
        return OrderDenied(
            happened_at=now,
            order_id=identity,
            signal_id=decision.signal_id,
            bot_id=decision.bot_id,
            subscription_id=subscription.subscription_id,
            account_id=account.account_id,
            leg=Leg.ENTRY,
            symbol=instruction.symbol or "",
            side=side,
            position_id=None,
            code=quantity.code,
            reason=quantity.reason,
        )
    assert view is not None, "what has a size had a price"
    return OrderPlanned(
        happened_at=now,
        order_id=identity,
        attempt=1,
        client_order_id=client_order_id(identity, attempt=1),
        signal_id=decision.signal_id,
        bot_id=decision.bot_id,
        subscription_id=subscription.subscription_id,
        account_id=account.account_id,
        venue=account.venue,
        leg=Leg.ENTRY,
        position_id=position_id,
        symbol=view.instrument.symbol,
        side=side,
        position_side=position_side,
        quantity=quantity,
        reduce_only=False,
        leverage=settings.leverage,
        margin_mode=account.margin_mode,
        margin_usd=settings.margin_usd,
        decision_price=view.quote.last_price,
        send_before=instruction.send_before,
        signed_at_ms=market.venue_now_ms[account.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=desk.owner,
        lease_epoch=desk.lease_epoch,
    )


def _sized(settings: EffectiveSettings, *, view: MarketView | None) -> Decimal | Denial:
    if view is None:
        return NO_PRICE
    return size_entry(
        margin_usd=settings.margin_usd,
        leverage=settings.leverage,
        price=view.quote.last_price,
        instrument=view.instrument,
    )


def _side_of(instruction: Instruction) -> Side:
    assert instruction.side is not None, "an entry has a side"
    return instruction.side


def _position_side(account: Account, direction: Direction) -> PositionSide:
    if account.position_mode is PositionMode.ONE_WAY:
        return PositionSide.BOTH
    return PositionSide.LONG if direction is Direction.LONG else PositionSide.SHORT


async def plan_entry_again(
    requests: Sequence[EntryRequested], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """
    Plan the next attempt of an entry whose last one provably died; deny it when its time has run out.

    Nothing follows from a request that is out of date: while the venue was asked, the order went on.
    """
    standing = await books.open_attempts(sorted({request.order_id for request in requests}))
    current = {
        request.order_id: request
        for request in requests
        if standing.get(request.order_id) == request.attempt - 1
    }
    last = await books.planned_orders(list(current))
    facts: list[Fact] = []
    for request in current.values():
        before = last[request.order_id]
        bot = await books.get_bot(before.bot_id)
        view = market.views.get((before.venue, before.symbol))
        assert before.send_before is not None, "only entries are requested again here"
        if now >= before.send_before:
            facts.append(_deny_again(before, denial=expired(before.send_before, now=now), now=now))
        elif bot.status is not BotStatus.ACTIVE:
            facts.append(
                _deny_again(before, denial=Denial(code="BOT_STATUS", reason=f"status={bot.status}."), now=now)
            )
        elif view is None:
            facts.append(_deny_again(before, denial=NO_PRICE, now=now))
        else:
            facts.append(
                _attempt_again(before, attempt=request.attempt, view=view, market=market, desk=desk, now=now)
            )
    return facts


def _attempt_again(
    before: OrderPlanned, *, attempt: int, view: MarketView, market: Market, desk: Desk, now: datetime
) -> OrderPlanned:
    return replace(
        before,
        happened_at=now,
        attempt=attempt,
        client_order_id=client_order_id(before.order_id, attempt=attempt),
        decision_price=view.quote.last_price,
        signed_at_ms=market.venue_now_ms[before.venue],
        owner=desk.owner,
        lease_epoch=desk.lease_epoch,
    )


def _deny_again(before: OrderPlanned, *, denial: Denial, now: datetime) -> OrderDenied:
    return OrderDenied(
        happened_at=now,
        order_id=before.order_id,
        signal_id=before.signal_id,
        bot_id=before.bot_id,
        subscription_id=before.subscription_id,
        account_id=before.account_id,
        leg=before.leg,
        symbol=before.symbol,
        side=before.side,
        position_id=before.position_id,
        code=denial.code,
        reason=denial.reason,
    )

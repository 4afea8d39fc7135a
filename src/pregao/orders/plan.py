"""
Plan who gets which order, and how large; deny what breaks a limit, with the numbers.

Takes DecisionApproved, EntryRequested, ExitRequested. Gives SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import REAL_VENUES, Account
from pregao.domain.bot import Bot, BotStatus, Subscription, SubscriptionStatus, effective_settings
from pregao.domain.facts import (
    DecisionApproved,
    EntryRequested,
    ExitRequested,
    Fact,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
    SignalPlanned,
)
from pregao.domain.order import Leg, PositionMode, PositionSide, Side, client_order_id, order_id
from pregao.domain.position import Direction, Position, PositionStatus
from pregao.domain.signal import Action, Instruction
from pregao.orders.ports import Books, Desk, Market, MarketView, Member
from pregao.orders.sizing import CannotSize, size_entry, size_exit

RECV_WINDOW_MS = 5_000  # the venue refuses an attempt that arrives later: Binance's default, our upper bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an account gets no order: a stable code and the numbers."""

    code: str
    reason: str


async def plan_orders(
    decisions: Sequence[DecisionApproved], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """Give one order or one denial for every account that follows the bot."""
    facts: list[Fact] = []
    for decision in decisions:
        if decision.instruction.action is Action.ENTER:
            rows = await _plan_entries(decision, books=books, market=market, desk=desk, now=now)
        else:
            rows = await _plan_closes(decision, books=books, market=market, desk=desk, now=now)
        facts.append(
            SignalPlanned(
                happened_at=now,
                signal_id=decision.signal_id,
                bot_id=decision.bot_id,
                accounts=len({row.account_id for row in rows}),
                orders=sum(not isinstance(row, OrderDenied) for row in rows),
            ),
        )
        facts.extend(rows)
    return facts


Row = OrderPlanned | OrderDenied | OrderDeferred


# --- entries ----------------------------------------------------------------------------------------------


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
    denial = _denial_of_entry(member, instruction=instruction, owner=owners.get((account.account_id, position_side)),
                              view=view, now=now)  # fmt: skip
    settings = effective_settings(bot, subscription)
    identity = order_id(
        desk_id=desk.desk_id,
        signal_id=decision.signal_id,
        account_id=account.account_id,
        leg=Leg.ENTRY,
        position_id=0,
    )
    quantity = None
    if denial is None and view is not None:
        quantity = size_entry(
            margin_usd=settings.margin_usd,
            leverage=settings.leverage,
            price=view.quote.last_price,
            instrument=view.instrument,
        )
        if isinstance(quantity, CannotSize):
            denial = Denial(code=quantity.code, reason=quantity.reason)
    if denial is not None or view is None or quantity is None or isinstance(quantity, CannotSize):
        denial = denial or _NO_PRICE
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
            code=denial.code,
            reason=denial.reason,
        )
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


_NO_PRICE = Denial(
    code="PRICE_UNAVAILABLE", reason="The venue gave no fresh price in time; nothing was sent."
)


def _denial_of_entry(
    member: Member,
    *,
    instruction: Instruction,
    owner: Position | None,
    view: MarketView | None,
    now: datetime,
) -> Denial | None:
    """Give the first limit this entry breaks on this account, None when it breaks none."""
    account, subscription = member.account, member.subscription
    if not account.is_active:
        return Denial(code="ACCOUNT_INACTIVE", reason=f"account={account.name}. Activate it to trade again.")
    if subscription.status is not SubscriptionStatus.ACTIVE:
        return Denial(
            code="SUBSCRIPTION_PAUSED", reason=f"status={subscription.status}. It only closes until resumed."
        )
    if account.venue in REAL_VENUES:
        return Denial(
            code="PROTECTION_UNAVAILABLE",
            reason=f"venue={account.venue}. No stop can guard a position there yet; use a paper or demo account.",
        )
    if now >= instruction.send_before:
        return _expired(instruction.send_before, now=now)
    if owner is not None:
        return _denial_of_owner(owner, subscription=subscription, side=_side_of(instruction))
    if member.live_positions >= subscription.max_concurrent_positions:
        return Denial(
            code="POSITIONS_AT_LIMIT",
            reason=f"live_positions={member.live_positions} maximum={subscription.max_concurrent_positions}. "
            "Max concurrent positions reached.",
        )
    if view is None:
        return _NO_PRICE
    return _denial_of_instrument(account, view=view)


def _denial_of_owner(owner: Position, *, subscription: Subscription, side: Side) -> Denial:
    values = f"position={owner.position_id} direction={owner.direction} status={owner.status}"
    if owner.subscription_id != subscription.subscription_id:
        return Denial(
            code="SYMBOL_OWNED",
            reason=f"{values} subscription={owner.subscription_id}. Another subscription trades this symbol here.",
        )
    if owner.direction.entry_side is side:
        return Denial(code="SAME_SIDE_OPEN", reason=f"{values}. The position stands; nothing is added.")
    return Denial(
        code="OPPOSITE_SIDE_OPEN", reason=f"{values}. Send close first; reversing is not supported yet."
    )


def _denial_of_instrument(account: Account, *, view: MarketView) -> Denial | None:
    instrument = view.instrument
    if not instrument.is_trading:
        return Denial(
            code="SYMBOL_NOT_TRADING", reason=f"symbol={instrument.symbol}. The venue has halted it."
        )
    if instrument.margin_asset != account.margin_asset:
        return Denial(
            code="MARGIN_ASSET_UNSUPPORTED",
            reason=f"symbol={instrument.symbol} margin_asset={instrument.margin_asset} "
            f"account_margin_asset={account.margin_asset}.",
        )
    return None


def _expired(send_before: datetime, *, now: datetime) -> Denial:
    late = (now - send_before).total_seconds()
    return Denial(
        code="SIGNAL_EXPIRED",
        reason=f"send_before={send_before.isoformat()} late_seconds={late:.1f}. The price has moved on; nothing was sent.",
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
    """Plan the next attempt of an entry whose last one provably died; deny it when its time has run out."""
    last = await books.planned_orders([request.order_id for request in requests])
    facts: list[Fact] = []
    for request in requests:
        before = last[request.order_id]
        bot = await books.get_bot(before.bot_id)
        view = market.views.get((before.venue, before.symbol))
        assert before.send_before is not None, "only entries are requested again here"
        if now >= before.send_before:
            facts.append(_deny_again(before, denial=_expired(before.send_before, now=now), now=now))
        elif bot.status is not BotStatus.ACTIVE:
            facts.append(
                _deny_again(before, denial=Denial(code="BOT_STATUS", reason=f"status={bot.status}."), now=now)
            )
        elif view is None:
            facts.append(_deny_again(before, denial=_NO_PRICE, now=now))
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


# --- exits ------------------------------------------------------------------------------------------------


async def _plan_closes(
    decision: DecisionApproved, *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Row]:
    """Close what this bot holds; every subscribed account appears, with NOTHING_OPEN where it holds nothing."""
    members = await books.members(decision.bot_id)
    accounts = {member.account.account_id: member.account for member in members}
    positions = [
        position
        for position in await books.live_positions_of_bot(decision.bot_id)
        if _is_meant(position, decision.instruction)
    ]
    entering = await books.entering_positions([position.position_id for position in positions])
    rows: list[Row] = []
    for position in positions:
        account = accounts[position.account_id]
        rows.append(
            _plan_close(
                position,
                is_entering=position.position_id in entering,
                decision=decision,
                account=account,
                market=market,
                desk=desk,
                now=now,
            )
        )
    holding = {position.account_id for position in positions}
    for member in members:
        canceled = member.subscription.status is SubscriptionStatus.CANCELED
        if member.account.account_id not in holding and not canceled:
            rows.append(_deny_close(member, decision=decision, desk=desk, now=now))
    return rows


def _is_meant(position: Position, instruction: Instruction) -> bool:
    """Say whether a close means this position: by symbol unless it closes all, by side where it names one."""
    if instruction.action is Action.CLOSE_ALL:
        return instruction.symbol in (None, position.symbol)
    exit_side = position.direction.entry_side.opposite
    return position.symbol == instruction.symbol and instruction.side in (None, exit_side)


def _deny_close(member: Member, *, decision: DecisionApproved, desk: Desk, now: datetime) -> OrderDenied:
    account_id = member.account.account_id
    return OrderDenied(
        happened_at=now,
        order_id=order_id(
            desk_id=desk.desk_id,
            signal_id=decision.signal_id,
            account_id=account_id,
            leg=Leg.EXIT,
            position_id=0,
        ),
        signal_id=decision.signal_id,
        bot_id=decision.bot_id,
        subscription_id=member.subscription.subscription_id,
        account_id=account_id,
        leg=Leg.EXIT,
        symbol=decision.instruction.symbol or "",
        side=decision.instruction.side,
        position_id=None,
        code="NOTHING_OPEN",
        reason="This bot holds nothing here that the signal would close.",
    )


def _plan_close(
    position: Position,
    *,
    is_entering: bool,
    decision: DecisionApproved,
    account: Account,
    market: Market,
    desk: Desk,
    now: datetime,
) -> Row:
    # A close that waits already must not be replaced: its own order would never end. What has only partly
    # filled waits too, or the rest would fill with nobody asked to exit it.
    if position.exit_signal_id is None and (is_entering or position.status is PositionStatus.PENDING):
        return OrderDeferred(
            happened_at=now,
            order_id=_exit_id(position, signal_id=decision.signal_id, desk=desk),
            signal_id=decision.signal_id,
            bot_id=decision.bot_id,
            subscription_id=position.subscription_id,
            account_id=position.account_id,
            symbol=position.symbol,
            position_id=position.position_id,
            reason="The entry is still on its way; whatever fills is exited at once.",
        )
    return _exit(
        position,
        signal_id=decision.signal_id,
        attempt=1,
        instruction=decision.instruction,
        account=account,
        market=market,
        desk=desk,
        now=now,
    )


def _exit(
    position: Position,
    *,
    signal_id: UUID,
    attempt: int,
    instruction: Instruction | None,
    account: Account,
    market: Market,
    desk: Desk,
    now: datetime,
) -> OrderPlanned | OrderDenied:
    identity = _exit_id(position, signal_id=signal_id, desk=desk)
    view = market.views.get((account.venue, position.symbol))
    share = instruction.share if instruction else None
    quantity = _exit_quantity(position, signal_id=signal_id, attempt=attempt, share=share, view=view)
    if isinstance(quantity, Denial):
        return OrderDenied(
            happened_at=now,
            order_id=identity,
            signal_id=signal_id,
            bot_id=position.bot_id,
            subscription_id=position.subscription_id,
            account_id=position.account_id,
            leg=Leg.EXIT,
            symbol=position.symbol,
            side=position.direction.entry_side.opposite,
            position_id=None,
            code=quantity.code,
            reason=quantity.reason,
        )
    return OrderPlanned(
        happened_at=now,
        order_id=identity,
        attempt=attempt,
        client_order_id=client_order_id(identity, attempt=attempt),
        signal_id=signal_id,
        bot_id=position.bot_id,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        venue=account.venue,
        leg=Leg.EXIT,
        position_id=position.position_id,
        symbol=position.symbol,
        side=position.direction.entry_side.opposite,
        position_side=position.position_side,
        quantity=quantity,
        # Hedge mode forbids reduceOnly: there the opposite side on the same position side can only reduce.
        reduce_only=position.position_side is PositionSide.BOTH,
        leverage=position.leverage,
        margin_mode=account.margin_mode,
        margin_usd=None,
        decision_price=view.quote.last_price if view else None,
        send_before=None,
        signed_at_ms=market.venue_now_ms[account.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=desk.owner,
        lease_epoch=desk.lease_epoch,
    )


def _exit_quantity(
    position: Position, *, signal_id: UUID, attempt: int, share: Decimal | None, view: MarketView | None
) -> Decimal | Denial:
    """Give what to close; no price is needed for that, so a silent market never keeps anybody in."""
    if position.exit_signal_id not in (None, signal_id) or (
        position.status is PositionStatus.CLOSING and attempt == 1
    ):
        return Denial(
            code="EXIT_IN_FLIGHT", reason=f"signal={position.exit_signal_id}. That exit closes the position."
        )
    if position.quantity == 0:
        return Denial(code="NOTHING_OPEN", reason="Nothing is held any more: there is nothing to exit.")
    if share is None or view is None:
        return position.quantity
    quantity = size_exit(held=position.quantity, share=share, instrument=view.instrument)
    return (
        Denial(code=quantity.code, reason=quantity.reason) if isinstance(quantity, CannotSize) else quantity
    )


def _exit_id(position: Position, *, signal_id: UUID, desk: Desk) -> str:
    return order_id(
        desk_id=desk.desk_id,
        signal_id=signal_id,
        account_id=position.account_id,
        leg=Leg.EXIT,
        position_id=position.position_id,
    )


async def plan_exit(
    requests: Sequence[ExitRequested], *, books: Books, market: Market, desk: Desk, now: datetime
) -> list[Fact]:
    """Plan a reduce-only order over all that a position holds now; deny when it holds nothing any more."""
    positions = await books.lock_positions([request.position_id for request in requests])
    accounts = await books.accounts(sorted({position.account_id for position in positions.values()}))
    return [
        _exit(
            positions[request.position_id],
            signal_id=request.signal_id,
            attempt=request.attempt,
            instruction=None,
            account=accounts[positions[request.position_id].account_id],
            market=market,
            desk=desk,
            now=now,
        )
        for request in requests
    ]

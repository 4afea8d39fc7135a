"""
Plan the orders that close positions: reduce-only, sized by what is held, never stopped by a limit or a missing price.

Takes ExitRequested, and what a close signal's DecisionApproved asks. Gives OrderPlanned, OrderDenied, OrderDeferred.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.bot import SubscriptionStatus
from pregao.domain.facts import (
    DecisionApproved,
    ExitRequested,
    Fact,
    OrderDeferred,
    OrderDenied,
    OrderPlanned,
)
from pregao.domain.market import Market, MarketView
from pregao.domain.order import Leg, PositionSide, client_order_id, order_id
from pregao.domain.position import Position, PositionStatus
from pregao.domain.signal import Action, Instruction
from pregao.orders.denial import Denial
from pregao.orders.ports import RECV_WINDOW_MS, Books, Desk, Member
from pregao.orders.sizing import size_exit

Row: TypeAlias = OrderPlanned | OrderDenied | OrderDeferred


async def plan_closes(
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
        share=decision.instruction.share,
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
    share: Decimal | None = None,
    quantity_max: Decimal | None = None,
    account: Account,
    market: Market,
    desk: Desk,
    now: datetime,
) -> OrderPlanned | OrderDenied:
    identity = _exit_id(position, signal_id=signal_id, desk=desk)
    view = market.views.get((account.venue, position.symbol))
    quantity = _exit_quantity(position, signal_id=signal_id, attempt=attempt, share=share, view=view)
    if isinstance(quantity, Decimal) and quantity_max is not None:
        quantity = min(quantity, quantity_max)
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
    return size_exit(held=position.quantity, share=share, instrument=view.instrument)


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
    """
    Plan a reduce-only order over what is asked of all that a position holds now; deny when that is nothing.

    Nothing follows from a request that is out of date: while the venue was asked, the order went on.
    """
    positions = await books.lock_positions([request.position_id for request in requests])
    accounts = await books.accounts(sorted({position.account_id for position in positions.values()}))
    wanted = {
        _exit_id(positions[one.position_id], signal_id=one.signal_id, desk=desk): one for one in requests
    }
    standing = await books.open_attempts(sorted(wanted))
    return [
        _exit(
            positions[request.position_id],
            signal_id=request.signal_id,
            attempt=request.attempt,
            quantity_max=request.quantity_max,
            account=accounts[positions[request.position_id].account_id],
            market=market,
            desk=desk,
            now=now,
        )
        for identity, request in wanted.items()
        if standing.get(identity, 0) == request.attempt - 1
    ]

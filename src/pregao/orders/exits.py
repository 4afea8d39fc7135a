"""The rows of an exit: what is held, closed by an order; denied where nothing is; deferred where it waits."""

from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from pregao.domain.account import Account
from pregao.domain.desk import Desk
from pregao.domain.execution import Execution
from pregao.domain.facts import OrderDeferred, OrderDenied, OrderPlanned
from pregao.domain.instrument import Instrument
from pregao.domain.order import Leg, PositionSide, client_order_id, order_id
from pregao.domain.position import Position, PositionStatus
from pregao.domain.venue import RECV_WINDOW_MS
from pregao.orders.denial import Denial
from pregao.orders.rows import Moment
from pregao.orders.sizing import size_exit

FORGOTTEN_ATTEMPTS_MAX = 100  # so many attempts of one order at most lie between a backup and its return
CLOSED_BEFORE = Denial(
    code="EXIT_BEFORE_RESTORE",
    reason="The database was put back and had forgotten that this share was closed; it is not closed twice.",
)


def exit_held(
    position: Position,
    *,
    signal_id: UUID,
    attempt: int,
    share: Decimal | None = None,
    quantity_max: Decimal | None = None,
    forgotten: Collection[str] = (),
    account: Account,
    moment: Moment,
) -> OrderPlanned | OrderDenied:
    """Plan an exit; one that a restored database forgot takes a number that it cannot have been sent under."""
    quantity = _exit_quantity(
        position,
        signal_id=signal_id,
        attempt=attempt,
        share=share,
        instrument=moment.instrument_of(account.venue, position.symbol),
    )
    if isinstance(quantity, Denial):
        return deny_exit(position, denial=quantity, signal_id=signal_id, moment=moment)
    if quantity_max is not None:
        quantity = min(quantity, quantity_max)
    identity = exit_id(position, signal_id=signal_id, desk=moment.desk)
    if identity in forgotten and attempt == 1:
        if share is not None:
            return deny_exit(position, denial=CLOSED_BEFORE, signal_id=signal_id, moment=moment)
        attempt += FORGOTTEN_ATTEMPTS_MAX
    return planned_exit(
        position, quantity=quantity, signal_id=signal_id, attempt=attempt, account=account, moment=moment
    )


def _exit_quantity(
    position: Position,
    *,
    signal_id: UUID,
    attempt: int,
    share: Decimal | None,
    instrument: Instrument | None,
) -> Decimal | Denial:
    """Give what to close; no price is needed for that, so a silent market never keeps anybody in."""
    if position.status is PositionStatus.CLOSING and (attempt == 1 or position.exit_signal_id != signal_id):
        return Denial(
            code="EXIT_IN_FLIGHT", reason=f"signal={position.exit_signal_id}. That exit closes the position."
        )
    if position.quantity == 0:
        return Denial(code="NOTHING_OPEN", reason="Nothing is held any more: there is nothing to exit.")
    return size_exit(held=position.quantity, share=share, instrument=instrument)


def exit_from_memory(
    position: Position, *, quantity: Decimal, execution: Execution, account: Account, moment: Moment
) -> OrderPlanned:
    """Give the exit of a claim that cannot be written down now; its order is the one that would have been planned."""
    return planned_exit(
        position,
        quantity=quantity,
        signal_id=position.signal_id,
        attempt=1,
        account=account,
        moment=moment,
        execution=execution,
    )


def planned_exit(
    position: Position,
    *,
    quantity: Decimal,
    signal_id: UUID,
    attempt: int,
    account: Account,
    moment: Moment,
    execution: Execution | None = None,
) -> OrderPlanned:
    """Give the order that exits so much of a position."""
    identity = exit_id(position, signal_id=signal_id, desk=moment.desk, execution=execution)
    view = moment.view_of(account.venue, position.symbol)
    return OrderPlanned(
        happened_at=moment.now,
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
        signed_at_ms=moment.market.venue_now_ms[account.venue],
        recv_window_ms=RECV_WINDOW_MS,
        owner=moment.desk.owner,
        lease_epoch=moment.desk.lease_epoch,
        execution=execution,
    )


def deny_exit(
    position: Position,
    *,
    denial: Denial,
    signal_id: UUID,
    moment: Moment,
    position_id: int | None = None,
    execution: Execution | None = None,
) -> OrderDenied:
    """Give why nothing is exited; ``position_id`` is given back, where an attempt has left it closing."""
    return OrderDenied(
        happened_at=moment.now,
        order_id=exit_id(position, signal_id=signal_id, desk=moment.desk, execution=execution),
        signal_id=signal_id,
        bot_id=position.bot_id,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        leg=Leg.EXIT,
        symbol=position.symbol,
        side=position.direction.entry_side.opposite,
        position_id=position_id,
        code=denial.code,
        reason=denial.reason,
    )


def defer_exit(
    position: Position, waits: Denial, *, signal_id: UUID, share: Decimal | None, moment: Moment
) -> OrderDeferred:
    """Give an exit that waits for something else first."""
    return OrderDeferred(
        happened_at=moment.now,
        order_id=exit_id(position, signal_id=signal_id, desk=moment.desk),
        signal_id=signal_id,
        bot_id=position.bot_id,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        symbol=position.symbol,
        position_id=position.position_id,
        share=share,
        code=waits.code,
        reason=waits.reason,
    )


def exit_id(position: Position, *, signal_id: UUID, desk: Desk, execution: Execution | None = None) -> str:
    """Give the id of a signal's exit of a position: the same for ever, and another for each try of a claim."""
    return order_id(
        desk_id=desk.desk_id,
        signal_id=signal_id,
        account_id=position.account_id,
        leg=Leg.EXIT,
        position_id=position.position_id,
        execution="" if execution is None else execution.name,
    )

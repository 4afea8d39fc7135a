"""
Book a fill once per (account, symbol, trade id, order id), whichever way and however often it is told.

Takes FillReported. Gives FillBooked.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.facts import Fact, FillBooked, FillReported
from pregao.domain.money import ONE, ZERO, to_amount
from pregao.domain.order import Side, order_of
from pregao.domain.protection import protection_of
from pregao.fills.ports import FillKey, Ledger, OpenPosition, OwnOrder

UNWRITTEN_SECONDS = 10.0  # so long an exit that left without the database may take to be written down
UNKNOWN_SECONDS = (
    120.0  # so long the fill of an entry may take to be known, where a close has told that there is one
)

Rates = Mapping[tuple[str, str], Decimal]
"""Units of the second asset for one of the first, at the venue, about the time of the fill."""


class TooSoonError(Exception):
    """A fill that is booked a moment later: what it belongs to is not in the books yet."""


class OrderUnwrittenError(TooSoonError):
    """A fill of an order that bears our name and that nobody has written down yet."""

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"ORDER_UNWRITTEN: client_order_id={client_order_id}")


class EntryUnknownError(TooSoonError):
    """A fill that closes more than a position holds, while nobody knows yet what an entry on its way has added to it."""

    def __init__(self, position_id: int) -> None:
        super().__init__(f"ENTRY_UNKNOWN: position_id={position_id}")


class Moved:
    """What has been booked with one call: the positions are as they were before it, and the next fill is not."""

    def __init__(self) -> None:
        self._quantities: defaultdict[tuple[int, Side], Decimal] = defaultdict(Decimal)
        self._began: dict[int, datetime] = {}

    def note(self, position_id: int, report: FillReported, *, quantity: Decimal) -> None:
        """Note a fill."""
        self._quantities[position_id, report.trade.side] += quantity
        self._began.setdefault(position_id, report.trade.traded_at)

    def quantity_of(self, held: OpenPosition) -> Decimal:
        """Give what the position holds now."""
        entry_side = held.entry_side
        return (
            held.quantity
            + self._quantities[held.position_id, entry_side]
            - self._quantities[held.position_id, entry_side.opposite]
        )

    def opened_at(self, held: OpenPosition) -> datetime | None:
        """Give when its first fill traded, if there was one."""
        return held.opened_at or self._began.get(held.position_id)


def key_of(report: FillReported) -> FillKey:
    """Give what makes this fill one fill."""
    trade = report.trade
    return report.account_id, trade.symbol, trade.trade_id, trade.exchange_order_id


async def book_fill(
    reports: Sequence[FillReported], *, ledger: Ledger, rates: Rates, desk_id: UUID, now: datetime
) -> list[Fact]:
    """
    Book what is not booked yet, in the order told; what a protective order of ours traded is its position's.

    A fill of no order of ours that reduces a position of ours belongs to that position: it was closed outside. So does
    that of an order of ours that a restored database has forgotten; it keeps the order's id.

    :raises OrderUnwrittenError: when the order bears our name and is not in the books, and the trade is so fresh that the
        order may have left without the database: whoever sent it will write it down.
    :raises EntryUnknownError: when it closes more than the position holds and an entry of it is on its way: its fill is told
        later, and what was closed of it is no stranger's.
    :raises LookupError: when a commission's asset has no rate; the fill is told again and booked then.
    """
    told = {key_of(report): report for report in reversed(reports)}
    ours = [order_id for report in told.values() if (order_id := _order_id(report)) is not None]
    orders = dict(await ledger.lock_orders(sorted(set(ours))))
    # Only now, under the locks of their orders: whoever booked one of these has committed.
    booked = await ledger.booked(sorted(told))
    margin_assets = await ledger.margin_assets(sorted({report.account_id for report in reports}))
    named = {number for report in told.values() if (number := _guarded(report, desk_id=desk_id)) is not None}
    guarded = await ledger.guarded_positions(sorted(named)) if named else {}
    facts: list[Fact] = []
    moved = Moved()
    for report in reversed(told.values()):
        if key_of(report) in booked:
            continue
        order = orders.get(_order_id(report) or "")
        held = None if order else guarded.get(_guarded(report, desk_id=desk_id) or 0)
        position_id: int | None
        if order is not None:
            position_id, taken = order.position_id, report.trade.quantity
        elif held is not None:
            position_id, taken = _taken_from(held, report, moved=moved)
        else:
            position_id, taken = await _reduced_position(report, ledger=ledger, moved=moved)
            if position_id is not None and _may_be_unwritten(report, now=now):
                raise OrderUnwrittenError(report.trade.client_order_id)
        if (
            order is None
            and position_id is not None
            and await _closes_an_entry(report, position_id, taken=taken, ledger=ledger, now=now)
        ):
            raise EntryUnknownError(position_id)
        margin_asset = margin_assets[report.account_id]
        rate = _rate(
            report.trade.commission_asset,
            margin_asset=margin_asset,
            paid=report.trade.commission,
            rates=rates,
        )
        if position_id is not None:
            moved.note(position_id, report, quantity=taken)
        facts.append(
            FillBooked(
                happened_at=now,
                account_id=report.account_id,
                trade=report.trade,
                fee=_fee(report, rate=rate, taken=taken),
                fee_rate=rate,
                order_id=order.order_id if order else _forgotten_order(report, position_id=position_id),
                order_is_filled=_completes(order, quantity=report.trade.quantity),
                signal_id=order.signal_id if order else held.signal_id if held else None,
                position_id=position_id,
                foreign_quantity=report.trade.quantity - taken,
                close_reason=order.close_reason if order else held.close_reason if held else None,
            ),
        )
        if order is not None:
            orders[order.order_id] = _after(order, quantity=report.trade.quantity)
    return facts


async def _closes_an_entry(
    report: FillReported, position_id: int, *, taken: Decimal, ledger: Ledger, now: datetime
) -> bool:
    """Say whether what is closed beyond what the books hold may be an entry's whose fill they do not know."""
    if taken == report.trade.quantity or _age_seconds(report, now=now) >= UNKNOWN_SECONDS:
        return False
    return await ledger.is_entering(position_id)


def _may_be_unwritten(report: FillReported, *, now: datetime) -> bool:
    return _order_id(report) is not None and _age_seconds(report, now=now) < UNWRITTEN_SECONDS


def _age_seconds(report: FillReported, *, now: datetime) -> float:
    return abs((now - report.trade.traded_at).total_seconds())


def _order_id(report: FillReported) -> str | None:
    found = order_of(report.trade.client_order_id)
    return found[0] if found else None


def _forgotten_order(report: FillReported, *, position_id: int | None) -> str | None:
    """Give the order that took from a position of ours and is not in the books; of what touches none, nobody knows."""
    return None if position_id is None else _order_id(report)


def _guarded(report: FillReported, *, desk_id: UUID) -> int | None:
    """Give the position whose protective order traded, by the name its order bears."""
    name = protection_of(report.trade.client_order_id, desk_id=desk_id)
    return None if name is None else name.position_id


def _taken_from(held: OpenPosition, report: FillReported, *, moved: Moved) -> tuple[int | None, Decimal]:
    taken = min(report.trade.quantity, moved.quantity_of(held))
    if held.entry_side is report.trade.side or taken <= ZERO:
        return None, ZERO
    return held.position_id, taken


def _completes(order: OwnOrder | None, *, quantity: Decimal) -> bool:
    return order is not None and order.filled_quantity + quantity >= order.quantity


def _after(order: OwnOrder, *, quantity: Decimal) -> OwnOrder:
    return OwnOrder(
        order_id=order.order_id,
        signal_id=order.signal_id,
        position_id=order.position_id,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity + quantity,
        close_reason=order.close_reason,
    )


async def _reduced_position(
    report: FillReported, *, ledger: Ledger, moved: Moved
) -> tuple[int | None, Decimal]:
    """
    Give the position a foreign fill took from, and how much of it.

    None is taken from before it was there; what is more than the position had is not ours.
    """
    trade = report.trade
    held = await ledger.open_position(
        account_id=report.account_id, symbol=trade.symbol, position_side=trade.position_side
    )
    if held is None or held.entry_side is trade.side:
        return None, ZERO
    opened_at = moved.opened_at(held)
    if opened_at is None or trade.traded_at < opened_at:
        return None, ZERO
    return _taken_from(held, report, moved=moved)


def _fee(report: FillReported, *, rate: Decimal, taken: Decimal) -> Decimal:
    """Give what was paid; of a trade that is only in part our position's, that part's."""
    fee = report.trade.commission * rate
    if ZERO < taken < report.trade.quantity:
        fee = fee * taken / report.trade.quantity
    return to_amount(fee)


def _rate(asset: str, *, margin_asset: str, paid: Decimal, rates: Rates) -> Decimal:
    if asset == margin_asset or paid == ZERO:
        return ONE
    return rates[asset, margin_asset]

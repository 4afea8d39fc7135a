"""Signals and their receipts, orders and positions: what the desk did, newest first."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pregao.domain.order import OrderStatus
from pregao.domain.position import PositionStatus
from pregao.edges.http.api.cursors import Cursor, read_cursor, to_cursor
from pregao.edges.http.api.roles import OPERATOR, Viewer
from pregao.edges.http.api.shapes import (
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    Amount,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)
from pregao.edges.http.api.sheets import SHEET_ITEMS, AsCsv, Format, sheet_of_shown
from pregao.edges.http.api.sorting import (
    Search,
    cursor_after,
    order_ids,
    position_ids,
    printable,
    read_order_place,
    read_position_place,
    read_signal_place,
    shape_after,
    signal_ids,
    to_place,
    to_shape,
)
from pregao.edges.http.errors import ApiError
from pregao.views.activity import OrderLine, OrderPlace, PositionLine, SignalLine
from pregao.views.sorting import ORDER_FIELDS, POSITION_FIELDS, SIGNAL_FIELDS
from pregao.views.trips import FillLine, FillPlace

routes = APIRouter(prefix="/api/v1", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)

SignalStatus = Literal[
    "received", "accepted", "pending", "answered", "approved", "planned", "settled", "refused", "declined"
]
OrderPhase = Literal["opening", "closing", "ended"]
SignalSort = Literal[
    "time", "-time", "bot_name", "-bot_name", "symbol", "-symbol", "status", "-status", "price", "-price", "orders", "-orders"
]  # fmt: skip
OrderSort = Literal[
    "time", "-time", "symbol", "-symbol", "status", "-status", "quantity", "-quantity", "filled_quantity", "-filled_quantity",
    "filled_notional", "-filled_notional", "fees", "-fees", "planned_at", "-planned_at",
]  # fmt: skip
PositionSort = Literal[
    "time", "-time", "symbol", "-symbol", "status", "-status", "fees", "-fees", "realized_pnl", "-realized_pnl",
    "opened_at", "-opened_at", "closed_at", "-closed_at",
]  # fmt: skip
AccountFilter = Annotated[int | None, Query(ge=1, le=ID_MAX)]


class SignalShown(Shown):
    """A signal and where it stands."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    status: str
    received_at: datetime
    settled_at: datetime | None
    source: str
    again_of: Annotated[
        UUID | None, Field(description="The signal it repeats, where `source` is `retry` or `replay`.")
    ]
    deliveries: int
    action: str | None
    symbol: str | None
    side: str | None
    price: Amount | None
    code: str | None
    reason: str | None
    accounts: int | None
    orders: int | None
    orders_live: int | None


class ReceiptRowShown(Shown):
    """What the signal did on one account; positive slippage is worse for the account."""

    account_id: int
    account: str
    subscription_id: UUID
    order_id: str
    leg: str
    symbol: str
    side: str | None
    outcome: str
    code: str | None
    reason: str | None
    quantity: Amount | None
    filled_quantity: Amount
    average_price: Amount | None
    decision_price: Amount | None
    slippage_bps: Amount | None
    fees: Amount
    client_order_id: str | None
    exchange_order_id: str | None
    attempt: int
    decided_ms: int | None
    sent_ms: int | None
    acknowledged_ms: int | None
    filled_ms: int | None
    booked_ms: int | None
    stop: Annotated[
        str | None,
        Field(
            description="Of an entry that filled: required, optional, or none, where its settings ask for no stop."
        ),
    ]
    stop_price: Annotated[Amount | None, Field(description="Where the stop stood first.")]


class FactShown(Shown):
    """One fact of the journal; `signal_id` is another one's where a later signal closed what this one opened."""

    seq: int
    recorded_at: datetime
    happened_at: datetime
    kind: str
    signal_id: UUID
    account_id: int | None
    fact: dict[str, Any]


class ReceiptApprovalShown(Shown):
    """What a person was asked, and what was answered; null where nobody has yet."""

    asked_at: datetime
    expires_at: datetime
    venue: str | None
    price_then: Amount | None
    answered_at: datetime | None
    answered_by: str | None
    is_approved: bool | None
    reason: str | None


class RepetitionShown(Shown):
    """A signal that repeats this one; `source` is `retry` or `replay`."""

    signal_id: UUID
    source: str


class ReceiptShown(Shown):
    """A signal and what came of it on every account."""

    signal_id: UUID
    bot_id: UUID
    bot_name: str
    source: str
    again_of: Annotated[
        UUID | None, Field(description="The signal it repeats, where `source` is `retry` or `replay`.")
    ]
    repeats: Annotated[
        list[RepetitionShown], Field(description="Who sent it again, and how; a signal is retried once.")
    ]
    status: str
    is_complete: bool
    action: str | None
    symbol: str | None
    side: str | None
    code: str | None
    reason: str | None
    not_used: list[str]
    verdicts: list[dict[str, Any]]
    approval: ReceiptApprovalShown | None
    deliveries: int
    received_at: datetime
    settled_at: datetime | None
    rows: list[ReceiptRowShown]


class OrderShown(Shown):
    """An order and what became of it."""

    order_id: str
    attempt: int
    client_order_id: str | None
    exchange_order_id: str | None
    signal_id: UUID
    bot_id: UUID
    subscription_id: UUID
    account_id: int
    venue: str | None
    leg: str
    position_id: int | None
    position_status: Annotated[str | None, Field(description="What has become of its position by now.")]
    symbol: str
    side: str | None
    position_side: str | None
    status: str
    code: str | None
    reason: str | None
    quantity: Amount | None
    filled_quantity: Amount
    filled_notional: Annotated[Amount, Field(description="Its value: what was paid or had for what filled.")]
    average_price: Amount | None
    decision_price: Amount | None
    slippage_bps: Amount | None
    fees: Amount
    planned_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None
    filled_at: datetime | None
    booked_at: datetime | None
    questions: int
    next_question_at: datetime | None


class OrderCountsShown(Shown):
    """How many orders are on their way; `ended` is of signals that arrived in the last 24 hours."""

    opening: int
    closing: int
    unresolved: int
    unresolved_since: Annotated[datetime | None, Field(description="When the oldest of these was sent.")]
    ended: int


class PositionShown(Shown):
    """A position as the sums of its fills say; amounts are in the account's margin asset."""

    position_id: int
    account_id: int
    bot_id: UUID
    subscription_id: UUID
    signal_id: UUID
    exit_signal_id: UUID | None
    symbol: str
    position_side: str
    direction: str
    status: str
    leverage: int
    quantity: Amount
    entered_quantity: Amount
    exited_quantity: Amount
    entry_price: Amount | None
    exit_price: Amount | None
    fees: Amount
    realized_pnl: Amount
    opened_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None


class PositionStatsShown(Shown):
    """How many positions something was held in; today is the UTC day. `total_value` is of those still held."""

    open: int
    closing: int
    closed: int
    closed_today: int
    total_value: Amount
    timestamp: datetime


class FillShown(Shown):
    """One trade of an account, as the venue told it; without an order it was not ours."""

    account_id: int
    symbol: str
    trade_id: str
    exchange_order_id: str
    order_id: str | None
    signal_id: UUID | None
    position_id: int | None
    side: str
    position_side: str
    price: Amount
    quantity: Amount
    fee: Amount
    commission: Amount
    commission_asset: str
    is_maker: bool
    traded_at: datetime
    booked_at: datetime


@routes.get("/signals", response_model=Page[SignalShown], responses=AsCsv)
async def list_signals(
    *,
    desk: DeskGiven,
    who: Viewer,
    bot_id: UUID | None = None,
    status: SignalStatus | None = None,
    search: Search = None,
    sort: SignalSort | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[SignalShown] | Response:
    """Give signals, the latest first unless `sort` says otherwise."""
    find = partial(desk.activity.signals, owner=who.owner, bot_id=bot_id, status=status)
    shape = to_shape(sort, search=search)
    place, shape = to_place(cursor, shape, fields=SIGNAL_FIELDS, read_ids=read_signal_place)

    async def fetch(last: SignalLine | None) -> Sequence[SignalLine]:
        if last is None:
            return await find(before=place, shape=shape, limit=SHEET_ITEMS)
        return await find(before=last.signal_id, shape=shape_after(last, shape), limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=SignalShown, name="signals")
    lines = await find(before=place, shape=shape, limit=limit)
    return page_of(
        [SignalShown.model_validate(line) for line in lines],
        limit=limit,
        cursor=lambda last: cursor_after(last, shape, ids=signal_ids(last)),
    )


@routes.get("/signals/{signal_id:uuid}/receipt", responses=UNKNOWN)
async def get_receipt(signal_id: UUID, desk: DeskGiven, who: Viewer) -> ReceiptShown:
    """Say what one signal did on every account one may see, and why."""
    receipt = await desk.receipts.find_receipt(signal_id, owner=who.owner)
    if receipt is None:
        raise ApiError(404, "SIGNAL_UNKNOWN", f"signal={signal_id}. There is no such signal.")
    return ReceiptShown.model_validate(receipt)


@routes.get("/signals/{signal_id:uuid}/facts", responses=UNKNOWN, dependencies=[OPERATOR])
async def get_story(
    signal_id: UUID,
    desk: DeskGiven,
    *,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[FactShown]:
    """Give all that happened because of a signal, in its order: what was said, decided, sent, filled and closed."""
    lines = await desk.stories.find_story(signal_id, after=cursor, limit=limit)
    if not lines and cursor is None:
        raise ApiError(404, "SIGNAL_UNKNOWN", f"signal={signal_id}. There is no such signal.")
    shown = [
        FactShown(
            seq=line.seq,
            recorded_at=line.recorded_at,
            happened_at=line.happened_at,
            kind=line.kind,
            signal_id=line.signal_id,
            account_id=line.account_id,
            fact=json.loads(line.fact),
        )
        for line in lines
    ]
    return page_of(shown, limit=limit, cursor=lambda last: last.seq)


@routes.get("/orders", response_model=Page[OrderShown], responses=AsCsv)
async def list_orders(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: AccountFilter = None,
    subscription_id: UUID | None = None,
    signal_id: UUID | None = None,
    status: OrderStatus | None = None,
    phase: Annotated[OrderPhase | None, Query(description="On the way in, on the way out, or over.")] = None,
    search: Search = None,
    sort: OrderSort | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[OrderShown] | Response:
    """Give orders, those of the latest signals first unless `sort` says otherwise."""
    find = partial(
        desk.activity.orders,
        owner=who.owner,
        account_id=account_id,
        subscription_id=subscription_id,
        signal_id=signal_id,
        status=status,
        phase=phase,
    )
    shape = to_shape(sort, search=search)
    place, shape = to_place(cursor, shape, fields=ORDER_FIELDS, read_ids=read_order_place)

    async def fetch(last: OrderLine | None) -> Sequence[OrderLine]:
        if last is None:
            return await find(before=place, shape=shape, limit=SHEET_ITEMS)
        before = OrderPlace(signal_id=last.signal_id, order_id=last.order_id)
        return await find(before=before, shape=shape_after(last, shape), limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=OrderShown, name="orders")
    lines = await find(before=place, shape=shape, limit=limit)
    return page_of(
        to_orders(lines), limit=limit, cursor=lambda last: cursor_after(last, shape, ids=order_ids(last))
    )


@routes.get("/orders/counts")
async def get_order_counts(desk: DeskGiven, who: Viewer) -> OrderCountsShown:
    """Count the orders that are on their way, those of unknown outcome, and those that ended within a day."""
    return OrderCountsShown.model_validate(
        await desk.activity.order_counts(owner=who.owner, now=desk.clock())
    )


@routes.get("/positions", response_model=Page[PositionShown], responses=AsCsv)
async def list_positions(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: AccountFilter = None,
    bot_id: UUID | None = None,
    status: PositionStatus | None = None,
    live_only: Annotated[bool, Query(description="Pending, open and closing ones only.")] = False,
    cursor: Cursor = None,
    symbol: Annotated[
        str | None, Query(max_length=40, description="Contained in it, in capitals or not.")
    ] = None,
    search: Search = None,
    sort: PositionSort | None = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[PositionShown] | Response:
    """Give positions, the latest first unless `sort` says otherwise."""
    find = partial(
        desk.activity.positions,
        owner=who.owner,
        account_id=account_id,
        bot_id=bot_id,
        status=status,
        live_only=live_only,
        symbol=printable(symbol),
    )
    shape = to_shape(sort, search=search)
    place, shape = to_place(cursor, shape, fields=POSITION_FIELDS, read_ids=read_position_place)

    async def fetch(last: PositionLine | None) -> Sequence[PositionLine]:
        if last is None:
            return await find(before=place, shape=shape, limit=SHEET_ITEMS)
        return await find(before=last.position_id, shape=shape_after(last, shape), limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=PositionShown, name="positions")
    lines = await find(before=place, shape=shape, limit=limit)
    return page_of(
        [PositionShown.model_validate(line) for line in lines],
        limit=limit,
        cursor=lambda last: cursor_after(last, shape, ids=position_ids(last)),
    )


@routes.get("/positions/stats")
async def get_position_stats(desk: DeskGiven, who: Viewer) -> PositionStatsShown:
    """Count the positions that something was held in."""
    now = desk.clock()
    stats = await desk.trips.stats(owner=who.owner, now=now)
    return PositionStatsShown(
        **stats.counts, closed_today=stats.closed_today, total_value=stats.total_value, timestamp=now
    )


@routes.get("/fills", response_model=Page[FillShown], responses=AsCsv)
async def list_fills(
    *,
    desk: DeskGiven,
    who: Viewer,
    account_id: AccountFilter = None,
    signal_id: UUID | None = None,
    symbol: Annotated[str | None, Query(max_length=40, description="The whole of it.")] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[FillShown] | Response:
    """Give the latest fills, by when they were booked."""
    find = partial(
        desk.trips.fills,
        owner=who.owner,
        account_id=account_id,
        signal_id=signal_id,
        symbol=printable(symbol and symbol.strip().upper()),
    )
    place = None if cursor is None else FillPlace(*read_cursor(cursor, datetime, int, str, str, str))

    async def fetch(last: FillLine | None) -> Sequence[FillLine]:
        return await find(before=place if last is None else _fill_place(last), limit=SHEET_ITEMS)

    if kind == "csv":
        return await sheet_of_shown(fetch, shown=FillShown, name="fills")
    lines = await find(before=place, limit=limit)
    return page_of(
        [FillShown.model_validate(line) for line in lines],
        limit=limit,
        cursor=lambda last: to_cursor(*astuple(_fill_place(last))),
    )


def to_orders(lines: Iterable[OrderLine]) -> list[OrderShown]:
    """Give orders as the API shows them."""
    return [OrderShown.model_validate(line) for line in lines]


def _fill_place(last: FillLine | FillShown) -> FillPlace:
    return FillPlace(last.booked_at, last.account_id, last.symbol, last.trade_id, last.exchange_order_id)

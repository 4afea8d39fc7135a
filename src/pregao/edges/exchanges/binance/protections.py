"""
Protective orders at Binance: conditional ("algo") orders, with ids, lists and cancels of their own since 2025-12-09.

They trigger on the last price, at the market. Placing is counted as an order and weighs nothing; there is no batch.
"""

from collections.abc import Sequence

import msgspec

from pregao.domain.level import TriggerKind
from pregao.domain.order import PositionSide
from pregao.domain.protection import (
    ProtectionAcknowledgement,
    ProtectionRefused,
    Protections,
    ProtectiveOrder,
    RefusalCause,
    VenueProtection,
)
from pregao.domain.venue import OutcomeUnknown, Refused
from pregao.domain.weight import Importance
from pregao.edges.exchanges.binance.errors import CAUSES
from pregao.edges.exchanges.binance.exchange import NO_SUCH_ORDER, BinanceExchange
from pregao.edges.exchanges.binance.outcomes import venues_fault
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.binance.signing import Value, query_of
from pregao.edges.exchanges.binance.translate import Json, protection_from
from pregao.edges.exchanges.wire import Priority

ALGO = "/fapi/v1/algoOrder"
FIND = Call(method="GET", path=ALGO, weight=1, importance=Importance.EXITS)
OPEN = Call(method="GET", path="/fapi/v1/openAlgoOrders", weight=1, importance=Importance.EXITS)
ALL_OPEN = Call(method="GET", path="/fapi/v1/openAlgoOrders", weight=40, importance=Importance.BOOKS)
CANCEL = Call(method="DELETE", path=ALGO, importance=Importance.EXITS, priority=Priority.ENTRY)
CANCEL_ALL = Call(
    method="DELETE", path="/fapi/v1/algoOpenOrders", importance=Importance.EXITS, priority=Priority.ENTRY
)

NOT_WAITING = "-2011"
TYPES = {TriggerKind.STOP: "STOP_MARKET", TriggerKind.TARGET: "TAKE_PROFIT_MARKET"}


class _Placed(msgspec.Struct, rename="camel"):
    """What we read of a conditional order's acknowledgement."""

    algo_id: int | str
    client_algo_id: str
    algo_status: str


_placed = msgspec.json.Decoder(_Placed)


class BinanceProtections(Protections):
    """The port ``domain.protection.Protections``, beside the venue's ``BinanceExchange``."""

    def __init__(self, exchange: BinanceExchange) -> None:
        """Ask through the exchange's line, within its limits and past its breakers."""
        self._exchange = exchange

    async def place_protection(self, order: ProtectiveOrder) -> ProtectionAcknowledgement:
        """Send the order, exactly as signed, once; like an exit, it waits behind nothing."""
        exchange = self._exchange
        request = await exchange.rest.signed_order(
            ALGO, query_of(_parameters(order)), account_id=order.account_id
        )
        passage = exchange.passages.of_orders(order.symbol)
        ticket = passage.begin(is_exit=True)
        try:
            placed = await self._place(order, request)
        except BaseException as problem:
            passage.end(ticket, problem)
            exchange.note_trouble(problem, account_id=order.account_id, is_exit=True)
            if isinstance(problem, Refused):
                raise _refused(problem) from problem
            raise
        passage.end(ticket)
        return placed

    async def _place(self, order: ProtectiveOrder, request: bytes) -> ProtectionAcknowledgement:
        answer = await self._exchange.rest.order(
            request, what=ALGO, account_id=order.account_id, priority=Priority.EXIT
        )
        try:
            placed = _placed.decode(answer.body)
        except msgspec.DecodeError as problem:
            raise venues_fault(
                OutcomeUnknown("ANSWER_UNREADABLE", f"protection_id={order.protection_id}")
            ) from problem
        if (placed.client_algo_id, placed.algo_status) != (order.protection_id, "NEW"):
            raise venues_fault(
                OutcomeUnknown(
                    "ANSWER_MISMATCHED",
                    f"protection_id={order.protection_id} answered={placed.client_algo_id} status={placed.algo_status}",
                )
            )
        return ProtectionAcknowledgement(
            exchange_protection_id=str(placed.algo_id),
            sent_at=answer.sent_at,
            acknowledged_at=answer.answered_at,
        )

    async def find_protection(self, *, account_id: int, protection_id: str) -> VenueProtection | None:
        """Give the newest order with this id; None when the venue says it has none."""
        asked: dict[str, Value] = {"clientAlgoId": protection_id}
        try:
            return await self._exchange.rest.read(
                FIND, asked, account_id=account_id, translate=protection_from
            )
        except Refused as refusal:
            if refusal.code == NO_SUCH_ORDER:
                return None
            raise

    async def open_protections(
        self, *, account_id: int, symbol: str | None = None
    ) -> Sequence[VenueProtection]:
        """Give the conditional orders that wait, whoever placed them."""
        asked: dict[str, Value] = {"algoType": "CONDITIONAL"}
        if symbol is not None:
            asked["symbol"] = symbol
        return await self._exchange.rest.read(
            ALL_OPEN if symbol is None else OPEN, asked, account_id=account_id, translate=_listed
        )

    async def cancel_protection(self, *, account_id: int, protection_id: str) -> bool:
        """Take one back; False when none waits under this id."""
        try:
            await self._exchange.rest.change(CANCEL, {"clientAlgoId": protection_id}, account_id=account_id)
        except Refused as refusal:
            if refusal.code == NOT_WAITING:
                return False
            raise
        return True

    async def cancel_protections(self, *, account_id: int, symbol: str) -> None:
        """Take back all that wait on a symbol, whoever placed them."""
        await self._exchange.rest.change(CANCEL_ALL, {"symbol": symbol}, account_id=account_id)


def _parameters(order: ProtectiveOrder) -> dict[str, Value]:
    parameters: dict[str, Value] = {
        "algoType": "CONDITIONAL",
        "symbol": order.symbol,
        "side": order.side.upper(),
        "type": TYPES[order.kind],
        "triggerPrice": order.trigger_price,
        "workingType": "CONTRACT_PRICE",
        "clientAlgoId": order.protection_id,
    }
    if order.position_side is not PositionSide.BOTH:
        parameters["positionSide"] = order.position_side.upper()  # hedge mode forbids reduceOnly
    if order.quantity is None:
        parameters["closePosition"] = True  # goes with neither quantity nor reduceOnly
    else:
        parameters["quantity"] = order.quantity
        if order.position_side is PositionSide.BOTH:
            parameters["reduceOnly"] = True
    parameters["recvWindow"] = order.recv_window_ms
    parameters["timestamp"] = order.signed_at_ms
    return parameters


def _refused(refusal: Refused) -> ProtectionRefused:
    cause = CAUSES.get(refusal.code, RefusalCause.OTHER)
    told = ProtectionRefused(refusal.code, refusal.message, cause=cause)
    told.blame = refusal.blame
    return told


def _listed(body: object) -> list[VenueProtection]:
    if not isinstance(body, list):
        raise TypeError("no list")
    rows: list[Json] = body
    return [protection_from(row) for row in rows]

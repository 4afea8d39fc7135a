"""
Plain orders at Binance by the venue's own numbers: what rests on an account, and taking back what is not ours.

The list of a whole account weighs 40, so it is asked for seldom.
"""

from collections.abc import Sequence

from pregao.domain.foreign import ForeignOrder, ForeignOrders
from pregao.domain.venue import Refused
from pregao.domain.weight import Importance
from pregao.edges.exchanges.binance.exchange import NO_SUCH_ORDER, ORDER, BinanceExchange
from pregao.edges.exchanges.binance.protections import NOT_WAITING
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.binance.signing import Value
from pregao.edges.exchanges.binance.translate import Json, foreign_order_from
from pregao.edges.exchanges.wire import Priority

ALL_OPEN = Call(method="GET", path="/fapi/v1/openOrders", weight=40)
FIND = Call(method="GET", path=ORDER, weight=1, importance=Importance.BOOKS)
TAKE_BACK = Call(method="DELETE", path=ORDER, importance=Importance.BOOKS, priority=Priority.ENTRY)


class BinanceForeignOrders(ForeignOrders):
    """The port ``domain.foreign.ForeignOrders``, beside the venue's ``BinanceExchange``."""

    def __init__(self, exchange: BinanceExchange) -> None:
        """Ask through the exchange's line, within its limits and past its breakers."""
        self._exchange = exchange

    async def resting_orders(self, *, account_id: int) -> Sequence[ForeignOrder]:
        """Give all plain orders of the account that may still trade."""
        return await self._exchange.rest.read(ALL_OPEN, {}, account_id=account_id, translate=_listed)

    async def find_resting(
        self, *, account_id: int, symbol: str, exchange_order_id: str
    ) -> ForeignOrder | None:
        """Give one order; None when the venue says it has none such."""
        return await self._one(FIND, NO_SUCH_ORDER, account_id, _named(symbol, exchange_order_id))

    async def take_back(self, *, account_id: int, symbol: str, exchange_order_id: str) -> ForeignOrder | None:
        """Take one back; None when the venue says that none such rests."""
        return await self._one(TAKE_BACK, NOT_WAITING, account_id, _named(symbol, exchange_order_id))

    async def _one(
        self, call: Call, missing: str, account_id: int, named: dict[str, Value]
    ) -> ForeignOrder | None:
        try:
            return await self._exchange.rest.read(
                call, named, account_id=account_id, translate=foreign_order_from
            )
        except Refused as refusal:
            if refusal.code == missing:
                return None
            raise


def _named(symbol: str, exchange_order_id: str) -> dict[str, Value]:
    return {"symbol": symbol, "orderId": exchange_order_id}


def _listed(body: object) -> list[ForeignOrder]:
    if not isinstance(body, list):
        raise TypeError("no list")
    rows: list[Json] = body
    return [foreign_order_from(row) for row in rows]

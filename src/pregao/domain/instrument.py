"""What a venue allows for one symbol: ticks, steps, minimums."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """
    One tradable contract as its venue describes it.

    Quantities count base units, prices and notionals the quote asset. The ``market_`` fields bind market
    orders (Binance: MARKET_LOT_SIZE), the plain ones limit orders (LOT_SIZE).
    """

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    price_tick: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_step: Decimal
    market_quantity_min: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    is_trading: bool = True

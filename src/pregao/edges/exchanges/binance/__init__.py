"""Binance USD-M futures: the lean adapter on the fan-out path."""

from pregao.edges.exchanges.binance.accounts import BinanceAccounts
from pregao.edges.exchanges.binance.addresses import DEMO, LIVE, VenueAddresses
from pregao.edges.exchanges.binance.exchange import BinanceExchange, BinanceSettings
from pregao.edges.exchanges.binance.feed import PriceFeed
from pregao.edges.exchanges.binance.prices import MarketStream
from pregao.edges.exchanges.binance.protections import BinanceProtections
from pregao.edges.exchanges.binance.signing import ApiKey
from pregao.edges.exchanges.binance.streams import StreamSettings, UserStreams

__all__ = [
    "DEMO",
    "LIVE",
    "ApiKey",
    "BinanceAccounts",
    "BinanceExchange",
    "BinanceProtections",
    "BinanceSettings",
    "MarketStream",
    "PriceFeed",
    "StreamSettings",
    "UserStreams",
    "VenueAddresses",
]

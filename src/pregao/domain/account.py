"""An account: somebody's credentials at a venue, and how it holds positions there."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pregao.domain.forward import Destination
from pregao.domain.order import PositionMode
from pregao.domain.venue import MarginMode


class Venue(StrEnum):
    """Where an account trades."""

    PAPER = "paper"  # our own simulated exchange, behind Binance's protocol
    BINANCE_DEMO = "binance_demo"  # Binance's test ground
    BINANCE = "binance"  # real money
    WEBHOOK = "webhook"  # no exchange: somebody else's webhook, which trades for itself


REAL_VENUES = frozenset({Venue.BINANCE})
"""Venues where an order costs real money."""
EXCHANGES = frozenset(Venue) - {Venue.WEBHOOK}
"""Venues that can be asked: prices, orders, positions. Of a webhook nothing is known but its answer to a post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One exchange account, of a user or of the desk. Its credentials are kept apart, sealed."""

    account_id: int
    name: str
    venue: Venue
    position_mode: PositionMode = PositionMode.ONE_WAY
    margin_mode: MarginMode = MarginMode.CROSSED
    margin_asset: str = "USDT"
    is_active: bool = True
    user_id: UUID | None = None  # None: the desk's own, seen by staff only
    is_main: bool = False  # its owner's first choice, at most one of each owner's; all are traded alike
    destination: Destination | None = None  # of an account at the venue `webhook`

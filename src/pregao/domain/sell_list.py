"""The list of what can be sold: what the bot behind `/webhook/in` holds, and what was entered in it by hand."""

from dataclasses import dataclass
from enum import StrEnum

LIFETIME_HOURS_MAX = 24 * 366


class ByHand(StrEnum):
    """What somebody asked for by hand; it stands in the body of the signal that does it."""

    SELL = "manual_sell"  # sell a ticker
    CLOSE = "position_close"  # close what is held of a ticker
    SELL_ALL = "sell_all"  # close every ticker on the list
    ENTER = "manual_sell_entry"  # enter a position in the books, so that it can be sold
    BOOK_CLOSED = "manual_close"  # close a position in the books only


@dataclass(frozen=True, slots=True, kw_only=True)
class SellListRule:
    """How long what was entered by hand stays; what signals have bought stays until it is sold."""

    is_cleaned: bool = True
    lifetime_hours: int = 72

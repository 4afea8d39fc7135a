"""What is entered in the books and closed there by hand, and the list of what can be sold."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.position import Position
from pregao.domain.sell_list import SellListRule
from pregao.domain.venue import VenueTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedByHand(Fact):
    """
    Somebody entered a position in the books, or closed one there: no order, and nobody outside hears of it.

    It is booked as one fill. The signal is the desk's own, and done with this.
    """

    position: Position  # before that fill; this fact reserves it where it is new
    trade: VenueTrade
    signal_id: UUID
    close_reason: str | None  # None: it is entered
    booked_by: str
    reason: str

    @property
    def account_id(self) -> int:
        """The account in whose books it is."""
        return self.position.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SellListConfigured(Fact):
    """Somebody said how long what was entered by hand stays on the list; the whole rule."""

    rule: SellListRule
    set_by: str
    reason: str = ""  # empty where nobody gave one

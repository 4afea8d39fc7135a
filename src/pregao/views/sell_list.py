"""The list of what can be sold, and where it is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pregao.domain.sell_list import SellListRule


@dataclass(frozen=True, slots=True, kw_only=True)
class SellListLine:
    """A position on the list: open or closing; and how far its exit is, the last of several."""

    position_id: int
    ticker: str
    status: str
    account_id: int
    venue: str
    opened_at: datetime
    quantity: Decimal
    exit_status: str | None
    exit_code: str | None
    exit_filled: Decimal | None


class SellList(Protocol):
    """Where it is fetched."""

    async def lines(self) -> Sequence[SellListLine]:
        """Give what the bot behind `/webhook/in` holds, by ticker."""
        ...

    async def rule(self) -> SellListRule | None:
        """Give how long what was entered by hand stays; None where nobody has said."""
        ...

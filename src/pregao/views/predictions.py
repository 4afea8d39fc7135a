"""What models say of the symbols a bot trades, and what became of the entries they filtered."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pregao.domain.prediction import Foretold, ModelFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class FateLine:
    """How many entries the filter let through, let through unasked, or denied, and what their positions earned so far."""

    fate: str  # passed, unfiltered (the model said nothing fresh) or denied
    entries: int
    earned_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredEntry:
    """One entry that met a model: what became of it, whether the model had said anything, and what its positions earned."""

    decided_at: datetime
    symbol: str
    side: str
    has_passed: bool
    is_known: bool
    earned: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBoard:
    """A bot's filter, the last word of its model on each symbol, fresh or not, and the entries that met it."""

    bot_id: UUID
    bot_name: str
    model_filter: ModelFilter | None
    said: tuple[Foretold, ...]
    fates: tuple[FateLine, ...]

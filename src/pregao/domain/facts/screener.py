"""The screener's list."""

from dataclasses import dataclass
from uuid import UUID

from pregao.domain.facts.fact import Fact
from pregao.domain.screener import Reprocessed, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfigured(Fact):
    """A strategy of the screener was created, changed, or chosen; its whole setting."""

    strategy: Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyForgotten(Fact):
    """A strategy that was not active was deleted; its name is free again."""

    strategy_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerPaused(Fact):
    """The screener was paused, or resumed: paused it fetches nothing but what somebody asks for."""

    is_paused: bool
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickersListed(Fact):
    """A list took the place of the last one, as a whole; in the order of rank."""

    strategy_id: UUID
    strategy: str  # its name then
    tickers: tuple[str, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]
    is_baseline: bool  # the first of its strategy, or since that was changed: nobody has entered


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyReprocessed(Fact):
    """A declined entry was looked at again because its ticker entered the list; each is tried again once."""

    signal_id: UUID
    bot_id: UUID
    ticker: str
    outcome: Reprocessed
    again_as: UUID | None  # the signal that tries it again; None where it was skipped

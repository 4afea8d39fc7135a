"""What a clear of the database keeps: what people set up and asked for; and what keeps it from being done."""

from dataclasses import dataclass

from pregao.domain.facts import (
    AccountConfigured,
    ActionTaken,
    AlertLevelSet,
    AlertsMuted,
    AlertsUnmuted,
    BotConfigured,
    BotForgotten,
    ChannelConfigured,
    ChannelForgotten,
    DatabaseCleared,
    Fact,
    ForeignCancelAsked,
    ForeignCancelTold,
    ForeignPositionSeen,
    ForwardLimitSet,
    RetentionSet,
    ScreenerPaused,
    SecondFactorDemanded,
    SellListConfigured,
    StrategyConfigured,
    StrategyDeployed,
    StrategyForgotten,
    SubscriptionConfigured,
    TickersListed,
    TradingStateSet,
    UserConfigured,
)

KEPT: frozenset[type[Fact]] = frozenset(
    {
        UserConfigured,
        AccountConfigured,
        BotConfigured,
        BotForgotten,
        SubscriptionConfigured,
        StrategyDeployed,
        ActionTaken,
        TradingStateSet,
        ForeignPositionSeen,
        ForeignCancelAsked,
        ForeignCancelTold,
        StrategyConfigured,
        StrategyForgotten,
        ScreenerPaused,
        TickersListed,
        ForwardLimitSet,
        RetentionSet,
        SecondFactorDemanded,
        SellListConfigured,
        ChannelConfigured,
        ChannelForgotten,
        AlertLevelSet,
        AlertsMuted,
        AlertsUnmuted,
        DatabaseCleared,
    }
)
"""Facts that stay in the journal: the tables they alone fill stay as they are. All others are deleted."""

WORD = "CLEAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a clear would forget while it is still going on."""

    positions: int  # live at a venue that has books of its own
    orders: int  # that may still trade, or wait
    signals: int  # accepted and not planned yet
    lines: int  # protective orders that may still stand at a venue

    @property
    def is_moving(self) -> bool:
        """Whether something is on its way that ends by itself."""
        return bool(self.orders or self.signals or self.lines)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is held and nothing on its way."""
        return not self.positions and not self.is_moving


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was deleted."""

    events: int
    positions: int
    signals: int
    orders: int
    fills: int

"""
Everything that can happen, in the order it happens.

A fact is immutable and carries all that its fold needs: replaying the facts gives the state again, to the
last decimal. Instants are aware and in UTC; ``happened_at`` is our clock unless a field says otherwise.
"""

# isort: off
from pregao.domain.facts.fact import Fact
from pregao.domain.facts.history import HistoryImported, ImportedEvent
from pregao.domain.facts.setup import (
    AccountConfigured, ActionTaken, BotConfigured, BotForgotten, SubscriptionConfigured, UserConfigured,
)  # fmt: skip
from pregao.domain.facts.halts import (
    FlattenAccountSeen, FlattenEnded, FlattenStarted, HeldPlace, TradingStateSet,
)  # fmt: skip
from pregao.domain.facts.clears import DatabaseCleared
from pregao.domain.facts.signals import (
    DeliveryTurnedAway, SignalAccepted, SignalReceived, SignalRefused, SignalRepeated,
)  # fmt: skip
from pregao.domain.facts.decisions import (
    ApprovalAnswered, DecisionApproved, DecisionDeclined, DecisionPending, Verdict,
)  # fmt: skip
from pregao.domain.facts.orders import (
    EntryRequested, ExitRequested, OrderAccepted, OrderDeferred, OrderDenied, OrderEnded, OrderPlanned,
    OrderRejected, OrderUnresolved, SignalPlanned,
)  # fmt: skip
from pregao.domain.facts.forwards import ForwardAnswered, ForwardBegun
from pregao.domain.facts.fills import (
    DailyLossForgiven, DriftSettled, FillBooked, FillReported, ForeignPositionSeen, PositionChanged,
)  # fmt: skip
from pregao.domain.facts.foreign import ForeignCancelAsked, ForeignCancelTold
from pregao.domain.facts.by_hand import BookedByHand, SellListConfigured
from pregao.domain.facts.stops import (
    ExecutionMoved, GuardrailBlocked, PositionGuarded, PositionLeft, PositionUnguarded, ProtectionAccepted,
    ProtectionMoved, ProtectionPlanned, ProtectionRejected, ProtectionReported, ProtectionUnresolved,
    StopArmed, StopChanged, StopDisarmed, StopRaised, StopTriggered, StopUnusable,
)  # fmt: skip
from pregao.domain.facts.screener import (
    BuyReprocessed, ScreenerPaused, StrategyConfigured, StrategyForgotten, TickersListed,
)  # fmt: skip
from pregao.domain.facts.deployments import StrategyDeployed
from pregao.domain.facts.destinations import ForwardLimitSet
from pregao.domain.facts.upkeep import HealthAlarmed, PastForgotten, RetentionSet, SecondFactorDemanded
from pregao.domain.facts.figures import MetricsReset
from pregao.domain.facts.lab import LabRunAsked, LabRunEnded
from pregao.domain.facts.alerts import (
    AlertAcknowledged, AlertLevelSet, AlertRaised, AlertsMuted, AlertsUnmuted, ChannelConfigured, ChannelForgotten,
)  # fmt: skip
# isort: on

FACTS: dict[str, type[Fact]] = {
    fact.__name__: fact
    for fact in (
        UserConfigured, AccountConfigured, BotConfigured, SubscriptionConfigured, BotForgotten, StrategyDeployed,
        ActionTaken, TradingStateSet, FlattenStarted, FlattenAccountSeen, FlattenEnded, DatabaseCleared, SellListConfigured,
        DeliveryTurnedAway, SignalReceived, SignalRepeated, SignalAccepted, SignalRefused,
        DecisionPending, ApprovalAnswered, DecisionApproved, DecisionDeclined,
        SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred, OrderAccepted, OrderRejected,
        OrderUnresolved, OrderEnded, ForwardBegun, ForwardAnswered,
        FillReported, FillBooked, ForeignPositionSeen, ForeignCancelAsked, ForeignCancelTold, DriftSettled, BookedByHand, PositionChanged,
        DailyLossForgiven,
        StopArmed, StopUnusable, StopRaised, StopChanged, ProtectionPlanned, ProtectionAccepted,
        ProtectionRejected, ProtectionUnresolved, ProtectionReported, ProtectionMoved, StopTriggered,
        GuardrailBlocked, ExecutionMoved, StopDisarmed, PositionLeft, PositionUnguarded, PositionGuarded,
        StrategyConfigured, StrategyForgotten, ScreenerPaused, TickersListed, BuyReprocessed,
        RetentionSet, SecondFactorDemanded, PastForgotten, HealthAlarmed,
        HistoryImported,
        ForwardLimitSet, MetricsReset,
        LabRunAsked, LabRunEnded,
        AlertRaised, AlertAcknowledged, AlertsMuted, AlertsUnmuted, ChannelConfigured, ChannelForgotten, AlertLevelSet,
        ExitRequested, EntryRequested,
    )
}  # fmt: skip
"""Every fact by its name, in the order of the journey."""

"""
The journey on one page: fact in, step, facts out.

Read it downwards. A step that stands apart runs after the commit of what it takes: it touches the wire, or waits for
what must be settled first. The others share the transaction of what they take. Every step may run twice.
"""

from dataclasses import dataclass

# isort: off
from pregao.domain.facts import (
    AccountConfigured, ActionTaken, AlertAcknowledged, AlertLevelSet, AlertRaised, AlertsMuted, AlertsUnmuted,
    ApprovalAnswered, BookedByHand, BotConfigured, BotForgotten, BuyReprocessed, ChannelConfigured, ChannelForgotten,
    DailyLossForgiven, DatabaseCleared,
    DecisionApproved, DecisionDeclined, DecisionPending, DeliveryTurnedAway, DriftSettled, EntryRequested,
    ExecutionMoved, ExitRequested, Fact, FillBooked, FillReported, FlattenAccountSeen, FlattenEnded, FlattenStarted,
    ForeignCancelAsked, ForeignCancelTold, ForeignPositionSeen, ForwardAnswered, ForwardBegun, ForwardLimitSet, GuardrailBlocked, HealthAlarmed,
    HistoryImported, LabRunAsked, LabRunEnded, MetricsReset, OrderAccepted, OrderDeferred, OrderDenied, OrderEnded, OrderPlanned, OrderRejected,
    OrderUnresolved, PastForgotten, PositionChanged, PositionGuarded, PositionLeft, PositionUnguarded,
    ProtectionAccepted, ProtectionMoved, ProtectionPlanned, ProtectionRejected, ProtectionReported,
    ProtectionUnresolved, RetentionSet, ScreenerPaused, SecondFactorDemanded, SellListConfigured, SignalAccepted, SignalPlanned,
    SignalReceived, SignalRefused,
    SignalRepeated, StopArmed, StopChanged, StopDisarmed, StopRaised, StopTriggered, StopUnusable, StrategyConfigured,
    StrategyDeployed, StrategyForgotten, SubscriptionConfigured, TickersListed, TradingStateSet, UserConfigured,
)  # fmt: skip
# isort: on

Facts = tuple[type[Fact], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the journey; ``does`` names a function in a room, bound to its ports by bootstrap."""

    takes: type[Fact]
    does: str
    gives: Facts
    stands_apart: bool = False


APART = True

ENTRANCES: Facts = (
    UserConfigured, AccountConfigured, BotConfigured,          # somebody sets up the desk,
    SubscriptionConfigured, BotForgotten, StrategyDeployed,
    ActionTaken,                                               # and all they asked for is kept
    DailyLossForgiven, TradingStateSet,                        # an operator forgives, halts, resumes
    FlattenStarted, FlattenAccountSeen, FlattenEnded,          # a desk, or a part of it, is sold out
    DatabaseCleared,                                           # or forgets what it did
    DeliveryTurnedAway, SignalReceived, SignalRepeated,        # somebody knocks
    ApprovalAnswered,                                          # a person answers, or the clock does
    ForwardBegun,                                              # an order is posted to somebody else's webhook
    FillReported, ForeignPositionSeen,                         # a venue tells of a trade, of what else is held
    DriftSettled, BookedByHand,                                # an operator says what that is, or books by hand,
    ForeignCancelAsked, ForeignCancelTold,                     # or has an order taken back that is not ours
    StopRaised, StopChanged, StopTriggered,                    # a price goes with a position, or comes to its stop
    ProtectionReported, PositionUnguarded, PositionGuarded,    # a venue tells of its line, our watch of both
    StrategyConfigured, StrategyForgotten, ScreenerPaused,     # somebody sets up the screener
    SellListConfigured,                                        # or how long the list of what can be sold keeps
    TickersListed, BuyReprocessed,                             # its list changes, and what was declined is tried again
    RetentionSet, PastForgotten, HealthAlarmed,                # what is over is forgotten; the desk is not well
    SecondFactorDemanded,                                      # somebody says who must have a second factor
    HistoryImported,                                           # what was elsewhere is shown, and never trades
    ForwardLimitSet, MetricsReset,                             # somebody sets how many forwards leave, or counters to zero
    LabRunAsked, LabRunEnded,                                  # somebody asks the lab, and it answers
    ChannelConfigured, ChannelForgotten, AlertLevelSet,        # somebody says how people are reached,
    AlertRaised, AlertAcknowledged, AlertsMuted, AlertsUnmuted,  # who reads the journal tells them, and they answer
)  # fmt: skip

JOURNEY = (
    #    takes             does                               gives
    Step(SignalReceived,   "signals.accept.accept_signal",    (SignalAccepted, SignalRefused)),
    Step(SignalAccepted,   "decisions.decide.decide",         (DecisionApproved, DecisionDeclined, DecisionPending)),
    Step(ApprovalAnswered, "decisions.approve.settle_approval", (DecisionApproved, DecisionDeclined)),
    Step(DecisionApproved, "orders.plan.plan_orders",         (SignalPlanned, OrderPlanned, OrderDenied, OrderDeferred)),
    Step(EntryRequested,   "orders.enter.plan_entry_again",   (OrderPlanned, OrderDenied)),
    Step(ExitRequested,    "orders.close.plan_exit",          (OrderPlanned, OrderDenied, OrderDeferred)),
    Step(OrderPlanned,     "orders.send.send_order",          (OrderAccepted, OrderRejected, OrderUnresolved,
                                                               ForwardAnswered, FillReported), APART),
    Step(OrderUnresolved,  "orders.resolve.resolve_order",    (OrderAccepted, OrderRejected, OrderEnded,
                                                               FillReported, EntryRequested, ExitRequested), APART),
    Step(OrderDenied,      "positions.update.release_denied", (PositionChanged, ExitRequested)),
    Step(OrderRejected,    "positions.update.release",        (PositionChanged, ExitRequested)),
    Step(OrderEnded,       "positions.update.release_rest",   (PositionChanged, ExitRequested)),
    Step(FillReported,     "fills.book.book_fill",            (FillBooked,)),
    Step(DriftSettled,     "positions.settle.settle_drift",   (FillBooked, ForeignPositionSeen)),
    Step(BookedByHand,     "positions.by_hand.book_by_hand",  (FillBooked,)),
    Step(FillBooked,       "positions.update.update_position", (PositionChanged, ExitRequested)),
    Step(PositionChanged,  "stops.follow.follow_position",    (StopArmed, StopUnusable, StopTriggered, StopChanged,
                                                               ExecutionMoved, ProtectionPlanned, StopDisarmed,
                                                               PositionLeft)),
    Step(ProtectionPlanned, "stops.place.place_protection",   (ProtectionAccepted, ProtectionRejected,
                                                               ProtectionUnresolved), APART),
    Step(ProtectionUnresolved, "stops.place.resolve_protection", (ProtectionAccepted, ProtectionMoved,
                                                                      ProtectionReported), APART),
    Step(ProtectionRejected, "stops.refused.answer_refusal",  (StopUnusable, StopTriggered)),
    Step(ProtectionReported, "stops.told.follow_report",      (ProtectionMoved, StopTriggered)),
    Step(StopTriggered,    "stops.exit.judge_trigger",        (GuardrailBlocked, StopChanged, ExecutionMoved,
                                                               ExitRequested)),
    Step(StopDisarmed,     "stops.leave.take_back",           (ProtectionMoved, PositionLeft), APART),
    Step(PositionLeft,     "orders.enter.request_waiting",    (EntryRequested,), APART),
)  # fmt: skip

RETURNS: Facts = (ExitRequested, EntryRequested)
"""The only facts that flow back up."""

STEPS: dict[type[Fact], Step] = {step.takes: step for step in JOURNEY}

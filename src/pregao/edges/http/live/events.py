"""
Which fact makes which server-sent event, for whom, and what it tells: one table.

What is not in it is told to nobody: requests within the desk, and facts of rooms that have no event yet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pregao.accounts.principal import Principal
from pregao.domain import facts
from pregao.domain.user import Role
from pregao.edges.http.answers import encode
from pregao.edges.http.live.feed import Look
from pregao.views.health import ROLES_NEEDED
from pregao.views.live import Told


class Topic(StrEnum):
    """What a reader may ask for."""

    SIGNALS = "signals"
    ORDERS = "orders"  # and fills
    POSITIONS = "positions"
    STOPS = "stops"
    ALERTS = "alerts"  # what a person should look at
    HEALTH = "health"  # workers, queues, trading states, jobs that sell out
    SCREENER = "screener"
    SETTINGS = "settings"  # bots, accounts, subscriptions, users
    ACTIONS = "actions"  # the audit log


class Seen(StrEnum):
    """Who may see it. Staff sees all but what is an admin's."""

    OWNER = "owner"  # whose account it is on
    FOLLOWERS = "followers"  # who has an account that follows the signal's bot
    STAFF = "staff"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Eyes:
    """Who watches: a role, and for those who are not staff whose things they see."""

    role: Role
    user_id: UUID | None

    @classmethod
    def of(cls, principal: Principal) -> "Eyes":
        """Give those of somebody the desk knows; all staff of one role sees the same."""
        return cls(principal.role, None if principal.role.is_staff else principal.user_id)

    def may_see(self, seen: Seen, told: Told) -> bool:
        """Say whether something is shown to them."""
        if self.role.is_staff:
            return seen is not Seen.ADMIN or self.role is Role.ADMIN
        if seen is Seen.OWNER:
            return told.about.owner is not None and told.about.owner == self.user_id
        return seen is Seen.FOLLOWERS and self.user_id in told.about.followers


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the table: a path of the fact is told under its last word, what is fixed is the same for all."""

    name: str
    topics: frozenset[Topic]
    seen: Seen
    paths: tuple[str, ...]
    fixed: dict[str, Any]

    def says(self, fact: facts.Fact) -> dict[str, Any]:
        """Give what the fact tells."""
        return self.fixed | {word: get(fact) for word, get in map(_getter, self.paths)}


@cache
def _getter(path: str) -> tuple[str, Callable[[facts.Fact], Any]]:
    return path.rpartition(".")[2], attrgetter(path)


def _event(name: str, topics: str, seen: Seen, fields: str = "", **fixed: Any) -> Event:
    return Event(name, frozenset(Topic(one) for one in topics.split()), seen, tuple(fields.split()), fixed)


ASKED = "instruction.action instruction.symbol instruction.side instruction.price"
POSITION = " ".join(
    f"position.{name}"
    for name in [
        "position_id",
        "account_id",
        "bot_id",
        "subscription_id",
        "signal_id",
        "exit_signal_id",
        "symbol",
        "position_side",
        "direction",
        "status",
        "leverage",
        "quantity",
        "entered_quantity",
        "exited_quantity",
        "entry_price",
        "exit_price",
        "fees",
        "realized_pnl",
        "opened_at",
        "closed_at",
        "close_reason",
    ]
)
FILL = (
    "account_id order_id signal_id position_id fee trade.trade_id trade.symbol trade.side trade.price trade.quantity "
    "trade.traded_at"
)
STOP = (
    "stop.position_id account_id signal_id symbol stop.status stop.stop_price stop.initial_stop stop.version"
)
LINE = "protection_id position_id account_id signal_id"

OWNER, FOLLOWERS, STAFF, ADMIN = Seen.OWNER, Seen.FOLLOWERS, Seen.STAFF, Seen.ADMIN

# fmt: off
EVENTS: dict[type[facts.Fact], Event] = {
    # --- signals
    facts.DeliveryTurnedAway: _event("delivery", "signals", STAFF, "webhook_path body_size source_address"),
    facts.SignalReceived:   _event("signal", "signals", FOLLOWERS, "signal_id bot_id source", status="received"),
    facts.SignalRepeated:   _event("signal", "signals", STAFF, "signal_id source_address", status="repeated"),
    facts.SignalAccepted:   _event("signal", "signals", FOLLOWERS, f"signal_id bot_id {ASKED}", status="accepted"),
    facts.SignalRefused:    _event("signal", "signals", FOLLOWERS, "signal_id bot_id code reason", status="refused"),
    facts.DecisionPending:  _event("signal", "signals alerts", FOLLOWERS, f"signal_id bot_id {ASKED} expires_at",
                                   status="pending"),
    facts.ApprovalAnswered: _event("signal", "signals", FOLLOWERS, "signal_id bot_id is_approved answered_by reason",
                                   status="answered"),
    facts.DecisionApproved: _event("signal", "signals", FOLLOWERS, "signal_id bot_id", status="approved"),
    facts.DecisionDeclined: _event("signal", "signals", FOLLOWERS, "signal_id bot_id code reason", status="declined"),
    facts.SignalPlanned:    _event("signal", "signals", STAFF, "signal_id bot_id accounts orders part is_whole",
                                   status="planned"),
    facts.HistoryImported:  _event("imported", "signals", STAFF, "imported_by first_number"),
    facts.BuyReprocessed:   _event("reprocessed", "screener", STAFF, "signal_id bot_id ticker outcome again_as"),
    # --- orders and fills
    facts.OrderPlanned:     _event("order", "orders", OWNER, "quantity attempt client_order_id", status="planned"),
    facts.OrderDenied:      _event("order", "orders", OWNER, "code reason", status="denied"),
    facts.OrderDeferred:    _event("order", "orders", OWNER, "code reason", status="deferred"),
    facts.OrderAccepted:    _event("order", "orders", OWNER, "attempt exchange_order_id acknowledged_at",
                                   status="accepted"),
    facts.OrderRejected:    _event("order", "orders", OWNER, "attempt code reason", status="rejected"),
    facts.OrderUnresolved:  _event("order", "orders", OWNER, "attempt code reason is_dead ask_at", status="unresolved"),
    facts.OrderEnded:       _event("order", "orders", OWNER, "status ended_at"),
    facts.ForwardBegun:     _event("forward", "orders", OWNER, "order_id attempt signal_id account_id", status="posted"),
    facts.ForwardAnswered:  _event("forward", "orders", OWNER, "order_id attempt signal_id account_id http_status",
                                   status="answered"),
    facts.FillBooked:       _event("fill", "orders positions", OWNER, f"{FILL} order_is_filled close_reason"),
    # --- positions
    facts.PositionChanged:  _event("position", "positions", OWNER, POSITION),
    facts.DriftSettled:     _event("drift", "positions", OWNER, "position.position_id position.symbol reason"),
    facts.BookedByHand:     _event("by_hand", "positions", OWNER, "account_id position.position_id position.symbol signal_id "
                                   "close_reason booked_by reason"),
    facts.ForeignPositionSeen: _event("drift", "positions alerts", OWNER, "account_id symbol position_side quantity"),
    facts.ForeignCancelAsked: _event("drift", "positions", OWNER, "cancel_id account_id order.symbol order.exchange_order_id "
                                     "asked_by reason", what="cancel_asked"),
    facts.ForeignCancelTold: _event("drift", "positions", OWNER, "cancel_id account_id status code reason filled_quantity",
                                    what="cancel_told"),
    facts.DailyLossForgiven: _event("loss_forgiven", "positions", STAFF, "subscription_id day symbol amount_usd reason"),
    # --- stops
    facts.StopArmed:        _event("stop", "stops", OWNER, STOP, what="armed"),
    facts.StopRaised:       _event("stop", "stops", OWNER, STOP, what="raised"),
    facts.StopChanged:      _event("stop", "stops", OWNER, f"{STOP.replace(' symbol', '')} code changed_by reason",
                                   what="changed"),
    facts.StopTriggered:    _event("stop", "stops alerts", OWNER, f"{STOP} token trigger.kind source", what="triggered"),
    facts.StopUnusable:     _event("stop", "stops alerts", OWNER, "position_id account_id signal_id code reason",
                                   what="unusable"),
    facts.StopDisarmed:     _event("stop", "stops", OWNER, "position_id account_id signal_id symbol", what="disarmed"),
    facts.PositionLeft:     _event("stop", "stops", OWNER, "position_id account_id signal_id", what="left"),
    facts.ExecutionMoved:   _event("execution", "stops", OWNER, "token kind number position_id account_id signal_id "
                                   "status attempts order_id code reason price slippage_percent"),
    facts.GuardrailBlocked: _event("guardrail", "stops alerts", OWNER, "token kind position_id account_id signal_id "
                                   "guardrail numbers remedy instead is_critical"),
    facts.ProtectionPlanned: _event("line", "stops", OWNER, f"{LINE} kind symbol trigger_price quantity",
                                    status="planned"),
    facts.ProtectionAccepted: _event("line", "stops", OWNER, LINE, status="accepted"),
    facts.ProtectionRejected: _event("line", "stops", OWNER, f"{LINE} code reason", status="rejected"),
    facts.ProtectionUnresolved: _event("line", "stops", OWNER, f"{LINE} code reason", status="unresolved"),
    facts.ProtectionMoved:  _event("line", "stops", OWNER, f"{LINE} status reason"),
    facts.PositionUnguarded: _event("unguarded", "stops alerts", OWNER, "position_id account_id since seconds",
                                    is_over=False),
    facts.PositionGuarded:  _event("unguarded", "stops alerts", OWNER, "position_id account_id since seconds",
                                   is_over=True),
    # --- the desk
    facts.TradingStateSet:  _event("trading_state", "health alerts", STAFF,
                                   "version level subject name state block_exits reason set_by"),
    facts.FlattenStarted:   _event("flatten", "health alerts", STAFF, "flatten_id level subject name reason asked_by",
                                   what="started"),
    facts.FlattenAccountSeen: _event("flatten", "health", STAFF, "flatten_id account_id is_flat code reason",
                                     what="account_seen"),
    facts.FlattenEnded:     _event("flatten", "health alerts", STAFF, "flatten_id is_done ended_by reason", what="ended"),
    facts.DatabaseCleared:  _event("cleared", "health alerts", STAFF, "signals events positions orders fills is_forced "
                                   "reason cleared_by"),
    facts.HealthAlarmed:    _event("alarm", "health alerts", STAFF, "name severity is_on numbers"),
    facts.AlertRaised:      _event("alert", "alerts", OWNER, "alert.alert_id alert.kind alert.level alert.title alert.text "
                                   "alert.account_id alert.bot_id alert.repeats alert.code alert.about", what="raised"),
    facts.AlertAcknowledged: _event("alert", "alerts", STAFF, "alert_id acknowledged_by", what="acknowledged"),
    facts.AlertsMuted:      _event("alert", "alerts", STAFF, "mute.mute_id mute.kind mute.until mute.reason",
                                   what="muted"),
    facts.AlertsUnmuted:    _event("alert", "alerts", STAFF, "mute_id unmuted_by", what="unmuted"),
    facts.ChannelConfigured: _event("channel", "settings", STAFF, "channel.channel_id channel.name channel.is_active"),
    facts.ChannelForgotten: _event("channel", "settings", STAFF, "channel_id", what="forgotten"),
    facts.AlertLevelSet:    _event("channel", "settings", STAFF, "level set_by", what="level_set"),
    facts.PastForgotten:    _event("upkeep", "health", STAFF, what="past_forgotten"),
    facts.RetentionSet:     _event("upkeep", "settings", STAFF, "set_by", what="retention_set"),
    facts.SecondFactorDemanded: _event("upkeep", "settings", STAFF, "role set_by", what="second_factor_demanded"),
    facts.ScreenerPaused:   _event("screener", "screener", STAFF, "is_paused set_by", what="paused"),
    facts.TickersListed:    _event("screener", "screener", STAFF, "strategy_id strategy tickers entered left is_baseline",
                                   what="listed"),
    facts.StrategyConfigured: _event("screener", "screener", STAFF,
                                     "strategy.strategy_id strategy.name strategy.is_active", what="strategy"),
    facts.StrategyForgotten: _event("screener", "screener", STAFF, "strategy_id", what="strategy_forgotten"),
    # --- what is set up; never a secret, nor the hash of one
    facts.UserConfigured:   _event("user", "settings", ADMIN, "user.user_id user.name user.role user.is_active"),
    facts.AccountConfigured: _event("account", "settings", OWNER,
                                    "account.account_id account.name account.venue account.is_active"),
    facts.BotConfigured:    _event("bot", "settings", STAFF, "bot.bot_id bot.name bot.status"),
    facts.BotForgotten:     _event("bot", "settings", STAFF, "bot_id", status="forgotten"),
    facts.SubscriptionConfigured: _event("subscription", "settings", OWNER,
                                         "subscription.subscription_id subscription.bot_id subscription.account_id "
                                         "subscription.status"),
    facts.StrategyDeployed: _event("deployment", "settings", STAFF,
                                   "deployment.deployment_id deployment.bot_id deployment.strategy deployment.symbol "
                                   "deployment.timeframe deployment.status"),
    facts.SellListConfigured: _event("sell_list", "settings", STAFF, "rule.is_cleaned rule.lifetime_hours set_by"),
    facts.MetricsReset:     _event("metrics", "health", STAFF, "counted set_by", what="reset"),
    facts.ForwardLimitSet:  _event("forward_limit", "settings", STAFF, "max_per_minute is_enabled set_by"),
    facts.ActionTaken:      _event("action", "actions", ADMIN, "action_id user_id principal source_address method path "
                                   "action targets status error_code duration_ms"),
}
# fmt: on

NOT_TOLD = frozenset(
    {facts.FillReported, facts.ProtectionReported, facts.ExitRequested, facts.EntryRequested}
)
"""Not kept, or asked within the desk: what comes of them is told."""


@dataclass(frozen=True, slots=True)
class EventsView:
    """What one reader of server-sent events sees: his topics, of what he may see."""

    eyes: Eyes
    topics: frozenset[Topic]

    @property
    def is_looking(self) -> bool:
        """Say whether figures are told here."""
        return Topic.HEALTH in self.topics

    def told(self, told: Sequence[Told]) -> Sequence[bytes]:
        """Give an event for each fact that is his; its id is its place."""
        return [_written(one, event) for one, event in self._seen(told)]

    def looked(self, look: Look, *, before: Look | None) -> Sequence[bytes]:
        """Say how the desk is. It has no id: it is not kept, and nobody has to catch up on it."""
        del before
        if not self.is_looking:
            return ()
        return (b"event: health\ndata: %b\n\n" % encode(_health(look, is_staff=self.eyes.role.is_staff)),)

    def _seen(self, told: Sequence[Told]) -> Iterator[tuple[Told, Event]]:
        for one in told:
            event = EVENTS.get(type(one.fact))
            if event and not self.topics.isdisjoint(event.topics) and self.eyes.may_see(event.seen, one):
                yield one, event


def says(told: Told, event: Event) -> dict[str, Any]:
    """
    Give what an event tells: the fact's kind and time, and its number.

    Of two events about one thing the one with the larger ``seq`` is the later.
    """
    order = told.about.order
    return {
        "kind": type(told.fact).__name__,
        "happened_at": told.fact.happened_at,
        "seq": told.place.seq,
        **({} if order is None or event.name != "order" else _of_order(order)),
        **event.says(told.fact),
    }


def _of_order(order: Any) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__slots__}


def _written(told: Told, event: Event) -> bytes:
    place = str(told.place).encode()
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (place, event.name.encode(), encode(says(told, event)))


def _health(look: Look, *, is_staff: bool) -> dict[str, Any]:
    figures = look.figures
    status = {"status": "healthy" if figures.workers.keys() >= ROLES_NEEDED else "degraded"}
    if not is_staff:
        return status
    counted = {name: getattr(figures, name) for name in figures.__slots__ if name != "metrics"}
    return {**status, **counted}

"""
System A's websocket `/ws/admin-updates`: its message types, and what makes each of them.

FROM_FACTS says which fact makes which message, FROM_FIGURES which are made by looking, ANSWERS which by being asked.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pregao.domain import facts
from pregao.domain.account import Venue
from pregao.domain.clock import Clock
from pregao.domain.forward import HTTP_ERROR, TIMED_OUT
from pregao.domain.position import PositionStatus
from pregao.domain.user import Role
from pregao.edges.http.live.events import EVENTS, Eyes, says
from pregao.edges.http.live.feed import Feed, Look, View
from pregao.edges.http.live.sockets import Guest, message
from pregao.views.history import EventFilter, EventLine, History
from pregao.views.live import Told

AUDIT_LOG_EVENTS = 100  # spec A3.2
AUDIT_TRAIL_EVENTS = 20

Makes = Callable[[Told], dict[str, Any] | None]

AUDITED: dict[type[facts.Fact], str] = {
    facts.SignalReceived: "received",
    facts.SignalAccepted: "processing",
    facts.DecisionPending: "processing",
    facts.ApprovalAnswered: "processing",
    facts.SignalRefused: "rejected",
    facts.DecisionDeclined: "rejected",
    facts.DecisionApproved: "approved",
}
"""What happens to a signal, in system A's words; those of its view `signal_events`."""

FORWARDED: dict[type[facts.Fact], str] = {
    facts.OrderPlanned: "queued_forwarding",
    facts.ForwardBegun: "forwarding",
    facts.OrderAccepted: "forwarded_success",
    facts.OrderRejected: "forwarded_generic_error",
    facts.OrderDenied: "forwarded_generic_error",
}
"""And what happens to its orders, where they are posted to a destination; the first attempt of them."""

FAILED = {TIMED_OUT: "forwarded_timeout", HTTP_ERROR: "forwarded_http_error"}
LOCATIONS = {
    "received": "processing_queue",
    "processing": "worker_processing",
    "approved": "approved_queue",
    "queued_forwarding": "approved_queue",
    "forwarding": "worker_forwarding",
    "rejected": "discarded",
}
COMPLETED = "completed"
STATUSES = {
    PositionStatus.PENDING: "open",
    PositionStatus.ABANDONED: "closed",
}  # the others have the same word


def audit_event(told: Told) -> dict[str, Any] | None:
    """Give what happened to a signal in system A's words; None where that is none of its business."""
    fact, signal = told.fact, told.about.signal
    event_type = AUDITED.get(type(fact)) or _forwarded(told)
    if event_type is None:
        return None
    return {
        "timestamp": fact.happened_at,
        "signal_id": getattr(fact, "signal_id", None),
        "ticker": None if signal is None else signal.symbol,
        "event_type": event_type,
        "location": LOCATIONS.get(event_type, COMPLETED),
        "details": getattr(fact, "reason", ""),
        "worker_id": getattr(fact, "owner", told.about.worker),
        "http_status": told.about.http_status
        if type(fact) in (facts.OrderAccepted, facts.OrderRejected)
        else None,
        "signal_type": None if signal is None else signal.signal_type,
    }


def _forwarded(told: Told) -> str | None:
    fact = told.fact
    if told.about.venue is not Venue.WEBHOOK:
        return None
    match fact:
        case facts.OrderPlanned() | facts.ForwardBegun() if fact.attempt > 1:
            return None
        case facts.OrderDenied() if fact.position_id is None:
            return "rejected"  # nothing of it was ever to leave
        case facts.OrderDenied() | facts.OrderRejected():
            return FAILED.get(fact.code, FORWARDED[type(fact)])
    return FORWARDED.get(type(fact))


def _order_status_change(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.PositionChanged)
    position = told.fact.position
    return {
        "position_id": position.position_id,
        "new_status": STATUSES.get(position.status, str(position.status)),
        "ticker": position.symbol,
        "timestamp": told.fact.happened_at,
    }


def _tickers(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.TickersListed)
    tickers = told.fact.tickers
    return {"tickers": tickers, "count": len(tickers), "timestamp": told.fact.happened_at}


def _top_n(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.TickersListed)
    return {**_tickers(told), "entered": told.fact.entered, "left": told.fact.left}


def _as_told(told: Told) -> dict[str, Any]:
    return says(told, EVENTS[type(told.fact)])


def _limiter(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.ForwardLimitSet)
    return {
        "max_req_per_min": told.fact.max_per_minute,
        "rate_limiting_enabled": told.fact.is_enabled,
        "timestamp": told.fact.happened_at,
    }


def _destination(told: Told) -> dict[str, Any] | None:
    assert isinstance(told.fact, facts.AccountConfigured)
    account = told.fact.account
    if account.destination is None:
        return None
    return {
        "account_id": account.account_id,
        "name": account.name,
        "host": account.destination.host,  # the whole address is a secret
        "timeout": account.destination.timeout_seconds,
        "is_active": account.is_active,
        "timestamp": told.fact.happened_at,
    }


def _metrics_reset(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.MetricsReset)
    return {"counted": told.fact.counted, "reset_by": told.fact.set_by, "timestamp": told.fact.happened_at}


def _cleared(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.DatabaseCleared)
    return {
        "deleted_signals": told.fact.signals,
        "deleted_events": told.fact.events,
        "deleted_positions": told.fact.positions,
        "timestamp": told.fact.happened_at,
    }


FROM_FACTS: dict[type[facts.Fact], tuple[tuple[str, Makes], ...]] = {
    **dict.fromkeys((*AUDITED, *FORWARDED), (("new_audit_entry", audit_event),)),
    facts.PositionChanged: (("order_status_change", _order_status_change),),
    facts.TickersListed: (("top_n_tickers_update", _top_n), ("ticker_list_update", _tickers)),
    facts.StrategyConfigured: (("finviz_strategy_changed", _as_told),),
    facts.StrategyForgotten: (("finviz_strategy_changed", _as_told),),
    facts.AccountConfigured: (("webhook_config_update", _destination),),
    facts.ForwardLimitSet: (("webhook_rate_limiter_update", _limiter),),
    facts.MetricsReset: (("metrics_reset", _metrics_reset),),
    facts.ActionTaken: (("admin_action_logged", _as_told),),
    facts.DatabaseCleared: (("database_cleared", _cleared),),
}
"""What a fact is told as; those of an action are for admins only."""


# What is counted ---------------------------------------------------------------------------------------------


def metrics_of(look: Look) -> dict[str, Any]:
    """Give the counts and the rates that follow from them (spec A2.6)."""
    counted = dict(look.figures.metrics)
    received, success = counted.get("signals_received", 0), counted.get("signals_forwarded_success", 0)
    ended = success + counted.get("signals_forwarded_error", 0)
    return {
        **counted,
        "approval_rate": _percent(counted.get("signals_approved", 0), received),
        "forward_success_rate": _percent(success, ended),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _queues(look: Look) -> dict[str, Any]:
    figures = look.figures
    return {
        "processing_queue_size": figures.signals_waiting,
        "approved_queue_size": figures.orders_waiting,
        "unresolved": figures.orders_unresolved,
    }


def _overview(look: Look) -> dict[str, Any]:
    figures = look.figures
    return {
        "pending": figures.positions_pending,
        "open": figures.positions_open,
        "closing": figures.positions_closing,
        **_queues(look),
    }


def _system(look: Look, *, version: str) -> dict[str, Any]:
    return {"version": version, "workers": look.figures.workers}


def _screener(look: Look) -> dict[str, Any]:
    line = look.screener
    running = "running" if line.is_running else "stopped"
    return {
        "status": "paused" if line.is_paused else running,
        "strategy": line.strategy or None,
        "count": line.size,
        "failures": line.failures,
        "last_update": line.good_at,
        "next_update": line.next_look_at,
    }


def _sellable(look: Look, *, at: datetime) -> dict[str, Any]:
    return {"tickers": look.sellable, "count": len(look.sellable), "timestamp": at}


@dataclass(frozen=True, slots=True)
class UpdatesView:
    """What staff is told: everything, in system A's words."""

    eyes: Eyes
    version: str
    clock: Clock

    @property
    def is_looking(self) -> bool:
        """Say that figures are told here."""
        return True

    def told(self, told: Sequence[Told]) -> Sequence[bytes]:
        """Give the messages of facts, and that the audit trail has grown."""
        made = [(kind, data) for kind, data in self._seen(told) if data is not None]
        messages = [message(kind, data) for kind, data in made]
        audited = sum(kind == "new_audit_entry" for kind, _ in made)
        if audited:
            messages.append(
                message("audit_update", {"count": audited, "timestamp": told[-1].fact.happened_at})
            )
        return messages

    def looked(self, look: Look, *, before: Look | None) -> Sequence[bytes]:
        """Give the figures; those that say the same as before are left out, but for the metrics."""
        now = self.clock()
        metrics, system = metrics_of(look), _system(look, version=self.version)
        messages = [
            message("metrics_update", {**metrics, "timestamp": now}),
            message("status_update", {"metrics": metrics, "system_info": system, "timestamp": now}),
        ]
        messages += self._changed(look, before, now=now)
        if before is not None:
            messages += _screened(look, before)
        return messages

    def _changed(self, look: Look, before: Look | None, *, now: datetime) -> Iterator[bytes]:
        makers: dict[str, Callable[[Look], dict[str, Any]]] = {
            "system_info_update": partial(_system, version=self.version),
            "queue_status_update": _queues,
            "overview_update": _overview,
            "finviz_status_update": _screener,
            "sell_all_list_update": partial(_sellable, at=now),
        }
        for kind, makes in makers.items():
            if before is None or makes(look) != makes(before):
                yield message(kind, makes(look))

    def _seen(self, told: Sequence[Told]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        for one in told:
            for kind, makes in FROM_FACTS.get(type(one.fact), ()):
                if kind != "admin_action_logged" or self.eyes.role is Role.ADMIN:
                    yield kind, makes(one)


def _screened(look: Look, before: Look) -> Iterator[bytes]:
    line = look.screener
    if line.good_at != before.screener.good_at:
        yield message("finviz_update_ok", {"count": line.size, "timestamp": line.good_at})
    if line.failed_at is not None and line.failed_at != before.screener.failed_at:
        told = {
            "code": line.code,
            "error": line.reason,
            "failures": line.failures,
            "timestamp": line.failed_at,
        }
        yield message("finviz_update_failed", told)


FROM_FIGURES = (
    "metrics_update",
    "status_update",
    "system_info_update",
    "queue_status_update",
    "overview_update",
    "finviz_status_update",
    "finviz_update_ok",
    "finviz_update_failed",
    "sell_all_list_update",
)


# What is asked for -------------------------------------------------------------------------------------------


class UpdatesTalk:
    """One websocket of staff."""

    def __init__(self, guest: Guest, *, feed: Feed, history: History, version: str, clock: Clock) -> None:
        self._guest = guest
        self._feed = feed
        self._history = history
        self._view = UpdatesView(Eyes.of(guest.principal), version, clock)

    def view(self) -> View:
        """Give what is told."""
        return self._view

    async def welcome(self) -> Sequence[bytes]:
        """Say who was let in, and how everything stands."""
        who = self._guest.principal
        let_in = {"authenticated": True, "role": who.role, "came_by": who.label}
        return (message("auth_status_update", let_in), *await self.figures())

    async def answer(self, asked: Mapping[str, Any]) -> Sequence[bytes]:
        """Answer what is asked for by its type."""
        answers = ANSWERS.get(asked["type"])
        if answers is None:
            known = ", ".join(("ping", *ANSWERS))
            return (message("error", {"code": "MESSAGE_UNKNOWN", "message": f"Ask for one of: {known}."}),)
        return await answers(self)

    def quiet(self) -> Sequence[bytes]:
        """Say nothing: pings are the protocol's."""
        return ()

    async def figures(self) -> Sequence[bytes]:
        """Give all figures."""
        return self._view.looked(await self._feed.look(), before=None)

    async def audit_log(self) -> Sequence[bytes]:
        """Give the latest events of the audit trail."""
        return (message("audit_log_data", {"events": await self._audited(AUDIT_LOG_EVENTS)}),)

    async def audit_trail(self) -> Sequence[bytes]:
        """Give its first page."""
        return (message("audit_trail_update", {"events": await self._audited(AUDIT_TRAIL_EVENTS)}),)

    async def _audited(self, limit: int) -> list[dict[str, Any]]:
        return [_audited(line) for line in await self._history.events(EventFilter(), limit=limit)]


def _audited(line: EventLine) -> dict[str, Any]:
    return {
        "timestamp": line.happened_at,
        "signal_id": line.signal_id,
        "ticker": line.ticker,
        "event_type": line.status,
        "location": line.location,
        "details": line.details,
        "worker_id": line.worker_id,
        "http_status": line.http_status,
        "signal_type": line.signal_type,
    }


ANSWERS: dict[str, Callable[[UpdatesTalk], Awaitable[Sequence[bytes]]]] = {
    "get_status": UpdatesTalk.figures,
    "get_audit_log": UpdatesTalk.audit_log,
    "get_audit_trail": UpdatesTalk.audit_trail,
}
ANSWERED = ("auth_status_update", "audit_log_data", "audit_trail_update")
"""The types that a client is sent when it comes in or asks."""

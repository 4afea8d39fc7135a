"""
System B's websocket `/ws/notifications`: what happens on one's own accounts, in its words.

Of a user it is his accounts; with the admin token it is those that are the desk's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pregao.domain import facts
from pregao.domain.clock import Clock
from pregao.edges.http.live.events import EVENTS, says
from pregao.edges.http.live.feed import Look, View
from pregao.edges.http.live.sockets import Guest, message
from pregao.views.live import Told

Makes = Callable[[Told], dict[str, Any] | None]


def _as_told(told: Told) -> dict[str, Any]:
    return says(told, EVENTS[type(told.fact)])


def _fill(told: Told) -> dict[str, Any] | None:
    assert isinstance(told.fact, facts.FillBooked)
    if told.fact.order_id is None:
        return None  # none of our orders: the position it touches is told of
    return {**_as_told(told), "status": "filled" if told.fact.order_is_filled else "partially_filled"}


def _balance(told: Told) -> dict[str, Any]:
    assert isinstance(told.fact, facts.FillBooked)
    fact = told.fact
    return {
        "account_id": fact.account_id,
        "change": fact.trade.realized_pnl - fact.fee,
        "realized_pnl": fact.trade.realized_pnl,
        "fee": fact.fee,
        "trade_id": fact.trade.trade_id,
        "timestamp": fact.happened_at,
    }


def _execution(told: Told) -> dict[str, Any] | None:
    """Give what a bot's signal has come to on the account, once that is known."""
    fact, order = told.fact, told.about.order
    outcome = OUTCOMES[type(fact)]
    if order is None or (isinstance(fact, facts.FillBooked) and not fact.order_is_filled):
        return None
    return {
        "signal_id": order.signal_id,
        "bot_id": order.bot_id,
        "subscription_id": order.subscription_id,
        "account_id": order.account_id,
        "order_id": order.order_id,
        "leg": order.leg,
        "symbol": order.symbol,
        "side": order.side,
        "status": outcome,
        "code": getattr(fact, "code", None),
        "reason": getattr(fact, "reason", None),
        "timestamp": fact.happened_at,
    }


OUTCOMES: dict[type[facts.Fact], str] = {
    facts.OrderDenied: "skipped",
    facts.OrderRejected: "failed",
    facts.OrderEnded: "failed",
    facts.FillBooked: "success",
}
"""System B's words; an order that ended with a part filled says so in its fills."""

ORDER = ("order_update", "orders", _as_told)
EXECUTION = ("bot_execution", "executions", _execution)
FROM_FACTS: dict[type[facts.Fact], tuple[tuple[str, str, Makes], ...]] = {
    facts.OrderPlanned: (ORDER,),
    facts.OrderDeferred: (ORDER,),
    facts.OrderAccepted: (ORDER,),
    facts.OrderUnresolved: (ORDER,),
    facts.OrderDenied: (ORDER, EXECUTION),
    facts.OrderRejected: (ORDER, EXECUTION),
    facts.OrderEnded: (ORDER, EXECUTION),
    facts.FillBooked: (
        ("order_update", "orders", _fill),
        ("balance_update", "balances", _balance),
        EXECUTION,
    ),
    facts.PositionChanged: (("position_update", "positions", _as_told),),
}
"""Fact, and each message it makes: its type, its channel, what it says."""

CHANNELS = frozenset(channel for made in FROM_FACTS.values() for _, channel, _ in made)


@dataclass(frozen=True, slots=True)
class OwnView:
    """What somebody is told of his own accounts."""

    owner: UUID | None
    channels: frozenset[str]

    @property
    def is_looking(self) -> bool:
        """Say that figures are not told here."""
        return False

    def told(self, told: Sequence[Told]) -> Sequence[bytes]:
        """Give the messages of what happened there."""
        return list(self._messages(told))

    def looked(self, look: Look, *, before: Look | None) -> Sequence[bytes]:
        """Say nothing: figures are the desk's."""
        del look, before
        return ()

    def _messages(self, told: Sequence[Told]) -> Iterator[bytes]:
        for one in told:
            if one.about.owner != self.owner:
                continue
            for kind, channel, makes in FROM_FACTS.get(type(one.fact), ()):
                if channel in self.channels and (data := makes(one)) is not None:
                    yield message(kind, data)


class OwnTalk:
    """One websocket of somebody's own."""

    def __init__(self, guest: Guest, *, clock: Clock) -> None:
        self._guest = guest
        self._clock = clock
        self._channels = CHANNELS

    def view(self) -> View:
        """Give what is told: of all channels, until some were chosen."""
        return OwnView(self._guest.principal.user_id, self._channels)

    async def welcome(self) -> Sequence[bytes]:
        """Say that it stands."""
        return (
            message(
                "connected",
                {
                    "user_id": self._guest.principal.user_id,
                    "channels": sorted(self._channels),
                    "timestamp": self._clock(),
                },
            ),
        )

    async def answer(self, asked: Mapping[str, Any]) -> Sequence[bytes]:
        """Choose channels: `subscribe` has those that are wanted from now on, and no others."""
        if asked["type"] == "pong":
            return ()
        wanted = asked.get("channels")
        is_known = isinstance(wanted, list) and all(isinstance(one, str) for one in wanted)
        if asked["type"] != "subscribe" or not is_known or not CHANNELS.issuperset(wanted or ()):
            told = f"Send subscribe with channels of: {', '.join(sorted(CHANNELS))}."
            return (message("error", {"code": "MESSAGE_UNKNOWN", "message": told}),)
        self._channels = frozenset(wanted or ())
        return (message("subscribed", {"channels": sorted(self._channels)}),)

    def quiet(self) -> Sequence[bytes]:
        """Ping in system B's way: some of its clients look for it."""
        return (message("ping", {"timestamp": self._clock()}),)

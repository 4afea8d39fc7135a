"""A signal: what a sender asks every subscribed account to do."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pregao.domain.order import Side
from pregao.domain.quickly import made_quickly


class Intent(StrEnum):
    """What an alert wants, as its words say it."""

    BUY = "buy"  # buy, no word about the position
    SELL = "sell"  # sell, no word about the position
    OPEN_LONG = "open_long"
    OPEN_SHORT = "open_short"
    CLOSE = "close"  # whatever is open on the symbol
    CLOSE_LONG = "close_long"
    CLOSE_SHORT = "close_short"
    CLOSE_ALL = "close_all"  # every position of the bot, on any symbol
    REVERSE_TO_LONG = "reverse_to_long"
    REVERSE_TO_SHORT = "reverse_to_short"
    REDUCE_LONG = "reduce_long"
    REDUCE_SHORT = "reduce_short"
    ADD = "add"  # more of what is open
    SET_POSITION = "set_position"  # hold exactly this signed size
    CANCEL = "cancel"  # take resting orders back
    START_BOT = "start_bot"
    NOTHING = "none"  # information, nothing to trade


@dataclass(slots=True, kw_only=True)  # not frozen: that would be a sixth of what reading costs
class AlertReading:
    """
    What one alert's body says, before anybody decides anything.

    ``symbol`` has the exchange's spelling without suffixes (BTCUSDT for BTCUSDT.P and BTC-USDT), None for a
    ``close_all`` that names none. Quantities, prices, stops and leverage are the sender's: shown, never used
    to size an order. ``share`` is the part of a position to close, above 0 and at most 1; None is all of it.
    """

    intent: Intent
    symbol: str | None
    side: Side | None
    quantity: Decimal | None = None
    quantity_kind: str | None = None
    price: Decimal | None = None
    order_type: str | None = None
    share: Decimal | None = None
    target_position: Decimal | None = None
    sent_at: datetime | None = None
    explicit_id: str | None = None
    not_used: tuple[str, ...] = ()


class Action(StrEnum):
    """What the desk is asked to do, after reading."""

    ENTER = "enter"  # be in the market on ``side``
    CLOSE = "close"
    CLOSE_ALL = "close_all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Risked:
    """
    What a person puts at risk with one trade: its size follows from the distance of its stop, at the venue's price.

    ``capital`` is in the margin asset; the stop costs at most ``risk_percent`` of it, and the position at most half.
    """

    capital: Decimal
    risk_percent: Decimal
    stop_price: Decimal
    target_price: Decimal | None = None
    strategy: str = ""  # a person's own word for why


class AgainKind(StrEnum):
    """Why a signal is sent again."""

    RETRY = "retry"  # some accounts did not get what others got
    REPLAY = "replay"  # to see on paper what it would do


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAgain:
    """
    What an operator has sent again: a signal of its own, for the subscriptions named here alone.

    ``before`` are the signals it repeats, the first one first; ``first_at`` is when that one arrived.
    """

    kind: AgainKind
    before: tuple[UUID, ...]
    first_at: datetime
    subscription_ids: tuple[UUID, ...]


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """
    What an accepted signal asks of every subscribed account.

    ``side`` is the side of the entry order; for a close it is the side of the *exit* order where the alert
    said which position it means, else None. ``send_before`` binds entries only: later they are denied.
    ``subscription_id`` limits it to one subscription; only the desk itself asks that.
    ``risk`` sizes an entry in place of the subscription's margin: a trade by hand.
    ``stop_percent`` and ``target_percent`` are a strategy's own, from the entry, in place of the settings'; None leaves these.
    ``was_entry`` is a close that an entry became because a check stopped it: what it goes against is closed where the
    subscription's rule for the other side is not to ignore it.
    ``again`` says that it repeats another signal, and for whom.
    """

    action: Action
    symbol: str | None
    side: Side | None
    share: Decimal | None
    price: Decimal | None
    send_before: datetime
    not_used: tuple[str, ...] = ()
    subscription_id: UUID | None = None
    was_entry: bool = False
    risk: Risked | None = None
    stop_percent: Decimal | None = None
    target_percent: Decimal | None = None
    again: SentAgain | None = None

    @property
    def only(self) -> frozenset[UUID] | None:
        """The subscriptions it is meant for; None is all that follow the bot."""
        if self.again is not None:
            return frozenset(self.again.subscription_ids)
        return None if self.subscription_id is None else frozenset({self.subscription_id})

    @property
    def is_retry(self) -> bool:
        """Whether it is sent again to those on whose accounts it failed."""
        return self.again is not None and self.again.kind is AgainKind.RETRY

    @property
    def is_replay(self) -> bool:
        """Whether it is sent again to paper accounts, to see what it would do."""
        return self.again is not None and self.again.kind is AgainKind.REPLAY

"""
Accept a signal that can be read for certain and is not stale.

Takes SignalReceived. Gives SignalAccepted or SignalRefused.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from pregao.domain.facts import Fact, SignalAccepted, SignalReceived, SignalRefused
from pregao.domain.money import ZERO
from pregao.domain.order import Side
from pregao.domain.signal import Action, AlertReading, Instruction, Intent
from pregao.signals.formats import Unreadable, read_alert

Read = Callable[[SignalReceived], AlertReading]

ENTRIES = {
    Intent.BUY: Side.BUY,
    Intent.OPEN_LONG: Side.BUY,
    Intent.REVERSE_TO_LONG: Side.BUY,  # what is open on the other side meets the subscription's own rule
    Intent.SELL: Side.SELL,
    Intent.OPEN_SHORT: Side.SELL,
    Intent.REVERSE_TO_SHORT: Side.SELL,
}
CLOSES = {
    Intent.CLOSE: None,
    Intent.CLOSE_LONG: Side.SELL,
    Intent.CLOSE_SHORT: Side.BUY,
    Intent.REDUCE_LONG: Side.SELL,
    Intent.REDUCE_SHORT: Side.BUY,
}
REDUCTIONS = frozenset({Intent.REDUCE_LONG, Intent.REDUCE_SHORT})

_timedelta = lru_cache(maxsize=16)(timedelta)


def read_body(received: SignalReceived) -> AlertReading:
    """Read the body as it was stored; masking the secret changes nothing else in it."""
    return read_alert(received.body)


async def accept_signal(
    arrivals: Sequence[SignalReceived], *, now: datetime, age_seconds_max: int, read: Read = read_body
) -> list[Fact]:
    """Say of each arrival what it asks for, or why it is refused."""
    return [accept_one(received, read, now=now, age_seconds_max=age_seconds_max) for received in arrivals]


def accept_one(
    received: SignalReceived, read: Read, *, now: datetime, age_seconds_max: int
) -> SignalAccepted | SignalRefused:
    """Say of one arrival what it asks for, or why it is refused."""
    try:
        reading = read(received)
        instruction = instruction_of(
            reading, received_at=received.happened_at, now=now, age_seconds_max=age_seconds_max
        )
    except Unreadable as unreadable:
        return SignalRefused(
            happened_at=now,
            signal_id=received.signal_id,
            bot_id=received.bot_id,
            code=unreadable.code,
            reason=unreadable.reason,
        )
    return SignalAccepted(
        happened_at=now, signal_id=received.signal_id, bot_id=received.bot_id, instruction=instruction
    )


def instruction_of(
    reading: AlertReading, *, received_at: datetime, now: datetime, age_seconds_max: int
) -> Instruction:
    """
    Give what a reading asks of the accounts.

    :raises Unreadable: when the intent is not supported yet, or an entry is older than the limit.
    """
    action, side = _action_of(reading)
    sent_at = reading.sent_at or received_at
    age, age_max = now - sent_at, _timedelta(0, age_seconds_max)
    if age > age_max and action is Action.ENTER:
        raise Unreadable(
            "SIGNAL_STALE",
            f"age_seconds={age.total_seconds():.0f} age_seconds_max={age_seconds_max}. "
            "An entry this late would chase the price; closes are taken at any age.",
        )
    # An alert for one chart says its ticker in every message: whoever closes all means all.
    closes_all = action is Action.CLOSE_ALL
    passed_over = ("symbol",) if closes_all and reading.symbol is not None else ()
    return Instruction(
        action=action,
        symbol=None if closes_all else reading.symbol,
        side=side,
        share=reading.share if action is Action.CLOSE else None,
        price=reading.price,
        send_before=min(sent_at, received_at) + age_max,
        not_used=(*reading.not_used, *passed_over),
    )


def _action_of(reading: AlertReading) -> tuple[Action, Side | None]:
    intent = reading.intent
    if intent is Intent.NOTHING:
        raise Unreadable("NOTHING_TO_TRADE", "The alert informs; it asks for no order.")
    if reading.order_type not in (None, "market"):
        raise _unsupported(f"order_type={reading.order_type}", "Only market orders are sent.")
    if intent is Intent.CLOSE_ALL:
        return Action.CLOSE_ALL, None
    if reading.target_position == ZERO and (intent in ENTRIES or intent is Intent.SET_POSITION):
        return Action.CLOSE, None
    if intent in ENTRIES:
        return Action.ENTER, ENTRIES[intent]
    if intent in REDUCTIONS and reading.share is None:
        raise _unsupported(f"intent={intent}", "Say which share of the position to close, as a percentage.")
    if intent in CLOSES:
        return Action.CLOSE, CLOSES[intent]
    raise _unsupported(f"intent={intent}", "Send buy, sell, close or close_all.")


def _unsupported(values: str, remedy: str) -> Unreadable:
    return Unreadable("UNSUPPORTED_INTENT", f"{values}. {remedy}")

"""What is posted: one order as its destination is told of it, the same at every attempt."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pregao.domain.forward import BodyForm, Parcel
from pregao.domain.order import Leg

WORDS = {
    Leg.ENTRY: frozenset({"buy", "long", "enter"}),
    Leg.EXIT: frozenset({"sell", "exit", "close"}),
}
"""What a signal may say for each; another word is not passed on."""
PASSED_ON = ("exchange", "interval", "strategy", "sentiment", "quantity", "order_type")
"""What else of a signal's body is passed on, where it is a number or a short word; nothing that is not named here is."""
CHARACTERS_MAX = 64

encode = msgspec.json.Encoder(decimal_format="number").encode
_read = msgspec.json.Decoder(float_hook=Decimal).decode  # a quantity is passed on to its last digit


def body_of(parcel: Parcel) -> bytes:
    """Write the parcel as its destination wants it."""
    told = _told(parcel.body)
    body = (
        _traderspost(parcel, told)
        if parcel.destination.body is BodyForm.TRADERSPOST
        else _plain(parcel, told)
    )
    return encode({name: value for name, value in body.items() if value is not None})


def _plain(parcel: Parcel, told: Mapping[str, Any]) -> dict[str, Any]:
    is_entry = parcel.leg is Leg.ENTRY
    return {
        "ticker": parcel.ticker,
        "side": "buy" if is_entry else "sell",
        "action": _word(told.get("action"), parcel.leg) or ("buy" if is_entry else "exit"),
        "price": parcel.price,
        "time": _short(told.get("time")),
        **{name: _short(told.get(name)) for name in PASSED_ON},
        "signal_id": str(parcel.signal_id),
        "received_at": round(parcel.received_at.timestamp(), 3),
    }


def _traderspost(parcel: Parcel, told: Mapping[str, Any]) -> dict[str, Any]:
    is_entry = parcel.leg is Leg.ENTRY
    return {
        "ticker": parcel.ticker,
        "action": "buy" if is_entry else "exit",
        "sentiment": "bullish" if is_entry else "flat",
        "price": parcel.price,
        "time": _short(told.get("time")),
        "extras": {"signal_id": str(parcel.signal_id)},
    }


def _told(body: bytes) -> Mapping[str, Any]:
    try:
        told = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}  # a text alert: what was read of it stands in the order
    return told if isinstance(told, dict) else {}


def _word(word: object, leg: Leg) -> str | None:
    spelled = word.strip().lower() if isinstance(word, str) else ""
    return spelled if spelled in WORDS[leg] else None


def _short(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    return (
        None if isinstance(value, str) and (len(value) > CHARACTERS_MAX or not value.isprintable()) else value
    )

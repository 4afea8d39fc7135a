"""The 85 alert bodies found in the wild, what a person reads from each, and what makes a reading wrong."""

import contextlib
import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from pregao.domain.order import Side
from pregao.domain.signal import AlertReading, Intent
from pregao.signals.formats import Unreadable, read_alert

CORPUS = Path(__file__).resolve().parents[4] / "shared/data/tradingview_alerts/alerts.jsonl"
MUTANTS = int(os.environ.get("PREGAO_MUTANTS", "5000"))
SEED = int(os.environ.get("PREGAO_MUTANTS_SEED", "20260101"))

NO_QUOTE = ("SYMBOL_AMBIGUOUS", "names no certain base and quote")  # ETHUSDT, ETHUSDC and ETHUSD all exist
REFUSED = {
    "tv-1ef3875ce3": NO_QUOTE,  # ETH-PERP
    "tv-2ba8389e11": NO_QUOTE,  # ETH-PERP
    "tv-5a10e51c0a": NO_QUOTE,  # ETH-PERP
    "tv-5bbdaf895b": NO_QUOTE,  # ETH-PERP
    "tv-e8267cf870": NO_QUOTE,  # ETH-PERP
    "tv-87ee00ca9f": NO_QUOTE,  # BTCPERP
    "tv-d7d13d9519": NO_QUOTE,  # "asset": "BTC"
    "tv-71444f6bcf": ("SEVERAL_ORDERS", "names several symbols"),  # three in one string
    "tv-9474af608d": ("SEVERAL_ORDERS", "Send one alert for each"),  # a list of two orders
    "tv-aba3a6bcfb": ("SYMBOL_MISSING", "no field names the symbol"),
    "tv-ed130e0ca1": ("ACTION_MISSING", "The side stands only inside free text"),
}
"""Bodies a person could make something of and we refuse: the code, and the reason the sender is told."""

MALFORMED = {
    "tv-ab732f64e9": ("ACTION_UNKNOWN", "value=bu. Known are buy, sell"),
    "tv-d2f1a96ed7": ("JSON_MALFORMED", "look for a missing colon"),
    "tv-d5e682cc29": ("JSON_MALFORMED", "and for comments"),  # copied with its // comments
}
"""Bodies the corpus too expects to be refused."""

ENTRIES = frozenset(
    {
        *(Intent.BUY, Intent.SELL, Intent.OPEN_LONG, Intent.OPEN_SHORT, Intent.ADD, Intent.SET_POSITION),
        *(Intent.REVERSE_TO_LONG, Intent.REVERSE_TO_SHORT),
    }
)


def _cases() -> list[dict]:
    if not CORPUS.exists():
        return []
    return [json.loads(line) for line in CORPUS.read_text().splitlines()]


CASES = _cases()
needs_corpus = pytest.mark.skipif(not CASES, reason="the corpus of alert bodies is not beside this checkout")


def body_of(case: dict) -> bytes:
    return case.get("sent_body", case["body"]).encode()


def refusal_of(body: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as refused:
        read_alert(body)
    return refused.value


def outcome_of(body: bytes) -> AlertReading | None:
    try:
        return read_alert(body)
    except Unreadable:
        return None


def differences(case: dict, reading: AlertReading) -> dict[str, tuple[object, object]]:
    """Give what the reading has otherwise than a person reads it: (ours, theirs) for each name."""
    expected = case["expected"]
    theirs = {
        "symbol": expected.get("symbol", expected.get("symbol_raw")),
        "side": expected.get("side", "").lower() or None,
        "intent": _intent_of(expected),
        "quantity": _number(expected.get("qty")),
    }
    if "qty_kind" in expected:
        theirs["quantity_kind"] = expected["qty_kind"]
    if "target_position" in expected and case["id"] != "tv-f971e899db":  # "flat" is said as close there
        theirs["target_position"] = _number(expected["target_position"])
    if reading.intent is not Intent.NOTHING:  # "value" may be a volume; nothing is traded on it
        theirs["price"] = _number(expected.get("price"))
    return {
        name: (ours, value) for name, value in theirs.items() if (ours := getattr(reading, name)) != value
    }


def _number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _intent_of(expected: dict) -> str:
    # A reading has no reduce_only of its own: a sell that may only reduce is called by that name.
    if expected.get("reduce_only"):
        return {"sell": "reduce_long", "buy": "reduce_short"}[expected["intent"]]
    return expected["intent"]


def fields_of(reading: AlertReading) -> tuple:
    """Give all that decides an order."""
    return (
        *(reading.intent, reading.symbol, reading.side, reading.quantity, reading.quantity_kind),
        *(reading.price, reading.share, reading.target_position, reading.sent_at, reading.explicit_id),
        reading.order_type,
    )


# What is wrong -------------------------------------------------------------------------------------------------


def turns(again: AlertReading, reading: AlertReading) -> bool:
    """Say whether a changed body trades the other way, or opens where the body itself did not."""
    if again.intent is Intent.NOTHING:
        return False
    other_side = None not in (again.side, reading.side) and again.side != reading.side
    return other_side or (again.intent in ENTRIES and reading.intent not in ENTRIES)


def is_other_order(again: AlertReading, reading: AlertReading) -> bool:
    """Say whether a changed body asks for an order on another side, symbol or size than the body itself."""
    if again.intent is Intent.NOTHING:
        return False
    return turns(again, reading) or (again.symbol, again.quantity) != (reading.symbol, reading.quantity)


def is_licensed(reading: AlertReading, body: bytes) -> bool:
    """Say, from the raw text alone, whether side, symbol, quantity and price can have come from it."""
    text = body.decode("utf-8", errors="replace")
    with contextlib.suppress(ValueError, RecursionError):
        text += json.dumps(json.loads(body), ensure_ascii=False)  # escapes spelled out
    numbers = {Decimal(number) for number in re.findall(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", text)}
    return (
        _is_side_in(text, reading.side)
        and _is_symbol_in(text, reading.symbol)
        and _is_quantity_in(text, numbers, reading.quantity)
        and (reading.price is None or reading.price in numbers)
    )


def _is_side_in(text: str, side: Side | None) -> bool:
    if side is None:
        return True
    words = "short|sell|vend|bear"
    words += "|buy|long|compr|enter|bull" if side is Side.BUY else "|exit|close|flat|fech|sai|zerar|encerrar"
    words += "" if side is Side.BUY else "|tp|sl|reduc|trim|profit|loss"
    return re.search(words, re.sub(r"[\s_.\\-]", "", text.lower())) is not None


def _is_symbol_in(text: str, symbol: str | None) -> bool:
    if symbol is None:
        return True
    letters, written = (re.sub(r"[^0-9A-Z一-鿿]", "", one.upper()) for one in (symbol, text))
    # USDT_BTC names the quote first.
    return any(letters[at:] + letters[:at] in written for at in range(len(letters)))


def _is_quantity_in(text: str, numbers: set[Decimal], quantity: Decimal | None) -> bool:
    if quantity is None or quantity in numbers or quantity / 100 in numbers:
        return True
    return quantity == 100 and "A" in text  # QtBitcoinTrader's word for everything there is

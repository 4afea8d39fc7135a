"""Alerts that are no JSON: ``key=value`` text, TradingView's own order-fill message, and vendors' short lines."""

import re
from dataclasses import dataclass

from pregao.signals.fields import Found, gather
from pregao.signals.symbols import SYMBOL_CHARACTERS_MAX, is_pair, to_symbol
from pregao.signals.unreadable import Unreadable
from pregao.signals.words import LONG, SHORT, WORDS, find_word

_FILL = re.compile(
    r"order (?P<side>buy|sell) @ (?P<quantity>[\d.eE+-]+) filled on (?P<symbol>\S+)\. "
    r"New strategy position is (?P<position>[\d.eE+-]+?)\.?\s*$",
    re.ASCII,
)
_FILL_START = re.compile(r"\border \S+ @ ", re.ASCII)
_MOVE = re.compile(
    r"\[?(?P<symbol>[A-Z0-9:.]{2,30})(?:\]\([^()\s]*\))?\s+\**[+-]?\d+(?:\.\d+)?%\**", re.ASCII
)
_LINE_BREAK = re.compile(r"(?<!\\)\\+[rn]|[\r\n;]+")
_NAME = re.compile(r"[^\W\d][\w .-]{0,40}")
_COMMANDS = re.compile(
    r"\b(?:buy|sell|long|short|close|exit|compr\w+|vend\w+|fech\w+)\b",
    re.IGNORECASE,
)
FUNDS = "A"  # QtBitcoinTrader's word for everything there is


@dataclass(frozen=True, slots=True)
class Text:
    """What a text says, and the secret it carries in a place without a name."""

    found: Found
    secret: str | None = None


def read_text(text: str) -> Text:
    """
    Give what a text alert says.

    :raises Unreadable: when it has no form we know
    """
    text = text.strip().strip('"').strip()
    for form in (_fill, _move, _pairs, _parts, _lines, _bars):
        read = form(text)
        if read is not None:
            return read
    raise Unreadable(
        "FORM_UNKNOWN",
        f"characters={len(text)}. Neither JSON nor key=value text; send "
        '{"ticker": "{{ticker}}", "action": "{{strategy.order.action}}"}.',
    )


def find_sentence(text: str) -> Found | None:
    """
    Give what a message inside a JSON body says when it is itself an order: a fill message or SYMBOL|SIDE|AMOUNT.

    :raises Unreadable: when it reports several orders
    """
    read = _fill(text) or _bars(text)
    return read.found if read is not None else None


def has_command(text: str) -> bool:
    """Say whether free text speaks of trading."""
    return _COMMANDS.search(text) is not None


def _fill(text: str) -> Text | None:
    match = _FILL.search(text)
    if match is None:
        return None
    if len(_FILL_START.findall(text)) > 1:
        raise Unreadable("SEVERAL_ORDERS", "The text reports more than one order. Send one alert for each.")
    return Text(
        {
            "symbol": [("text", match["symbol"])],
            "action": [("text", match["side"])],
            "quantity": [("text", match["quantity"])],
            "quantity_kind": [("text", "base")],
            "size_now": [("text", match["position"])],
        }
    )


def _move(text: str) -> Text | None:
    match = _MOVE.fullmatch(text)
    return Text({"symbol": [("text", match["symbol"])], "action": [("text", "nothing")]}) if match else None


def _pairs(text: str) -> Text | None:
    fragments = [fragment for fragment in _LINE_BREAK.split(text) if fragment.strip(' "\t')]
    if len(fragments) == 1 and text.count("=") > 1:
        fragments = re.split(r"[&,]", text)
    document: dict[str, object] = {}
    for fragment in fragments:
        pair = _pair(fragment.strip().strip('"'))
        if pair is None:
            return None
        name, value = pair
        if document.setdefault(name, value) != value:
            raise Unreadable("FIELD_REPEATED", "One field stands twice with different values. Send it once.")
    return Text(_as_orders(gather(document))) if document else None


def _pair(text: str) -> tuple[str, str] | None:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not _NAME.fullmatch(name):
        return None
    # Two fields run into one are no field; a secret in base64 ends in "=", and an address may hold one.
    return None if "=" in value.rstrip("=") and "://" not in value else (name, value)


def _as_orders(found: Found) -> Found:
    # In key=value text VOLUME is the order's size; a bar's volume is sent in JSON.
    volume = found.pop("volume", None)
    if volume is not None:
        found.setdefault("quantity", []).extend(volume)
        if "quantity_kind" not in found:
            found["quantity_kind"] = [("VOLUME", "base")]
    return found


def _parts(text: str) -> Text | None:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 3 or "\n" in text or "=" in parts[0]:
        return None
    licence, action, symbol = parts[:3]
    word = find_word(action)
    if word is None or not symbol or "=" in symbol:
        return None
    if _is_traded(licence):
        raise Unreadable(
            "SYMBOL_AMBIGUOUS", "The first of the comma-separated parts is a symbol; the licence goes there."
        )
    found = _options(parts[3:])
    if found is None:
        return None
    return Text(_ordered(found, action=action, symbol=symbol), secret=licence)


def _lines(text: str) -> Text | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(lines) <= 2 or (len(lines) == 2 and (" " in lines[0] or "=" in lines[0])):
        return None
    action, *rest = lines[-1].split()
    if not rest or find_word(action) is None or not _is_traded(rest[0]):
        return None
    found = _options(rest[1:])
    if found is None:
        return None
    return Text(_ordered(found, action=action, symbol=rest[0]), secret=lines[0] if len(lines) == 2 else None)


def _bars(text: str) -> Text | None:
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3 or find_word(parts[1]) is None or not _is_traded(parts[0]):
        return None
    found: Found = {"symbol": [("text", parts[0])], "action": [("text", parts[1])]}
    found["quantity"] = [("text", "100%" if parts[2] == FUNDS else parts[2])]
    return Text(found)


def _is_traded(text: str) -> bool:
    try:
        return len(text) <= SYMBOL_CHARACTERS_MAX and is_pair(to_symbol(text, field="text"))
    except Unreadable:
        return False


def _options(options: list[str]) -> Found | None:
    document: dict[str, object] = {}
    for option in options:
        pair = _pair(option)
        if pair is None or pair[0] in document:
            return None
        document[pair[0]] = pair[1]
    found = gather(document)
    # Only sizes, stops and names may follow: the action and the symbol have been said.
    return found if {"action", "hint", "side", "symbol", "base"}.isdisjoint(found) else None


def _ordered(found: Found, *, action: str, symbol: str) -> Found:
    word = find_word(action)
    opening = {WORDS["buy"]: LONG, WORDS["sell"]: SHORT}.get(word) if word is not None else None
    spelling = action if opening is None else "long" if opening is LONG else "short"
    return {**found, "symbol": [("text", symbol)], "action": [("text", spelling)]}

"""
Read an alert's body: what it asks for, or why it cannot be read for certain.

``parse`` looks at the bytes once; ``find_secret`` and ``read_alert`` take what it gives, so that a sender is
known before its alert is believed.
"""

import re

from pregao.domain.order import Side
from pregao.domain.signal import AlertReading, Intent
from pregao.signals.amounts import HUNDRED, is_flag, is_set, read_price, read_quantity, read_sent_at, says_yes
from pregao.signals.bodies import Parsed, find_secret, parse, secrets_named, to_text, without_secrets
from pregao.signals.fields import Found, plain
from pregao.signals.holdings import is_holding, meaning_of_holdings, read_holdings, with_holdings
from pregao.signals.symbols import SYMBOL_CHARACTERS_MAX, names_base_of, to_symbol
from pregao.signals.texts import find_sentence, has_command
from pregao.signals.unreadable import Unreadable, has_placeholder, shown, unfilled
from pregao.signals.words import (
    BOUGHT,
    CLOSE,
    CLOSE_ALL,
    CLOSE_LONG,
    CLOSE_SHORT,
    LONG,
    REDUCES,
    REVERSE,
    SHORT,
    SOLD,
    TARGET,
    Meaning,
    Word,
    contradiction,
    find_word,
    get_word,
    settle,
)

__all__ = ["Parsed", "Unreadable", "find_secret", "parse", "read_alert", "secrets_named"]

_ENTRIES = frozenset(
    {
        *(Intent.BUY, Intent.SELL, Intent.OPEN_LONG, Intent.OPEN_SHORT),
        *(Intent.REVERSE_TO_LONG, Intent.REVERSE_TO_SHORT, Intent.ADD, Intent.SET_POSITION),
    }
)
_CLOSES = frozenset(
    {
        Intent.CLOSE,
        Intent.CLOSE_LONG,
        Intent.CLOSE_SHORT,
        Intent.REDUCE_LONG,
        Intent.REDUCE_SHORT,
        Intent.CLOSE_ALL,
    }
)
_WITHOUT_SYMBOL = frozenset({Intent.CLOSE_ALL, Intent.START_BOT, Intent.NOTHING})
_NOTES = frozenset({"note", "message", "id"})
_CLOSING = frozenset({CLOSE, CLOSE_LONG, CLOSE_SHORT, TARGET})
_SIZES = ("quantity", "percent", "percent_of_balance")
_ORDER_TYPES = frozenset(
    {"market", "limit", "stop", "stop_limit", "stop_market", "take_profit", "trailing_stop"}
)


def read_alert(body: bytes | Parsed, *, trading_symbol: str | None = None) -> AlertReading:
    """
    Say what an alert asks for.

    A buy or sell whose ``target_position`` is 0 only closes. Everything uncertain is refused, never guessed.
    ``trading_symbol`` is the only symbol the alert's bot trades: it completes one that is named without its quote.

    :raises Unreadable: with a stable code and a reason, when the body does not say for certain what to do
    """
    parsed = body if isinstance(body, Parsed) else parse(body)
    try:
        if parsed.refusal is not None:
            raise parsed.refusal
        return _read(parsed.found, trading_symbol=trading_symbol)
    except Unreadable as refusal:
        raise without_secrets(refusal, parsed=parsed) from None


def _read(found: Found, *, trading_symbol: str | None) -> AlertReading:
    if "orders" in found and any(isinstance(value, list) and value for _, value in found["orders"]):
        raise Unreadable("SEVERAL_ORDERS", "The body holds a list of orders. Send one alert for each.")
    if "almost_word" in found or "almost_flag" in found:
        _refuse_misspelled(found)
    if "message" in found:
        found = _with_sentence(found)
    holdings = read_holdings(found)
    meaning = _said(found)
    if meaning is None:
        meaning = meaning_of_holdings(holdings) or _unsaid(found)
    quantity, kind = read_quantity(found)
    intent, side = _limited(found, with_holdings(meaning, holdings, quantity=quantity))
    if quantity is None and holdings.target is not None and intent in (Intent.BUY, Intent.SELL):
        intent = Intent.SET_POSITION
    if kind == "percent":
        kind = "percent_of_position" if intent in _CLOSES else "percent_of_balance"
    takes_share = quantity is not None and kind == "percent_of_position" and intent in _CLOSES
    price, offsets = read_price(found)
    return AlertReading(
        intent=intent,
        symbol=_symbol(found, intent, trading_symbol=trading_symbol),
        side=side,
        quantity=quantity,
        quantity_kind=kind,
        price=price,
        order_type=_order_type(found),
        share=quantity / HUNDRED if quantity is not None and takes_share else None,
        target_position=holdings.target,
        sent_at=read_sent_at(found) if "sent_at" in found else None,
        explicit_id=_explicit_id(found),
        not_used=_not_used(found, offsets, sized=intent in _ENTRIES),
    )


def _refuse_misspelled(found: Found) -> None:
    # {"acton": "close", "side": "short"} would open what it was to close, were the one field just passed over.
    words = [
        (name, value)
        for name, value in found.get("almost_word", ())
        if isinstance(value, str) and (find_word(value) is not None or is_holding(value))
    ]
    flags = [(name, value) for name, value in found.get("almost_flag", ()) if says_yes(value)]
    for name, value in (*words, *flags):
        raise Unreadable(
            "FIELD_MISSPELLED",
            f"field={shown(name)} value={shown(value)}. The name is almost one that decides; correct it, "
            "such as action, side, market_position or reduce_only, or leave the field out.",
        )


def _with_sentence(found: Found) -> Found:
    # TradingView's own fill message may stand inside JSON, alone or beside fields it must then agree with.
    said = None
    for _, value in found["message"]:
        if isinstance(value, str) and ("action" not in found or " filled on " in value):
            said = find_sentence(value) or said
    if said is None:
        return found
    return {**found, **{meaning: [*found.get(meaning, ()), *fields] for meaning, fields in said.items()}}


def _said(found: Found) -> Meaning | None:
    actions = _words(found, "action")
    sides = _words(found, "side")
    more = _flags(found)
    if "hint" in found:
        more += _hints(found, needed=not actions and not sides)
    if "position_side" in found or "position" in found:
        more += _named_positions(found, closes=CLOSE in (*actions, *sides))
    if not actions and not sides and not more:
        return None
    if len(actions) > 1 or len(sides) > 1:
        more += (*actions[1:], *sides[1:])
    meaning = settle(actions[0] if actions else None, sides[0] if sides else None, more=more)
    return meaning if _NOTES.isdisjoint(found) else _noted(found, meaning)


def _words(found: Found, meaning: str) -> tuple[Word, ...]:
    fields = found.get(meaning)
    if fields is None:
        return ()
    words: list[Word] = []
    for name, value in fields:
        if value is None or value == "":
            continue
        word = get_word(value, field=name)
        if word not in words:
            words.append(word)
    return tuple(words)


def _hints(found: Found, *, needed: bool) -> tuple[Word, ...]:
    # "signal", "type" and the like carry the action for some senders and a name for others.
    words: list[Word] = []
    unknown = []
    for name, value in found["hint"]:
        word = find_word(value) if isinstance(value, str) else None
        if word is not None:
            words.append(word)
        elif isinstance(value, str) and value:
            unknown.append((name, value))
    for name, value in unknown:
        if needed and not words and plain(name.rpartition(".")[2]) not in ("type", "tipo"):
            get_word(value, field=name)
        elif has_placeholder(value):
            raise unfilled(name)
    return tuple(words)


def _flags(found: Found) -> tuple[Word, ...]:
    words: tuple[Word, ...] = ()
    if "close_position" in found and is_set(found, "close_position"):
        words += (CLOSE,)
    if "close_all" in found and is_set(found, "close_all"):
        words += (CLOSE_ALL,)
    if "close" in found and any(value is True for _, value in found["close"]):
        words += (CLOSE,)
    if "mode" in found and any(
        isinstance(value, str) and find_word(value) == REVERSE for _, value in found["mode"]
    ):
        words += (REVERSE,)
    if "message_type" in found and any(value == "bot" for _, value in found["message_type"]):
        words += (Word("start"),)  # 3Commas: start the bot, which has a side of its own
    return words


def _named_positions(found: Found, *, closes: bool) -> tuple[Word, ...]:
    names: dict[object, Word] = {"long": LONG, "short": SHORT}
    fields = [value for _, value in found.get("position_side", ())]
    if closes:
        fields += [value for _, value in found.get("position", ())]
    return tuple(
        names[value.lower()] for value in fields if isinstance(value, str) and value.lower() in names
    )


def _noted(found: Found, meaning: Meaning) -> Meaning:
    # A comment or order id that is a closing word turns a plain buy or sell into the close it reports.
    if meaning not in (BOUGHT, SOLD) or "position_now" in found or "position_before" in found:
        return meaning
    words = []
    for note in _NOTES:
        if note in found:
            words += [
                word for _, value in found[note] if isinstance(value, str) and (word := find_word(value))
            ]
    if not words or _CLOSING.isdisjoint(words):
        return meaning
    closing = {CLOSE if word == TARGET else word for word in words}
    return settle(None, None, more=(Word(side=meaning[1]), *closing))


def _limited(found: Found, meaning: Meaning) -> Meaning:
    if "reduce_only" not in found or not is_set(found, "reduce_only"):
        return meaning
    intent, side = meaning
    if intent in (Intent.BUY, Intent.SELL):
        return REDUCES["long" if side is Side.SELL else "short"]
    if intent in _ENTRIES:
        raise contradiction("the order opens a position but is reduce-only")
    return meaning


def _unsaid(found: Found) -> Meaning:
    texts = [value for _, value in found.get("message", ()) if isinstance(value, str)]
    if texts and "quantity" not in found and not any(map(has_command, texts)):
        return Intent.NOTHING, None
    where = " The side stands only inside free text." if texts else ""
    raise Unreadable(
        "ACTION_MISSING",
        f'no field says buy, sell or close.{where} Add "action": "{{{{strategy.order.action}}}}" to the message.',
    )


def _symbol(found: Found, intent: Intent, *, trading_symbol: str | None) -> str | None:
    fields = found.get("symbol") or found.get("base") or []
    symbol = None
    try:
        for name, value in fields:
            if value is None or value == "":
                continue
            if trading_symbol is not None and isinstance(value, str) and names_base_of(value, trading_symbol):
                spelled = trading_symbol
            else:
                spelled = _one_symbol(value, name=name, certain="symbol" in found)
            if symbol is not None and symbol != spelled:
                raise Unreadable(
                    "SYMBOL_AMBIGUOUS", f"symbol={shown(symbol)} and {shown(spelled)}. Name one."
                )
            symbol = spelled
    except Unreadable:
        if intent is Intent.NOTHING:
            return None
        raise
    if symbol is None and intent not in _WITHOUT_SYMBOL:
        raise Unreadable(
            "SYMBOL_MISSING", 'no field names the symbol. Add "ticker": "{{ticker}}" to the message.'
        )
    return symbol


def _one_symbol(value: object, *, name: str, certain: bool) -> str:
    if isinstance(value, list):
        raise Unreadable("SEVERAL_ORDERS", f"field={shown(name)} is a list. Send one alert for each symbol.")
    if not isinstance(value, str) or len(value) > SYMBOL_CHARACTERS_MAX:
        raise Unreadable("SYMBOL_AMBIGUOUS", f"field={shown(name)} value={shown(value)} is no symbol.")
    symbol = to_symbol(value, field=name)
    if not certain and not symbol.endswith(("USDT", "USDC", "USD")):
        raise Unreadable(
            "SYMBOL_AMBIGUOUS",
            f"field={shown(name)} value={shown(value)} names no quote. Send the whole symbol.",
        )
    return symbol


def _order_type(found: Found) -> str | None:
    for _, value in (*found.get("order_type", ()), *found.get("hint", ())):
        if isinstance(value, str):
            order_type = value.strip().lower().replace("-", "_").replace(" ", "_")
            if order_type in _ORDER_TYPES:
                return order_type
    return None


_UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_UUID_DIGITS = 32
ID_CHARACTERS_MAX = 200


def _explicit_id(found: Found) -> str | None:
    for _, value in found.get("event_id", ()):
        text = to_text(value)
        if text is not None and text.strip() and len(text) <= ID_CHARACTERS_MAX and not has_placeholder(text):
            return text.strip()
    for _, value in found.get("id", ()):
        # Most are the script's name for the order; only one nobody could have typed is this event's.
        if isinstance(value, str) and len(value) >= _UUID_DIGITS and _UUID.fullmatch(value.strip()):
            return value.strip()
    return None


def _not_used(found: Found, offsets: tuple[str, ...], *, sized: bool) -> tuple[str, ...]:
    if not sized and not offsets:
        return tuple(name for name, _ in found["not_used"]) if "not_used" in found else ()
    names = list(offsets)
    if "not_used" in found:
        names += [name for name, _ in found["not_used"]]
    if sized:
        for meaning in _SIZES:
            if meaning in found:
                names += [name for name, value in found[meaning] if not is_flag(value)]
    return tuple(dict.fromkeys(names)) if len(names) > 1 else tuple(names)

"""Numbers in an alert: quantities with their unit, shares of a position, prices and the instant it was sent."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from pregao.domain.clock import EPOCH, from_ms
from pregao.domain.money import ONE, ZERO
from pregao.signals.fields import NAME_CHARACTERS_MAX, Found, plain
from pregao.signals.unreadable import Unreadable, has_placeholder, shown, unfilled

DIGITS_MAX = 28  # more than any venue books; sums of two stay exact
HUNDRED = Decimal(100)

_NUMBER = re.compile(r"[+-]?(?:\d{1,28}(?:\.\d{0,28})?|\.\d{1,28})([eE][+-]?\d{1,2})?", re.ASCII)
_OFFSET = re.compile(r"[+-]?\d+(?:\.\d+)?(?:%|[a-z])", re.ASCII)
_NOT_GIVEN = frozenset({"", "na", "nan", "null", "none", "market", "mkt"})

KINDS: dict[str, str] = {
    **dict.fromkeys(("lots", "lot", "lote", "lotes", "vollots", "q"), "lots"),
    **dict.fromkeys(("risk", "risco"), "risk_or_lots"),
    **dict.fromkeys(("voldollar", "riskmoney", "riskusd"), "risk_money"),
    **dict.fromkeys(
        (
            "notional",
            "notionalusdt",
            "notionalusdc",
            "notionalusd",
            "quoteqty",
            "quoteorderqty",
            "quoteamount",
            "usdtamount",
            "amountusd",
            "amountusdt",
            "sizeusd",
            "sizeusdt",
        ),
        "quote",
    ),
}
"""What a quantity counts, where the field's own name says it."""

KIND_WORDS: dict[str, str] = {
    **dict.fromkeys(("base", "fixedquantity", "contracts", "coin", "fixed", "qty", "absolute"), "base"),
    **dict.fromkeys(("quote", "dollaramount", "usd", "usdt", "cash", "notional"), "quote"),
    **dict.fromkeys(("percent", "percentage", "pct", "%"), "percent"),
    **dict.fromkeys(("percentofequity", "percentofbalance", "equitypercent"), "percent_of_balance"),
    "percentofposition": "percent_of_position",
    "riskdollaramount": "risk_money",
    "lots": "lots",
}


def to_number(value: object, *, field: str, code: str) -> Decimal:
    """
    Give a number as written, exactly.

    :raises Unreadable: with ``code`` when it is none, or has more digits than any venue knows
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= DIGITS_MAX and text.isascii() and text.replace(".", "", 1).isdigit():
            return Decimal(text)  # as nearly all are written; it takes a third of the time
        written = _NUMBER.fullmatch(text)
        if written is not None:
            number = Decimal(text)
            is_short = len(text) <= DIGITS_MAX and written[1] is None
            return number if is_short else _within_reach(number, field=field, code=code)
        if has_placeholder(text):
            raise unfilled(field)
    elif isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return _within_reach(Decimal(value), field=field, code=code)
    raise Unreadable(
        code, f"field={shown(field)} value={shown(value)}. Write plain digits with a point, such as 0.5."
    )


def _within_reach(number: Decimal, *, field: str, code: str) -> Decimal:
    if number.is_finite() and (not number or -DIGITS_MAX <= number.adjusted() < DIGITS_MAX):
        digits = number.as_tuple()
        if len(digits.digits) <= DIGITS_MAX:
            return number
    raise Unreadable(code, f"field={shown(field)} has more than {DIGITS_MAX} digits. Write it shorter.")


def read_quantity(found: Found) -> tuple[Decimal | None, str | None]:
    """
    Give the sender's quantity and what it counts; "percent" where only the intent says of what.

    :raises Unreadable: when it is no positive number, or two fields disagree
    """
    quantity, kind = _one_quantity(found)
    if quantity is None:
        quantity, kind = _percentage(found)
    if quantity is not None and kind is not None and kind.startswith("percent") and quantity > HUNDRED:
        raise Unreadable(
            "QUANTITY_UNREADABLE", f"percent={quantity} percent_max=100. Nothing has more than all of it."
        )
    return quantity, kind


def _one_quantity(found: Found) -> tuple[Decimal | None, str | None]:
    read: dict[str | None, Decimal] = {}
    said = _said_kind(found) if "quantity_kind" in found else None
    for name, value in found.get("quantity", ()):
        if value is None or value == "":
            continue
        number, kind = _quantity(value, name=name, said=said)
        if read.setdefault(kind, number) != number:
            raise Unreadable(
                "QUANTITY_AMBIGUOUS", f"field={shown(name)} differs from another quantity. Send one."
            )
    if not read and "bar" not in found and "price" not in found and "close" not in found:
        for name, value in found.get("volume", ()):  # beside a bar's prices it is the bar's volume
            read["lots"] = _quantity(value, name=name, said=None)[0]
    if not read:
        return _sized_in_percent(found)
    kind = next(iter(read))
    if len(read) > 1:
        kind = next((kind for kind in (None, "base", "lots", "percent", "quote") if kind in read), kind)
    if (
        kind is None
        and "category" in found
        and any(plain(str(value)) in ("linear", "spot") for _, value in found["category"])
    ):
        return read[kind], "base"  # Bybit's linear and spot orders count the base coin
    return read[kind], kind


def _said_kind(found: Found) -> str | None:
    for name, value in found["quantity_kind"]:
        if value in (None, ""):
            continue
        kind = KIND_WORDS.get(plain(value)) if isinstance(value, str) and len(value) <= 40 else None
        if kind is None:
            raise Unreadable(
                "QUANTITY_UNREADABLE", f"field={shown(name)} value={shown(value)} is no unit we know."
            )
        return kind
    return None


def _quantity(value: object, *, name: str, said: str | None) -> tuple[Decimal, str | None]:
    last = name.rpartition(".")[2]
    kind = (_kind_of(last) if len(last) <= NAME_CHARACTERS_MAX else None) or said
    if isinstance(value, str):
        text = value.strip()
        if text.endswith("%"):
            value, kind = text[:-1], _percent_kind(said, name=name)
        elif text[-1:] in ("q", "Q") and name.isupper():
            value, kind = text[:-1], "quote"  # OctoBot: VOLUME=45q spends 45 of the quote asset
    number = to_number(value, field=name, code="QUANTITY_UNREADABLE")
    if number <= ZERO:
        raise Unreadable("QUANTITY_UNREADABLE", f"field={shown(name)} value={number}. A quantity is above 0.")
    return number, kind


@lru_cache(maxsize=1024)
def _kind_of(name: str) -> str | None:
    return KINDS.get(plain(name))


def _percent_kind(said: str | None, *, name: str) -> str:
    if said is None or said.startswith("percent"):
        return said or "percent"
    raise Unreadable(
        "QUANTITY_AMBIGUOUS", f"field={shown(name)} is in percent, but its unit is said to be {said}."
    )


def _sized_in_percent(found: Found) -> tuple[Decimal | None, str | None]:
    for name, value in found.get("size_now", ()):
        if isinstance(value, str) and value.strip().endswith("%"):
            return _quantity(value, name=name, said=None)
    return None, None


def _percentage(found: Found) -> tuple[Decimal | None, str | None]:
    read: dict[str, Decimal] = {}
    for meaning in ("percent", "percent_of_balance"):
        for name, value in found.get(meaning, ()):
            if value is not None and value != "":
                number = _percent(value, name=name)
                if read.setdefault(meaning, number) != number:
                    raise Unreadable(
                        "QUANTITY_AMBIGUOUS", f"field={shown(name)} differs from another. Send one."
                    )
    kind = next(iter(read), None)
    return (read[kind], kind) if kind is not None else (None, None)


def _percent(value: object, *, name: str) -> Decimal:
    has_sign = isinstance(value, str) and value.strip().endswith("%")
    number = to_number(
        value.strip()[:-1] if isinstance(value, str) and has_sign else value,
        field=name,
        code="QUANTITY_UNREADABLE",
    )
    if number <= ZERO:
        raise Unreadable(
            "QUANTITY_UNREADABLE", f"field={shown(name)} value={number}. A percentage is above 0."
        )
    if number > ONE:
        return number
    if has_sign:
        raise Unreadable(
            "QUANTITY_AMBIGUOUS",
            f"field={shown(name)} value={number}%. It may mean a fraction of the whole; write 0.5 for half, or 50.",
        )
    return number * HUNDRED  # a fraction of the whole


def read_price(found: Found) -> tuple[Decimal | None, tuple[str, ...]]:
    """
    Give the sender's price, if there is one, and the fields that held an offset instead of a price.

    :raises Unreadable: when a price field holds something else
    """
    offsets = []
    fields = found.get("price", ())
    for name, value in sorted(fields, key=_price_rank) if len(fields) > 1 else fields:
        if isinstance(value, str) and not value[-1:].isdigit():
            text = value.strip()
            if plain(text) in _NOT_GIVEN:
                continue
            if _OFFSET.fullmatch(text):
                offsets.append(name)
                continue
            if text.isalpha():
                continue  # "entry": "long" is no price
        elif value is None:
            continue
        price = to_number(value, field=name, code="PRICE_UNREADABLE")
        if price < ZERO:
            raise Unreadable("PRICE_UNREADABLE", f"field={shown(name)} value={price}. A price is above 0.")
        if price:
            return price, tuple(offsets)
    for name, value in found.get("close", ()):
        if not offsets and isinstance(value, (str, int, Decimal)) and not is_flag(value):
            return to_number(value, field=name, code="PRICE_UNREADABLE"), ()
    return None, tuple(offsets)


_PRICE_RANKS = {
    "limitprice": 0,
    "precolimite": 0,
    "price": 1,
    "preco": 1,
    "orderprice": 1,
    "strategyorderprice": 1,
}


def _price_rank(field: tuple[str, object]) -> int:
    return _PRICE_RANKS.get(plain(field[0].rpartition(".")[2]), 2)


def is_flag(value: object) -> bool:
    """Say whether a value is a yes or a no."""
    return isinstance(value, bool) or (isinstance(value, str) and plain(value) in _FLAGS)


def says_yes(value: object) -> bool:
    """Say whether a value is a yes."""
    return value is True or (isinstance(value, (str, int)) and _FLAGS.get(plain(str(value))) is True)


_FLAGS = {
    **dict.fromkeys(("true", "yes", "1", "sim", "on"), True),
    **dict.fromkeys(("false", "no", "0", "nao", "off"), False),
}


def is_set(found: Found, meaning: str) -> bool:
    """
    Say whether a yes-or-no field says yes.

    :raises Unreadable: when it says neither
    """
    answers = set()
    for name, value in found.get(meaning, ()):
        answer = (
            value
            if isinstance(value, bool)
            else _FLAGS.get(plain(str(value)))
            if value is not None
            else False
        )
        if answer is None:
            raise Unreadable(
                "ACTION_AMBIGUOUS", f"field={shown(name)} value={shown(value)}. Write true or false."
            )
        answers.add(answer)
    if len(answers) > 1:
        raise Unreadable("ACTION_AMBIGUOUS", f"{meaning} is both true and false.")
    return True in answers


_DIGITS = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)
_SENT_RANKS = {"timenow": 0, "sentat": 1, "alerttime": 1, "timestamp": 2}
_SECONDS_MIN, _SECONDS_MAX = (
    1_000_000_000,
    10_000_000_000,
)  # 2001 to 2286; a thousand times more is milliseconds


def read_sent_at(found: Found) -> datetime | None:
    """Give when the sender says it sent the alert, in UTC; None when no field says so readably."""
    fields = found["sent_at"]
    if len(fields) > 1:
        fields = sorted(fields, key=lambda field: _SENT_RANKS.get(plain(field[0].rpartition(".")[2]), 3))
    for _, value in fields:
        instant = _instant(value)
        if instant is not None:
            return instant
    return None


def _instant(value: object) -> datetime | None:
    if isinstance(value, str):
        text = value.strip()
        if not _DIGITS.fullmatch(text):
            return _iso(text)
        value = Decimal(text)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    if _SECONDS_MIN <= value < _SECONDS_MAX:
        return from_ms(int(value * 1000))
    return from_ms(int(value)) if _SECONDS_MIN * 1000 <= value < _SECONDS_MAX * 1000 else None


def _iso(text: str) -> datetime | None:
    if not 16 <= len(text) <= 35 or text[4] != "-":
        return None
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not UTC:
            instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if instant > EPOCH else None

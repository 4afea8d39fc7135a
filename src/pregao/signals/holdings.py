"""
The strategy's position before and after its order, as the alert tells it.

``market_position`` and ``prev_market_position`` decide whether a buy opens, adds, reverses or closes.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from pregao.domain.money import ZERO
from pregao.domain.order import Side
from pregao.domain.signal import Intent
from pregao.signals.amounts import to_number
from pregao.signals.fields import Found
from pregao.signals.unreadable import Unreadable, has_placeholder, shown, unfilled
from pregao.signals.words import (
    CLOSES,
    LEFT,
    OPENS,
    REDUCES,
    REVERSES,
    TAKEN,
    Holding,
    Meaning,
    contradiction,
)

HOLDING_FIELDS = frozenset(
    {
        "position_now",
        "position",
        "position_before",
        "sentiment",
        "size_now",
        "size_now_unsigned",
        "size_before",
    }
)

_NAMES: dict[str, Holding] = {
    **dict.fromkeys(("long", "bullish", "comprado"), "long"),
    **dict.fromkeys(("short", "bearish", "vendido"), "short"),
    **dict.fromkeys(("flat", "neutral", "none", "zerado"), "flat"),
}
_OPENED = {Intent.OPEN_LONG: Side.BUY, Intent.OPEN_SHORT: Side.SELL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """The position after the order, before it, and the signed size wanted; None is not stated."""

    now: Holding | None
    before: Holding | None
    before_is_certain: bool
    target: Decimal | None


NOTHING_SAID = Holdings(now=None, before=None, before_is_certain=False, target=None)


def read_holdings(found: Found) -> Holdings:
    """
    Give the strategy's position before and after its order.

    :raises Unreadable: when the fields contradict each other or hold no position
    """
    if HOLDING_FIELDS.isdisjoint(found):
        return NOTHING_SAID
    now = _one_of(found, "position_now", "position", "sentiment")
    before = _one_of(found, "position_before")
    target = _target(found, now=now)
    if before is not None:
        return Holdings(now=now, before=before, before_is_certain=True, target=target)
    return Holdings(
        now=now, before=_sign(_size(found, "size_before")), before_is_certain=False, target=target
    )


def _one_of(found: Found, *meanings: str) -> Holding | None:
    holdings: set[Holding] = set()
    for meaning in meanings:
        for name, value in found.get(meaning, ()):
            if value is None or value == "":
                continue
            holdings.add(_holding(value, name=name))
    if len(holdings) > 1:
        raise contradiction("two fields name different positions")
    return next(iter(holdings), None)


def is_holding(text: str) -> bool:
    """Say whether a text names a position: long, short or flat."""
    return text.strip().lower() in _NAMES


def _holding(value: object, *, name: str) -> Holding:
    if isinstance(value, str):
        holding = _NAMES.get(value.strip().lower())
        if holding is not None:
            return holding
        if has_placeholder(value):
            raise unfilled(name)
    number = to_number(value, field=name, code="POSITION_UNREADABLE")  # some send the signed size here
    return _sign(number) or "flat"


def _sign(size: Decimal | None) -> Holding | None:
    if size is None:
        return None
    return "flat" if size == ZERO else "long" if size > ZERO else "short"


def _size(found: Found, meaning: str) -> Decimal | None:
    sizes: set[Decimal] = set()
    for name, value in found.get(meaning, ()):
        if value is None or value == "" or (isinstance(value, str) and value.strip().endswith("%")):
            continue
        sizes.add(to_number(value, field=name, code="POSITION_UNREADABLE"))
    if len(sizes) > 1:
        raise Unreadable("POSITION_UNREADABLE", f"{shown(meaning)} has two different values.")
    return next(iter(sizes), None)


def _target(found: Found, *, now: Holding | None) -> Decimal | None:
    size = _size(found, "size_now")
    if size is None and now is not None:
        size = _size(found, "size_now_unsigned")
    if now == "flat":
        if size:
            raise contradiction("the position is flat but its size is not 0")
        return ZERO
    if now is None or size is None:
        return size
    if size == ZERO or (now == "long" and size < ZERO):
        raise contradiction(f"the position is {now} but its size is {size}")
    return -abs(size) if now == "short" else size


def with_holdings(meaning: Meaning, holdings: Holdings, *, quantity: Decimal | None) -> Meaning:
    """
    Give the intent once the strategy's positions are known too.

    :raises Unreadable: when the order cannot lead from the one position to the other
    """
    intent, side = meaning
    if holdings.now is None and holdings.before is None:
        return meaning
    if intent is Intent.CLOSE and side is None:
        return _closing(holdings)
    if side is None or intent in (Intent.CANCEL, Intent.ADD):
        return meaning
    if intent in (Intent.BUY, Intent.SELL):
        return _moved(meaning, side, _counted(holdings, side=side, quantity=quantity))
    if intent in _OPENED:
        if holdings.now not in (None, TAKEN[side]):
            raise contradiction("the action opens a position the strategy then does not hold")
        return _moved(meaning, side, _counted(holdings, side=side, quantity=quantity))
    return _checked(meaning, side, holdings)


def _closing(holdings: Holdings) -> Meaning:
    if holdings.now not in (None, "flat"):
        raise contradiction(f"the action closes but the strategy is still {holdings.now}")
    if holdings.before in ("long", "short") and holdings.before_is_certain:
        return CLOSES[holdings.before]
    return Intent.CLOSE, None


def _counted(holdings: Holdings, *, side: Side, quantity: Decimal | None) -> Holdings:
    # Some send the former size without its sign; the order's quantity and the new size tell which side it was.
    if holdings.before_is_certain or holdings.before in (None, "flat") or holdings.now != TAKEN[side]:
        return holdings
    before = None
    if quantity is not None and holdings.target is not None:
        before = _sign(holdings.target - quantity if side is Side.BUY else holdings.target + quantity)
    return replace(holdings, before=before)


def _moved(meaning: Meaning, side: Side, holdings: Holdings) -> Meaning:
    own, other, now, before = TAKEN[side], LEFT[side], holdings.now, holdings.before
    if now == own:
        if before == own:
            return Intent.ADD, side
        return REVERSES[own] if before == other else OPENS[own]
    if now == "flat":
        if before in (None, other):
            return CLOSES[other]
        if before == own and not holdings.before_is_certain:
            return Intent.CLOSE, side  # some send the former size without its sign
        raise contradiction(f"a {side} order does not lead from {before} to flat")
    if now == other:
        if before in (None, other):
            return REDUCES[other]
        raise contradiction(f"a {side} order does not lead from {before} to {now}")
    return _moved_from(meaning, side, holdings)


def _moved_from(meaning: Meaning, side: Side, holdings: Holdings) -> Meaning:
    own, other, target = TAKEN[side], LEFT[side], _sign(holdings.target)
    if holdings.before == "flat":
        return OPENS[own]
    if holdings.before == own:
        return Intent.ADD, side
    if target is None:
        return meaning
    return CLOSES[other] if target == "flat" else REVERSES[own] if target == own else REDUCES[other]


def _checked(meaning: Meaning, side: Side, holdings: Holdings) -> Meaning:
    intent = meaning[0]
    if intent in (Intent.REVERSE_TO_LONG, Intent.REVERSE_TO_SHORT):
        fits = holdings.now in (None, TAKEN[side]) and holdings.before != TAKEN[side]
    elif intent in (Intent.REDUCE_LONG, Intent.REDUCE_SHORT):
        fits = holdings.now in (None, "flat", LEFT[side])
    else:
        fits = holdings.now in (None, "flat")
        if holdings.before_is_certain:
            fits = fits and holdings.before == LEFT[side]
    if not fits:
        raise contradiction("the action does not fit the strategy's positions")
    return meaning


def meaning_of_holdings(holdings: Holdings) -> Meaning | None:
    """Give the intent of a body that names positions but no action; None when they leave it open."""
    now, before = holdings.now, holdings.before
    if now == "flat":
        return _closing(holdings)
    if now is None or before is None or now == before or not holdings.before_is_certain:
        return None
    return OPENS[now] if before == "flat" else REVERSES[now]

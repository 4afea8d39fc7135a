"""What a venue's answers mean for each entry an account may be asked for: its margin, its leverage, its size."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from pregao.accounts.found import Answer, Found, Sizing, Unfit, Wanted
from pregao.accounts.key_checks import unanswered
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO, ceil_to_step, to_text
from pregao.domain.preflight import (
    Check,
    CheckResult,
    Funds,
    LeverageBracket,
    Result,
    SymbolRules,
)
from pregao.domain.venue import OperatorNeeded, Refused, VenueError

HELD_CODES = frozenset({"-4047", "-4048", "-4161"})
"""A venue's refusals to change a symbol's settings while something is open there."""


def margins(found: Found, wanted: Sequence[Wanted], *, size: Sizing) -> Iterator[CheckResult]:
    largest: dict[UUID, Decimal] = {}
    for one in wanted:
        needed = _margin_needed(found, one, size=size)
        largest[one.subscription_id] = max(needed, largest.get(one.subscription_id, ZERO))
    for subscription_id, needed in largest.items():
        if isinstance(found.funds, VenueError):
            yield unanswered(Check.MARGIN, found.funds, subscription_id=subscription_id)
        else:
            yield _margin(found.funds, needed, subscription_id=subscription_id)
    if len(largest) > 1 and not isinstance(found.funds, VenueError):
        yield _margin_together(found.funds, sum(largest.values(), ZERO), subscriptions=len(largest))


def _margin_needed(found: Found, wanted: Wanted, *, size: Sizing) -> Decimal:
    """Give what the venue will ask for: the quantity is floored, so it may be less than the subscription's margin."""
    quantity = _size_of(found, wanted, size=size)
    price = found.prices.get(wanted.symbol)
    if not isinstance(quantity, Decimal) or price is None:
        return wanted.margin_usd
    return quantity * price / wanted.leverage


def _margin(funds: Funds, needed: Decimal, *, subscription_id: UUID) -> CheckResult:
    numbers = {
        "needed": _rounded(needed),
        "available": _rounded(funds.available),
        "balance": _rounded(funds.balance),
    }
    remedy = "Deposit margin, or lower the subscription's `custom_margin_usd`."
    if funds.balance < needed:
        return CheckResult(
            check=Check.MARGIN,
            result=Result.FAILED,
            code="MARGIN_INSUFFICIENT",
            numbers=numbers,
            remedy=remedy,
            denies=True,
            subscription_id=subscription_id,
        )
    if funds.available < needed:
        return CheckResult(
            check=Check.MARGIN,
            result=Result.WARNING,
            code="MARGIN_IN_USE",
            numbers=numbers,
            remedy="What is open binds the margin of another entry; it is free again when that is closed. "
            + remedy,
            subscription_id=subscription_id,
        )
    return CheckResult(
        check=Check.MARGIN,
        result=Result.OK,
        code="MARGIN_COVERED",
        numbers=numbers,
        subscription_id=subscription_id,
    )


def _margin_together(funds: Funds, needed: Decimal, *, subscriptions: int) -> CheckResult:
    numbers = {
        "needed": _rounded(needed),
        "balance": _rounded(funds.balance),
        "subscriptions": str(subscriptions),
    }
    if funds.balance >= needed:
        return CheckResult(
            check=Check.MARGIN_TOGETHER, result=Result.OK, code="MARGIN_COVERED", numbers=numbers
        )
    return CheckResult(
        check=Check.MARGIN_TOGETHER,
        result=Result.WARNING,
        code="MARGIN_SHORT_TOGETHER",
        numbers=numbers,
        remedy="Each entry passes alone, not all at once: deposit margin, or lower that of some subscriptions.",
    )


def leverage_check(found: Found, wanted: Wanted, all_wanted: Sequence[Wanted]) -> CheckResult:
    numbers = {"leverage": str(wanted.leverage), "margin_mode": found.account.margin_mode.value}
    fault = bracket_fault(wanted, found.brackets)
    if fault is not None:
        code, limits, remedy = fault
        return _about(
            wanted,
            Check.LEVERAGE,
            Result.FAILED,
            code=code,
            numbers=numbers | limits,
            remedy=remedy,
            denies=True,
        )
    if isinstance(found.symbols, VenueError) or wanted.symbol not in found.symbols:
        return unanswered(
            Check.LEVERAGE, found.symbols, subscription_id=wanted.subscription_id, symbol=wanted.symbol
        )
    rules = found.symbols[wanted.symbol]
    if (rules.leverage, rules.margin_mode) == (wanted.leverage, found.account.margin_mode):
        return _about(wanted, Check.LEVERAGE, Result.OK, code="LEVERAGE_STANDS", numbers=numbers)
    numbers |= _at_venue(rules)
    refusal = found.refusals.get(wanted.symbol)
    if isinstance(refusal, OperatorNeeded | Refused) and refusal.code not in HELD_CODES:
        return _about(
            wanted,
            Check.LEVERAGE,
            Result.FAILED,
            code="LEVERAGE_REFUSED",
            numbers=numbers | {"problem": refusal.code},
            remedy="The venue does not let it be set; its code says why. Lower the subscription's leverage.",
            denies=True,
        )
    is_held = refusal is not None and refusal.code in HELD_CODES
    if is_held or (not isinstance(found.funds, VenueError) and wanted.symbol in found.funds.held):
        return _about(
            wanted,
            Check.LEVERAGE,
            Result.WARNING,
            code="LEVERAGE_HELD",
            numbers=numbers,
            remedy="Something is open on the symbol; it is set when that is closed.",
        )
    if any(one.symbol == wanted.symbol and one.leverage == rules.leverage for one in all_wanted):
        return _about(
            wanted,
            Check.LEVERAGE,
            Result.WARNING,
            code="LEVERAGE_SHARED",
            numbers=numbers,
            remedy=(
                "Subscriptions of this account want different leverages on the symbol: it is set with each signal, which "
                "costs the order a moment."
            ),
        )
    return unanswered(Check.LEVERAGE, refusal, subscription_id=wanted.subscription_id, symbol=wanted.symbol)


def bracket_fault(
    wanted: Wanted, brackets: Answer[Mapping[str, Sequence[LeverageBracket]]]
) -> tuple[str, dict[str, str], str] | None:
    """Give code, limit and remedy of an entry that the symbol's brackets do not allow, whatever its price."""
    if isinstance(brackets, VenueError) or not brackets.get(wanted.symbol):
        return None
    steps = brackets[wanted.symbol]
    leverage_max = max(step.leverage_max for step in steps)
    if wanted.leverage > leverage_max:
        return (
            "LEVERAGE_ABOVE_MAXIMUM",
            {"leverage_max": str(leverage_max)},
            "Lower the subscription's leverage on this symbol.",
        )
    allowed = [step.notional_max for step in steps if step.leverage_max >= wanted.leverage]
    if wanted.notional > max(allowed):
        return (
            "NOTIONAL_ABOVE_BRACKET",
            {"notional": to_text(wanted.notional), "notional_max": to_text(max(allowed))},
            "A position this large takes a lower leverage: lower the subscription's leverage or margin.",
        )
    return None


def sizes(found: Found, wanted: Sequence[Wanted], *, size: Sizing) -> Iterator[CheckResult]:
    for one in wanted:
        yield _size(found, one, size=size)
    known = {one.subscription_id for one in wanted}
    for follows in found.follows:
        if follows.subscription.subscription_id not in known:
            yield CheckResult(
                check=Check.SIZE,
                result=Result.UNKNOWN,
                code="SYMBOLS_UNTOLD",
                remedy="Its bot takes any symbol and has had no signal yet: name symbols, and they are checked.",
                subscription_id=follows.subscription.subscription_id,
            )


def _size(found: Found, wanted: Wanted, *, size: Sizing) -> CheckResult:
    if isinstance(found.instruments, VenueError):
        return unanswered(
            Check.SIZE, found.instruments, subscription_id=wanted.subscription_id, symbol=wanted.symbol
        )
    instrument, price = found.instruments.get(wanted.symbol), found.prices.get(wanted.symbol)
    numbers = {"margin_usd": to_text(wanted.margin_usd), "leverage": str(wanted.leverage)}
    if instrument is None or not instrument.is_trading:
        remedy = "The venue does not trade it: correct the name, or take it off the bot's symbols."
        return _about(
            wanted, Check.SIZE, Result.FAILED, code="SYMBOL_NOT_TRADING", numbers=numbers, remedy=remedy
        )
    if instrument.margin_asset != found.account.margin_asset:
        numbers |= {
            "margin_asset": instrument.margin_asset,
            "account_margin_asset": found.account.margin_asset,
        }
        remedy = "Trade a symbol that is margined in the account's asset."
        return _about(
            wanted, Check.SIZE, Result.FAILED, code="MARGIN_ASSET_UNSUPPORTED", numbers=numbers, remedy=remedy
        )
    if price is None:
        return _about(
            wanted,
            Check.SIZE,
            Result.UNKNOWN,
            code="PRICE_UNAVAILABLE",
            numbers=numbers,
            remedy="The venue gave no price.",
        )
    numbers |= {"price": to_text(price)}
    quantity = size(
        margin_usd=wanted.margin_usd, leverage=wanted.leverage, price=price, instrument=instrument
    )
    if isinstance(quantity, Decimal):
        return _about(
            wanted, Check.SIZE, Result.OK, code="SIZE_FITS", numbers=numbers | {"quantity": to_text(quantity)}
        )
    numbers |= {
        "quantity_min": to_text(instrument.market_quantity_min),
        "quantity_max": to_text(instrument.market_quantity_max),
        "notional_min": to_text(instrument.notional_min),
    }
    if wanted.notional > price * instrument.market_quantity_max:
        remedy = "Lower the subscription's margin or leverage."
    else:
        needed = margin_needed(instrument, leverage=wanted.leverage, price=price)
        numbers |= {"margin_usd_needed": _rounded(needed)}
        remedy = f"A margin of {_rounded(needed)} would do at this price; or raise the leverage."
    # It is sized at the price of its own moment: the refusal is certain then only, and says so then.
    return _about(wanted, Check.SIZE, Result.FAILED, code=quantity.code, numbers=numbers, remedy=remedy)


def margin_needed(instrument: Instrument, *, leverage: int, price: Decimal) -> Decimal:
    """Give the smallest margin that reaches the instrument's minimum quantity and notional, on the market step."""
    step = instrument.market_quantity_step
    quantity = max(
        ceil_to_step(instrument.market_quantity_min, step=step),
        ceil_to_step(instrument.notional_min / price, step=step),
        step,
    )
    return quantity * price / leverage


def _size_of(found: Found, wanted: Wanted, *, size: Sizing) -> "Decimal | Unfit | None":
    price = found.prices.get(wanted.symbol)
    if price is None or isinstance(found.instruments, VenueError):
        return None
    instrument = found.instruments.get(wanted.symbol)
    if instrument is None:
        return None
    return size(margin_usd=wanted.margin_usd, leverage=wanted.leverage, price=price, instrument=instrument)


def _about(
    wanted: Wanted,
    check: Check,
    result: Result,
    *,
    code: str,
    numbers: Mapping[str, str],
    remedy: str = "",
    denies: bool = False,
) -> CheckResult:
    return CheckResult(
        check=check,
        result=result,
        code=code,
        numbers={"symbol": wanted.symbol, **numbers},
        remedy=remedy,
        denies=denies,
        subscription_id=wanted.subscription_id,
        symbol=wanted.symbol,
    )


def _at_venue(rules: SymbolRules) -> dict[str, str]:
    return {"venue_leverage": str(rules.leverage), "venue_margin_mode": rules.margin_mode.value}


def _rounded(amount: Decimal) -> str:
    """Write an amount a person compares: cents, rounded up."""
    return to_text(ceil_to_step(amount, step=Decimal("0.01")))

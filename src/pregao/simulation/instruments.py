"""
The contracts listed on the paper exchange, with their filters.

Ticks and steps are the ones of August 2026, brackets those of October 2024: facts carried over from the
venue, cut down to a dozen well-known symbols. Starting prices are rounded and only set the scale.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One step of the leverage table: up to ``notional_max`` this leverage and this maintenance ratio hold."""

    leverage_max: int
    notional_max: Decimal
    maintenance_ratio: Decimal
    maintenance_deduction: Decimal  # makes the maintenance margin continuous from one bracket to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A contract as it is listed: what the desk knows of it, and what only the exchange needs."""

    instrument: Instrument
    price_digits: int
    quantity_digits: int
    price_min: Decimal
    price_max: Decimal
    price_up_ratio: Decimal  # PERCENT_PRICE: a buy may not be above mark times this
    price_down_ratio: Decimal  # PERCENT_PRICE: a sell may not be below mark times this
    liquidation_fee_rate: Decimal
    start_price: Decimal
    brackets: tuple[Bracket, ...]

    @property
    def symbol(self) -> str:
        """The venue's name of the contract."""
        return self.instrument.symbol

    def bracket_of(self, notional: Decimal) -> Bracket:
        """Give the bracket a position of this size falls into; the last one when it is beyond all."""
        for bracket in self.brackets:
            if notional <= bracket.notional_max:
                return bracket
        return self.brackets[-1]

    def notional_max_at(self, leverage: int) -> Decimal:
        """Give how large a position may be at this leverage; 0 when the leverage is not offered."""
        return max(
            (step.notional_max for step in self.brackets if step.leverage_max >= leverage), default=Decimal(0)
        )


def _brackets(rows: Iterable[tuple[int, int, str, str]]) -> tuple[Bracket, ...]:
    return tuple(
        Bracket(
            leverage_max=leverage,
            notional_max=Decimal(notional),
            maintenance_ratio=Decimal(ratio),
            maintenance_deduction=Decimal(deduction),
        )
        for leverage, notional, ratio, deduction in rows
    )


# Leverage, notional cap, maintenance ratio, deduction: bracket tables shared by contracts of one size.
_LARGEST = (
    (125, 50_000, "0.004", "0"),
    (100, 600_000, "0.005", "50"),
    (75, 3_000_000, "0.0065", "950"),
    (50, 12_000_000, "0.01", "11450"),
    (25, 50_000_000, "0.02", "131450"),
    (20, 65_000_000, "0.025", "381450"),
    (10, 150_000_000, "0.05", "2006450"),
    (5, 320_000_000, "0.1", "9506450"),
    (4, 400_000_000, "0.125", "17506450"),
    (3, 530_000_000, "0.15", "27506450"),
    (2, 800_000_000, "0.25", "80506450"),
    (1, 1_200_000_000, "0.5", "280506450"),
)
_LARGE = (
    (75, 10_000, "0.005", "0"),
    (50, 50_000, "0.006", "10"),
    (40, 200_000, "0.01", "210"),
    (25, 1_500_000, "0.02", "2210"),
    (20, 3_000_000, "0.025", "9710"),
    (10, 15_000_000, "0.05", "84710"),
    (5, 30_000_000, "0.1", "834710"),
    (4, 37_500_000, "0.125", "1584710"),
    (2, 75_000_000, "0.25", "6272210"),
    (1, 150_000_000, "0.5", "25022210"),
)
_MEDIUM = (
    (75, 10_000, "0.005", "0"),
    (50, 50_000, "0.01", "50"),
    (40, 100_000, "0.015", "300"),
    (25, 500_000, "0.02", "800"),
    (20, 1_000_000, "0.025", "3300"),
    (10, 5_000_000, "0.05", "28300"),
    (5, 10_000_000, "0.1", "278300"),
    (4, 20_000_000, "0.125", "528300"),
    (2, 30_000_000, "0.25", "3028300"),
    (1, 50_000_000, "0.5", "10528300"),
)

# Symbol, tick, step, smallest notional, largest quantity, largest market quantity, start price, brackets.
_ROWS = (
    ("BTCUSDT", "0.1", "0.001", 100, 1_000, 120, "90000", _LARGEST),
    ("ETHUSDT", "0.01", "0.001", 20, 10_000, 2_000, "3000", _LARGEST),
    ("LTCUSDT", "0.01", "0.001", 20, 10_000, 5_000, "90", _MEDIUM),
    ("SOLUSDT", "0.01", "0.01", 5, 1_000_000, 10_000, "150", _LARGE),
    ("BNBUSDT", "0.01", "0.01", 5, 100_000, 2_000, "900", _LARGE),
    ("XRPUSDT", "0.0001", "0.1", 5, 10_000_000, 2_000_000, "2.2", _LARGE),
    ("DOGEUSDT", "0.00001", "1", 5, 50_000_000, 30_000_000, "0.16", _LARGE),
    ("ADAUSDT", "0.0001", "1", 5, 2_000_000, 300_000, "0.5", _MEDIUM),
    ("TRXUSDT", "0.00001", "1", 5, 10_000_000, 5_000_000, "0.28", _MEDIUM),
    ("LINKUSDT", "0.001", "0.01", 20, 200_000, 20_000, "14", _MEDIUM),
    ("AVAXUSDT", "0.001", "1", 5, 1_000_000, 50_000, "15", _MEDIUM),
    ("1000PEPEUSDT", "0.0000001", "1", 5, 500_000_000, 100_000_000, "0.005", _LARGE),
)


def _digits(step: str) -> int:
    return len(step.partition(".")[2])


def _listing(row: tuple[str, str, str, int, int, int, str, tuple[tuple[int, int, str, str], ...]]) -> Listing:
    symbol, tick, step, notional_min, quantity_max, market_quantity_max, start_price, brackets = row
    quantity_step = Decimal(step)
    instrument = Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        price_tick=Decimal(tick),
        quantity_step=quantity_step,
        quantity_min=quantity_step,
        quantity_max=Decimal(quantity_max),
        market_quantity_step=quantity_step,
        market_quantity_min=quantity_step,
        market_quantity_max=Decimal(market_quantity_max),
        notional_min=Decimal(notional_min),
    )
    return Listing(
        instrument=instrument,
        price_digits=_digits(tick),
        quantity_digits=_digits(step),
        price_min=Decimal(tick),
        price_max=max(Decimal(start_price) * 100, Decimal(200)),
        price_up_ratio=Decimal("1.15") if brackets is _MEDIUM else Decimal("1.05"),
        price_down_ratio=Decimal("0.85") if brackets is _MEDIUM else Decimal("0.95"),
        liquidation_fee_rate=Decimal("0.0125"),
        start_price=Decimal(start_price),
        brackets=_brackets(brackets),
    )


TRIGGER_PROTECT: Final = Decimal("0.05")
"""How far mark and last price may be apart for a conditional order with price protection to trigger; all contracts."""

LISTINGS: Final[dict[str, Listing]] = {row[0]: _listing(row) for row in _ROWS}
"""Every built-in contract by its symbol."""

_CHANGES: Final = {
    "step": ("quantity_step", "quantity_min", "market_quantity_step", "market_quantity_min"),
    "notional_min": ("notional_min",),
}
"""What of a contract may be listed otherwise, by the word it is written with."""


def read_listings(changes: Iterable[str]) -> dict[str, Listing]:
    """
    Give the built-in contracts with some listed otherwise, each written ``SYMBOL:step=0.00001,notional_min=5``.

    :raises ValueError: when a symbol or a word is unknown or a value is no positive number, saying which.
    """
    listings = dict(LISTINGS)
    for text in changes:
        symbol, _, words = text.partition(":")
        if symbol not in listings:
            raise ValueError(f"LISTING_UNKNOWN: symbol={symbol} known={','.join(LISTINGS)}")
        for word in words.split(","):
            listings[symbol] = _changed(listings[symbol], *word.partition("=")[::2])
    return listings


def _changed(listing: Listing, word: str, value: str) -> Listing:
    try:
        fields, number = _CHANGES[word], Decimal(value)
    except (KeyError, ArithmeticError):
        number = ZERO
    if not (number.is_finite() and number > ZERO):
        raise ValueError(
            f"LISTING_MALFORMED: symbol={listing.symbol} word={word} value={value} known={','.join(_CHANGES)}"
        )
    values: dict[str, Any] = dict.fromkeys(fields, number)
    step = values.get("quantity_step", listing.instrument.quantity_step)
    return replace(
        listing, instrument=replace(listing.instrument, **values), quantity_digits=_digits(f"{step:f}")
    )

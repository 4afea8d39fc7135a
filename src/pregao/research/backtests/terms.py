"""On which terms a backtest trades: money, size, leverage, costs."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Sizing(IntEnum):
    """How large an entry is. The margin times the leverage is what is bought or sold."""

    SHARE = 0  # the margin is a share of the equity
    MONEY = 1  # the margin is an amount
    RISK = 2  # the stop would lose this share of the equity; leverage only bounds it


class Ending(IntEnum):
    """Why a trade ended."""

    SIGNAL = 0  # the strategy wanted something else
    STOP = 1
    TARGET = 2
    LIQUIDATED = 3  # the margin was used up but for what the venue keeps of it
    END = 4  # the candles ended


class TermsUnusableError(ValueError):
    """Nobody can trade on such terms."""


BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is the same for all trades of a backtest; the defaults are those of the system it replaces."""

    start: float = 1_000.0  # money at the beginning
    sizing: Sizing = Sizing.SHARE
    size: float = 0.1  # a share of the equity, or an amount, by the sizing
    leverage: float = 1.0
    fee_bps: float = 0.0  # of what is traded, at each fill
    slippage_bps: float = 0.0  # against us, where we take what is there; a target waits for its price
    maintenance_margin: float = 0.004  # of the position's value; below it a venue liquidates
    quantity_step: float = 0.0  # quantities are rounded down to multiples of it; 0 does not round
    stops_wait_a_bar: bool = False  # as some other programs do: blind on the bar of the entry
    stops_first: bool = False  # as vectorbt does: a candle's stops and targets before what is due at its open
    closes_at_end: bool = True

    def __post_init__(self) -> None:
        """
        Refuse terms that cannot be.

        :raises TermsUnusableError: when one is out of its range.
        """
        ranges = {
            "start": (1e-9, 1e15),
            "size": (1e-12, 1.0 if self.sizing is not Sizing.MONEY else 1e15),
            "leverage": (1.0, 1_000.0),
            "fee_bps": (-100.0, 1_000.0),
            "slippage_bps": (0.0, 5_000.0),
            "maintenance_margin": (0.0, 0.5),
            "quantity_step": (0.0, 1e15),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TermsUnusableError(f"TERMS_OUT_OF_RANGE: {name}={value:g} low={low:g} high={high:g}.")
        if self.stops_first and not self.stops_wait_a_bar:
            raise TermsUnusableError("TERMS_OUT_OF_RANGE: stops_first is only for stops that wait a bar.")
        if self.leverage * self.maintenance_margin >= 1:
            raise TermsUnusableError(
                f"TERMS_OUT_OF_RANGE: leverage={self.leverage:g} maintenance_margin={self.maintenance_margin:g}. "
                "A position would be liquidated at its entry."
            )

    @property
    def fee(self) -> float:
        """The fee as a share of what is traded."""
        return self.fee_bps / BASIS_POINTS

    @property
    def slippage(self) -> float:
        """The slippage as a share of the price."""
        return self.slippage_bps / BASIS_POINTS

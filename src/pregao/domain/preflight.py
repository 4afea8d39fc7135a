"""
Pre-flight: what a venue says of an account before a signal comes, and what that means for the entries it is to take.

An answer that could not be had means nothing: it denies no entry.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pregao.domain.order import PositionMode
from pregao.domain.venue import MarginMode


class Check(StrEnum):
    """What is looked at."""

    VENUE = "venue"  # does it answer
    STREAM = "stream"  # does the account's private stream tell what happens
    CLOCK = "clock"  # how far the venue's is from ours
    KEY = "key"  # does it answer, may it trade futures, may it withdraw
    ADDRESSES = "addresses"  # may it be used from anywhere
    POSITION_MODE = "position_mode"  # is it as the account says
    MARGIN = "margin"  # of one subscription's largest entry
    MARGIN_TOGETHER = "margin_together"  # of every subscription's largest entry at once
    LEVERAGE = "leverage"  # and margin mode, of one subscription on one symbol
    SIZE = "size"  # of one subscription's entry on one symbol
    DESTINATION = "destination"  # may its address be posted to


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # entries pass; something is not as it should be
    FAILED = "failed"  # entries it is about would be refused
    UNKNOWN = "unknown"  # it could not be made
    INAPPLICABLE = "inapplicable"  # there is nothing of the kind at this venue


class Light(StrEnum):
    """All checks of an account in one word."""

    READY = "ready"
    WARNING = "warning"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """
    One check of one account: a stable code, the numbers behind it, and what to do.

    It is about the whole account, about one subscription, or about one symbol of that. ``denies`` says that an entry
    it is about would certainly be refused.
    """

    check: Check
    result: Result
    code: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""
    denies: bool = False
    subscription_id: UUID | None = None
    symbol: str = ""

    @property
    def reason(self) -> str:
        """Give numbers and remedy as one sentence, for a denial."""
        values = " ".join(f"{name}={value}" for name, value in self.numbers.items())
        return f"{values}. {self.remedy}" if values else self.remedy


def light_of(results: Collection[CheckResult]) -> Light | None:
    """Give the light; None where nothing at all could be found out."""
    seen = {one.result for one in results}
    if Result.FAILED in seen:
        return Light.BLOCKED
    if Result.WARNING in seen:
        return Light.WARNING
    return Light.READY if Result.OK in seen else None


def codes_of(results: Collection[CheckResult]) -> list[str]:
    """Give the codes of what is not as it should be, what failed first, each once."""
    found = [
        one.code for wanted in (Result.FAILED, Result.WARNING) for one in results if one.result is wanted
    ]
    return list(dict.fromkeys(found))


# --- what a venue says ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What an API key may do; None where the venue does not tell."""

    may_trade: bool | None
    may_withdraw: bool | None
    has_address_list: bool | None


UNTOLD_RIGHTS = KeyRights(may_trade=None, may_withdraw=None, has_address_list=None)
"""Of a venue that tells no key its rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """How the account stands at the venue."""

    position_mode: PositionMode
    may_trade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """What is set on one symbol of an account."""

    leverage: int
    margin_mode: MarginMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """The margin asset: all there is, what no position or order binds, and which symbols have one."""

    balance: Decimal  # the wallet and what open positions have gained or lost
    available: Decimal
    held: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageBracket:
    """Up to ``notional_max`` a position may have ``leverage_max``."""

    leverage_max: int
    notional_max: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """The venue's clock minus ours; ``drift_ms`` is what that changed by since it was measured before."""

    offset_ms: int | None  # None: never measured
    drift_ms: int | None = None
    measured_at: datetime | None = None

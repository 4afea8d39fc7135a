"""
Who would get a signal that is sent again: accounts on which it failed for a reason that may pass.

Every code of a denial is in one of two tables; one that is in neither is not tried again, and a test names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pregao.domain.order import LIVE, Leg, OrderStatus
from pregao.domain.signal import Action
from pregao.orders.ports import SentLeg

PASSING = frozenset(
    {
        # somebody had stopped it, and may have let it go on
        "TRADING_HALTED", "TRADING_REDUCING", "EXITS_BLOCKED", "ACCOUNT_INACTIVE", "SUBSCRIPTION_PAUSED", "BOT_STATUS",
        "SYMBOL_DISABLED",
        # a limit was reached, and days, weeks and positions end
        "DAILY_LOSS_AT_LIMIT", "POSITIONS_AT_LIMIT", "LOSSES_IN_A_ROW", "DAILY_LOSS_PCT", "WEEKLY_LOSS_PCT", "DRAWDOWN_PCT",
        "MONTHLY_DRAWDOWN",
        # something else held the place
        "SYMBOL_OWNED", "FOREIGN_POSITION", "ORDER_IN_FLIGHT", "REVERSE_INCOMPLETE",
        # the venue, the network or the desk was away, or slow
        "SIGNAL_EXPIRED", "ACCOUNT_NOT_RECONCILED", "RANGE_UNKNOWN", "PRICE_UNAVAILABLE", "VENUE_BREAKER_OPEN",
        "SYMBOL_BREAKER_OPEN", "SYMBOL_NOT_TRADING", "ATTEMPTS_EXHAUSTED", "DESK_FAILED", "FORWARD_UNREACHABLE",
        # a person had to act at the venue
        "KEY_MAY_WITHDRAW", "KEY_MAY_NOT_TRADE", "KEY_REFUSED", "ACCOUNT_MAY_NOT_TRADE", "POSITION_MODE_DIFFERS",
        "MARGIN_INSUFFICIENT", "LEVERAGE_REFUSED", "LEVERAGE_NOT_SET", "CREDENTIALS_MISSING", "API_KEY_UNREADABLE",
    }
)  # fmt: skip
"""Reasons of a moment: the same signal may be taken another time."""

LASTING = frozenset(
    {
        # it has done what it asks, or something newer has
        "SAME_SIDE_OPEN", "OPPOSITE_SIDE_OPEN", "CLOSED_MEANWHILE", "SUPERSEDED", "NOTHING_OPEN", "NO_OPEN_POSITION",
        "EXIT_IN_FLIGHT", "ENTERED_BEFORE",
        # it may have traded, and nobody can say for certain that it has not
        "SIGNAL_BEFORE_RESTORE", "EXIT_BEFORE_RESTORE", "ORDER_NOT_FOUND", "FORWARD_TIMEOUT", "FORWARD_HTTP_ERROR",
        # it asks what settings or the venue's rules do not allow
        "POSITION_ABOVE_SHARE", "REWARD_TOO_SMALL", "MARGIN_ASSET_UNSUPPORTED", "QUANTITY_BELOW_MINIMUM",
        "QUANTITY_ABOVE_MAXIMUM", "NOTIONAL_BELOW_MINIMUM", "LEVERAGE_ABOVE_MAXIMUM", "NOTIONAL_ABOVE_BRACKET",
        "REPLAY_ON_PAPER_ONLY",
        # no denials: an order waits
        "EXIT_ON_ITS_WAY", "PROTECTION_STANDS", "ENTRY_ON_ITS_WAY",
    }
)  # fmt: skip
"""Reasons that stay: the same signal would be denied again, or must not come twice."""

LASTING_AT_VENUES = frozenset(
    {
        "-2022", "-4118",  # nothing to reduce, or covered already
        "-1013", "-1111", "-1116", "-1121", "-4003", "-4004", "-4005", "-4023", "-4164",  # what is asked breaks its rules
    }
)  # fmt: skip
"""Of what a venue itself refused by its own number; any other refusal may pass: margin is freed, a key is mended."""


class Chance(StrEnum):
    """Whether a subscription gets a signal that is sent again, and why."""

    RECOVERABLE = "recoverable"  # it failed for a reason of a moment: it is in
    LASTS = "lasts"  # it failed for a reason that stays
    TRADED = "traded"  # it has traded, or an order of it may still
    HELD = "held"  # a position is open there now
    NOTHING_HELD = "nothing_held"  # a close, and what it meant is not held any more
    ENDED = "ended"  # the subscription is canceled


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One subscription that a signal was for, and whether it gets it again."""

    leg: SentLeg
    chance: Chance

    @property
    def is_in(self) -> bool:
        """Whether it gets the signal again."""
        return self.chance is Chance.RECOVERABLE


def may_pass(code: str | None) -> bool:
    """Say whether a reason of a denial or a rejection may be gone another time."""
    if code is None:
        return False
    return code in PASSING or (code.startswith("-") and code not in LASTING_AT_VENUES)


def candidates_of(legs: Sequence[SentLeg], *, action: Action, first_at: datetime) -> list[Candidate]:
    """
    Say of each subscription whether it gets the signal again.

    Of an entry its entry counts, whatever became of the position it was to replace; of a close its exits, of which one that
    traded keeps none of the others out: each is for a position of its own.
    """
    meant = Leg.ENTRY if action is Action.ENTER else Leg.EXIT
    own: dict[UUID, list[SentLeg]] = {}
    for leg in legs:
        if leg.leg is meant:
            own.setdefault(leg.subscription_id, []).append(leg)
    found = []
    for some in own.values():
        judged = [(leg, _chance_of(leg, first_at=first_at)) for leg in some]
        leg, chance = next((one for one in judged if one[1] is Chance.RECOVERABLE), judged[0])
        if meant is Leg.ENTRY:
            leg, chance = next((one for one in judged if one[1] is Chance.TRADED), (leg, chance))
        found.append(Candidate(leg=leg, chance=chance))
    return found


def _chance_of(leg: SentLeg, *, first_at: datetime) -> Chance:
    has_failed = leg.status in (OrderStatus.DENIED, OrderStatus.REJECTED) and not leg.filled_quantity
    if not has_failed:
        return Chance.TRADED if leg.filled_quantity or leg.status in LIVE else Chance.LASTS
    if not may_pass(leg.code):
        return Chance.LASTS
    if leg.is_canceled and leg.leg is Leg.ENTRY:
        return Chance.ENDED
    if leg.leg is Leg.ENTRY:
        return Chance.RECOVERABLE if leg.position_id is None else Chance.HELD
    is_held = leg.position_id is not None and leg.opened_at is not None and leg.opened_at <= first_at
    return Chance.RECOVERABLE if is_held else Chance.NOTHING_HELD

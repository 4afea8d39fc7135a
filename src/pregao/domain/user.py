"""A user: a person with a role. The password and the tokens are kept apart, and are no part of the journal."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pregao.domain.risk import DRAWDOWN_PERCENT_MAX


class Role(StrEnum):
    """What a user may do; each may do what those above it may."""

    VIEWER = "viewer"  # sees what is his own, changes only his own password and tokens
    TRADER = "trader"  # opens accounts of his own and has them follow bots
    OPERATOR = "operator"  # everything about the desk's trading, everybody's accounts included
    ADMIN = "admin"  # users and the audit log too

    @property
    def is_staff(self) -> bool:
        """Say whether the role looks after the whole desk, not only after what is its own."""
        return self.includes(Role.OPERATOR)

    def includes(self, needed: "Role") -> bool:
        """Say whether whoever has this role may do what ``needed`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    One person, or one program that acts for one. The limits hold for all accounts of the user together.

    A month that has cost ``monthly_drawdown_pct`` of ``risk_capital_usd`` ends the user's entries until the next.
    """

    user_id: UUID
    email: str  # in small letters; no two users have the same
    name: str
    role: Role
    is_active: bool = True
    max_daily_loss_usd: Decimal | None = None  # None is no limit
    max_positions: int | None = None  # open at once; None is no limit
    risk_capital_usd: Decimal | None = None  # what risks are shares of; None: no month is measured
    monthly_drawdown_pct: Decimal = DRAWDOWN_PERCENT_MAX
    # What the exits of his stops and targets are held to (system D's names and standards).
    max_slippage_pct: Decimal = Decimal(5)  # worse than the level: a bounded price is tried first
    slippage_pause_pct: Decimal = Decimal(10)  # beyond it he enters nothing more until somebody says so
    max_executions_per_minute: int = 10
    max_executions_per_hour: int = 100

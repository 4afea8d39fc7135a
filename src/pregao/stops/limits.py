"""What one tenant's exits are held to, and where that is said."""

from dataclasses import dataclass
from decimal import Decimal

from pregao.domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLimits:
    """What one tenant's exits are held to; percentages of the level, signed so that positive is worse."""

    slippage_percent_max: Decimal = Decimal(5)
    slippage_percent_pause: Decimal = Decimal(
        10
    )  # beyond this the tenant enters nothing more until he says so
    executions_per_minute_max: int = 10
    executions_per_hour_max: int = 100


STANDARD = TenantLimits()


def limits_of(user: User) -> TenantLimits:
    """Give what the exits of a user's stops and targets are held to."""
    return TenantLimits(
        slippage_percent_max=user.max_slippage_pct,
        slippage_percent_pause=user.slippage_pause_pct,
        executions_per_minute_max=user.max_executions_per_minute,
        executions_per_hour_max=user.max_executions_per_hour,
    )

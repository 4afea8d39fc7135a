"""What one entry costs and may lose or win, as the settings of a bot or a subscription say."""

from dataclasses import dataclass
from decimal import Decimal

from pregao.domain.bot import EffectiveSettings

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Effect:
    """In USD, before fees and slippage; None where there is no stop or target, or where a range or targets decide."""

    margin_usd: Decimal
    position_usd: Decimal  # margin times leverage
    loss_at_stop_usd: Decimal | None
    loss_at_stop_pct: Decimal | None  # of the margin
    gain_at_target_usd: Decimal | None


def effect_of(settings: EffectiveSettings) -> Effect:
    """Give what one entry with these settings comes to."""
    position = settings.margin_usd * settings.leverage
    stop = None if settings.guard.stop is not None or not settings.stop_loss_pct else settings.stop_loss_pct
    target = None if settings.guard.targets or not settings.take_profit_pct else settings.take_profit_pct
    return Effect(
        margin_usd=settings.margin_usd,
        position_usd=position,
        loss_at_stop_usd=None if stop is None else position * stop / HUNDRED,
        loss_at_stop_pct=None if stop is None else stop * settings.leverage,
        gain_at_target_usd=None if target is None else position * target / HUNDRED,
    )

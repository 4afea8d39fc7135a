"""What several processes of the desk are built with, from its settings."""

from uuid import UUID

from pregao.domain.sell_list import SellListRule
from pregao.domain.upkeep import Retention
from pregao.edges.vault.envelope import EnvelopeVault
from pregao.edges.vault.key_file import KeyFile, keys_of
from pregao.market.pacing import PER_MINUTE_MAX, PER_MINUTE_MAX_ELITE, ROWS_PER_PAGE, ROWS_PER_PAGE_ELITE
from pregao.market.strategies import ScreenerLimits
from pregao.settings import Settings


def build_vault(settings: Settings, *, desk: UUID) -> EnvelopeVault:
    """Give the vault that opens the credentials of this desk's accounts, and follows when the master key changes."""
    keys = keys_of(settings)
    return EnvelopeVault(
        keys.present,
        former_keys=keys.former,
        desk_id=desk,
        keys_changed=KeyFile(settings.state_dir, known=keys).changed,
    )


def screener_limits(settings: Settings) -> ScreenerLimits:
    """Give what this desk's way to Finviz allows a strategy to ask."""
    return ScreenerLimits(
        hosts=settings.finviz_hosts,
        rows_per_page=ROWS_PER_PAGE_ELITE if settings.finviz_elite else ROWS_PER_PAGE,
        per_minute_max=PER_MINUTE_MAX_ELITE if settings.finviz_elite else PER_MINUTE_MAX,
    )


def standard_retention(settings: Settings) -> Retention:
    """Give how long the desk remembers until somebody says otherwise."""
    return Retention(
        signal_days=settings.signal_retention_days,
        metrics_days=settings.metrics_retention_days,
        alert_days=settings.alert_retention_days,
    )


def sell_list_rule(settings: Settings) -> SellListRule:
    """Give how long what was entered by hand stays on the list of what can be sold, until somebody says otherwise."""
    return SellListRule(
        is_cleaned=settings.sell_list_cleanup, lifetime_hours=settings.sell_list_lifetime_hours
    )

"""What every process of the desk is built with."""

import gc
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from pregao import rehearsal
from pregao.edges.vault.envelope import EnvelopeVault
from pregao.edges.vault.key_file import KeyFile, keys_of
from pregao.market.pacing import PER_MINUTE_MAX, PER_MINUTE_MAX_ELITE, ROWS_PER_PAGE, ROWS_PER_PAGE_ELITE
from pregao.market.strategies import ScreenerLimits
from pregao.settings import Settings
from pregao.trading.trouble import AWAY

COLLECTOR_THRESHOLDS = (50_000, 20, 100)  # a look through everything stops the process for up to 50 ms


def now_utc() -> datetime:
    """Give the present instant: the one clock of production."""
    return datetime.now(UTC) + rehearsal.ahead()  # noqa: TID251  # the seam itself


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


def calm_collector() -> None:
    """Look for garbage less often, and never in what was made until now: call once, when all is set up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def close_pool(pool: asyncpg.Pool) -> None:
    """Say goodbye to the database; where it has gone already, nobody is there to hear it."""
    try:
        await pool.close()
    except AWAY:
        pool.terminate()

"""What every process of the desk is built with."""

from datetime import UTC, datetime
from uuid import UUID

from pregao.edges.vault.envelope import EnvelopeVault, read_master_key
from pregao.settings import Settings


def now_utc() -> datetime:
    """Give the present instant: the one clock of production."""
    return datetime.now(UTC)  # noqa: TID251  # the seam itself


def build_vault(settings: Settings, *, desk: UUID) -> EnvelopeVault:
    """Give the vault that opens the credentials of this desk's accounts."""
    return EnvelopeVault(read_master_key(settings.master_key.get_secret_value()), desk_id=desk)

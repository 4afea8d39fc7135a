"""Tell people that the desk itself has failed somewhere: loaded by a process's first failure."""

from collections.abc import Sequence

from pregao.alerts.tell import tell_failures as raise_alerts
from pregao.bootstrap.process import LeaseLostError, close_pool, now_utc
from pregao.domain.alert import AlertLevel
from pregao.edges.ids import uuid7
from pregao.edges.postgres.alert_work import PostgresTellingBook
from pregao.edges.postgres.high_water import DatabaseRestoredError
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.workers import Lease
from pregao.settings import Settings
from pregao.trading.trouble import AWAY, BROKEN, OUR_MISTAKES

OTHERS = (*AWAY, LeaseLostError, DatabaseRestoredError)
"""What has its own remedy and its own alert: a database that is away or was put back, a process that was away."""
NO_LEASE = Lease(worker_id="", lease_epoch=0)  # whoever fails may tell of it

Kinds = tuple[type[BaseException], ...]


async def tell_failures(role: str, failures: Sequence[tuple[str, Kinds]], *, settings: Settings) -> None:
    """Raise the alert of each failure that is the desk's own: what was logged, and what was raised."""
    own = [(event, kind.__name__) for event, kinds in failures for kind in kinds if is_ours(kind)]
    if not own:
        return
    journal = await open_journal(settings.database_url, connections_max=1)
    try:
        async with journal.transaction() as transaction:
            book = PostgresTellingBook(
                transaction, lease=NO_LEASE, level=AlertLevel(settings.alert_min_level)
            )
            await raise_alerts(role, list(dict.fromkeys(own)), book=book, new_id=uuid7, now=now_utc())
    finally:
        await close_pool(journal.pool)


def is_ours(kind: type[BaseException]) -> bool:
    """Say whether it is a mistake of the desk's, a fact that cannot be written among them."""
    return issubclass(kind, (*OUR_MISTAKES, *BROKEN)) or not issubclass(kind, OTHERS)

"""Carry alerts to people: loaded by the first channel, and by none before."""

from collections.abc import Mapping

import structlog

from pregao.alerts.channels import Asker, ChannelRules, read_address
from pregao.alerts.configure import replace_channels
from pregao.alerts.deliver import Delivering
from pregao.alerts.ports import Senders
from pregao.alerts.refusals import AlertError
from pregao.bootstrap.channels import channel_rules, desks_mail, environment_channels
from pregao.bootstrap.process import again_and_again
from pregao.bootstrap.shared import build_vault
from pregao.domain.alert import ChannelKind
from pregao.domain.clock import Clock
from pregao.edges.ids import uuid7
from pregao.edges.notifications.calls import open_client
from pregao.edges.notifications.discord import Discord
from pregao.edges.notifications.mail import Mail
from pregao.edges.notifications.others import Others
from pregao.edges.notifications.telegram import Telegram
from pregao.edges.postgres.alert_work import PostgresOutbox
from pregao.edges.postgres.alerts import BELL, PostgresAlertBooks
from pregao.edges.postgres.doorbell import Doorbell
from pregao.edges.postgres.journal import Journal, desk_id
from pregao.edges.postgres.workers import Lease
from pregao.settings import Settings

log = structlog.get_logger()


async def serve_delivery(settings: Settings, *, journal: Journal, lease: Lease, clock: Clock) -> None:
    """Deliver what is due, under the lease; until canceled."""
    vault = build_vault(settings, desk=await desk_id(journal))
    outbox = PostgresOutbox(journal, lease, vault=vault)
    client = open_client()
    senders: Senders = {
        ChannelKind.DISCORD: Discord(client),
        ChannelKind.TELEGRAM: Telegram(client, api=settings.telegram_url),
        ChannelKind.EMAIL: Mail(desks_mail(settings)),
        ChannelKind.APPRISE: Others(),
    }
    delivering = Delivering(outbox, senders, new_id=uuid7, clock=clock, warn=log.warning)
    doorbell = Doorbell(settings.database_url)
    doorbell.listen(BELL, delivering.rung)
    await doorbell.start()
    try:
        await again_and_again(delivering.follow, survives_mistakes=True)
    finally:
        await doorbell.close()
        await client.aclose()


async def take_environment(settings: Settings, *, journal: Journal, clock: Clock) -> None:
    """Make the channels that the environment names, on a desk where nobody has said anything about channels."""
    rules = channel_rules(settings)
    wanted = _usable(environment_channels(settings), rules=rules)
    if not wanted:
        return
    vault = build_vault(settings, desk=await desk_id(journal))
    books = PostgresAlertBooks(journal, vault=vault, ring=_nobody)
    ids = [await books.next_channel_id() for _ in wanted]
    async with books.open(owner=None) as book:
        if await book.channels() or await book.is_level_set():
            return
        await book.append(
            await replace_channels(wanted, channel_ids=ids, rules=rules, book=book, now=clock())
        )


def _usable(
    wanted: Mapping[ChannelKind, Mapping[str, str]], *, rules: ChannelRules
) -> dict[ChannelKind, Mapping[str, str]]:
    """Leave out, and tell, what cannot be used: a mistake in one address must not silence the others."""
    usable: dict[ChannelKind, Mapping[str, str]] = {}
    for kind, told in wanted.items():
        try:
            read_address(kind, told, rules=rules, asker=Asker(is_staff=True))
        except AlertError as unusable:
            log.error("alerts.environment.unusable", channel=kind, code=unusable.code, why=str(unusable))
        else:
            usable[kind] = told
    return usable


def _nobody() -> None:
    """Ring for nobody: there is nothing on its way yet."""

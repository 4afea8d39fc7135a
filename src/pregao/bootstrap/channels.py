"""What the settings say about alerts' channels."""

from collections.abc import Mapping

from pregao.alerts.channels import ChannelRules
from pregao.domain.alert import ChannelKind
from pregao.settings import Settings


def environment_channels(settings: Settings) -> Mapping[ChannelKind, Mapping[str, str]]:
    """Give the channels of system E's environment names: each is there when its settings are."""
    wanted: dict[ChannelKind, Mapping[str, str]] = {}
    if webhook := settings.discord_webhook_url.reveal():
        wanted[ChannelKind.DISCORD] = {"webhook_url": webhook}
    if (token := settings.telegram_bot_token.reveal()) and settings.telegram_chat_id:
        wanted[ChannelKind.TELEGRAM] = {"bot_token": token, "chat_id": settings.telegram_chat_id}
    if settings.smtp_server and settings.email_to:
        wanted[ChannelKind.EMAIL] = {"to": settings.email_to}
    return wanted


def channel_rules(settings: Settings) -> ChannelRules:
    """Give what this desk allows of channels."""
    return ChannelRules(discord_hosts=settings.discord_hosts, has_mail=bool(settings.smtp_server))


def desks_mail(settings: Settings) -> Mapping[str, str]:
    """Give the desk's own mail server as a channel's address has one; empty where it has none."""
    if not settings.smtp_server:
        return {}
    return {
        "server": settings.smtp_server,
        "port": str(settings.smtp_port),
        "username": settings.smtp_username,
        "password": settings.smtp_password.reveal(),
        "from": settings.email_from or settings.smtp_username,
        "security": settings.smtp_security,
    }

"""What a channel's address must be, and how it is shown: never with a secret in it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pregao.alerts.ports import Address
from pregao.alerts.refusals import SettingUnusableError
from pregao.domain.alert import ChannelKind

MASK = "***"
VALUE_CHARACTERS_MAX = 1_000
RECIPIENTS_MAX = 20
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
TOKEN = re.compile(r"^(\d{3,20}):[A-Za-z0-9_-]{10,100}$")
CHAT = re.compile(r"^(-?\d{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31})$")
MAIL = re.compile(r"^[^@\s,<>\"']{1,64}@[^@\s,<>\"']{1,190}$")
HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")
SCHEME = re.compile(r"^([a-z][a-z0-9+]{1,30})://.")
OF_THIS_MACHINE = frozenset(
    {"dbus", "exec", "file", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"}
)
"""What apprise would do on the machine of the desk: nobody is reached by it."""
SECURITIES = ("starttls", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRules:
    """What this desk allows."""

    discord_hosts: Sequence[str] = ("discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com")
    has_mail: bool = False  # the desk has an SMTP server of its own
    per_user_max: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who makes the channel: staff may lead it anywhere, others only to themselves."""

    is_staff: bool
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAddress:
    """An address that can be used, and as people may see it."""

    address: Address
    shown: dict[str, str]


def read_address(
    kind: ChannelKind, told: Mapping[str, str], *, rules: ChannelRules, asker: Asker
) -> ReadAddress:
    """
    Read what somebody told of a channel's address.

    :raises SettingUnusableError: when it cannot be used, or is not this asker's to use.
    """
    known = FIELDS[kind]
    for name, value in told.items():
        if name not in known:
            raise _unusable(kind, name, f"Known: {', '.join(known)}.")
        if len(value) > VALUE_CHARACTERS_MAX or any(not one.isprintable() for one in value):
            raise _unusable(kind, name, "It is too long, or no printable text.")
        if MASK in value:
            raise _unusable(kind, name, "It is masked. Send the value itself.")
    return READERS[kind]({name: value.strip() for name, value in told.items()}, rules, asker)


def _discord(told: Mapping[str, str], rules: ChannelRules, _asker: Asker) -> ReadAddress:
    url = told.get("webhook_url", "")
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower()
        is_local = (parts.hostname or "") in LOOPBACK
    except ValueError:
        host, is_local = "", False
    is_ours = host in rules.discord_hosts and (
        parts.scheme == "https" or (parts.scheme == "http" and is_local)
    )
    if not is_ours or not parts.path.startswith("/api/") or "/webhooks/" not in parts.path:
        raise _unusable(
            ChannelKind.DISCORD,
            "webhook_url",
            f"Take the webhook's address from Discord: https at {', '.join(rules.discord_hosts)}.",
        )
    return ReadAddress(
        address={"webhook_url": url},
        shown={"webhook_url": f"{parts.scheme}://{host}/api/webhooks/{MASK}"},
    )


def _telegram(told: Mapping[str, str], _rules: ChannelRules, _asker: Asker) -> ReadAddress:
    token, chat = told.get("bot_token", ""), told.get("chat_id", "")
    found = TOKEN.match(token)
    if found is None:
        raise _unusable(ChannelKind.TELEGRAM, "bot_token", "BotFather gives it: digits, a colon, letters.")
    if not CHAT.match(chat):
        raise _unusable(ChannelKind.TELEGRAM, "chat_id", "Send a chat's number, or @ and a channel's name.")
    return ReadAddress(
        address={"bot_token": token, "chat_id": chat},
        shown={"bot_token": f"{found[1]}:{MASK}", "chat_id": chat},
    )


def _email(told: Mapping[str, str], rules: ChannelRules, asker: Asker) -> ReadAddress:
    to = [one.strip() for one in told.get("to", "").split(",") if one.strip()]
    if not to or len(to) > RECIPIENTS_MAX or not all(MAIL.match(one) for one in to):
        raise _unusable(ChannelKind.EMAIL, "to", f"Send one to {RECIPIENTS_MAX} addresses, comma separated.")
    if not asker.is_staff and (set(told) != {"to"} or [one.lower() for one in to] != [asker.email.lower()]):
        raise _unusable(ChannelKind.EMAIL, "to", "Only your own address, by the desk's server.")
    server = told.get("server", "")
    if not server:
        if not rules.has_mail:
            raise _unusable(ChannelKind.EMAIL, "server", "The desk has none: name one, or set SMTP_SERVER.")
        return ReadAddress(address={"to": ",".join(to)}, shown={"to": ",".join(to)})
    return _own_server(told, server=server, to=",".join(to))


def _own_server(told: Mapping[str, str], *, server: str, to: str) -> ReadAddress:
    port, sender = told.get("port", "587"), told.get("from", "") or told.get("username", "")
    security = told.get("security", "starttls")
    if not HOST.match(server):
        raise _unusable(ChannelKind.EMAIL, "server", "Send a host's name or address.")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise _unusable(ChannelKind.EMAIL, "port", "Send 1 to 65535; 587 is usual.")
    if not MAIL.match(sender):
        raise _unusable(ChannelKind.EMAIL, "from", "Send the sender's address.")
    if security not in SECURITIES or (security == "none" and told.get("username")):
        raise _unusable(
            ChannelKind.EMAIL,
            "security",
            "starttls, or none for a server that takes no login: no secret in clear.",
        )
    shown = {"server": server, "port": port, "from": sender, "to": to, "security": security}
    if told.get("username"):
        shown["username"] = told["username"]
    secret = {"password": told.get("password", "")} if told.get("username") else {}
    masked = dict.fromkeys(secret, MASK)
    return ReadAddress(address={**shown, **secret}, shown={**shown, **masked})


def _apprise(told: Mapping[str, str], _rules: ChannelRules, asker: Asker) -> ReadAddress:
    url = told.get("url", "")
    found = SCHEME.match(url.lower())
    if not asker.is_staff:
        raise _unusable(ChannelKind.APPRISE, "url", "Only the desk's operators may lead messages anywhere.")
    if found is None or found[1] in OF_THIS_MACHINE:
        raise _unusable(ChannelKind.APPRISE, "url", "Send an address of a service as apprise writes it.")
    return ReadAddress(address={"url": url}, shown={"url": f"{found[1]}://{MASK}"})


def _unusable(kind: ChannelKind, field: str, remedy: str) -> SettingUnusableError:
    # Never the value: it may be a secret.
    return SettingUnusableError(
        "CHANNEL_ADDRESS_UNUSABLE", f"kind={kind} field={field}. {remedy}", kind=kind, field=field
    )


FIELDS: Mapping[ChannelKind, Sequence[str]] = {
    ChannelKind.DISCORD: ("webhook_url",),
    ChannelKind.TELEGRAM: ("bot_token", "chat_id"),
    ChannelKind.EMAIL: ("to", "server", "port", "username", "password", "from", "security"),
    ChannelKind.APPRISE: ("url",),
}
READERS: Mapping[ChannelKind, Callable[[Mapping[str, str], ChannelRules, Asker], ReadAddress]] = {
    ChannelKind.DISCORD: _discord,
    ChannelKind.TELEGRAM: _telegram,
    ChannelKind.EMAIL: _email,
    ChannelKind.APPRISE: _apprise,
}

"""Which addresses signals may be forwarded to: the public ones, and what the desk's owner allows by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from pregao.destinations.refusals import SettingUnusableError

URL_CHARACTERS_MAX = 2_000
HOST_CHARACTERS_MAX = 253
PORTS = {"http": 80, "https": 443}

# IPv6 that carries an IPv4 address, and where in its 128 bits that stands.
CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("::/96"), 0),  # compatible, deprecated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)
GLOBAL_UNICAST = IPv6Network("2000::/3")  # nothing else of IPv6 is anybody's public address
# What libraries have called global, and is nobody's.
NOBODYS = (
    IPv4Network("192.0.0.0/24"),  # protocols
    IPv4Network("192.88.99.0/24"),  # 6to4's relays, given up
    IPv6Network("2001::/23"),  # protocols, Teredo among them, that carry addresses we cannot see
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationUrl:
    """What of a destination's URL the connection needs; the rest may hold a secret."""

    scheme: str
    host: str  # in small letters, without a dot at its end
    port: int


def read_url(url: str) -> DestinationUrl:
    """
    Give the host and port of a destination's URL.

    :raises SettingUnusableError: when it is no address of a webhook. The text repeats nothing of it but the host.
    """
    if len(url) > URL_CHARACTERS_MAX or not url.isprintable() or not url.isascii() or set(url) & {" ", "\\"}:
        raise _unusable(
            f"characters={len(url)} maximum={URL_CHARACTERS_MAX}. Percent-encode what is no plain letter."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unusable("It cannot be read as an address.") from None
    if parts.scheme not in PORTS:
        raise _unusable(f"known={','.join(PORTS)}. Begin it with one of these and `://`.")
    if "@" in parts.netloc:
        raise _unusable(
            "Leave the user and password before the host out; a webhook's secret stands in its path."
        )
    host = (parts.hostname or "").removesuffix(".")
    _check_host(host)
    if port == 0:
        raise _unusable(f"host={host} port=0.")
    return DestinationUrl(scheme=parts.scheme, host=host, port=port or PORTS[parts.scheme])


def check_addresses(host: str, addresses: Sequence[str], *, allowed: Collection[str]) -> None:
    """
    See that a connection to every one of a host's addresses may be made.

    :raises SettingUnusableError: when one is not public and the host is not allowed by name, or there is none.
    """
    if not addresses:
        raise SettingUnusableError(
            "DESTINATION_UNRESOLVED",
            f"host={host}. The host has no address; look at its spelling.",
            host=host,
        )
    if host in allowed:
        return
    for address in addresses:
        if not is_public(address):
            raise SettingUnusableError(
                "DESTINATION_FORBIDDEN",
                f"host={host} address={address}. The address is not public. If signals are to go there, "
                f"name the host in PREGAO_DESTINATIONS_ALLOWED.",
                host=host,
                address=address,
            )


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public Internet, whatever carries it."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        carried = _carried(parsed)
        if carried is None:
            return parsed in GLOBAL_UNICAST and _is_somebodys(parsed)
        parsed = carried
    return _is_somebodys(parsed)


def allowed_hosts(names: Sequence[str]) -> frozenset[str]:
    """Give the names as hosts are compared."""
    return frozenset(name.lower().strip("[]").removesuffix(".") for name in names)


def _is_somebodys(address: IPv4Address | IPv6Address) -> bool:
    is_taken = address.is_multicast or address.is_reserved or any(address in one for one in NOBODYS)
    return address.is_global and not is_taken


def _carried(address: IPv6Address) -> IPv4Address | None:
    for network, shift in CARRIERS:
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFF_FFFF)
    return None


def _check_host(host: str) -> None:
    if not 1 <= len(host) <= HOST_CHARACTERS_MAX:
        raise _unusable(f"characters={len(host)} maximum={HOST_CHARACTERS_MAX}. It has no host.")
    if ":" in host:
        _read_ip(host)
        return
    labels = host.split(".")
    if not all(label and label.strip("-_").replace("-", "").replace("_", "").isalnum() for label in labels):
        raise _unusable(f"host={host}. It is no host's name.")
    if labels[-1][0].isdigit() or labels[-1].startswith("0x"):
        _read_ip(
            host
        )  # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to some, and something else to others


def _read_ip(host: str) -> None:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        raise _unusable(f"host={host}. Write an IP address as 192.0.2.1 or [2001:db8::1].") from None
    if "%" in host:
        raise _unusable(f"host={host}. An address of one network card only is no destination.")


def _unusable(message: str) -> SettingUnusableError:
    return SettingUnusableError("DESTINATION_URL_UNUSABLE", message, field="url")

"""
Who may come in: the sender's address, its secret, how often it failed, how much it sends.

Pure: time is given, nothing waits. What is kept is bounded, because strangers choose what we would remember.
"""

import hashlib
import hmac
import re
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import quote_plus
from uuid import UUID

from pregao.domain.bot import Bot

Network: TypeAlias = IPv4Network | IPv6Network

FAILURES_PER_MINUTE_MAX = 10  # per address; an honest sender fails once and then looks at its secret
ADDRESSES_MAX = 10_000  # remembered; the longest silent is forgotten first
MINUTE = timedelta(minutes=1)
MASK = b"***"
_SECRET_WORD = re.compile(rb"[A-Za-z0-9_-]{20,}")  # the secrets we make have 43 such characters
MASK_OF_DIGITS = b"0"  # a secret of digits may stand unquoted in JSON, which has no other way to stay JSON

BACKSLASHES = rb"\\{1,4}"  # JSON within JSON doubles them; without a bound, a body of them would cost seconds
SHORT_ESCAPES = {
    '"': b'"', "\\": b"\\", "/": b"/", "\b": b"b", "\f": b"f", "\n": b"n", "\r": b"r", "\t": b"t",
}  # fmt: skip


# Where it comes from -------------------------------------------------------------------------------------------


def to_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """
    Give the proxies' addresses and networks.

    :raises ValueError: naming the first text that is neither
    """
    return tuple(ip_network(text, strict=False) for text in texts)


def address_of(scope: Mapping[str, Any], trusted: tuple[Network, ...]) -> str:
    """Give where a request comes from, by what our own proxies say of it."""
    client = scope.get("client")
    address: str = client[0] if client else "local"
    if trusted:
        hops = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        return source_address(address, hops.decode("latin-1"), trusted)
    return address


@lru_cache(maxsize=4096)
def source_address(client: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """Give the last address of the chain that is none of our proxies; what stands before it anybody can write."""
    address = client
    for hop in reversed(forwarded_for.split(",")):
        if not _is_trusted(address, trusted):
            break
        text = hop.strip()
        try:
            ip_address(text)
        except ValueError:
            break
        address = text
    return address


def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


# The secret ----------------------------------------------------------------------------------------------------


def is_secret_right(taken: Iterable[str], secrets: Iterable[str]) -> bool:
    """Say whether one of the secrets has one of the SHA-256 taken, in the same time whichever and whether."""
    right = False
    for secret in secrets:
        digest = _sha256(secret.encode(errors="surrogatepass"))
        for secret_sha256 in taken:
            right |= hmac.compare_digest(digest, secret_sha256)
    return right


def secrets_in(body: bytes, named: Iterable[str], taken: Collection[str]) -> tuple[str, ...]:
    """
    Give every secret taken that stands in a body: under a name for secrets, or as a word anywhere.

    While two secrets are taken, a sender may prove itself with the one and tell the other.
    """
    words = {word.decode() for word in _SECRET_WORD.findall(body)}
    return tuple(word for word in {*words, *named} if _sha256(word.encode(errors="surrogatepass")) in taken)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """Give the body with every occurrence of the secrets masked, however JSON or a form spells them."""
    for secret in secrets:
        mask = MASK_OF_DIGITS if secret.isdigit() else MASK
        body = body.replace(secret.encode(errors="surrogatepass"), mask)
        if body.find(b"\\") >= 0 or body.find(b"%") >= 0 or body.find(b"+") >= 0:  # "in" takes thrice as long
            body = _spellings(secret).sub(mask, body)
    return body


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Give the text with every occurrence of the secrets masked, in capitals too: symbols are capitals."""
    for secret in secrets:
        for spelling in (secret, secret.strip(), secret.upper()):
            if spelling and spelling in text:
                text = text.replace(spelling, MASK.decode())
    return text


@lru_cache(maxsize=1024)
def _spellings(secret: str) -> re.Pattern[bytes]:
    return re.compile(b"".join(map(_spellings_of, secret)))


def _spellings_of(character: str) -> bytes:
    written = character.encode(errors="surrogatepass")
    units = character.encode("utf-16-be", errors="surrogatepass").hex()
    forms = {
        re.escape(written),
        re.escape(quote_plus(written).encode()),
        b"(?i:%s)" % "".join(f"%{byte:02x}" for byte in written).encode(),
        b"".join(BACKSLASHES + b"u(?i:%s)" % units[i : i + 4].encode() for i in range(0, len(units), 4)),
    }
    if character in SHORT_ESCAPES:
        forms.add(BACKSLASHES + re.escape(SHORT_ESCAPES[character]))
    return b"(?:%s)" % b"|".join(sorted(forms))


# The signature -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """What a sender signed with instead of telling the secret: ``code`` covers the instant and the body."""

    signed_at: int  # seconds since 1970, as the sender's clock has it
    code: str


NO_SIGNATURE = Signature(0, "")  # of a header that cannot be read: never right
_SIGNATURE = re.compile(rb"t=([1-9]\d{0,10}),[ ]?v1=([0-9A-Fa-f]{64})")


def read_signature(header: bytes | None) -> Signature | None:
    """Give what `X-Pregao-Signature` says, ``t=<unix seconds>,v1=<hex>``; None when there is none."""
    if header is None:
        return None
    found = _SIGNATURE.fullmatch(header.strip())
    return NO_SIGNATURE if found is None else Signature(int(found[1]), found[2].decode().lower())


def is_signature_right(taken: Iterable[str], signature: Signature, body: bytes) -> bool:
    """
    Say whether the body was signed with one of the secrets taken, in the same time whichever and whether.

    We keep a secret's SHA-256 only, so its lowercase hex digits are the key: HMAC-SHA256 over ``t.body``.
    """
    right = False
    signed = b"%d." % signature.signed_at + body
    for secret_sha256 in taken:
        code = hmac.digest(secret_sha256.encode(), signed, "sha256").hex()
        right |= hmac.compare_digest(code, signature.code)
    return right


# How often -----------------------------------------------------------------------------------------------------


class Failures:
    """
    Failed authentications per address within a minute.

    An address that once proved a bot's secret is not locked out of that bot by the failures of others:
    TradingView sends everybody's alerts from the same four addresses.
    """

    def __init__(
        self, *, per_minute_max: int = FAILURES_PER_MINUTE_MAX, addresses_max: int = ADDRESSES_MAX
    ) -> None:
        self._per_minute_max = per_minute_max
        self._addresses_max = addresses_max
        self._failed: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()

    def retry_seconds(self, address: str, webhook_path: str, *, now: datetime) -> int:
        """Give how long the address has to wait before it may try again; 0 when it may."""
        failed = self._failed.get(address)
        if failed is None or (address, webhook_path) in self._proven:
            return 0
        return _retry_seconds(failed, self._per_minute_max, now)

    def is_over(self, address: str, *, now: datetime) -> bool:
        """Say whether the address has failed as often as it may."""
        failed = self._failed.get(address)
        return failed is not None and _retry_seconds(failed, self._per_minute_max, now) > 0

    def failed(self, address: str, *, now: datetime) -> None:
        """Count a failed authentication."""
        times = self._failed.setdefault(address, deque(maxlen=self._per_minute_max))
        times.append(now)
        self._failed.move_to_end(address)
        if len(self._failed) > self._addresses_max:
            self._failed.popitem(last=False)

    def proved(self, address: str, webhook_path: str) -> None:
        """Remember that the address knew this bot's secret."""
        key = (address, webhook_path)
        if key in self._proven:
            return
        self._proven[key] = None
        if len(self._proven) > self._addresses_max:
            self._proven.popitem(last=False)


class Deliveries:
    """Authenticated deliveries per bot within a sliding minute, in this process."""

    def __init__(self) -> None:
        self._times: dict[UUID, deque[datetime]] = {}

    def retry_seconds(self, bot: Bot, *, now: datetime) -> int:
        """Count a delivery and give 0, or give how long its sender has to wait and count nothing."""
        most = bot.signals_per_minute_max
        if most is None:
            return 0
        times = self._times.get(bot.bot_id)
        if times is None:
            times = self._times[bot.bot_id] = deque()
        wait = _retry_seconds(times, most, now)
        if wait == 0:
            times.append(now)
        return wait


def _retry_seconds(times: deque[datetime], most: int, now: datetime) -> int:
    oldest = now - MINUTE
    while times and times[0] <= oldest:
        times.popleft()
    if len(times) < most:
        return 0
    waits = times[0] - oldest if times else MINUTE
    return max(1, -int(-waits.total_seconds() // 1))

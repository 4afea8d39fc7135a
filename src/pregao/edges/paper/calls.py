"""
One request as the exchange reads it: parameters, key, signature, time window.

Works on the raw bytes: a signature is over what was sent, not over what it means.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from pregao.edges.paper.venue import Venue
from pregao.simulation.books import Account
from pregao.simulation.refusals import AHEAD_MESSAGE, ExchangeError

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
AHEAD_MAX_MS: Final = 1_000
FUTURES_PREFIX: Final = "/fapi/"
_SIGNATURE: Final = re.compile(rb"(?:^|&)signature=[^&]*")


class Security(Enum):
    """What an endpoint asks of its caller."""

    OPEN = "open"  # nothing
    KEY = "key"  # an API key
    SIGNED = "signed"  # an API key, a timestamp and a signature


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that has been read; ``key`` is empty where none was needed."""

    venue: Venue
    method: str
    path: str
    params: dict[str, str]
    key: str
    at_ms: int
    expires_ms: int = 0  # the request may not be matched after this
    lag_ms: int = 0  # how old the books are that a read shows
    stall_ms: int = 0  # how long it waits between its arrival and the engine
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def as_of_ms(self) -> int:
        """The instant whose books a read shows: earlier than now when reads lag."""
        return self.at_ms - self.lag_ms

    @property
    def account(self) -> Account:
        """The caller's account."""
        return self.venue.books.accounts[self.key]

    def text(self, name: str) -> str:
        """
        Give a parameter that must be there.

        :raises ExchangeError: -1102 when it is missing or empty.
        """
        value = self.params.get(name, "")
        if not value:
            raise ExchangeError(-1102, name.lower())
        return value

    def find_decimal(self, name: str) -> Decimal | None:
        """
        Give a decimal parameter, None when it was not sent.

        :raises ExchangeError: -1102 when it is not a number.
        """
        value = self.params.get(name)
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise ExchangeError(-1102, name.lower()) from None
        if not number.is_finite():
            raise ExchangeError(-1102, name.lower())
        return number

    def find_number(self, name: str) -> int | None:
        """
        Give a whole-number parameter, None when it was not sent.

        :raises ExchangeError: -1102 when it is not a whole number.
        """
        value = self.params.get(name)
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise ExchangeError(-1102, name.lower()) from None

    def find_flag(self, name: str) -> bool | None:
        """
        Give a yes-or-no parameter, None when it was not sent.

        :raises ExchangeError: -1102 when it is neither true nor false.
        """
        value = self.params.get(name)
        if not value:
            return None
        lowered = value.lower()
        if lowered not in {"true", "false"}:
            raise ExchangeError(-1102, name.lower())
        return lowered == "true"

    def limit(self, default: int, *, most: int) -> int:
        """Give how many rows are asked for."""
        asked = self.find_number("limit")
        return default if asked is None else max(1, min(asked, most))

    def check_window(self) -> None:
        """
        Refuse a request that has waited too long before it reached the engine.

        :raises ExchangeError: -5028.
        """
        if self.expires_ms and self.venue.now_ms() > self.expires_ms:
            raise ExchangeError(-5028)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What answers one method and path, what it asks and what it costs."""

    act: Callable[[Call], Any]
    security: Security = Security.OPEN
    weight: int = 1
    weight_without_symbol: int = 0  # when more than ``weight``
    orders: bool = False  # counts against the account's order limit, shows it in the headers


def read_params(query: bytes, body: bytes, *, content_type: str) -> dict[str, str]:
    """Give the parameters of query and form body together; the body wins."""
    params = _split(query)
    if body:
        if content_type.startswith("application/json"):
            decoded = msgspec.json.decode(body)
            if isinstance(decoded, dict):
                params.update({name: _as_text(value) for name, value in decoded.items() if value is not None})
        else:
            params.update(_split(body))
    return params


def check_rights(call: Call, account: Account, *, address: str) -> None:
    """
    Refuse what the key may not do, or not from there.

    :raises ExchangeError: -2015, whichever it is.
    """
    rights = account.rights
    is_elsewhere = bool(rights.addresses) and address not in rights.addresses
    if rights.is_revoked or is_elsewhere or (call.path.startswith(FUTURES_PREFIX) and not rights.futures):
        raise ExchangeError(-2015)


def check_signed(call: Call, account: Account, *, query: bytes, body: bytes) -> None:
    """
    Refuse a signed request with a wrong time or a wrong signature.

    :raises ExchangeError: -1102, -1021, -1022.
    """
    stamp = call.find_number("timestamp")
    if stamp is None:
        raise ExchangeError(-1102, "timestamp")
    window = call.find_number("recvWindow")
    window = RECV_WINDOW_DEFAULT_MS if window is None else window
    if not 0 < window <= RECV_WINDOW_MAX_MS:
        raise ExchangeError(-1130, "recvWindow")
    if "signature" not in call.params:
        raise ExchangeError(-1102, "signature")
    if stamp > call.at_ms + AHEAD_MAX_MS:
        raise ExchangeError(-1021, message=AHEAD_MESSAGE)
    if call.at_ms > stamp + window:
        raise ExchangeError(-1021)
    call.expires_ms = stamp + window
    if account.secret is not None:
        _check_signature(account.secret.encode(), call.params["signature"], query=query, body=body)


def _check_signature(secret: bytes, signature: str, *, query: bytes, body: bytes) -> None:
    parts = _SIGNATURE.sub(b"", query), _SIGNATURE.sub(b"", body)
    # The official SDK signs the query alone and repeats some of it in the body.
    for signed in {parts[0] + parts[1], parts[0] or parts[1]}:
        if hmac.compare_digest(hmac.digest(secret, signed, "sha256").hex(), signature.lower()):
            return
    raise ExchangeError(-1022)


def _split(text: bytes) -> dict[str, str]:
    if not text:
        return {}
    if b"%" in text or b"+" in text:
        return dict(parse_qsl(text.decode(), keep_blank_values=True))
    pairs = (pair.partition("=") for pair in text.decode().split("&"))
    return {name: value for name, _, value in pairs}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value).decode()
    return str(value)

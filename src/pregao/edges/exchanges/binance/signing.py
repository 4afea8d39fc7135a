"""Keys and signed query strings: HMAC-SHA256 over the parameters exactly as they are sent."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import quote

from pregao.domain.money import to_text

PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")

Value: TypeAlias = str | int | bool | Decimal


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One account's credentials; neither part is ever printed."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what could break out of a header line."""
        if not self.key or not all("!" <= letter <= "~" for letter in self.key):
            raise ValueError("API_KEY_UNREADABLE: the key is empty or has letters that no key has")


Credentials: TypeAlias = Callable[[int], ApiKey | Awaitable[ApiKey]]
"""Gives the key of an account, by our id; raises LookupError when there is none."""


def query_of(parameters: dict[str, Value]) -> str:
    """Write parameters in their order: decimals as plain digits, booleans in small letters."""
    return "&".join([f"{name}={to_wire(value)}" for name, value in parameters.items()])


def to_wire(value: Value) -> str:
    """Write one value the way the venue reads it."""
    if isinstance(value, str):
        return value if PLAIN.issuperset(value) else quote(value, safe="")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return to_text(value)
    return str(value)


def signed(query: str, *, secret: str) -> str:
    """Give the query with its signature behind it."""
    return f"{query}&signature={hmac.digest(secret.encode(), query.encode(), 'sha256').hex()}"

"""
A body as it came, looked at once: its fields, the secret it carries, or why it holds neither.

The secret is found before anything is believed, and in a broken message too.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from pregao.signals.fields import Found, gather, plain
from pregao.signals.texts import read_text
from pregao.signals.unreadable import Unreadable, shown

BODY_BYTES_MAX = 65_536  # TradingView sends some kilobytes at most


@dataclass(slots=True)
class Parsed:
    """A body looked at once; ``refusal`` is why its fields could not be found."""

    found: Found
    secret: str | None = None
    refusal: Unreadable | None = None


def parse(body: bytes) -> Parsed:
    """Find a body's fields. Never raises: what is wrong with the body is kept for ``read_alert``."""
    try:
        return _parse(body)
    except Unreadable as refusal:
        return Parsed({}, _secret_in_malformed(body), refusal)


def find_secret(body: bytes | Parsed) -> str | None:
    """Give the shared secret a body carries, as it stands there; a placeholder nobody filled included."""
    parsed = body if isinstance(body, Parsed) else parse(body)
    fields = parsed.found.get("secret")
    if not fields:
        return parsed.secret
    if len(fields) == 1:
        return to_text(fields[0][1]) or parsed.secret
    return _first_secret(fields) or parsed.secret


def secrets_named(parsed: Parsed) -> tuple[str, ...]:
    """Give every text that stands under a name for secrets."""
    named = (to_text(value) for _, value in parsed.found.get("secret", ()))
    return tuple(text for text in (parsed.secret, *named) if text)


def _keep_decimal(text: str) -> Decimal:
    return Decimal(text) if len(text) <= 64 else Decimal("NaN")  # refused as a number wherever it matters


_decode = msgspec.json.Decoder(float_hook=_keep_decimal).decode


def _parse(body: bytes) -> Parsed:
    if body[:1] != b"{":
        return _parse_text(body)
    if len(body) > BODY_BYTES_MAX:
        raise Unreadable(
            "BODY_TOO_LONG", f"bytes={len(body)} bytes_max={BODY_BYTES_MAX}. Send the order only."
        )
    try:
        document = _decode(body)
        is_flat = body.find(b"{", 1) < 0 and body.find(b"[") < 0
        keys = len(document) if is_flat else _keys_of(document)
    except (ValueError, RecursionError) as error:
        raise _malformed(body, error) from error
    # A repeated key would be lost without a word; counting what may be a key costs a tenth of looking for them.
    if body.translate(None, b" \t\r\n").count(b'":') != keys:
        _refuse_repeated_keys(body)
    return Parsed(gather(document))


def _parse_text(body: bytes) -> Parsed:
    if len(body) > BODY_BYTES_MAX:
        raise Unreadable(
            "BODY_TOO_LONG", f"bytes={len(body)} bytes_max={BODY_BYTES_MAX}. Send the order only."
        )
    stripped = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not stripped:
        raise Unreadable(
            "BODY_EMPTY", "bytes=0. The alert's message field is empty; fill it in on TradingView."
        )
    if stripped[:1] == b"{":
        return _parse(stripped)
    try:
        text = stripped.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("BODY_NOT_TEXT", f"bytes={len(body)}. It is not UTF-8 text.") from error
    if any(character < " " and character not in "\r\n\t" for character in text):
        raise Unreadable("BODY_NOT_TEXT", f"bytes={len(body)}. It contains control characters.")
    return _parse_value(stripped, text)


def _parse_value(body: bytes, text: str) -> Parsed:
    if text[0] in '["':
        try:
            value = _decode(body)
        except (ValueError, RecursionError) as error:
            if text.startswith("[") and "{" in text:
                raise _malformed(body, error) from error
        else:
            if isinstance(value, str) and value.strip()[:1] not in ("", '"', "["):
                return _parse(value.strip().encode())
            if isinstance(value, list):
                return _parse_list(value, body)
    read = read_text(text)
    return Parsed(read.found, read.secret)


def _parse_list(orders: list[object], body: bytes) -> Parsed:
    if len(orders) == 1 and isinstance(orders[0], dict):
        _refuse_repeated_keys(body)
        return Parsed(gather(orders[0]))
    if len(orders) > 1:
        raise Unreadable("SEVERAL_ORDERS", f"orders={len(orders)} orders_max=1. Send one alert for each.")
    raise Unreadable("FORM_UNKNOWN", "The list holds no order. Send one JSON object.")


def _keys_of(document: dict[str, Any]) -> int:
    keys = len(document)
    for value in document.values():
        if type(value) is dict:
            keys += _keys_of(value)
        elif type(value) is list:
            keys += sum(_keys_of({"": item}) - 1 for item in value)
    return keys


def _refuse_repeated_keys(body: bytes) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        document: dict[str, object] = {}
        for name, value in pairs:
            if document.setdefault(name, value) != value:
                raise Unreadable("FIELD_REPEATED", f"field={shown(name)} stands twice with different values.")
        return document

    try:
        json.loads(body, object_pairs_hook=once, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise _malformed(body, error) from error


def _malformed(body: bytes, error: Exception) -> Unreadable:
    found = re.search(r"\(byte (\d+)\)", str(error))
    line = body[: int(found[1])].count(b"\n") + 1 if found else 1
    if b"{{" in body:
        return Unreadable("PLACEHOLDER_UNFILLED", f"line={line}. A placeholder arrived as it was written.")
    return Unreadable(
        "JSON_MALFORMED",
        f"line={line}. The body starts like JSON but is none: look for a missing colon, comma or quote, "
        "and for comments.",
    )


_MALFORMED_SECRET = re.compile(
    rb'"(secret|passphrase|password|token|key|apikey|senha)"\s*:\s*"([^"\\]{1,512})"', re.IGNORECASE
)


def to_text(value: object) -> str | None:
    """Give a secret or an id as text; None when it is neither text nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    if isinstance(value, int) and value.bit_length() > 256:
        return None
    return str(value) or None


def _first_secret(fields: list[tuple[str, object]]) -> str | None:
    found = {plain(name.rpartition(".")[2]): to_text(value) for name, value in reversed(fields)}
    # A "secret" beside an API key belongs to an exchange; ours is then the token.
    ranks = ["passphrase", "password", "senha", "token", "webhooksecret"]
    ranks.insert(len(ranks) if "apikey" in found else 0, "secret")
    for name in (*ranks, "key", "auth"):
        if found.get(name):
            return found[name]
    return next((secret for name, value in fields if (secret := to_text(value))), None)


def _secret_in_malformed(body: bytes) -> str | None:
    # The owner of a broken message is told what is broken, so the secret is looked for in it too.
    found = {value for _, value in _MALFORMED_SECRET.findall(body[:BODY_BYTES_MAX])}
    return found.pop().decode(errors="replace") if len(found) == 1 else None


def without_secrets(refusal: Unreadable, *, parsed: Parsed) -> Unreadable:
    """Give the refusal with every secret of the body blotted out of its reason."""
    reason = refusal.reason
    values = [to_text(value) for _, value in parsed.found.get("secret", ())]
    for secret in (parsed.secret, *values):
        if secret is not None and secret in reason:
            reason = reason.replace(secret, "***")
    return refusal if reason == refusal.reason else Unreadable(refusal.code, reason)

"""One alert that was let in: its bytes, who sent it, and the signal it becomes."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from pregao.domain.bot import Bot
from pregao.domain.clock import from_ms
from pregao.domain.facts import SignalReceived
from pregao.domain.signal import AlertReading
from pregao.edges.http.answers import Answer
from pregao.edges.http.gate import Signature, masked, masked_text
from pregao.edges.ids import uuid7
from pregao.signals.accept import accept_one
from pregao.signals.formats import Parsed, Unreadable, find_secret, read_alert
from pregao.signals.ports import Arrival

Receive: TypeAlias = Callable[[], Awaitable[Any]]

BODY_BYTES_MAX = 65_536
DRAIN_BYTES_MAX = 1_048_576  # of a body too large: read, so that its sender can read why it was refused
DRAIN_SECONDS = 0.3
CONTENT_TYPE_CHARACTERS_MAX = 100
TRADINGVIEW = frozenset({"52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7"})


class Gone(Exception):
    """The sender left before its body was complete."""


@dataclass(slots=True)
class Delivery:
    """One POST that was let in."""

    bot: Bot
    body: bytes
    parsed: Parsed
    secrets: tuple[str, ...]  # to be masked wherever they stand
    signature: Signature | None
    content_type: str
    source: str
    address: str
    is_master: bool  # else it came to the queue of the bot `default`
    now: datetime
    began: float  # the loop's clock
    wait_seconds: float


# The signal -----------------------------------------------------------------------------------------------------


def arrival_of(delivery: Delivery, *, age_seconds_max: int) -> Arrival:
    """Read what was let in, and give it as it is stored: masked, with its key and with what it asks for."""
    reading: AlertReading | Unreadable
    try:
        reading = _read(delivery)
        explicit_id = reading.explicit_id
        if reading.sent_at is None and delivery.signature is not None:
            reading = replace(reading, sent_at=from_ms(delivery.signature.signed_at * 1000))
    except Unreadable as unreadable:
        reading = Unreadable(unreadable.code, masked_text(unreadable.reason, delivery.secrets))
        explicit_id = None
    stored = _stored(delivery)
    bot_id = delivery.bot.bot_id
    received = SignalReceived(
        happened_at=delivery.now,
        signal_id=uuid7(delivery.now),
        bot_id=bot_id,
        body=stored,
        content_type=delivery.content_type,
        source=delivery.source,
        source_address=delivery.address,
        dedupe_key=hashlib.sha256(bot_id.bytes + stored).hexdigest()
        if explicit_id is None
        else _storable(masked_text(explicit_id, delivery.secrets)),
        is_explicit_id=explicit_id is not None,
    )

    def read(_received: SignalReceived) -> AlertReading:
        if isinstance(reading, Unreadable):
            raise reading
        return reading

    outcome = accept_one(received, read, now=delivery.now, age_seconds_max=age_seconds_max)
    return Arrival(received, outcome, None if delivery.signature is None else delivery.signature.code)


def header_secret(headers: dict[bytes, bytes]) -> str | None:
    """Give what `X-Pregao-Secret` says."""
    value = headers.get(b"x-pregao-secret")
    return None if value is None else value.decode(errors="replace")


@lru_cache(maxsize=256)
def content_type_of(header: bytes) -> str:
    """Give what the sender says his body is, cut where it says too much."""
    return header.decode("latin-1")[:CONTENT_TYPE_CHARACTERS_MAX]


def source_of(address: str, *, is_master: bool) -> str:
    """Give the kind of sender, as far as its address tells."""
    if not is_master:
        return "webhook_in"
    return "tradingview" if address in TRADINGVIEW else "webhook"


def _read(delivery: Delivery) -> AlertReading:
    reading = read_alert(delivery.parsed, trading_symbol=delivery.bot.trading_symbol)
    if reading.symbol is not None:
        for secret in delivery.secrets:
            if secret.strip().upper() == reading.symbol:
                raise Unreadable("SECRET_MISPLACED", "The secret stands where the symbol belongs.")
    return reading


def _stored(delivery: Delivery) -> bytes:
    if not delivery.secrets:
        return delivery.body
    stored = masked(delivery.body, delivery.secrets)
    if stored == delivery.body and find_secret(delivery.parsed):
        return b"***"  # it is in there in a spelling we do not know: better no body than a secret
    return stored


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")


# The bytes ------------------------------------------------------------------------------------------------------


async def read_body(receive: Receive, *, length: bytes | None) -> bytes:
    """
    Give the whole body; ``length`` is what its sender announced.

    :raises Answer: when it is too large
    :raises Gone: when its sender left
    """
    if length is not None and length.isdigit() and int(length) > BODY_BYTES_MAX:
        await _drain(receive, int(length))
        raise _too_large()
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            await _drain(receive, len(body))
            raise _too_large()
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return body


async def _drain(receive: Receive, length: int) -> None:
    if length > DRAIN_BYTES_MAX:
        return
    drained, message = 0, {"more_body": True}
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while message.get("more_body") and drained <= DRAIN_BYTES_MAX:
                message = await receive()
                drained += len(message.get("body", b""))
    except TimeoutError:
        return


def _too_large() -> Answer:
    return Answer(413, "BODY_TOO_LARGE", "Send the order only.", bytes_max=BODY_BYTES_MAX)


@lru_cache(maxsize=256)
def asked_of(query: bytes) -> tuple[str | None, float | None]:
    """Give the secret and the seconds to wait that a query string carries."""
    if not query:
        return None, None
    asked = parse_qs(query.decode("latin-1"))
    try:
        wait = float(asked["wait"][-1])
    except (KeyError, ValueError):
        wait = None
    return asked.get("secret", [None])[-1], wait

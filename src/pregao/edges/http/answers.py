"""What the webhooks answer: their bodies, their errors, and the page of the API's document about them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from pregao.views.receipts import Receipt, ReceiptRow

MASTER_PATH = "/api/v1/bots/webhook/master/"
QUEUE_PATH = "/webhook/in"

JSON_HEADER = (b"content-type", b"application/json")

encode = msgspec.json.Encoder(decimal_format="string").encode


class Answer(Exception):
    """An error the sender is told: HTTP status, stable code, sentence, and the numbers behind it."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_seconds: int = 0, **details: Any
    ) -> None:
        super().__init__(code)
        self.status = status
        self.retry_seconds = retry_seconds
        self.body = encode({"error": {"code": code, "message": message, "details": details}})

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Give the headers beside type and length."""
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if self.retry_seconds:
            headers += ((b"retry-after", b"%d" % self.retry_seconds),)
        if self.status == 413:
            headers += ((b"connection", b"close"),)
        return headers


def over_failures(retry_seconds: int) -> Answer:
    """Give the answer for an address that failed too often."""
    return Answer(
        429,
        "AUTHENTICATION_LIMIT",
        "Too many failed authentications from this address within a minute.",
        retry_seconds=retry_seconds,
    )


def queue_full(queue_size: int, *, retry_seconds: int) -> Answer:
    """Give the answer while too many signals wait; 5xx, because 429 would be final for TradingView."""
    return Answer(
        503,
        "QUEUE_FULL",
        "Too many signals wait for their decision. Nothing was taken; send it again.",
        retry_seconds=retry_seconds,
        queue_size=queue_size,
    )


def secret_wrong() -> Answer:
    """Give the answer for a secret that is not the bot's, or none."""
    return Answer(
        401,
        "SECRET_WRONG",
        'The bot has another secret. Send it as "secret" in the body, as ?secret= or as X-Pregao-Secret.',
    )


def signature_wrong() -> Answer:
    """Give the answer for a signature that is not of this body by one of the bot's secrets."""
    return Answer(
        401,
        "SIGNATURE_WRONG",
        "Send X-Pregao-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 over t.body>, keyed by the lowercase hex "
        "SHA-256 of the bot's secret, over the very bytes that are sent.",
    )


def signature_stale(age_seconds: int, *, age_seconds_max: int) -> Answer:
    """Give the answer for a signature of another time; negative is ahead of ours."""
    return Answer(
        401,
        "SIGNATURE_STALE",
        "The body was signed too long ago, or ahead of time. Sign at each sending, and set the sender's clock.",
        age_seconds=age_seconds,
        age_seconds_max=age_seconds_max,
    )


def signal_limit(per_minute_max: int | None, *, retry_seconds: int) -> Answer:
    """Give the answer for a bot over its limit."""
    return Answer(
        503,
        "SIGNAL_LIMIT",
        "The bot takes no more signals this minute. Nothing was taken; send it again.",
        retry_seconds=retry_seconds,
        signals_per_minute_max=per_minute_max,
    )


KINDS = ("pending", "failed", "successful", "skipped")
"""How a signal may end for a subscriber; of several orders the first of these counts."""


class BroadcastStats(msgspec.Struct):
    """How many subscribers a signal reached, by how it ended for them; the four kinds add up to the total."""

    total_subscribers: int = 0
    successful_executions: int = 0
    failed_executions: int = 0
    skipped_executions: int = 0
    pending_executions: int = 0
    duration_ms: int = 0


class Execution(msgspec.Struct):
    """One order of the answer; a reverse has two on an account."""

    account: str
    leg: str
    outcome: str
    code: str | None
    quantity: Decimal | None
    average_price: Decimal | None


class Broadcast(msgspec.Struct):
    """The answer of a master webhook."""

    success: bool
    bot_name: str
    signal_id: UUID
    status: str  # complete, or pending while something is on its way
    repeated: bool  # an earlier delivery of the same alert stands
    broadcast_stats: BroadcastStats
    executions: Sequence[Execution]
    timestamp: datetime
    code: str | None = None  # why the signal was not traded at all
    reason: str | None = None


class Queued(msgspec.Struct):
    """The answer of `/webhook/in`."""

    queued: bool
    queue_size: int
    signal_id: UUID
    ticker: str | None


def broadcast_of(receipt: Receipt, *, repeated: bool, duration_ms: int, now: datetime) -> Broadcast:
    """Give what a master webhook says about a signal, from its receipt."""
    kinds = _kinds_by_subscriber(receipt.rows)
    return Broadcast(
        success=True,
        bot_name=receipt.bot_name,
        signal_id=receipt.signal_id,
        status="complete" if receipt.is_complete else "pending",
        repeated=repeated,
        broadcast_stats=BroadcastStats(
            total_subscribers=len(kinds),
            successful_executions=kinds.count("successful"),
            failed_executions=kinds.count("failed"),
            skipped_executions=kinds.count("skipped"),
            pending_executions=kinds.count("pending"),
            duration_ms=duration_ms,
        ),
        executions=[
            Execution(
                row.account,
                row.leg,
                row.outcome,
                row.code,
                row.filled_quantity or row.quantity,
                row.average_price,
            )
            for row in receipt.rows
        ],
        timestamp=now,
        code=receipt.code,
        reason=receipt.reason,
    )


def _kinds_by_subscriber(rows: Sequence[ReceiptRow]) -> list[str]:
    """Give each subscriber's kind once, however many orders he has: a reverse has two, closing all has many."""
    kinds: dict[UUID, set[str]] = {}
    for row in rows:
        kinds.setdefault(row.subscription_id, set()).add(_kind_of(row))
    return [next(kind for kind in KINDS if kind in own) for own in kinds.values()]


def _kind_of(row: ReceiptRow) -> str:
    if row.outcome == "denied":
        return "skipped"
    if row.outcome in ("filled", "partially_filled"):
        return "successful"
    if row.outcome in ("rejected", "canceled", "expired"):
        return "successful" if row.filled_quantity else "failed"
    return "pending"


# The API's document --------------------------------------------------------------------------------------------

ERRORS = {
    "401": "SECRET_WRONG: the secret in body, `?secret=` or `X-Pregao-Secret` is not the bot's.",
    "404": "PATH_UNKNOWN: no bot has this path.",
    "400": "BOT_NOT_ACTIVE: the bot is archived, and takes closes only while it holds something.",
    "413": "BODY_TOO_LARGE: more than 64 KiB.",
    "422": "The body cannot be read for certain; the code says why. The signal is stored as refused.",
    "429": "AUTHENTICATION_LIMIT: too many failed authentications from this address within a minute.",
    "503": "DATABASE_AWAY, SIGNAL_LIMIT or QUEUE_FULL: nothing was taken; send it again.",
}
ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
            "required": ["code", "message", "details"],
        }
    },
    "required": ["error"],
}


def intake_openapi() -> dict[str, Any]:
    """Give the path items of both webhooks, to be merged into ``paths`` of the API's document."""
    (broadcast, queued), components = msgspec.json.schema_components(
        (Broadcast, Queued), ref_template="#/components/schemas/{name}"
    )
    inlined = {name: _inlined(schema, components) for name, schema in components.items()}
    wait = _parameter(
        "wait", "Seconds to wait for the receipt; 0 does not wait.", {"type": "number", "minimum": 0}
    )
    path = {"name": "webhook_path", "in": "path", "required": True, "schema": {"type": "string"}}
    del broadcast, queued
    return {
        f"{MASTER_PATH}{{webhook_path}}": {
            "post": _operation(
                "master_webhook",
                "Broadcast one alert to every subscribed account of the bot.",
                parameters=[path, wait],
                answers={
                    "200": ("Complete.", inlined["Broadcast"]),
                    "202": ("Pending.", inlined["Broadcast"]),
                },
            )
        },
        QUEUE_PATH: {
            "post": _operation(
                "webhook_in",
                "Queue one alert for the bot `default`.",
                parameters=[],
                answers={"202": ("Queued.", inlined["Queued"])},
            )
        },
    }


def _operation(
    name: str, summary: str, *, parameters: list[dict[str, Any]], answers: dict[str, tuple[str, Any]]
) -> dict[str, Any]:
    secret = _parameter("secret", "The bot's secret, where the body cannot carry it.", {"type": "string"})
    header = {**secret, "name": "X-Pregao-Secret", "in": "header"}
    signature = {
        **_parameter(
            "X-Pregao-Signature",
            "Instead of the secret: HMAC-SHA256 over t.body, keyed by the lowercase hex SHA-256 of the secret.",
            {"type": "string", "pattern": "^t=[1-9][0-9]{0,10},v1=[0-9A-Fa-f]{64}$"},
        ),
        "in": "header",
    }
    told = {status: (text, ERROR_SCHEMA) for status, text in ERRORS.items()}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["webhooks"],
        "parameters": [*parameters, secret, header, signature],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            status: {"description": text, "content": {"application/json": {"schema": schema}}}
            for status, (text, schema) in {**answers, **told}.items()
        },
    }


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    # Two pages that never change do not need names in somebody else's list of components.
    if isinstance(schema, list):
        return [_inlined(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _inlined(part, components) for name, part in schema.items()}

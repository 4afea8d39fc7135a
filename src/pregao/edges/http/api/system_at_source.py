"""
The destination, the settings and the state of the desk at system A's own paths and in its words.

They are about the desk's first destination: system A had one. Of its address only the host is shown, because the rest may hold a secret;
who sends back what was shown changes nothing of it.
"""

import hmac
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, SecretStr

from pregao.accounts import refusals as accounts
from pregao.accounts.ports import AccountBook
from pregao.destinations import refusals as destinations
from pregao.domain.forward import TIMEOUT_SECONDS_DEFAULT, TIMEOUT_SECONDS_MAX, TIMEOUT_SECONDS_MIN
from pregao.edges.http.api.accounts import ReadDestination, change_with_destination, read_destination
from pregao.edges.http.api.destinations import PerMinute, set_limit_in
from pregao.edges.http.api.destinations_at_source import UNUSABLE, Told, bad_request
from pregao.edges.http.api.metrics import CountersShown, counters_of
from pregao.edges.http.api.roles import Operator, name_of
from pregao.edges.http.api.screener_at_source import (
    ConfigAsked,
    ConfigAtSource,
    change_active,
    get_config_at_source,
)
from pregao.edges.http.api.shapes import COUNT, ERRORS, STRICT, TOKEN, DeskGiven, Shown, unset
from pregao.edges.http.desk import Desk
from pregao.market import refusals as market
from pregao.views.destinations import DestinationLine

routes = APIRouter(tags=["destinations"], dependencies=[TOKEN], responses=ERRORS)

REST_OF_URL = "/***"
Timeout = Annotated[
    int,
    STRICT,
    COUNT,
    Field(json_schema_extra={"minimum": TIMEOUT_SECONDS_MIN, "maximum": TIMEOUT_SECONDS_MAX}),
]


class WebhookAsked(Told):
    """What to change of the destination; the rest stays."""

    webhook_url: SecretStr = unset()
    timeout: Timeout = unset()


class WebhookPart(Told):
    """The destination, within all settings."""

    url: SecretStr = unset()
    timeout: Timeout = unset()


class FinvizPart(Told):
    """The active strategy of the screener, within all settings."""

    url: str = unset()
    top_n: int = unset()
    refresh_interval_sec: int = unset()


class LimiterPart(Told):
    """The limit on forwards, within all settings."""

    max_req_per_min: PerMinute = unset()
    enabled: bool = unset()


class SystemAsked(Told):
    """All settings; what is not sent stays."""

    webhook: WebhookPart = unset()
    finviz: FinvizPart = unset()
    rate_limiter: LimiterPart = unset()


class WebhookAtSource(Shown):
    """The destination and the limit."""

    webhook_url: Annotated[
        str, Field(description="The host; the rest is not shown. Empty: there is no destination.")
    ]
    timeout: int
    rate_limiting_enabled: bool
    max_req_per_min: int
    timestamp: datetime


class LimiterAtSource(Shown):
    """The limit, and the minute of the destination that has the fewest slots left."""

    tokens_available: int
    requests_made_this_minute: int
    total_requests_limited: int
    pending_token_returns: int
    is_rate_limited: bool
    rate_limiting_enabled: bool
    max_req_per_min: int
    last_token_refresh: datetime | None


class SystemInfo(Shown):
    """The desk."""

    version: str
    uptime_seconds: float
    workers: Annotated[dict[str, int], Field(description="Those that live, by role.")]
    timestamp: datetime


class MetricsAtSource(Shown):
    """The counters since they were last reset, and what follows from them."""

    signals_received: int
    signals_approved: int
    signals_rejected: int
    signals_forwarded_success: int
    signals_forwarded_error: int
    approval_rate: float
    forward_success_rate: float
    signals_per_minute: float


class QueueAtSource(Shown):
    """Signals that wait for a decision, and orders that wait for an answer."""

    processing_queue_size: int
    approved_queue_size: int


class EngineAtSource(Shown):
    """What the screener does."""

    engine_status: str  # running, paused or stopped
    ticker_count: int
    last_update: datetime | None
    failures: int


class StatusAtSource(MetricsAtSource, QueueAtSource, EngineAtSource, LimiterAtSource):
    """Everything in its part, and once more beside it."""

    system_info: SystemInfo
    metrics: MetricsAtSource
    queue: QueueAtSource
    engine: EngineAtSource
    finviz_config: ConfigAtSource | None
    webhook_rate_limiter: LimiterAtSource


@routes.post("/admin/webhook/update", status_code=204, responses=UNUSABLE)
async def update_webhook_at_source(body: WebhookAsked, desk: DeskGiven, _who: Operator) -> None:
    """Change where signals are forwarded to, and how long an answer is waited for."""
    sent = body.model_dump(exclude_unset=True)
    try:
        asked = await _read_first(desk, sent.get("webhook_url"), seconds=sent.get("timeout"))
        async with desk.accounts.open(owner=None) as book:
            await _change_first(asked, book=book, desk=desk)
    except (accounts.SettingUnusableError, accounts.UnknownError, destinations.SettingUnusableError) as error:
        raise bad_request(error) from error


@routes.get("/admin/webhook/config")
async def get_webhook_at_source(desk: DeskGiven, _who: Operator) -> WebhookAtSource:
    """Give the destination and the limit."""
    first = await desk.forward_limits.find_first()
    limit = (await desk.forward_limits.limit()).limit
    return WebhookAtSource(
        webhook_url="" if first is None else _shown_url(first),
        timeout=TIMEOUT_SECONDS_DEFAULT if first is None else first.timeout_seconds,
        rate_limiting_enabled=limit.is_enabled,
        max_req_per_min=limit.max_per_minute,
        timestamp=desk.clock(),
    )


@routes.post("/admin/system/config", status_code=204, responses=UNUSABLE)
async def update_system_at_source(body: SystemAsked, desk: DeskGiven, who: Operator) -> None:
    """Change the destination, the screener's strategy and the limit, in one transaction: all of it, or nothing."""
    sent = body.model_dump(exclude_unset=True)
    webhook, limiter = sent.get("webhook", {}), sent.get("rate_limiter", {})
    ours = {"max_req_per_min": "max_per_minute", "enabled": "is_enabled"}
    limits = {ours[name]: value for name, value in limiter.items()}
    by = await name_of(who, desk=desk)
    try:
        first = await _read_first(desk, webhook.get("url"), seconds=webhook.get("timeout"))
        async with desk.setting_books.open() as book:
            await _change_first(first, book=book.accounts, desk=desk)
            if sent.get("finviz"):
                await change_active(_finviz_asked(sent["finviz"]), book=book.screener, desk=desk)
            if limits:
                await set_limit_in(book.limit, limits, by=by, desk=desk)
    except (
        accounts.SettingUnusableError, accounts.UnknownError, destinations.SettingUnusableError,
        market.SettingUnusableError, market.ConflictError,
    ) as error:  # fmt: skip
        raise bad_request(error) from error


@routes.get("/admin/status")
async def get_status_at_source(desk: DeskGiven, who: Operator) -> StatusAtSource:
    """Say how the desk is, in parts and flat."""
    return await _status(desk, who)


@routes.get("/admin/system-info")
async def get_system_info_at_source(desk: DeskGiven, who: Operator) -> StatusAtSource:
    """Say how the desk is, in parts and flat."""
    return await _status(desk, who)


async def _status(desk: Desk, who: Operator) -> StatusAtSource:
    counters = await counters_of(desk)
    metrics, queue = _metrics(counters), await _queue(desk)
    engine, limiter = await _engine(desk), await _limiter(desk)
    return StatusAtSource(
        system_info=await _info(desk, counters),
        metrics=metrics,
        queue=queue,
        engine=engine,
        finviz_config=await _finviz(desk, who),
        webhook_rate_limiter=limiter,
        **{**metrics.model_dump(), **queue.model_dump(), **engine.model_dump(), **limiter.model_dump()},
    )


async def _info(desk: Desk, counters: CountersShown) -> SystemInfo:
    alive = [worker.role for worker in await desk.health.workers() if worker.is_alive]
    return SystemInfo(
        version=desk.version,
        uptime_seconds=counters.uptime_seconds,
        workers={role: alive.count(role) for role in sorted(set(alive))},
        timestamp=counters.timestamp,
    )


def _metrics(counters: CountersShown) -> MetricsAtSource:
    return MetricsAtSource(
        **counters.counters,
        approval_rate=float(counters.approval_rate),
        forward_success_rate=float(counters.forward_success_rate),
        signals_per_minute=float(counters.signals_per_minute),
    )


async def _queue(desk: Desk) -> QueueAtSource:
    waiting = await desk.health.waiting()
    return QueueAtSource(processing_queue_size=waiting.signals, approved_queue_size=waiting.orders)


async def _engine(desk: Desk) -> EngineAtSource:
    line = await desk.screener.status()
    running = "running" if line.is_running else "stopped"
    return EngineAtSource(
        engine_status="paused" if line.is_paused else running,
        ticker_count=line.size,
        last_update=line.good_at,
        failures=line.failures,
    )


async def _finviz(desk: Desk, who: Operator) -> ConfigAtSource | None:
    if (await desk.screener.status()).strategy_id is None:
        return None
    return await get_config_at_source(desk, who)


async def _limiter(desk: Desk) -> LimiterAtSource:
    limit = (await desk.forward_limits.limit()).limit
    lines = await desk.forward_limits.slots()
    fullest = lines[0] if lines else None
    taken = 0 if fullest is None else fullest.taken
    return LimiterAtSource(
        tokens_available=limit.max_per_minute if fullest is None else fullest.left,
        requests_made_this_minute=taken,
        total_requests_limited=sum(line.limited for line in lines),
        pending_token_returns=taken,
        is_rate_limited=fullest is not None and fullest.is_full,
        rate_limiting_enabled=limit.is_enabled,
        max_req_per_min=limit.max_per_minute,
        last_token_refresh=None if fullest is None else fullest.freed_at,
    )


async def _read_first(
    desk: Desk, url: SecretStr | None, *, seconds: int | None
) -> tuple[int, ReadDestination] | None:
    """
    Give what is to be changed of which account.

    :raises SettingUnusableError: when a value cannot be used, or there is no destination.
    """
    if url is None and seconds is None:
        return None
    first = await desk.forward_limits.find_first()
    if first is None:
        raise destinations.SettingUnusableError(
            "DESTINATION_MISSING",
            "The desk has no destination. Set DEST_WEBHOOK_URL, or open an account at the venue webhook.",
        )
    changes: dict[str, Any] = {}
    if seconds is not None:
        if not TIMEOUT_SECONDS_MIN <= seconds <= TIMEOUT_SECONDS_MAX:
            raise destinations.SettingUnusableError(
                "SETTING_OUT_OF_RANGE",
                f"timeout={seconds} minimum={TIMEOUT_SECONDS_MIN} maximum={TIMEOUT_SECONDS_MAX}.",
                field="timeout",
            )
        changes["timeout_seconds"] = seconds
    if url is not None and not _is_what_is_shown(url, first):
        changes["url"] = url
    return (first.account_id, await read_destination(changes, desk=desk)) if changes else None


def _is_what_is_shown(url: SecretStr, line: DestinationLine) -> bool:
    return hmac.compare_digest(url.get_secret_value().encode(errors="replace"), _shown_url(line).encode())


async def _change_first(asked: tuple[int, ReadDestination] | None, *, book: AccountBook, desk: Desk) -> None:
    if asked is not None:
        account_id, destination = asked
        await change_with_destination(account_id, {}, destination, book=book, desk=desk)


def _finviz_asked(sent: dict[str, Any]) -> ConfigAsked:
    return ConfigAsked(**{"finviz_url" if name == "url" else name: value for name, value in sent.items()})


def _shown_url(line: DestinationLine) -> str:
    return f"{line.host}{REST_OF_URL}"

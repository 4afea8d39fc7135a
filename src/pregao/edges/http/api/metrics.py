"""
`/metrics` for Prometheus, read off the database at every scrape, so that any web process can answer.

What the answering process uses itself (memory, processor, files) stands beside it. What system A counted is below
`/api/v1/metrics`, to be read by people and reset.
"""

import hmac
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from pregao.domain.breaker import BreakerState
from pregao.domain.figures import FIGURES, Figure, Kind, label_of
from pregao.edges.http.api.roles import Operator, Viewer, name_of
from pregao.edges.http.api.shapes import ERRORS, TOKEN, UNREADABLE, Amount, DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, ErrorBody
from pregao.views.breakers import BreakerLine
from pregao.views.destinations import SlotsLine
from pregao.views.figures import COUNTERS, Reading, derived
from pregao.views.screener import ScreenerLine
from pregao.views.weights import WeightLine

Labels = tuple[str, ...]
Samples = Mapping[str, Mapping[Labels, float]]

STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
WEIGHTS: tuple[tuple[str, Callable[[WeightLine], float]], ...] = (
    ("pregao_weight_used", lambda one: one.used),
    ("pregao_weight_drawn", lambda one: one.drawn),
    ("pregao_weight_max", lambda one: one.weight_max),
    ("pregao_weight_paused_seconds", lambda one: one.paused_seconds),
)
SCREENER: tuple[tuple[str, Callable[[ScreenerLine], float]], ...] = (
    ("pregao_screener_tickers", lambda line: line.size),
    ("pregao_screener_failures", lambda line: line.failures),
    (
        "pregao_screener_good_timestamp_seconds",
        lambda line: 0.0 if line.good_at is None else line.good_at.timestamp(),
    ),
)
# Said out loud: else the document takes it for text, as the gauges are.
TOLD: dict[str, Any] = {"content": {"application/json": {"schema": ErrorBody.model_json_schema()}}}
routes = APIRouter(
    tags=["health"],
    dependencies=[TOKEN],
    responses={
        401: {**TOLD, "description": "TOKEN_WRONG"},
        503: {**TOLD, "description": "DATABASE_AWAY"},
    },
)
counter_routes = APIRouter(prefix="/api/v1/metrics", tags=["health"], dependencies=[TOKEN], responses=ERRORS)


class CountersShown(Shown):
    """System A's counters since they were last reset, what follows from them, and what else it counts."""

    counters: dict[str, int]
    gauges: dict[str, int]
    approval_rate: Amount
    forward_success_rate: Amount
    error_rate: Amount
    signals_per_minute: Amount
    uptime_seconds: float
    timestamp: datetime


@routes.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(desk: DeskGiven, request: Request) -> PlainTextResponse:
    """Give every figure, in the format that is asked for; takes `PREGAO_METRICS_TOKEN` and no other token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given, wanted = token.strip().encode(), desk.metrics_token.encode()
    if not wanted or scheme.lower() != "bearer" or not hmac.compare_digest(given, wanted):
        raise ApiError(401, "TOKEN_WRONG", "Send PREGAO_METRICS_TOKEN as `Authorization: Bearer …`.")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(await _samples(desk)))
    registry.register(PROCESS_COLLECTOR)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return PlainTextResponse(encode(registry), headers={"content-type": content_type})


@counter_routes.get("")
async def get_counters(desk: DeskGiven, _who: Viewer) -> CountersShown:
    """Give what was received, approved, rejected and forwarded since the counters were last reset."""
    return await counters_of(desk)


@counter_routes.post("/reset", responses=UNREADABLE)
async def reset_counters(desk: DeskGiven, who: Operator) -> CountersShown:
    """Have the counters begin at zero now; nothing is forgotten, and Prometheus' figures go on."""
    await desk.counter_books.reset(set_by=await name_of(who, desk=desk), clock=desk.clock)
    return await counters_of(desk)


async def counters_of(desk: Desk) -> CountersShown:
    """Give system A's counters and what follows from them."""
    lines = {line.metric_name: line.metric_value for line in await desk.figures.metrics()}
    uptime_seconds = await desk.figures.uptime_seconds()
    counters = {name: lines[name] for name in COUNTERS}
    follows = derived(counters, uptime_seconds=uptime_seconds)
    return CountersShown(
        counters=counters,
        gauges={name: value for name, value in lines.items() if name not in counters},
        approval_rate=follows.approval_rate,
        forward_success_rate=follows.forward_success_rate,
        error_rate=follows.error_rate,
        signals_per_minute=follows.signals_per_minute,
        uptime_seconds=round(uptime_seconds, 3),
        timestamp=desk.clock(),
    )


async def _samples(desk: Desk) -> Samples:
    waiting = await desk.health.waiting()
    readings = [
        *await desk.figures.readings(),
        Reading(name="deriv_bot_info", labels=(desk.version,), value=1.0),
        Reading(name="deriv_bot_uptime_seconds", labels=(), value=await desk.figures.uptime_seconds()),
        Reading(name="pregao_queue_depth", labels=("signals",), value=waiting.signals),
        Reading(name="pregao_queue_depth", labels=("orders",), value=waiting.orders),
        *_breakers(await desk.breakers.breakers()),
        *_weights(await desk.weights.weights()),
        *_screener(await desk.screener.status()),
        *_slots(await desk.forward_limits.slots()),
    ]
    readings.sort(key=lambda one: one.name)
    return {
        name: {one.labels: one.value for one in some}
        for name, some in groupby(readings, lambda one: one.name)
    }


def _breakers(lines: Sequence[BreakerLine]) -> Iterator[Reading]:
    for line in lines:
        yield Reading(
            name="pregao_breaker_state", labels=(line.name, line.scope), value=float(STATES[line.state])
        )


def _weights(lines: Sequence[WeightLine]) -> Iterator[Reading]:
    for name, figure in WEIGHTS:
        for line in lines:
            yield Reading(name=name, labels=(line.service, line.egress), value=float(figure(line)))


def _screener(line: ScreenerLine) -> Iterator[Reading]:
    for name, figure in SCREENER:
        yield Reading(name=name, labels=(), value=float(figure(line)))


def _slots(lines: Sequence[SlotsLine]) -> Iterator[Reading]:
    for line in lines:
        account = (str(line.account_id),)
        yield Reading(name="pregao_destination_slots_left", labels=account, value=float(line.left))
        yield Reading(name="pregao_destination_waits_total", labels=account, value=float(line.limited))


class _Scrape:
    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for figure in FIGURES.values():
            yield _family(figure, self._samples)


def _family(figure: Figure, samples: Samples) -> Metric:
    told = {**dict.fromkeys(figure.zeros, 0.0), **samples.get(figure.name, {})}
    if figure.kind is Kind.HISTOGRAM:
        return _histogram(figure, samples)
    if figure.kind is Kind.INFO:
        info = InfoMetricFamily(figure.name.removesuffix("_info"), figure.text)
        for labels in told:
            info.add_metric([], dict(zip(figure.labels, labels, strict=True)))
        return info
    of_kind = CounterMetricFamily if figure.kind is Kind.COUNTER else GaugeMetricFamily
    family = of_kind(figure.name, figure.text, labels=figure.labels)
    for labels, value in sorted(told.items()):
        family.add_metric(labels, value)
    return family


def _histogram(figure: Figure, samples: Samples) -> Metric:
    family = HistogramMetricFamily(figure.name, figure.text, labels=figure.labels)
    buckets, sums = samples.get(f"{figure.name}_bucket", {}), samples.get(f"{figure.name}_sum", {})
    for labels in sorted({*figure.zeros, *sums}):
        counted, rows = 0.0, []
        for bound in (*figure.buckets, math.inf):
            counted += buckets.get((*labels, label_of(bound)), 0.0)
            rows.append((floatToGoString(bound), counted))  # type: ignore[no-untyped-call]
        family.add_metric(labels, buckets=rows, sum_value=sums.get(labels, 0.0))
    return family

"""
`/metrics` for Prometheus, read off the database at every scrape, so that any web process can answer.

What the answering process uses itself (memory, processor, files) stands beside it.
"""

import hmac
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from pregao.domain.breaker import BreakerState
from pregao.edges.http.api.shapes import TOKEN, DeskGiven
from pregao.edges.http.errors import ApiError, ErrorBody
from pregao.views.breakers import BreakerLine
from pregao.views.screener import ScreenerLine
from pregao.views.weights import WeightLine

STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
WEIGHTS: tuple[tuple[str, str, Callable[[WeightLine], float]], ...] = (
    ("pregao_weight_used", "Request weight used in this minute, as the venue says.", lambda one: one.used),
    ("pregao_weight_drawn", "Request weight drawn in this minute by all processes.", lambda one: one.drawn),
    ("pregao_weight_max", "Request weight the venue allows in a minute.", lambda one: one.weight_max),
    (
        "pregao_weight_paused_seconds",
        "Rest of the silence that the venue asked for.",
        lambda one: one.paused_seconds,
    ),
)
SCREENER: tuple[tuple[str, str, Callable[[ScreenerLine], float]], ...] = (
    ("pregao_screener_tickers", "Tickers on the screener's list.", lambda line: line.size),
    (
        "pregao_screener_failures",
        "Looks in a row that gave the screener no list.",
        lambda line: line.failures,
    ),
    (
        "pregao_screener_good_timestamp_seconds",
        "When a look last gave the screener a list, in seconds since 1970; 0: never.",
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


@routes.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(desk: DeskGiven, request: Request) -> PlainTextResponse:
    """Give the gauges, in the format that is asked for; takes `PREGAO_METRICS_TOKEN` and no other token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given, wanted = token.strip().encode(), desk.metrics_token.encode()
    if not wanted or scheme.lower() != "bearer" or not hmac.compare_digest(given, wanted):
        raise ApiError(401, "TOKEN_WRONG", "Send PREGAO_METRICS_TOKEN as `Authorization: Bearer …`.")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        _Scrape(await desk.breakers.breakers(), await desk.weights.weights(), await desk.screener.status())
    )
    registry.register(PROCESS_COLLECTOR)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return PlainTextResponse(encode(registry), headers={"content-type": content_type})


class _Scrape:
    def __init__(
        self, breakers: Sequence[BreakerLine], weights: Sequence[WeightLine], screener: ScreenerLine
    ) -> None:
        self._breakers = breakers
        self._weights = weights
        self._screener = screener

    def collect(self) -> Iterator[GaugeMetricFamily]:
        states = GaugeMetricFamily(
            "pregao_breaker_state",
            "Circuit breaker: 0 closed, 1 half open, 2 open.",
            labels=("name", "scope"),
        )
        for line in self._breakers:
            states.add_metric((line.name, line.scope), STATES[line.state])
        yield states
        for name, text, value in WEIGHTS:
            gauge = GaugeMetricFamily(name, text, labels=("service", "egress"))
            for one in self._weights:
                gauge.add_metric((one.service, one.egress), float(value(one)))
            yield gauge
        for name, text, figure in SCREENER:
            yield GaugeMetricFamily(name, text, value=float(figure(self._screener)))

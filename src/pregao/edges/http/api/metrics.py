"""`/metrics` for Prometheus, in its text format; read off the database at every scrape, so that any web process can answer."""

import hmac
from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from pregao.domain.breaker import BreakerState
from pregao.edges.http.api.shapes import TOKEN, DeskGiven
from pregao.edges.http.errors import ApiError, ErrorBody
from pregao.views.breakers import BreakerLine
from pregao.views.weights import WeightLine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

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
Sample = tuple[Mapping[str, str], float]

routes = APIRouter(
    tags=["health"],
    dependencies=[TOKEN],
    responses={
        401: {"model": ErrorBody, "description": "TOKEN_WRONG"},
        503: {"model": ErrorBody, "description": "DATABASE_AWAY"},
    },
)


@routes.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(desk: DeskGiven, request: Request) -> PlainTextResponse:
    """Give the gauges; takes `PREGAO_METRICS_TOKEN` and no other token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given, wanted = token.strip().encode(), desk.metrics_token.encode()
    if not wanted or scheme.lower() != "bearer" or not hmac.compare_digest(given, wanted):
        raise ApiError(401, "TOKEN_WRONG", "Send PREGAO_METRICS_TOKEN as `Authorization: Bearer …`.")
    weights = await desk.weights.weights()
    parts = [
        gauge(
            "pregao_breaker_state",
            "Circuit breaker: 0 closed, 1 half open, 2 open.",
            _breakers(await desk.breakers.breakers()),
        ),
        *(
            gauge(
                name,
                text,
                [({"service": one.service, "egress": one.egress}, float(value(one))) for one in weights],
            )
            for name, text, value in WEIGHTS
        ),
    ]
    return PlainTextResponse("".join(parts), media_type=CONTENT_TYPE)


def _breakers(lines: Iterable[BreakerLine]) -> Iterable[Sample]:
    return (({"name": line.name, "scope": line.scope}, STATES[line.state]) for line in lines)


def gauge(name: str, text: str, samples: Iterable[Sample]) -> str:
    """Write one gauge in the text format."""
    head = f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    return head + "".join(f"{name}{{{_labels(labels)}}} {value:g}\n" for labels, value in samples)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items())

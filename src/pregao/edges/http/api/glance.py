"""What the first page shows: what is at stake, what came of today's signals, and what is left of the rate budgets."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from pregao.edges.http.api.roles import OPERATOR, Viewer
from pregao.edges.http.api.shapes import ERRORS, TOKEN, Amount, DeskGiven, Shown

LINES, LINES_MAX = 100, 1_000

routes = APIRouter(prefix="/api/v1", tags=["activity"], dependencies=[TOKEN], responses=ERRORS)


class ExposureSumsShown(Shown):
    """What is held, valued at what it would exit at; `unpriced` positions have no fresh price and count as entered."""

    positions: int
    unpriced: int
    long_usd: Amount
    short_usd: Amount
    gross_usd: Amount
    net_usd: Amount
    unrealized_pnl_usd: Amount | None


class SymbolExposureShown(ExposureSumsShown):
    """Of one symbol."""

    symbol: str


class AccountExposureShown(ExposureSumsShown):
    """On one account."""

    account_id: int
    account_name: str


class ExposureShown(Shown):
    """All of it, and by symbol and account, the largest first."""

    total: ExposureSumsShown
    symbols: list[SymbolExposureShown]
    accounts: list[AccountExposureShown]
    timestamp: datetime


class SignalOutcomesShown(Shown):
    """Today's signals (UTC), each counted once after `received`; `unresolved` counts orders, `repeats` deliveries."""

    received: int
    executed: int
    partly_executed: int
    failed: int
    skipped: int
    on_the_way: int
    waiting: int
    declined: int
    refused: int
    repeats: int
    unresolved: int
    timestamp: datetime


class WeightShown(Shown):
    """One address of ours at one venue, in the present minute; a pause is what the venue told us to wait."""

    egress: str
    service: str
    used: int
    drawn: int
    weight_max: int
    paused_seconds: float


class WeightsShown(Shown):
    """Every address and venue, by name."""

    items: list[WeightShown]


@routes.get("/exposure")
async def get_exposure(
    desk: DeskGiven,
    who: Viewer,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX, description="Symbols, and accounts, at most.")] = LINES,
) -> ExposureShown:
    """Say what is held, by symbol and by account, at the prices it would exit at."""
    found = await desk.glance.exposure(owner=who.owner, limit=limit)
    return ExposureShown(
        total=ExposureSumsShown.model_validate(found.total),
        symbols=[SymbolExposureShown.model_validate(line) for line in found.symbols],
        accounts=[AccountExposureShown.model_validate(line) for line in found.accounts],
        timestamp=desk.clock(),
    )


@routes.get("/signals/outcomes")
async def get_signal_outcomes(desk: DeskGiven, who: Viewer) -> SignalOutcomesShown:
    """Count today's signals by what came of them."""
    now = desk.clock()
    found = await desk.glance.outcomes(owner=who.owner, now=now)
    fields = {name: getattr(found, name) for name in SignalOutcomesShown.model_fields if name != "timestamp"}
    return SignalOutcomesShown(**fields, timestamp=now)


@routes.get("/weights", dependencies=[OPERATOR])
async def list_weights(desk: DeskGiven) -> WeightsShown:
    """Say how much of each venue's patience is used up this minute."""
    return WeightsShown(
        items=[
            WeightShown.model_validate(line, from_attributes=True) for line in await desk.weights.weights()
        ]
    )

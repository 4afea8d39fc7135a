"""What a deployment traded, trade by trade beside the backtest of the same strategy over the same candles."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from pregao.accounts.principal import Principal
from pregao.domain.clock import to_ms
from pregao.domain.lab import LabTerms, Topic
from pregao.domain.traded import SIGNALS_MAX
from pregao.edges.http.api.lab_questions import BUSY, ask_lab
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import CONFLICT, ERRORS, TOKEN, UNKNOWN, UNREADABLE, DeskGiven, Shown
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError

BPS_MAX = 1_000
CANDLES_PATTERN = r"^[A-Za-z0-9.\-]{1,40}_[0-9]{1,4}[smhdw]$"
FEE_BPS, SLIPPAGE_BPS = float(LabTerms().fee_bps), float(LabTerms().slippage_bps)

routes = APIRouter(prefix="/api/v1/strategies", tags=["strategies"], dependencies=[TOKEN], responses=ERRORS)

Bps = Annotated[float, Query(ge=0, le=BPS_MAX, allow_inf_nan=False)]


class DifferenceShown(Shown):
    """
    One difference, and its cause as it was found in what was recorded; `unknown` where nothing is, and it is not explained.

    ``code`` is that of whoever said no.
    """

    kind: str
    desk: float | str | None
    backtest: float | str | None
    unit: str
    cause: str
    reason: str
    is_explained: bool
    code: str | None


class SideShown(Shown):
    """A trade as the desk, or the backtest, has it; instants are milliseconds UTC by the desk's clock."""

    entered_at_ms: int
    exited_at_ms: int | None
    quantity: float
    entry_price: float
    exit_price: float | None
    fees: float
    profit: float | None
    ending: str


class PairShown(Shown):
    """A trade of both, or of one alone; ``wanted_at_ms`` is the close of the candle at which it was wanted."""

    wanted_at_ms: int
    side: str
    position_id: int | None
    desk: SideShown | None
    backtest: SideShown | None
    is_explained: bool
    differences: list[DifferenceShown]


class AccountShown(Shown):
    """One account that followed; the backtest is sized by the margin and leverage of its first entry."""

    account_id: int
    account: str
    margin: float
    leverage: int
    both: int
    only_on_desk: int
    only_in_backtest: int
    unexplained: int
    trades: list[PairShown]


class CandlesOfRunShown(Shown):
    """What the backtest was made of."""

    label: str
    symbol: str
    timeframe: str
    source: str
    is_simulated: bool
    rows: int
    first_ms: int | None
    last_ms: int | None


class ComparisonShown(Shown):
    """
    All trades of a deployment beside those of its backtest.

    ``speed`` is how many times faster than recorded the candles were played, ``candles_differing`` the closes of candles that the
    desk saw otherwise than the backtest has them. ``began_otherwise`` says that the strategy began with other candles before its
    first than the backtest; what that changed has the cause ``earlier_candles``.
    """

    candles: CandlesOfRunShown
    began_at_ms: int
    bar_at_ms: int
    bars: int
    warmed_up_by: int
    speed: float
    model: str | None
    candles_differing: list[int]
    began_otherwise: bool
    unexplained: Annotated[int, Field(description="Trades with a difference that nothing explains.")]
    accounts: list[AccountShown]


@routes.get(
    "/deployments/{deployment_id:uuid}/comparison", responses={**UNKNOWN, **CONFLICT, **UNREADABLE, **BUSY}
)
async def get_comparison(
    *,
    deployment_id: UUID,
    desk: DeskGiven,
    who: Viewer,
    candles: Annotated[
        str | None,
        Query(
            pattern=CANDLES_PATTERN,
            description="A name of `pregao data list`, such as those of a tape that is replayed; else the candles as the desk saw them.",
        ),
    ] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Leave out what was wanted before; else all since it began.")
    ] = None,
    fee_bps: Bps = FEE_BPS,
    slippage_bps: Bps = SLIPPAGE_BPS,
) -> ComparisonShown:
    """Pair the trades of your accounts (for staff: everybody's) with a backtest's, and explain each difference."""
    return await comparison_of(
        deployment_id,
        desk=desk,
        who=who,
        candles=candles,
        since=since,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
    )


async def comparison_of(
    deployment_id: UUID,
    *,
    desk: Desk,
    who: Principal,
    candles: str | None,
    since: datetime | None,
    fee_bps: float,
    slippage_bps: float,
) -> ComparisonShown:
    """
    Have the lab pair what somebody's accounts traded with a backtest.

    :raises ApiError: when there is no such deployment or nothing of it yet, no such candles, or the lab is silent.
    """
    traded = await desk.deployments.traded(deployment_id, owner=who.owner, since=since, limit=SIGNALS_MAX + 1)
    if traded is None:
        if await desk.deployments.find_deployment(deployment_id) is None:
            raise ApiError(
                404, "DEPLOYMENT_UNKNOWN", f"deployment={deployment_id}. There is no such deployment."
            )
        raise ApiError(
            409, "DEPLOYMENT_NOT_BEGUN", f"deployment={deployment_id}. It has judged no candle yet."
        )
    if len(traded.signals) > SIGNALS_MAX:
        raise ApiError(
            422,
            "COMPARISON_TOO_LARGE",
            f"signals>{SIGNALS_MAX}. Name a later `since`.",
        )
    question = {
        "timeframe": traded.deployment.timeframe,
        "traded": traded,
        "candles": candles,
        "since_ms": None if since is None else to_ms(since),
        "fee_bps": fee_bps,
        "slippage_bps": slippage_bps,
    }
    return ComparisonShown.model_validate(await ask_lab(desk, Topic.DEPLOYMENT, question))

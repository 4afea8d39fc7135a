"""The limiter at system A's own paths and in its words, for programs that were written for it."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import APIRouter
from pydantic import ConfigDict

from pregao.destinations.refusals import SettingUnusableError
from pregao.edges.http.api.destinations import PerMinute, set_limit
from pregao.edges.http.api.roles import Operator, name_of
from pregao.edges.http.api.shapes import ERRORS, TOKEN, Changes, DeskGiven, Responses, unset
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, ErrorBody

routes = APIRouter(tags=["destinations"], dependencies=[TOKEN], responses=ERRORS)

LIMITER = "/admin/webhook-rate-limiter"
UNUSABLE: Responses = {
    400: {"model": ErrorBody, "description": "REQUEST_UNREADABLE, or a value out of its range."}
}


class Told(Changes):
    """A body of the source's; what the desk does not know is left out, its `token` too."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class LimiterAsked(Told):
    """What to change of the limiter; the rest stays."""

    max_req_per_min: PerMinute = unset()
    rate_limiting_enabled: bool = unset()


@routes.post(f"{LIMITER}/update", status_code=204, responses=UNUSABLE)
async def update_limiter_at_source(body: LimiterAsked, desk: DeskGiven, who: Operator) -> None:
    """Change how many forwards leave in a minute; it counts at once."""
    await _set(desk, limiter_changes(body), by=await name_of(who, desk=desk))


@routes.post(f"{LIMITER}/pause", status_code=204, responses=UNUSABLE)
async def pause_limiter_at_source(desk: DeskGiven, who: Operator) -> None:
    """Let forwards pass without waiting."""
    await _set(desk, {"is_enabled": False}, by=await name_of(who, desk=desk))


@routes.post(f"{LIMITER}/resume", status_code=204, responses=UNUSABLE)
async def resume_limiter_at_source(desk: DeskGiven, who: Operator) -> None:
    """Have forwards wait for their slot again."""
    await _set(desk, {"is_enabled": True}, by=await name_of(who, desk=desk))


@routes.post("/admin/metrics/reset", status_code=204, responses=UNUSABLE)
async def reset_metrics_at_source(desk: DeskGiven, who: Operator) -> None:
    """Have the counters begin at zero now."""
    await desk.counter_books.reset(set_by=await name_of(who, desk=desk), clock=desk.clock)


def limiter_changes(body: LimiterAsked) -> dict[str, Any]:
    """Give what was sent, in our words."""
    ours = {"max_req_per_min": "max_per_minute", "rate_limiting_enabled": "is_enabled"}
    return {ours[name]: value for name, value in body.model_dump(exclude_unset=True).items()}


class Refusal(Protocol):
    """What a room refuses, with its code."""

    code: str
    message: str
    details: Mapping[str, object]


def bad_request(error: Refusal) -> ApiError:
    """Give a value's refusal with the status that the source had for it."""
    refusal = ApiError(400, error.code, error.message)
    refusal.details = dict(error.details)
    return refusal


async def _set(desk: Desk, changes: dict[str, Any], *, by: str) -> None:
    try:
        await set_limit(desk, changes, by=by)
    except SettingUnusableError as error:
        raise bad_request(error) from error

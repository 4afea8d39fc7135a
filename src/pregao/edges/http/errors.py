"""
Which HTTP status an error gets, and the one body all of them have.

What was not foreseen is logged whole and told as INTERNAL: no exception's text reaches a caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from pregao.accounts import refusals as accounts
from pregao.accounts.sealing import KeyRetiredError, SealError
from pregao.alerts import refusals as alerts
from pregao.bots import refusals as bots
from pregao.decisions import refusals as decisions
from pregao.destinations import refusals as destinations
from pregao.lab import refusals as lab
from pregao.market import refusals as market
from pregao.orders import refusals as orders
from pregao.positions import refusals as positions

STATUSES: dict[type[Exception], int] = {
    bots.SettingUnusableError: 422,
    bots.UnknownError: 404,
    bots.ConflictError: 409,
    accounts.SettingUnusableError: 422,
    accounts.UnknownError: 404,
    accounts.ConflictError: 409,
    accounts.VenueAwayError: 503,
    decisions.UnknownError: 404,
    decisions.ConflictError: 409,
    market.SettingUnusableError: 422,
    market.UnknownError: 404,
    market.ConflictError: 409,
    destinations.SettingUnusableError: 422,
    orders.UnknownError: 404,
    orders.ConflictError: 409,
    positions.UnknownError: 404,
    positions.ConflictError: 409,
    lab.SettingUnusableError: 422,
    lab.UnknownError: 404,
    lab.ConflictError: 409,
    alerts.SettingUnusableError: 422,
    alerts.UnknownError: 404,
    alerts.ConflictError: 409,
}

DATABASE_AWAY_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, unreachable, and every timeout
    asyncpg.InterfaceError,  # the pool is closed, the connection was lost under a statement
    asyncpg.InternalClientError,  # the connection was lost as a statement began
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it is shutting down, it is starting, it crashed
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # we are connected to a standby
)

TOO_LARGE = "The body is too large. Send the settings only."
HTTP_ERRORS = {
    400: ("REQUEST_UNREADABLE", "The body cannot be read."),
    404: ("PATH_UNKNOWN", "Nothing is served here."),
    405: ("METHOD_NOT_ALLOWED", "The path is served, but not with this method."),
    413: ("BODY_TOO_LARGE", TOO_LARGE),
}
AWAY_RETRY_SECONDS = 2
DATABASE_AWAY = "The database cannot be reached. Look whether a change was made before you ask for it again."

log = structlog.get_logger()


class Told(BaseModel):
    """What went wrong: a stable code, a sentence with the remedy, and the values it talks about."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorBody(BaseModel):
    """The body of every error but FastAPI's own 422."""

    error: Told


class UnreadableBody(BaseModel):
    """FastAPI's own 422: where in the request, and why; never what was sent there."""

    class Place(BaseModel):
        """One field that cannot be read."""

        loc: list[str | int]
        msg: str
        type: str

    detail: list[Place]


class ApiError(Exception):
    """An error the API itself finds; ``status`` is HTTP's."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_seconds: int = 0, **details: object
    ) -> None:
        super().__init__(code)
        self.status = status
        self.retry_seconds = retry_seconds
        self.code = code
        self.message = message
        self.details = details


def error_body(code: str, message: str, details: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Give the one body every error has."""
    return {"error": {"code": code, "message": message, "details": dict(details or {})}}


def add_errors(app: FastAPI, *, routes: Sequence[BaseRoute]) -> None:
    """Have the app answer every error in the one way; ``routes`` are what it serves."""
    for kind, status in STATUSES.items():
        app.add_exception_handler(kind, _answer(status))
    for kind in DATABASE_AWAY_ERRORS:
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(SealError, _seal_broken)
    app.add_exception_handler(KeyRetiredError, _key_retired)
    app.add_exception_handler(HTTPException, _http(routes))
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(Exception, _unforeseen)


def _answer(status: int) -> Any:
    def answer(_request: Request, error: Any) -> JSONResponse:
        return JSONResponse(error_body(error.code, error.message, error.details), status)

    return answer


def _api_error(_request: Request, error: Any) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_seconds)} if error.retry_seconds else None
    return JSONResponse(error_body(error.code, error.message, error.details), error.status, headers=headers)


def _database_away(_request: Request, error: Exception) -> JSONResponse:
    log.warning("http.api.database_away", error=type(error).__name__)
    return JSONResponse(
        error_body("DATABASE_AWAY", DATABASE_AWAY),
        503,
        headers={"Retry-After": str(AWAY_RETRY_SECONDS)},
    )


def _seal_broken(_request: Request, error: Exception) -> JSONResponse:
    log.error("http.api.seal_broken", error=str(error))
    return JSONResponse(
        error_body(
            "SEAL_BROKEN", "Sealed credentials cannot be opened with the desk's master key; see the log."
        ),
        500,
    )


def _key_retired(_request: Request, error: Exception) -> JSONResponse:
    # The vault reads the new key before it seals again; where it cannot, the log says which process is behind.
    log.error("http.api.key_retired", error=str(error))
    message = "The master key was changed this very moment; nothing was changed here. Ask again."
    return JSONResponse(error_body("MASTER_KEY_RETIRED", message), 503, headers={"Retry-After": "1"})


def _http(routes: Sequence[BaseRoute]) -> Any:
    def answer(request: Request, error: Any) -> JSONResponse:
        code, message = HTTP_ERRORS.get(error.status_code, (f"HTTP_{error.status_code}", "It is not served."))
        headers = error.headers
        if error.status_code == 405:
            # Starlette names the methods of the first route of a path; a path of ours has several.
            matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
            headers = {"Allow": ", ".join(sorted({m for route in matching for m in _methods(route)}))}
        return JSONResponse(error_body(code, message), error.status_code, headers=headers)

    return answer


def _methods(route: BaseRoute) -> set[str]:
    methods: set[str] | None = getattr(route, "methods", None)
    return methods or set()


def _unreadable(_request: Request, error: Any) -> JSONResponse:
    # FastAPI would repeat what was sent: a secret in the wrong place must not come back, nor NaN, nor half a letter.
    places = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    return JSONResponse({"detail": [_printable(place) for place in places]}, 422)


def _printable(place: dict[str, Any]) -> dict[str, Any]:
    loc = [part.encode(errors="replace").decode() if isinstance(part, str) else part for part in place["loc"]]
    return {**place, "loc": loc, "msg": place["msg"].encode(errors="replace").decode()}


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    log.error("http.api.failed", method=request.method, path=request.url.path, exc_info=error)
    return JSONResponse(error_body("INTERNAL", "The desk made a mistake; its log says which."), 500)

"""Coming in and going out: logins, sessions, API tokens and the own password."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, SecretStr

from pregao.accounts.enroll import (
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    NAME_CHARACTERS_MIN,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    check_password,
    check_token,
    get_user,
    spelled,
)
from pregao.accounts.principal import Principal
from pregao.accounts.second_factor import CODE_CHARACTERS_MAX
from pregao.accounts.sessions import ApiToken, Session
from pregao.domain.user import Role, User
from pregao.edges.http.api.proving import (
    begin,
    begin_session,
    code_needed,
    forgive,
    prove_code,
    prove_password,
)
from pregao.edges.http.api.roles import Viewer
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Amount,
    Asked,
    DeskGiven,
    Responses,
    Shown,
)
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, ErrorBody
from pregao.edges.http.tokens import API_TOKEN_PREFIX, new_token, sha256_of
from pregao.edges.ids import uuid7

LIMITED: Responses = {429: {"model": ErrorBody, "description": "LOGIN_LIMITED or CODES_LIMITED"}}
LOGIN_ERRORS: Responses = {
    401: {"model": ErrorBody, "description": "LOGIN_WRONG, SECOND_FACTOR_NEEDED or CODE_WRONG"},
    413: ERRORS[413],
    422: ERRORS[422],
    503: ERRORS[503],
}

open_routes = APIRouter(prefix="/api/v1/auth", tags=["people"], responses=LOGIN_ERRORS)
routes = APIRouter(prefix="/api/v1/auth", tags=["people"], dependencies=[TOKEN], responses=ERRORS)

Email = Annotated[str, Field(max_length=EMAIL_CHARACTERS_MAX, json_schema_extra={"format": "email"})]
Name = Annotated[
    str, Field(json_schema_extra={"minLength": NAME_CHARACTERS_MIN, "maxLength": NAME_CHARACTERS_MAX})
]
Password = Annotated[
    SecretStr,
    Field(
        json_schema_extra={
            "writeOnly": True,
            "minLength": PASSWORD_CHARACTERS_MIN,
            "maxLength": PASSWORD_CHARACTERS_MAX,
        }
    ),
]
# What is no password of ours is wrong, not unreadable; a longer one is not hashed.
GivenPassword = Annotated[
    SecretStr, Field(max_length=PASSWORD_CHARACTERS_MAX, json_schema_extra={"writeOnly": True})
]


# Of an app, or a recovery code; blanks and dashes do not matter.
Code = Annotated[SecretStr, Field(max_length=CODE_CHARACTERS_MAX, json_schema_extra={"writeOnly": True})]


class LoginAsked(Asked):
    """Who comes in; `code` where a second factor is on."""

    email: Email
    password: GivenPassword
    code: Code | None = None


class PasswordChange(Asked):
    """The password as it is, and as it is to be."""

    current: GivenPassword
    new: Password


class NewToken(Asked):
    """A token for a program; without an end it holds until it is revoked."""

    name: Name
    expires_at: datetime | None = None


class UserShown(Shown):
    """A user; his limits hold for all his accounts together."""

    user_id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    max_daily_loss_usd: Amount | None
    max_positions: int | None
    risk_capital_usd: Amount | None
    monthly_drawdown_pct: Amount
    max_slippage_pct: Amount
    slippage_pause_pct: Amount
    max_executions_per_minute: int
    max_executions_per_hour: int


class LoginMade(Shown):
    """A session just begun; its token is shown this once."""

    token: str
    session_id: UUID
    expires_at: datetime
    user: UserShown


class MeShown(Shown):
    """Who is asking, and by what he came in; without a user it is the admin token."""

    role: Role
    came_by: str
    session_id: UUID | None
    user: UserShown | None


class SessionShown(Shown):
    """A session of the user."""

    session_id: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime
    source_address: str
    user_agent: str
    is_current: bool


class SessionsShown(Shown):
    """The sessions that have not ended, latest first."""

    items: list[SessionShown]


class SessionsEnded(Shown):
    """How many sessions were ended."""

    ended: int


class TokenShown(Shown):
    """An API token; what it is cannot be shown again."""

    token_id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class TokenMade(TokenShown):
    """An API token just made, shown this once."""

    token: str


class TokensShown(Shown):
    """The API tokens, latest first, revoked ones too."""

    items: list[TokenShown]


@open_routes.post("/login", responses={**LIMITED, **UNREADABLE})
async def post_login(body: LoginAsked, desk: DeskGiven, request: Request) -> LoginMade:
    """Begin a session. Its token is shown in this answer and never again."""
    email = spelled(body.email)
    login = await prove_password(email, body.password.get_secret_value(), desk=desk, request=request)
    if login.second_factor_since is not None:
        if body.code is None:
            forgive(request, email=email)
            raise code_needed()
        await prove_code(body.code.get_secret_value(), login=login, desk=desk)
    session, token = await begin_session(login, desk=desk, request=request)
    return LoginMade(
        token=token,
        session_id=session.session_id,
        expires_at=session.expires_at,
        user=UserShown.model_validate(login.user),
    )


@routes.post("/logout", responses=CONFLICT)
async def post_logout(desk: DeskGiven, who: Viewer) -> SessionShown:
    """End the session this request came by."""
    user_id = user_id_of(who)
    if who.session_id is None:
        raise ApiError(409, "SESSION_MISSING", "You came by an API token; revoke that one instead.")
    return await _end_session(who.session_id, user_id=user_id, who=who, desk=desk)


@routes.get("/me")
async def get_me(desk: DeskGiven, who: Viewer) -> MeShown:
    """Say who is asking."""
    line = None if who.user_id is None else await desk.people.find_user(who.user_id)
    return MeShown(
        role=who.role,
        came_by=who.label,
        session_id=who.session_id,
        user=None if line is None else UserShown.model_validate(line.user),
    )


@routes.post("/password", responses={**CONFLICT, **LIMITED, **UNREADABLE})
async def post_password(body: PasswordChange, desk: DeskGiven, who: Viewer, request: Request) -> MeShown:
    """Change the own password; every other session of the user ends."""
    now, user_id = desk.clock(), user_id_of(who)
    user = await _get_user(user_id, desk=desk)
    await begin(request, desk=desk, email=user.email, is_known=True)
    login = await desk.logins.find_login(user.email)
    is_right = await desk.passwords.verify(
        body.current.get_secret_value(), password_hash=None if login is None else login.password_hash
    )
    if not is_right:
        raise ApiError(403, "PASSWORD_WRONG", "The current password is another one.", field="current")
    forgive(request, email=user.email)
    password = body.new.get_secret_value()
    check_password(password, email=user.email)
    password_hash = await desk.passwords.hash(password)
    async with desk.users.open() as book:
        await get_user(user_id, book=book)
        await book.keep_password(user_id, password_hash, now=now)
        await book.end_sessions(user_id, now=now, but=who.session_id)
    return await get_me(desk, who)


@routes.get("/sessions", responses=CONFLICT)
async def list_sessions(desk: DeskGiven, who: Viewer) -> SessionsShown:
    """Give the own sessions that have not ended."""
    sessions = await desk.logins.sessions(user_id_of(who), now=desk.clock())
    return SessionsShown(items=[_session(one, who=who) for one in sessions])


@routes.delete("/sessions", responses=CONFLICT)
async def delete_other_sessions(desk: DeskGiven, who: Viewer) -> SessionsEnded:
    """End all own sessions but the one this request came by; by an API token, all."""
    user_id = user_id_of(who)
    ended = await desk.logins.end_other_sessions(user_id, but=who.session_id, now=desk.clock())
    return SessionsEnded(ended=ended)


@routes.delete("/sessions/{session_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_session(session_id: UUID, desk: DeskGiven, who: Viewer) -> SessionShown:
    """End one of the own sessions."""
    return await _end_session(session_id, user_id=user_id_of(who), who=who, desk=desk)


@routes.get("/tokens", responses=CONFLICT)
async def list_tokens(desk: DeskGiven, who: Viewer) -> TokensShown:
    """Give the own API tokens."""
    return await shown_tokens(user_id_of(who), desk=desk)


@routes.post("/tokens", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_token(body: NewToken, desk: DeskGiven, who: Viewer) -> TokenMade:
    """Make an API token for a program. It is shown in this answer and never again."""
    user_id = user_id_of(who)
    if who.session_id is None:
        # Else a token somebody lost could make itself successors that outlive it.
        raise ApiError(403, "SESSION_NEEDED", "Log in first: an API token makes no other tokens.")
    return await make_token(body, user_id=user_id, desk=desk)


@routes.delete("/tokens/{token_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_token(token_id: UUID, desk: DeskGiven, who: Viewer) -> TokenShown:
    """Revoke one of the own API tokens."""
    return await revoke_token(token_id, user_id=user_id_of(who), desk=desk)


async def make_token(body: NewToken, *, user_id: UUID, desk: Desk) -> TokenMade:
    """Make a token for a user."""
    now, token = desk.clock(), new_token(API_TOKEN_PREFIX)
    expires_at = body.expires_at
    if expires_at is not None and expires_at.tzinfo is None:
        raise ApiError(
            422, "INSTANT_UNCERTAIN", "expires_at has no time zone; end it with Z.", field="expires_at"
        )
    made = ApiToken(
        token_id=uuid7(now), user_id=user_id, name=body.name.strip(), created_at=now, expires_at=expires_at
    )
    check_token(made, now=now)
    if not await desk.logins.keep_token(made, token_sha256=sha256_of(token)):
        raise ApiError(409, "USER_INACTIVE", f"user={user_id}. Activate the user first.")
    return TokenMade(**_token_fields(made), token=token)


async def shown_tokens(user_id: UUID, *, desk: Desk) -> TokensShown:
    """Give a user's tokens."""
    tokens = await desk.logins.tokens(user_id)
    return TokensShown(items=[TokenShown.model_validate(one) for one in tokens])


async def revoke_token(token_id: UUID, *, user_id: UUID, desk: Desk) -> TokenShown:
    """Revoke a user's token."""
    revoked = await desk.logins.revoke_token(token_id, user_id=user_id, now=desk.clock())
    if revoked is None:
        raise ApiError(404, "TOKEN_UNKNOWN", f"token={token_id}. There is no such token.")
    return TokenShown.model_validate(revoked)


def user_id_of(who: Principal) -> UUID:
    """
    Give the user who is asking.

    :raises ApiError: when it is the admin token, which is nobody's.
    """
    if who.user_id is None:
        raise ApiError(409, "USER_MISSING", "The admin token is nobody's. Make a user: `pregao user create`.")
    return who.user_id


async def _get_user(user_id: UUID, *, desk: Desk) -> User:
    line = await desk.people.find_user(user_id)
    if line is None:
        raise ApiError(404, "USER_UNKNOWN", f"user={user_id}. There is no such user.")
    return line.user


async def _end_session(session_id: UUID, *, user_id: UUID, who: Principal, desk: Desk) -> SessionShown:
    ended = await desk.logins.end_session(session_id, user_id=user_id, now=desk.clock())
    if ended is None:
        raise ApiError(404, "SESSION_UNKNOWN", f"session={session_id}. There is no such session.")
    return _session(ended, who=who)


def _session(session: Session, *, who: Principal) -> SessionShown:
    fields: dict[str, Any] = {**asdict(session), "is_current": session.session_id == who.session_id}
    return SessionShown.model_validate(fields)


def _token_fields(token: ApiToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in TokenShown.model_fields}

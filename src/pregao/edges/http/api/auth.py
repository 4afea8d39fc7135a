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
from pregao.accounts.sessions import SESSION_LASTS, ApiToken, Session
from pregao.domain.user import Role, User
from pregao.edges.http.admission import user_agent_of
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
from pregao.edges.http.login_limits import LoginFailures, network_of
from pregao.edges.http.tokens import API_TOKEN_PREFIX, SESSION_PREFIX, new_token, sha256_of
from pregao.edges.ids import uuid7

LIMITED: Responses = {429: {"model": ErrorBody, "description": "LOGIN_LIMITED"}}
LOGIN_ERRORS: Responses = {
    401: {"model": ErrorBody, "description": "LOGIN_WRONG"},
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


class LoginAsked(Asked):
    """Who comes in."""

    email: Email
    password: GivenPassword


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
    now, email, address = desk.clock(), spelled(body.email), request.scope["source_address"]
    await _begin(request, desk=desk, email=email)
    login = await desk.logins.find_login(email)
    if login is not None:  # the audit log tells admins whose login failed; the caller is not told
        request.scope["action_targets"] = {"user_id": str(login.user.user_id)}
    password = body.password.get_secret_value()
    known_hash = None if login is None else login.password_hash
    # Whether there is such a user takes as long to say as whether it is his password.
    is_right = await desk.passwords.verify(password, password_hash=known_hash)
    if login is None or not is_right:
        raise _login_wrong()
    token = new_token(SESSION_PREFIX)
    session = Session(
        session_id=uuid7(now),
        user_id=login.user.user_id,
        created_at=now,
        expires_at=now + SESSION_LASTS,
        last_used_at=now,
        source_address=address,
        user_agent=user_agent_of(request.scope),
    )
    if not await desk.logins.start_session(
        session, token_sha256=sha256_of(token), password_hash=login.password_hash
    ):
        raise _login_wrong()  # he was deactivated, or his password changed, this very moment
    _failures(request).forgive(address=address, email=email, began_at=now)
    request.scope["principal"] = Principal(
        role=login.user.role,
        label="session",
        user_id=login.user.user_id,
        session_id=session.session_id,
    )
    request.scope["action_targets"] = {"session_id": str(session.session_id)}
    if desk.passwords.is_outdated(login.password_hash):
        await desk.logins.renew_password(
            login.user.user_id,
            former_hash=login.password_hash,
            password_hash=await desk.passwords.hash(password),
        )
    return LoginMade(
        token=token,
        session_id=session.session_id,
        expires_at=session.expires_at,
        user=UserShown.model_validate(login.user),
    )


@routes.post("/logout", responses=CONFLICT)
async def post_logout(desk: DeskGiven, who: Viewer) -> SessionShown:
    """End the session this request came by."""
    user_id = _user_id(who)
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
    now, user_id = desk.clock(), _user_id(who)
    user = await _get_user(user_id, desk=desk)
    await _begin(request, desk=desk, email=user.email, is_known=True)
    login = await desk.logins.find_login(user.email)
    is_right = await desk.passwords.verify(
        body.current.get_secret_value(), password_hash=None if login is None else login.password_hash
    )
    if not is_right:
        raise ApiError(403, "PASSWORD_WRONG", "The current password is another one.", field="current")
    _failures(request).forgive(
        address=request.scope["source_address"], email=user.email, began_at=request.state.began_at
    )
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
    sessions = await desk.logins.sessions(_user_id(who), now=desk.clock())
    return SessionsShown(items=[_session(one, who=who) for one in sessions])


@routes.delete("/sessions/{session_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_session(session_id: UUID, desk: DeskGiven, who: Viewer) -> SessionShown:
    """End one of the own sessions."""
    return await _end_session(session_id, user_id=_user_id(who), who=who, desk=desk)


@routes.get("/tokens", responses=CONFLICT)
async def list_tokens(desk: DeskGiven, who: Viewer) -> TokensShown:
    """Give the own API tokens."""
    return await shown_tokens(_user_id(who), desk=desk)


@routes.post("/tokens", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_token(body: NewToken, desk: DeskGiven, who: Viewer) -> TokenMade:
    """Make an API token for a program. It is shown in this answer and never again."""
    user_id = _user_id(who)
    if who.session_id is None:
        # Else a token somebody lost could make itself successors that outlive it.
        raise ApiError(403, "SESSION_NEEDED", "Log in first: an API token makes no other tokens.")
    return await make_token(body, user_id=user_id, desk=desk)


@routes.delete("/tokens/{token_id:uuid}", responses={**UNKNOWN, **CONFLICT})
async def delete_token(token_id: UUID, desk: DeskGiven, who: Viewer) -> TokenShown:
    """Revoke one of the own API tokens."""
    return await revoke_token(token_id, user_id=_user_id(who), desk=desk)


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


async def _begin(request: Request, *, desk: Desk, email: str, is_known: bool = False) -> None:
    failures, now = _failures(request), desk.clock()
    address = request.scope["source_address"]
    wait = failures.begin(address=address, email=email, is_known=is_known, now=now)
    if wait and not is_known:
        # Strangers who try an e-mail do not close it to its owner where he came in before.
        known = {network_of(one) for one in await desk.logins.addresses_of(email)}
        if network_of(address) in known:
            wait = failures.begin(address=address, email=email, is_known=True, now=now)
    if wait:
        raise ApiError(
            429,
            "LOGIN_LIMITED",
            "Too many failed logins from this address or for this e-mail. Wait as Retry-After says.",
            retry_seconds=wait,
        )
    request.state.began_at = now


def _failures(request: Request) -> LoginFailures:
    failures: LoginFailures = request.app.state.login_failures
    return failures


def _login_wrong() -> ApiError:
    return ApiError(401, "LOGIN_WRONG", "There is no active user with this e-mail and password.")


def _user_id(who: Principal) -> UUID:
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

"""Users, as admins enroll and change them; their passwords come in and never go out again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from pregao.accounts.enroll import (
    change_user,
    check_password,
    enroll_user,
)
from pregao.domain.user import Role, User
from pregao.edges.http.api.auth import (
    Email,
    Name,
    NewToken,
    Password,
    TokenMade,
    TokenShown,
    TokensShown,
    UserShown,
    make_token,
    revoke_token,
    shown_tokens,
)
from pregao.edges.http.api.cursors import Cursor
from pregao.edges.http.api.listing import USERS
from pregao.edges.http.api.roles import ADMIN
from pregao.edges.http.api.shapes import (
    CONFLICT,
    ERRORS,
    PAGE_ITEMS,
    TOKEN,
    UNKNOWN,
    UNREADABLE,
    Asked,
    Changes,
    DeskGiven,
    Executions,
    Limit,
    MonthlyDrawdownPct,
    Page,
    RiskCapitalUsd,
    SlippagePct,
    UserLossUsd,
    UserPositions,
    default_of,
    unset,
)
from pregao.edges.http.api.sheets import AsCsv, Format
from pregao.edges.http.api.sorting import Search
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError
from pregao.edges.http.tokens import new_token
from pregao.edges.ids import uuid7
from pregao.views.people import UserLine
from pregao.views.sorting import Shape

routes = APIRouter(
    prefix="/api/v1/admin/users", tags=["people"], dependencies=[TOKEN, ADMIN], responses=ERRORS
)


class NewUser(Asked):
    """A user to enroll; without a password the desk makes one and shows it once."""

    email: Email
    name: Name
    role: Role
    password: Password | None = None
    max_daily_loss_usd: UserLossUsd | None = None
    max_positions: UserPositions | None = None
    risk_capital_usd: RiskCapitalUsd | None = None
    monthly_drawdown_pct: MonthlyDrawdownPct = default_of(User, "monthly_drawdown_pct")
    max_slippage_pct: SlippagePct = default_of(User, "max_slippage_pct")
    slippage_pause_pct: SlippagePct = default_of(User, "slippage_pause_pct")
    max_executions_per_minute: Executions = default_of(User, "max_executions_per_minute")
    max_executions_per_hour: Executions = default_of(User, "max_executions_per_hour")


class UserChanges(Changes):
    """What to change; the rest stays. A new password ends the user's sessions; so does `is_active` false, and his tokens."""

    name: Name = unset()
    role: Role = unset()
    is_active: bool = unset()
    max_daily_loss_usd: UserLossUsd | None = unset()
    max_positions: UserPositions | None = unset()
    risk_capital_usd: RiskCapitalUsd | None = unset()
    monthly_drawdown_pct: MonthlyDrawdownPct = unset()
    max_slippage_pct: SlippagePct = unset()
    slippage_pause_pct: SlippagePct = unset()
    max_executions_per_minute: Executions = unset()
    max_executions_per_hour: Executions = unset()
    password: Password = unset()
    reset_password: Annotated[bool, Field(description="Make a new password and show it once.")] = unset()


class UserListed(UserShown):
    """A user and what is his."""

    accounts: int
    active_subscriptions: int
    last_login_at: datetime | None
    second_factor_since: datetime | None
    created_at: datetime
    updated_at: datetime


class UserWithPassword(UserListed):
    """A user, and the password the desk made: shown this once; null where it was given or stays."""

    password: str | None


UserSort = Literal[
    "time", "-time", "name", "-name", "email", "-email", "role", "-role", "accounts", "-accounts", "last_login_at", "-last_login_at",
]  # fmt: skip


@routes.get("", response_model=Page[UserListed], responses=AsCsv)
async def list_users(
    *,
    desk: DeskGiven,
    role: Role | None = None,
    is_active: bool | None = None,
    search: Search = None,
    sort: UserSort = "time",
    cursor: Cursor = None,
    limit: Limit = PAGE_ITEMS,
    kind: Format = "json",
) -> Page[UserListed] | Response:
    """Give the users, oldest first unless `sort` says otherwise."""

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[UserLine]:
        return await desk.people.users(role=role, is_active=is_active, after=after, shape=shape, limit=limit)

    return await USERS.answer(
        find,
        sort=sort,
        search=search,
        cursor=cursor,
        limit=limit,
        kind=kind,
        to_shown=_listed,
        shown=UserListed,
        name="users",
    )


@routes.post("", status_code=201, responses={**CONFLICT, **UNREADABLE})
async def post_user(body: NewUser, desk: DeskGiven) -> UserWithPassword:
    """Enroll a user. A password the desk makes is shown in this answer and never again."""
    now = desk.clock()
    settings = body.model_dump(exclude={"password"})
    user = User(user_id=uuid7(now), **settings)
    made = None if body.password is not None else new_token("")
    password = body.password.get_secret_value() if body.password is not None else str(made)
    await enroll(user, password, desk=desk, now=now)
    return _with_password(await _get_line(user.user_id, desk=desk), made)


async def enroll(user: User, password: str, *, desk: Desk, now: datetime) -> None:
    """Make a user known, with what he comes in by."""
    check_password(password, email=user.email)
    password_hash = await desk.passwords.hash(password)
    async with desk.users.open() as book:
        await book.append(await enroll_user(user, book=book, now=now))
        await book.keep_password(user.user_id, password_hash, now=now)


@routes.get("/{user_id:uuid}", responses=UNKNOWN)
async def get_one_user(user_id: UUID, desk: DeskGiven) -> UserListed:
    """Give one user."""
    return _listed(await _get_line(user_id, desk=desk))


@routes.patch("/{user_id:uuid}", responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def patch_user(user_id: UUID, body: UserChanges, desk: DeskGiven) -> UserWithPassword:
    """Change a user or reset his password. What he may do changes with his next request."""
    now = desk.clock()
    changes = body.model_dump(exclude_unset=True, exclude={"password", "reset_password"})
    made = new_token("") if body.reset_password and body.password is None else None
    password = made if body.password is None else body.password.get_secret_value()
    password_hash = None
    if password is not None:
        check_password(password, email=(await _get_line(user_id, desk=desk)).user.email)
        password_hash = await desk.passwords.hash(password)
    async with desk.users.open() as book:
        await book.append(await change_user(user_id, changes, book=book, now=now))
        if password_hash is not None:
            await book.keep_password(user_id, password_hash, now=now)
            await book.end_sessions(user_id, now=now)
    return _with_password(await _get_line(user_id, desk=desk), made)


@routes.get("/{user_id:uuid}/tokens", responses=UNKNOWN)
async def list_user_tokens(user_id: UUID, desk: DeskGiven) -> TokensShown:
    """Give a user's API tokens."""
    await _get_line(user_id, desk=desk)
    return await shown_tokens(user_id, desk=desk)


@routes.post("/{user_id:uuid}/tokens", status_code=201, responses={**UNKNOWN, **CONFLICT, **UNREADABLE})
async def post_user_token(user_id: UUID, body: NewToken, desk: DeskGiven) -> TokenMade:
    """Make an API token for a user. It is shown in this answer and never again."""
    await _get_line(user_id, desk=desk)
    return await make_token(body, user_id=user_id, desk=desk)


@routes.delete("/{user_id:uuid}/tokens/{token_id:uuid}", responses=UNKNOWN)
async def delete_user_token(user_id: UUID, token_id: UUID, desk: DeskGiven) -> TokenShown:
    """Revoke a user's API token."""
    return await revoke_token(token_id, user_id=user_id, desk=desk)


async def _get_line(user_id: UUID, *, desk: Desk) -> UserLine:
    line = await desk.people.find_user(user_id)
    if line is None:
        raise ApiError(404, "USER_UNKNOWN", f"user={user_id}. There is no such user.")
    return line


def _listed(line: UserLine) -> UserListed:
    return UserListed.model_validate(_fields(line))


def _with_password(line: UserLine, password: str | None) -> UserWithPassword:
    return UserWithPassword.model_validate({**_fields(line), "password": password})


def _fields(line: UserLine) -> dict[str, object]:
    return {
        **{name: getattr(line.user, name) for name in UserShown.model_fields},
        "accounts": line.accounts,
        "active_subscriptions": line.active_subscriptions,
        "last_login_at": line.last_login_at,
        "second_factor_since": line.second_factor_since,
        "created_at": line.created_at,
        "updated_at": line.updated_at,
    }

"""People: what proves oneself and where one is signed in; for admins users, who did what, and how the desk is set."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pregao.domain.alert import AlertLevel
from pregao.domain.user import Role
from pregao.edges.http.api.auth import user_id_of
from pregao.edges.http.api.listing import USERS
from pregao.edges.http.api.shapes import ID_MAX, DeskGiven
from pregao.edges.http.api.sorting import printable
from pregao.edges.http.console.browsers import browser_of
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, UUID_OR_NONE, asked_of, page_of
from pregao.edges.http.console.showing import CHOICES_MAX, needs, show_missing, show_page
from pregao.views.actions import ACTION_TYPES, ActionFilter
from pregao.views.people import UserLine
from pregao.views.sorting import USER_FIELDS, Shape

routes = APIRouter(include_in_schema=False)

PERIODS = (1, 24, 168, 720)  # hours
OUTCOMES = {"done": True, "refused": False}


@routes.get("/console/me")
async def show_me(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what proves oneself, where one is signed in, and the own programs' tokens."""
    user_id, now = user_id_of(who), desk.clock()
    line = await desk.people.find_user(user_id)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    rule = await desk.second_factor_rules.rule()
    values = {
        "line": line,
        "sessions": await desk.logins.sessions(user_id, now=now),
        "tokens": await desk.logins.tokens(user_id),
        "codes_left": await desk.second_factors.recovery_codes_left(user_id),
        "is_demanded": rule.role is not None and who.role.includes(rule.role),
        "browser_of": browser_of,
        "now": now,
    }
    return await show_page(request, "people/me.html", values, desk=desk, who=who)


@routes.get("/console/people")
async def show_people(
    request: Request, desk: DeskGiven, who: Seen, role: str = "", state: str = ""
) -> Response:
    """Show users: who may come in, with which role, and by what."""
    needs(Role.ADMIN, who)
    asked = asked_of(request, sorts=USER_FIELDS, usual={"role": "", "state": ""})
    is_active = {"active": True, "inactive": False}.get(state)

    async def find(after: UUID | None, *, shape: Shape, limit: int) -> Sequence[UserLine]:
        return await desk.people.users(
            role=Role(role) if role in set(Role) else None,
            is_active=is_active,
            after=after,
            shape=shape,
            limit=limit,
        )

    values = {
        **await page_of(USERS, find, asked),
        "file": asked.file(
            "/api/v1/admin/users", role=role, is_active="" if is_active is None else str(is_active).lower()
        ),
        "roles": list(Role),
    }
    return await show_page(request, "people/people.html", values, desk=desk, who=who)


@routes.get("/console/people/{user_id:uuid}")
async def show_person(user_id: UUID, request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show one user: what he may, what is his, and the tokens of his programs."""
    needs(Role.ADMIN, who)
    line = await desk.people.find_user(user_id)
    if line is None:
        return await show_missing(request, desk=desk, who=who)
    values = {
        "line": line,
        "tokens": await desk.logins.tokens(user_id),
        "sessions": await desk.logins.sessions(user_id, now=desk.clock()),
        "roles": list(Role),
        "browser_of": browser_of,
        "now": desk.clock(),
    }
    return await show_page(request, "people/person.html", values, desk=desk, who=who)


@routes.get("/console/audit")
async def show_audit(
    *,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    user: Annotated[str, Query(pattern=UUID_OR_NONE)] = "",
    hours: Annotated[str, Query(pattern="^[0-9]{0,5}$")] = "",
    before: UUID | None = None,
) -> Response:
    """Show what people asked the desk to change, from where, and what came of it; refused ones too."""
    needs(Role.ADMIN, who)
    asked = asked_of(request, usual={"user": "", "what": "", "outcome": "", "hours": ""})
    what, outcome = printable(asked.chosen["what"]) or "", asked.chosen["outcome"]
    wanted = ActionFilter(
        user_id=UUID(user) if user else None,
        action=None if what in ACTION_TYPES else what or None,
        action_type=what if what in ACTION_TYPES else None,
        is_success=OUTCOMES.get(outcome),
        since=desk.clock() - timedelta(hours=int(hours)) if hours else None,
    )
    lines = await desk.actions.actions(wanted, before=before, limit=ROWS + 1)
    people = await desk.people.users(role=None, is_active=None, after=None, limit=CHOICES_MAX)
    values = {
        "asked": asked,
        "lines": lines[:ROWS],
        "following": str(lines[ROWS - 1].action_id) if len(lines) > ROWS else None,
        "file": asked.file(
            "/api/v1/admin/actions",
            user_id=user,
            action=wanted.action or "",
            action_type=wanted.action_type or "",
            success="" if wanted.is_success is None else str(wanted.is_success).lower(),
            hours=hours,
        ),
        "people": sorted(people, key=_email),
        "types": ACTION_TYPES,
        "outcomes": list(OUTCOMES),
        "periods": PERIODS,
        "browser_of": browser_of,
    }
    return await show_page(request, "people/audit.html", values, desk=desk, who=who)


@routes.get("/console/settings")
async def show_settings(
    request: Request,
    desk: DeskGiven,
    who: Seen,
    before: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
) -> Response:
    """Show what holds for the whole desk, and who changed it, when, from what and why."""
    needs(Role.ADMIN, who)
    asked = asked_of(request)
    lines = await desk.setting_changes.changes(setting=None, before=before, limit=ROWS + 1)
    values = {
        "asked": asked,
        "lines": lines[:ROWS],
        "following": str(lines[ROWS - 1].change_id) if len(lines) > ROWS else None,
        "retention": (await desk.upkeep.retention()).retention,
        "forwards": (await desk.forward_limits.limit()).limit,
        "demanded": (await desk.second_factor_rules.rule()).role,
        "roles": list(Role),
        "level": await desk.alerts.level(),
        "levels": list(AlertLevel),
        "sell_list": await desk.sell_list.rule() or desk.sell_list_rule,
    }
    return await show_page(request, "people/settings.html", values, desk=desk, who=who)


def _email(line: UserLine) -> str:
    return line.user.email

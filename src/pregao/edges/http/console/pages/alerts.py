"""Alerts as people look at them, with what became of each; channels and mutes."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pregao.accounts.principal import Principal
from pregao.domain.alert import AlertKind, AlertLevel, ChannelKind
from pregao.domain.user import Role
from pregao.edges.http.api.listing import ALERTS, MUTES
from pregao.edges.http.api.shapes import DeskGiven
from pregao.edges.http.console.entrance import Seen
from pregao.edges.http.console.lists import ROWS, asked_of, page_of
from pregao.edges.http.console.showing import show_missing, show_page
from pregao.views.alerts import AlertLine
from pregao.views.sorting import ALERT_FIELDS, MUTE_FIELDS, Shape

MUTE_HOURS = (1, 4, 8, 24, 72, 168)  # to choose from

routes = APIRouter(include_in_schema=False)


@routes.get("/console/alerts")
async def show_alerts(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what a person should know, whom it was told, and who takes care of it."""
    asked = asked_of(request, sorts=ALERT_FIELDS, usual={"level": "", "kind": "", "state": ""})
    level, kind = asked.chosen["level"], asked.chosen["kind"]
    is_acknowledged = {"open": False, "taken": True}.get(asked.chosen["state"])

    async def find(before: UUID | None, *, shape: Shape, limit: int) -> Sequence[AlertLine]:
        return await desk.alerts.alerts(
            owner=who.owner,
            level=AlertLevel(level) if level in set(AlertLevel) else None,
            kind=AlertKind(kind) if kind in set(AlertKind) else None,
            is_acknowledged=is_acknowledged,
            before=before,
            shape=shape,
            limit=limit,
        )

    values = {
        **await page_of(ALERTS, find, asked),
        "file": asked.file(
            "/api/v1/alerts",
            level=level,
            kind=kind,
            acknowledged="" if is_acknowledged is None else str(is_acknowledged).lower(),
        ),
        "levels": list(AlertLevel),
        "kinds": sorted(AlertKind),
        "channels": await desk.alerts.channels(owner=who.owner),
        "least": await desk.alerts.level(),
        "can_act": who.role.includes(Role.TRADER),
        "is_staff": who.role.is_staff,
        "channel_kinds": kinds_for(who),
    }
    return await show_page(request, "alerts/alerts.html", values, desk=desk, who=who)


def kinds_for(who: Principal) -> list[str]:
    """Give the kinds of channel that somebody may make."""
    return [one.value for one in ChannelKind if who.role.is_staff or one is not ChannelKind.APPRISE]


@routes.get("/console/alerts/channels/{channel_id:int}")
async def show_channel(
    *,
    channel_id: int,
    request: Request,
    desk: DeskGiven,
    who: Seen,
    before: UUID | None = None,
) -> Response:
    """Show one channel: how it reaches people, what it carries, and what came of each message."""
    found = [
        one for one in await desk.alerts.channels(owner=who.owner) if one.channel.channel_id == channel_id
    ]
    if not found:
        return await show_missing(request, desk=desk, who=who)
    [line] = found
    asked = asked_of(request, usual={"status": ""})
    lines = await desk.alerts.deliveries(
        owner=who.owner,
        channel_id=channel_id,
        status=asked.chosen["status"] or None,
        before=before,
        limit=ROWS + 1,
    )
    values = {
        "line": line,
        "it": line.channel,
        "asked": asked,
        "lines": lines[:ROWS],
        "following": str(lines[ROWS - 1].alert_id) if len(lines) > ROWS else None,
        "file": asked.file(f"/api/v1/alert-channels/{channel_id}/deliveries", status=asked.chosen["status"]),
        "levels": list(AlertLevel),
        "least": await desk.alerts.level(),
        "can_act": who.role.includes(Role.TRADER),
        "is_staff": who.role.is_staff,
    }
    return await show_page(request, "alerts/channel.html", values, desk=desk, who=who)


@routes.get("/console/alerts/mutes")
async def show_mutes(request: Request, desk: DeskGiven, who: Seen) -> Response:
    """Show what is kept back just now, and until when."""
    asked = asked_of(request, sorts=MUTE_FIELDS, usual_sort="until")
    standing = await desk.alerts.mutes(owner=who.owner, now=desk.clock())
    values = {
        **await page_of(MUTES, MUTES.within(standing), asked),
        "file": asked.file("/api/v1/alert-mutes"),
        "levels": list(AlertLevel),
        "kinds": sorted(AlertKind),
        "hours": MUTE_HOURS,
        "can_act": who.role.includes(Role.TRADER),
    }
    return await show_page(request, "alerts/mutes.html", values, desk=desk, who=who)

"""How the desk's own settings changed: what was, what is, who said so and why."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from pregao.edges.http.api.roles import ADMIN
from pregao.edges.http.api.shapes import (
    ERRORS,
    ID_MAX,
    PAGE_ITEMS,
    TOKEN,
    DeskGiven,
    Limit,
    Page,
    Shown,
    page_of,
)

routes = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[TOKEN, ADMIN], responses=ERRORS)

Setting = Literal["forward_limit", "retention", "alert_level", "sell_list", "screener_pause", "second_factor"]


class ValueChangedShown(Shown):
    """One value that changed, as text; `old` is null where nobody had set it before."""

    field: str
    old: str | None
    new: str


class SettingChangeShown(Shown):
    """One time that somebody set something; no values where it was so already."""

    change_id: int
    changed_at: datetime
    setting: Setting
    set_by: str
    reason: str
    values: list[ValueChangedShown]


@routes.get("/settings/changes")
async def list_setting_changes(
    *,
    desk: DeskGiven,
    setting: Setting | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Limit = PAGE_ITEMS,
) -> Page[SettingChangeShown]:
    """Give the changes of what holds for the whole desk, latest first."""
    found = await desk.setting_changes.changes(setting=setting, before=cursor, limit=limit)
    return page_of(
        [SettingChangeShown.model_validate(one) for one in found],
        limit=limit,
        cursor=lambda last: last.change_id,
    )

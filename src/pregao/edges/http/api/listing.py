"""A list as the API answers it: searched, sorted, page by page, or all of it as CSV."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from pregao.edges.http.api.shapes import Page
from pregao.edges.http.api.sheets import SHEET_ITEMS, sheet_of_shown
from pregao.edges.http.api.sorting import (
    cursor_after,
    read_position_place,
    read_signal_place,
    shape_after,
    to_place,
    to_shape,
)
from pregao.views.sorting import (
    ACCOUNT_FIELDS,
    ALERT_FIELDS,
    APPROVAL_FIELDS,
    BOT_FIELDS,
    LAB_FIELDS,
    SUBSCRIPTION_FIELDS,
    USER_FIELDS,
    Shape,
)

Place = TypeVar("Place", UUID, int)
Item = TypeVar("Item", bound=BaseModel)


class Finds(Protocol):
    """How the lines of a list are fetched: those that follow a place, in the order of a shape."""

    def __call__(self, place: Any, /, *, shape: Shape, limit: int) -> Awaitable[Sequence[Any]]:
        """Give at most so many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Place]):
    """What makes a list: the fields it is sorted by, and what names a line of it."""

    fields: Mapping[str, type]
    place_of: Callable[[Any], Place]
    read_place: Callable[[str], Place | None]

    async def page(
        self, find: Finds, *, shape: Shape, cursor: str | None, limit: int
    ) -> tuple[Sequence[Any], str | None]:
        """
        Give a page, and where the next one begins; None where there is none.

        :raises ApiError: when the cursor is no place of such a list.
        """
        place, shape = to_place(cursor, shape, fields=self.fields, read_ids=self.read_place)
        lines = await find(place, shape=shape, limit=limit + 1)
        if len(lines) <= limit:
            return lines, None
        last = lines[limit - 1]
        return lines[:limit], cursor_after(last, shape, ids=str(self.place_of(last)))

    async def answer(
        self,
        find: Finds,
        *,
        sort: str,
        search: str | None,
        cursor: str | None,
        limit: int,
        kind: str,
        to_shown: Callable[[Any], Item],
        shown: type[Item],
        name: str,
    ) -> Page[Item] | Response:
        """Answer with a page of the list, or with all that follows the cursor as CSV."""
        shape = to_shape(sort, search=search)
        if kind == "csv":
            return await self._sheet(
                find, shape=shape, cursor=cursor, to_shown=to_shown, shown=shown, name=name
            )
        lines, following = await self.page(find, shape=shape, cursor=cursor, limit=limit)
        return Page(items=[to_shown(line) for line in lines], next_cursor=following)

    async def _sheet(
        self,
        find: Finds,
        *,
        shape: Shape,
        cursor: str | None,
        to_shown: Callable[[Any], Item],
        shown: type[Item],
        name: str,
    ) -> Response:
        first, shape = to_place(cursor, shape, fields=self.fields, read_ids=self.read_place)

        async def fetch(last: tuple[Any, Item] | None) -> Sequence[tuple[Any, Item]]:
            place, beyond = (
                (first, shape) if last is None else (self.place_of(last[0]), shape_after(last[0], shape))
            )
            return [(line, to_shown(line)) for line in await find(place, shape=beyond, limit=SHEET_ITEMS)]

        return await sheet_of_shown(fetch, shown=shown, name=name, shown_of=lambda pair: pair[1])


BOTS = Listing(fields=BOT_FIELDS, place_of=lambda line: line.bot.bot_id, read_place=read_signal_place)
SUBSCRIPTIONS = Listing(
    fields=SUBSCRIPTION_FIELDS,
    place_of=lambda line: line.subscription.subscription_id,
    read_place=read_signal_place,
)
ACCOUNTS = Listing(
    fields=ACCOUNT_FIELDS, place_of=lambda line: line.account.account_id, read_place=read_position_place
)
USERS = Listing(fields=USER_FIELDS, place_of=lambda line: line.user.user_id, read_place=read_signal_place)
ALERTS = Listing(fields=ALERT_FIELDS, place_of=lambda line: line.alert.alert_id, read_place=read_signal_place)
LAB_RUNS = Listing(fields=LAB_FIELDS, place_of=lambda line: line.run.run_id, read_place=read_signal_place)
APPROVALS = Listing(
    fields=APPROVAL_FIELDS, place_of=lambda line: line.signal_id, read_place=read_signal_place
)

"""A list as the API answers it: searched, sorted, page by page, or all of it as CSV."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from pregao.edges.http.api.shapes import Page
from pregao.edges.http.api.sheets import SHEET_ITEMS, sheet_of_shown
from pregao.edges.http.api.sorting import (
    cursor_after,
    printable,
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
    BACKUP_FIELDS,
    BOT_FIELDS,
    BREAKER_FIELDS,
    DIFFERENCE_FIELDS,
    FOREIGN_CANCEL_FIELDS,
    FOREIGN_ORDER_FIELDS,
    LAB_FIELDS,
    MUTE_FIELDS,
    SUBSCRIPTION_FIELDS,
    USER_FIELDS,
    WORKER_FIELDS,
    Shape,
)

Place = TypeVar("Place", UUID, int, str)
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

    def within(self, lines: Sequence[Any]) -> Finds:
        """Fetch from lines that are few enough to be all at hand; like a database, what is not known is the least."""

        async def find(place: Any, /, *, shape: Shape, limit: int) -> Sequence[Any]:
            def key(value: Any, line_place: Any) -> tuple[Any, ...]:
                return *_comparable(value), line_place

            def key_of(line: Any) -> tuple[Any, ...]:
                return key(None if shape.by is None else getattr(line, shape.by), self.place_of(line))

            found = sorted(
                (one for one in lines if shape.search is None or shape.search.casefold() in _said_by(one)),
                key=key_of,
                reverse=shape.is_descending,
            )
            if place is not None:
                last = key(shape.after, place)
                found = [
                    one
                    for one in found
                    if (key_of(one) < last if shape.is_descending else key_of(one) > last)
                ]
            return found[:limit]

        return find

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


def _comparable(value: Any) -> tuple[bool, Any]:
    """Give what values of one kind are compared by; an unknown one is less than all others."""
    return value is not None, (
        value.casefold() if isinstance(value, str) else value
    ) if value is not None else 0


def _said_by(line: Any) -> str:
    """Give the words of a line, small."""
    values = (getattr(line, field.name) for field in fields(line))
    return " ".join(value for value in values if isinstance(value, str)).casefold()


def _read_text(text: str) -> str | None:
    return printable(text)


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
WORKERS = Listing(fields=WORKER_FIELDS, place_of=lambda line: line.worker_id, read_place=_read_text)
BREAKERS = Listing(
    fields=BREAKER_FIELDS, place_of=lambda line: f"{line.scope}.{line.name}", read_place=_read_text
)
BACKUPS = Listing(fields=BACKUP_FIELDS, place_of=lambda line: line.name, read_place=_read_text)
MUTES = Listing(fields=MUTE_FIELDS, place_of=lambda line: line.mute_id, read_place=read_signal_place)
DIFFERENCES = Listing(fields=DIFFERENCE_FIELDS, place_of=lambda line: line.place, read_place=_read_text)
FOREIGN_ORDERS = Listing(fields=FOREIGN_ORDER_FIELDS, place_of=lambda line: line.place, read_place=_read_text)
FOREIGN_CANCELS = Listing(
    fields=FOREIGN_CANCEL_FIELDS, place_of=lambda line: line.cancel_id, read_place=read_signal_place
)

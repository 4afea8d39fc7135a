"""How every list is searched, sorted, paged and taken away as a file; what somebody chose stands in the address."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from pregao.edges.http.api.listing import Finds, Listing
from pregao.edges.http.api.sorting import BY_TIME, SEARCH_CHARACTERS_MAX, printable, to_shape

Line = TypeVar("Line")

SEARCH, SORT, PLACE = "q", "sort", "before"  # what they are called in an address
NEWEST_FIRST = f"-{BY_TIME}"
UUID_OR_NONE = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"
ROWS = 50  # of a page of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A list as an address asks for it."""

    here: str
    chosen: Mapping[str, str]  # what filters are set to
    usual: Mapping[str, str]  # what they are set to where nobody chose
    search: str
    sort: str
    usual_sort: str
    place: str | None  # where the page before ended

    @property
    def is_narrowed(self) -> bool:
        """Say whether somebody asked for less than what is usual."""
        return bool(self.search) or dict(self.chosen) != dict(self.usual)

    def address(self, **changes: str) -> str:
        """Give the address of the same list with some changes; of its first page unless they say otherwise."""
        told = {**self.chosen, SEARCH: self.search, SORT: self.sort, **changes}
        usual = {**self.usual, SEARCH: "", SORT: self.usual_sort}
        query = urlencode({name: value for name, value in told.items() if value != usual.get(name, "")})
        return f"{self.here}?{query}" if query else self.here

    @property
    def itself(self) -> str:
        """Give the address of the page that is shown."""
        return self.after(self.place) if self.place else self.address()

    def sorted_by(self, field: str) -> str:
        """Give the address of the list by a field: the most first, then the least."""
        return self.address(**{SORT: field if self.sort == f"-{field}" else f"-{field}"})

    def direction(self, field: str) -> str:
        """Say in which direction the list is sorted by a field, as `aria-sort` says it; empty where it is not."""
        return {field: "ascending", f"-{field}": "descending"}.get(self.sort, "")

    def after(self, place: str) -> str:
        """Give the address of the page that follows a place."""
        return self.address(**{PLACE: place})

    def file(self, path: str, **filters: str) -> str:
        """Give the API's address of all of this list as a file, by what its filters are called there."""
        told = {**filters, "search": self.search, "sort": self.sort, "format": "csv"}
        return f"{path}?{urlencode({name: value for name, value in told.items() if value})}"


def asked_of(
    request: Request,
    *,
    sorts: Iterable[str] = (),
    usual_sort: str = NEWEST_FIRST,
    usual: Mapping[str, str] | None = None,
) -> Asked:
    """Read which list an address asks for; ``usual`` names its filters, ``sorts`` the fields it can be sorted by."""
    told, usual = request.query_params, usual or {}
    sort = told.get(SORT, usual_sort)
    return Asked(
        here=request.url.path,
        chosen={name: printable(told.get(name, value)) or "" for name, value in usual.items()},
        usual=usual,
        search=(printable(told.get(SEARCH)) or "")[:SEARCH_CHARACTERS_MAX],
        sort=sort if sort.removeprefix("-") in {BY_TIME, *sorts} or sort == usual_sort else usual_sort,
        usual_sort=usual_sort,
        place=told.get(PLACE) or None,
    )


async def page_of(listing: Listing[Any], find: Finds, asked: Asked) -> dict[str, Any]:
    """Give a page of a list as an address asks for it, and where the next one begins."""
    shape = to_shape(asked.sort, search=asked.search)
    lines, following = await listing.page(find, shape=shape, cursor=asked.place, limit=ROWS)
    return {"asked": asked, "lines": lines, "following": following}


def arrange(
    lines: Sequence[Line], asked: Asked, *, by: Mapping[str, Callable[[Line], Any]]
) -> Sequence[Line]:
    """Search and sort a list that is short enough to be shown whole; ``by`` gives what its columns hold."""
    meant = asked.search.casefold()
    found = [one for one in lines if any(meant in str(value(one) or "").casefold() for value in by.values())]
    column = by.get(asked.sort.removeprefix("-"))
    if column is None:
        return found
    known = [one for one in found if column(one) is not None]
    unknown = [one for one in found if column(one) is None]
    return sorted(known, key=column, reverse=asked.sort.startswith("-")) + unknown

"""Lists as CSV, streamed: page after page is fetched, and nothing is held but one page."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from pregao.edges.http.api.shapes import Responses
from pregao.views.sheet import to_csv

Item = TypeVar("Item")

SHEET_ITEMS = 1_000  # of one page
CSV_TYPE = "text/csv; charset=utf-8"
AsCsv: Responses = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
"""For the document of a list that can be had as CSV too."""

Format = Annotated[
    Literal["json", "csv"],
    Query(
        alias="format",
        description="`csv` gives all that is meant, from `cursor` on, and looks at no `limit`.",
    ),
]


async def sheet_of(
    fetch: Callable[[Item | None], Awaitable[Sequence[Item]]],
    *,
    columns: Sequence[str],
    to_row: Callable[[Item], Sequence[object]],
    name: str,
    is_empty_204: bool = False,
) -> Response:
    """Answer with all items; ``fetch`` gives at most SHEET_ITEMS that follow one, or the first ones."""
    first = await fetch(None)
    if is_empty_204 and not first:
        return Response(status_code=204)

    async def parts() -> AsyncIterator[str]:
        yield to_csv([columns])
        items = first
        while items:
            yield to_csv(to_row(item) for item in items)
            items = await fetch(items[-1]) if len(items) == SHEET_ITEMS else ()

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(parts(), media_type=CSV_TYPE, headers=headers)


async def sheet_of_shown(
    fetch: Callable[[Any], Awaitable[Sequence[Any]]],
    *,
    shown: type[BaseModel],
    name: str,
    shown_of: Callable[[Any], Any] = lambda line: line,
) -> Response:
    """Answer with all lines as the API shows them: a column for each field, in its order."""
    fields = tuple(shown.model_fields)

    def to_row(line: Any) -> list[object]:
        one = shown_of(line)
        return [_cell(getattr(one, field)) for field in fields]

    return await sheet_of(fetch, columns=fields, to_row=to_row, name=name)


def _cell(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return value


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)

"""What a code means, for the notices that a page's script shows: in the language of whoever looks."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse

from pregao.edges.http.console.entrance import Known
from pregao.edges.http.console.rendering import HEADERS, language_of

CODE_CHARACTERS_MAX = 80
TOLD_CHARACTERS_MAX = 1_000  # what the script sends of what the desk said

routes = APIRouter(include_in_schema=False)


@routes.get("/console/meaning")
async def say_meaning(
    request: Request,
    who: Known,  # noqa: ARG001  # whoever set nothing up yet is told of his mistakes too
    code: Annotated[str, Query(max_length=CODE_CHARACTERS_MAX)],
    told: Annotated[str, Query(max_length=TOLD_CHARACTERS_MAX)] = "",
) -> PlainTextResponse:
    """Say it, with the values that the desk's own words begin with; a code nobody knows leaves these as they are."""
    return PlainTextResponse(language_of(request).plainly(code, told), headers=dict(HEADERS))

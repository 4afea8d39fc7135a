"""One function at two addresses: ours below `/api/v1`, and the source system's own, with its slash at the end."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter

from pregao.edges.http.api.shapes import ERRORS, TOKEN

Answering = TypeVar("Answering", bound=Callable[..., Any])


class TwoPaths:
    """Registers what answers at both; ``routes`` are ours and ``source_routes`` the source's."""

    def __init__(self, *, ours: str, source: str, tag: str) -> None:
        """Answer below both prefixes."""
        self.routes = APIRouter(prefix=ours, tags=[tag], dependencies=[TOKEN], responses=ERRORS)
        self.source_routes = APIRouter(prefix=source, tags=[tag], dependencies=[TOKEN], responses=ERRORS)

    def get(self, path: str, **options: Any) -> Callable[[Answering], Answering]:
        """Answer a GET of this path below both prefixes."""
        return self._at_both("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[Answering], Answering]:
        """Answer a POST to this path below both prefixes."""
        return self._at_both("POST", path, options)

    def _at_both(self, method: str, path: str, options: dict[str, Any]) -> Callable[[Answering], Answering]:
        def register(function: Answering) -> Answering:
            name = function.__name__
            asked = {**options, "methods": [method]}
            self.routes.add_api_route(path, function, name=name, **asked)
            # The name is the operation's id: no two of one document are the same.
            self.source_routes.add_api_route(f"{path}/", function, name=f"{name}_at_source", **asked)
            self.source_routes.add_api_route(
                path, function, name=f"{name}_at_source", include_in_schema=False, **asked
            )
            return function

        return register

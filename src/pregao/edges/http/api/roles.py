"""
Which role a route needs: each declares it by asking for one of these principals.

A route below `/api/` that declares none is a mistake that ends the start (`check_roles`).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from pregao.accounts.principal import Principal
from pregao.domain.user import Role
from pregao.edges.http.admission import CLOSED, OPEN_PATHS
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError


class Needs:
    """A dependency that gives who is asking, or refuses whose role is too small."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: Request) -> Principal:
        """Give who is asking."""
        principal: Principal = request.scope["principal"]
        if not principal.role.includes(self.role):
            raise role_forbidden(principal, self.role)
        return principal


def role_forbidden(principal: Principal, needed: Role) -> ApiError:
    """Give the refusal of what takes a larger role."""
    return ApiError(
        403,
        "ROLE_FORBIDDEN",
        f"role={principal.role} needed={needed}. An admin may give you the role.",
        role=principal.role,
        needed=needed,
    )


async def name_of(who: Principal, *, desk: Desk) -> str:
    """Give who is asking as it is kept: "session" names nobody, and years later it is to say whose it was."""
    line = None if who.user_id is None else await desk.people.find_user(who.user_id)
    return who.label if line is None else f"{line.user.email}, {who.label}"


Viewer = Annotated[Principal, Depends(Needs(Role.VIEWER))]
Trader = Annotated[Principal, Depends(Needs(Role.TRADER))]
Operator = Annotated[Principal, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]

OPERATOR = Depends(Needs(Role.OPERATOR))
ADMIN = Depends(Needs(Role.ADMIN))
"""For routers all of whose routes need it."""


def check_roles(routes: Iterable[Any]) -> None:
    """See that every closed route declares the role it needs, and tell it in the document."""
    for route in routes:
        if not isinstance(route, APIRoute) or not route.path.startswith(CLOSED) or route.path in OPEN_PATHS:
            continue
        needed = needed_role(route)
        assert needed is not None, f"{route.path} declares no role: ask for a principal of api/roles.py"
        route.openapi_extra = {**(route.openapi_extra or {}), "x-needed-role": needed}


def needed_role(route: APIRoute) -> Role | None:
    """Give the largest role a route asks for."""
    asked = [one.call.role for one in route.dependant.dependencies if isinstance(one.call, Needs)]
    return max(asked, key=list(Role).index, default=None)

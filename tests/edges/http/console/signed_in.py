"""What tests of the console share."""

import httpx

from tests.edges.http.api.own_desk import OwnDesk

EMAIL = "ana@desk.test"
PASSWORD = "correct horse battery"
ORIGIN = "http://desk.test"
PAGES = (
    "/admin",
    "/console/signals",
    "/console/approvals",
    "/console/orders",
    "/console/positions",
    "/console/stops",
    "/console/performance",
    "/console/lab",
    "/console/models",
    "/console/sell-all",
    "/console/bots",
    "/console/subscriptions",
    "/console/accounts",
    "/console/alerts",
    "/console/alerts/mutes",
    "/console/screener",
    "/console/operations",
    "/console/operations/workers",
    "/console/operations/breakers",
    "/console/operations/differences",
    "/console/operations/orders",
    "/console/operations/taken-back",
    "/console/operations/backups",
    "/console/people",
    "/console/audit",
    "/console/settings",
    "/console/me",
)


async def signed_in(desk: OwnDesk, name: str, role: str) -> httpx.AsyncClient:
    """Give a browser of a new user."""
    person = await desk.enroll(name, role)
    client = await desk.coming_with("")
    client.headers["Origin"] = ORIGIN
    answer = await client.post(
        "/console/sign-in", data={"email": person.email, "password": "correct horse battery"}
    )
    assert answer.status_code == 303, answer.text
    return client

"""A desk and a browser that has signed in to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.edges.http.api.own_desk import TOKEN, OwnDesk, own_desk
from tests.edges.http.console.signed_in import EMAIL, ORIGIN, PASSWORD


@pytest.fixture
async def desk(database: str) -> AsyncIterator[OwnDesk]:
    async with own_desk(database) as desk:
        yield desk


@pytest.fixture
async def browser(desk: OwnDesk) -> httpx.AsyncClient:
    """Give a browser on a desk without users."""
    client = await desk.coming_with("")
    client.headers["Origin"] = ORIGIN
    return client


@pytest.fixture
async def admin(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Give a browser whose user has just made himself the first one."""
    form = {"token": TOKEN, "email": EMAIL, "name": "Ana", "password": PASSWORD}
    answer = await browser.post("/console/first-run", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin"), answer.text
    return browser

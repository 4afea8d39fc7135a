"""The API's own desk."""

from collections.abc import AsyncIterator

import pytest

from tests.edges.http.api.own_desk import OwnDesk, own_desk


@pytest.fixture
async def desk(database: str) -> AsyncIterator[OwnDesk]:
    async with own_desk(database) as desk:
        yield desk

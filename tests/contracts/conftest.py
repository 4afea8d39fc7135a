"""A journal on a database of its own."""

from collections.abc import AsyncIterator

import pytest

from pregao.edges.postgres.journal import Journal, open_journal


@pytest.fixture
async def journal(database: str) -> AsyncIterator[Journal]:
    opened = await open_journal(database)
    yield opened
    await opened.pool.close()

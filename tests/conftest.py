"""What tests at every level may ask for: a real PostgreSQL, shared by the run, and a fresh database in it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from tests.fresh_database import fresh_database, let_go
from tests.shared_database import ensure_template, shared_server

# The pretty tracebacks that structlog prints by default take seconds on a busy machine: prices get too old meanwhile.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones: one worker does them one after the other while the rest do all else, and none is left for the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def database_server() -> str:
    """Give the administrator's address of the run's server: TEST_DATABASE_URL, or one of our own."""
    return shared_server()


@pytest.fixture(scope="session")
async def database_template(database_server: str) -> AsyncIterator[str]:
    """Give the name of a migrated database to copy."""
    with ThreadPoolExecutor(1) as thread:  # the migrations run a loop of their own
        name = thread.submit(ensure_template, database_server).result()
    yield name
    await let_go()


@pytest.fixture
async def database(database_server: str, database_template: str) -> AsyncIterator[str]:
    """Give the address of a fresh, migrated database that nobody else uses."""
    async with fresh_database(database_server, database_template) as address:
        yield address

"""Bring a database to this version's schema: forward only, safe to run twice and by two at once."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(dsn: str) -> None:
    """Run what is missing; ``dsn`` is a ``postgresql://`` address. Must be called outside an event loop."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    address = urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg"))
    config.set_main_option("sqlalchemy.url", address.replace("%", "%%"))
    command.upgrade(config, "head")

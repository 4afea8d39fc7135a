"""Runs a migration that is written as SQL, beside its revision."""

from pathlib import Path

from alembic import op


def run_beside(revision_file: str) -> None:
    """Run the SQL file of the same name; one script, many statements: the driver's own call."""
    script = Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8")
    raw = op.get_bind().connection.dbapi_connection
    assert raw is not None, "a migration runs on an open connection"
    raw.run_async(lambda connection: connection.execute(script))

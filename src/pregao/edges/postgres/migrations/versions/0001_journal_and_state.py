"""The journal, the state that is its fold, and the leases."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL beside this file."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    raw = op.get_bind().connection.dbapi_connection
    assert raw is not None, "a migration runs on an open connection"
    raw.run_async(
        lambda connection: connection.execute(script)
    )  # one script, many statements: the driver's own call

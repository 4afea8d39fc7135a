"""Signals planned in parts."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""The journal, the state that is its fold, and the leases."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

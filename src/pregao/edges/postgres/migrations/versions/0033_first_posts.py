"""A forward is under way from its first post on, whichever attempt that was."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""The screener's universe."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""What each subscription earned and lost, day by day and symbol by symbol."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""What each subscription earned and lost, day by day and symbol by symbol."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0004_daily_results"
down_revision = "0003_people"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""What each channel was to carry, the latest first."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

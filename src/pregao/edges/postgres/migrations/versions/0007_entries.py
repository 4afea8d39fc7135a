"""Find a bot's approved entries by time."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

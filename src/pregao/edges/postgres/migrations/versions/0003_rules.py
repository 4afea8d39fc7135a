"""Rules and limits of bots and subscriptions."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

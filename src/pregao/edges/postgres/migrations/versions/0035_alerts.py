"""What people are told: alerts, channels, mutes, and the messages that carry them."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

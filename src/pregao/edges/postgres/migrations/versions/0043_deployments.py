"""Strategies that feed bots, how far each has come, and the stops that travel with their signals."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""Secrets that are changed while both are good: of bots, and of the vault."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

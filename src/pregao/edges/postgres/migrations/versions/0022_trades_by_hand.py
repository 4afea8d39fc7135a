"""Trades that people ask for themselves, and the capital a month is measured by."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""Figures go on over the end of an epoch."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

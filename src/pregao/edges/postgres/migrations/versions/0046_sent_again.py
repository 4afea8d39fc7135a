"""Signals that an operator has sent again."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

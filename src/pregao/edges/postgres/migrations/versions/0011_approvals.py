"""Signals that are put to a person, and what was answered."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

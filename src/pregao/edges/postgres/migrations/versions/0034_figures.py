"""Figures: counted from the journal, told by processes, and reset for whoever reads system A's."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

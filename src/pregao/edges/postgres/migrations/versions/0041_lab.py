"""What the lab was asked, how far it is, and what came of it."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

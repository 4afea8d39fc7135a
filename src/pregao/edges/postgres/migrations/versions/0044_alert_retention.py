"""For how many days alerts are remembered."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

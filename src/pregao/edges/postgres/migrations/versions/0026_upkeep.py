"""What the jobs look after."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""How many forwards leave in a minute."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

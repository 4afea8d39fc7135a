"""Circuit breakers that several processes agree about."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

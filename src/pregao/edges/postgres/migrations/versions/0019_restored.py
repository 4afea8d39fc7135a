"""When the database was put back to an older state, and on which accounts it does not know yet what it forgot."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

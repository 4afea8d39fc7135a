"""The index of signals' steps, without orders at venues that are no destination."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

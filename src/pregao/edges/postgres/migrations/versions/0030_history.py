"""Events of signals by time, events that were brought in, and actions in system A's words."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

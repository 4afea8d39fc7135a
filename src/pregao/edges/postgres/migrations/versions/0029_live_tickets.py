"""One-time tickets for websockets."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

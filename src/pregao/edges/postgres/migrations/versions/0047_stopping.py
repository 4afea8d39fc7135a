"""A worker that was told to stop is none that died."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

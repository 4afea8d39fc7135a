"""An order's row carries its last attempt; all of them are read off the journal."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

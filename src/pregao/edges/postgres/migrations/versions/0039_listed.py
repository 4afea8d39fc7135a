"""An index of the screener's lists in the journal."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

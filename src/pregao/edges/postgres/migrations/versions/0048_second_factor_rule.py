"""Who must have a second factor, and that it was said."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

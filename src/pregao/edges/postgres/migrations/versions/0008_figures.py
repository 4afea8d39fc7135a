"""Who forgave a loss and why; the views that tell what was earned."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

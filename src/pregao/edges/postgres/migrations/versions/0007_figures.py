"""Who forgave a loss and why; the views that tell what was earned."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0007_figures"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""Orders that rest at venues and are not ours."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

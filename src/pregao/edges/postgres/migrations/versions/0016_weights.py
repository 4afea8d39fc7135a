"""The weight that a venue lets one address use, shared by all processes behind it."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

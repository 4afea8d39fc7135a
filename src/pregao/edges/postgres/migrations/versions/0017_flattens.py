"""Jobs that sell out a desk or a part of it."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

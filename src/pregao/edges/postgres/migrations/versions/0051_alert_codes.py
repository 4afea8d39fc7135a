"""What an alert says, for other languages, and what it is about."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

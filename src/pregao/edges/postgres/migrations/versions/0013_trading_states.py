"""What may be traded, who said so, and which trader has seen it."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

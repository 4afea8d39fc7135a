"""The source systems' tables as views, for whoever queries them from outside."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

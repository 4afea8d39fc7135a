"""Accounts at webhooks, what is posted to them, and who wrote each fact."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""What an account may lose, hold and aim for, of bots and of subscriptions."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""What is done by hand: the list of what can be sold, and what the desk's own signals are called."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

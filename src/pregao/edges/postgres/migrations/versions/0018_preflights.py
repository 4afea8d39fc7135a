"""What pre-flight found out about each account, and when it is looked at again."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

"""When each account was compared with its venue, and whose past is not known since a stream was taken over."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

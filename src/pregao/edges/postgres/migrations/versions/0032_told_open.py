"""Which positions were told to stand open, for a trader that was not there then."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)

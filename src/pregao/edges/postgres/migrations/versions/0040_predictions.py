"""What models say of symbols, and bots that ask a model before they enter."""

from pregao.edges.postgres.migrations.script import run_beside

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_beside(__file__)
